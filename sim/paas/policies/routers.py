"""Routers: which ready replica gets the next call.

A router is a policy with `pick(call, replicas, now)`. `replicas` is never empty, holds the replicas
that are ready and not draining in order of their unit's number, and every replica has `load`: the
calls that wait or are served there. A router does not look at queue limits: a call sent to a full
replica is rejected there, as behind a load balancer that does not know them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

from annotated_types import Ge

from sim.registry import policy

if TYPE_CHECKING:
    from sim.kernel.streams import RandomStreams
    from sim.paas.calls import Call
    from sim.paas.replica import Replica


class Loaded(Protocol):
    """What a router may know of a replica."""

    load: int


R = TypeVar("R", bound=Loaded)


class Router(Protocol):
    """What a service needs of its router."""

    def start(self, streams: RandomStreams, name: str) -> None:
        """Acquire what it needs for a run of the service of that name."""

    def pick(self, call: Call, replicas: Sequence[Replica], now: float) -> Replica:
        """The replica that gets the call."""


@policy("router", "random")
class RandomRouter:
    """Send each call to a replica drawn at random, all equally likely."""

    def start(self, streams: RandomStreams, name: str) -> None:
        """Open the random stream of this service's router."""
        self._uniform = streams.uniforms(f"paas/{name}/router")

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        return replicas[int(self._uniform() * len(replicas))]


@policy("router", "round-robin")
class RoundRobin:
    """Send calls to the replicas in turn; a change in their number does not restart the turn."""

    def start(self, streams: RandomStreams, name: str) -> None:
        """Begin with the first replica."""
        self._next = 0

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        turn = self._next
        if turn >= len(replicas):
            turn = 0
        self._next = turn + 1
        return replicas[turn]


@policy("router", "least-load")
class LeastLoad:
    """Send each call to the replica with the fewest calls waiting or in service; ties to the oldest.

    Also known as join the shortest queue or least outstanding requests.
    """

    def start(self, streams: RandomStreams, name: str) -> None:
        """Nothing to prepare."""

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        best = replicas[0]
        least = best.load
        for replica in replicas:
            if replica.load < least:
                best = replica
                least = replica.load
        return best


@policy("router", "power-of-two")
class PowerOfTwo:
    """Draw a few different replicas at random and send the call to the least loaded of them.

    Two choices already shorten the longest queue exponentially against one (Mitzenmacher 2001).
    Among equally loaded ones the first drawn wins, so that ties do not favour low numbers.
    """

    choices: Annotated[int, Ge(1)] = 2

    def start(self, streams: RandomStreams, name: str) -> None:
        """Open the random stream of this service's router."""
        self._uniform = streams.uniforms(f"paas/{name}/router")

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        count = len(replicas)
        uniform = self._uniform
        index = int(uniform() * count)
        best = replicas[index]
        taken = [index]
        for drawn in range(1, min(self.choices, count)):
            index = int(uniform() * (count - drawn))
            # The index counts only replicas not drawn yet: step over each earlier one.
            for other in taken:
                if index >= other:
                    index += 1
            taken.append(index)
            taken.sort()
            if replicas[index].load < best.load:
                best = replicas[index]
        return best
