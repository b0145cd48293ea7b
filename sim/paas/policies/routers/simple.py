"""Routers that know nothing of the replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sim.paas.policies.routers.base import R
from sim.registry import policy

if TYPE_CHECKING:
    from sim.kernel.streams import RandomStreams
    from sim.paas.calls import Call


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
