"""Routers that look at how much each replica has to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from sim.paas.policies.routers.base import R, Signals, kv_use, least, load_of, pending_tokens, waiting_of
from sim.registry import policy
from sim.units import Seconds

if TYPE_CHECKING:
    from sim.kernel.streams import RandomStreams
    from sim.paas.calls import Call


@policy("router", "least-load")
class LeastLoad:
    """Send each call to the replica with the fewest calls waiting or in service; ties to the oldest.

    Also known as join the shortest queue or least outstanding requests. The loads may be up to
    `staleness` old.
    """

    staleness: Seconds = 0.0

    def start(self, streams: RandomStreams, name: str) -> None:
        """Know nothing yet."""
        self._loads = Signals(load_of, self.staleness)

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        if self.staleness > 0.0:
            return replicas[least(self._loads.of(replicas, now))]
        best = replicas[0]
        fewest = best.load
        for replica in replicas:
            if replica.load < fewest:
                best = replica
                fewest = replica.load
        return best


@policy("router", "power-of-two")
class PowerOfTwo:
    """Draw a few different replicas at random and send the call to the least loaded of them.

    Two choices already shorten the longest queue exponentially against one (Mitzenmacher 2001).
    Among equally loaded ones the first drawn wins, so that ties do not favour low numbers. The loads
    may be up to `staleness` old.
    """

    choices: Annotated[int, Ge(1)] = 2
    staleness: Seconds = 0.0

    def start(self, streams: RandomStreams, name: str) -> None:
        """Open the random stream of this service's router."""
        self._uniform = streams.uniforms(f"paas/{name}/router")
        self._loads = Signals(load_of, self.staleness)

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        count = len(replicas)
        uniform = self._uniform
        taken: list[int] = []
        drawn: list[int] = []
        for number in range(min(self.choices, count)):
            index = int(uniform() * (count - number))
            # The index counts only replicas not drawn yet: step over each earlier one.
            for other in taken:
                if index >= other:
                    index += 1
            taken.append(index)
            taken.sort()
            drawn.append(index)
        if self.staleness > 0.0:
            loads = self._loads.of(replicas, now)
            return replicas[min(drawn, key=loads.__getitem__)]
        return min((replicas[index] for index in drawn), key=_load)


def _load(replica: R) -> int:
    return replica.load


@policy("router", "least-kv")
class LeastKv:
    """Send each call to the replica with the smallest share of its key-value cache in use; ties by load.

    The signals may be up to `staleness` old. Old ones hurt this router most: it sends all calls to one
    replica until it looks again.
    """

    staleness: Seconds = 0.0

    def start(self, streams: RandomStreams, name: str) -> None:
        """Know nothing yet."""
        self._uses = Signals(kv_use, self.staleness)
        self._loads = Signals(load_of, self.staleness)

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        ranks = zip(self._uses.of(replicas, now), self._loads.of(replicas, now), strict=True)
        return min(zip(ranks, replicas, strict=True), key=_rank)[1]


def _rank(ranked: tuple[tuple[float, float], R]) -> tuple[float, float]:
    return ranked[0]


@policy("router", "fewest-tokens")
class FewestTokens:
    """Send each call to the replica where the fewest prompt tokens wait for a place; ties by load.

    Prompts differ in length by orders of magnitude, so a count of calls says little about the work ahead
    (Splitwise, ISCA 2024, balances its prompt pool so). The signals may be up to `staleness` old.
    """

    staleness: Seconds = 0.0

    def start(self, streams: RandomStreams, name: str) -> None:
        """Know nothing yet."""
        self._tokens = Signals(pending_tokens, self.staleness)
        self._loads = Signals(load_of, self.staleness)

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        ranks = zip(self._tokens.of(replicas, now), self._loads.of(replicas, now), strict=True)
        return min(zip(ranks, replicas, strict=True), key=_rank)[1]


@policy("router", "vllm")
class Vllm:
    """Send each call where 4 x waiting + running calls are fewest, as vLLM balances parallel engines.

    The numbers are up to `staleness` old (100 ms upstream); between two looks a call that was sent counts
    as one more that waits. Ties go to the first. Source: vllm-project/vllm v1/engine/core_client.py.
    """

    staleness: Seconds = 0.1

    def start(self, streams: RandomStreams, name: str) -> None:
        """Know nothing yet."""
        self._scores = Signals(_vllm_score, self.staleness)
        self._sent: dict[Any, int] = {}
        self._looked = -1.0

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        scores = self._scores.of(replicas, now)
        if self._scores.taken != self._looked:
            self._looked = self._scores.taken
            self._sent.clear()
        sent = self._sent
        best = replicas[
            least([score + 4 * sent.get(r, 0) for score, r in zip(scores, replicas, strict=True)])
        ]
        if self.staleness > 0.0:
            sent[best] = sent.get(best, 0) + 1
        return best


def _vllm_score(replica: Any) -> float:
    return 3.0 * waiting_of(replica) + load_of(replica)
