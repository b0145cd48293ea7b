"""Weighted scorers, as the inference extension of the Kubernetes Gateway API and llm-d pick an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

from sim.paas.policies.routers.base import R, Signals, cached, kv_use, load_of, waiting_of
from sim.registry import policy
from sim.units import Seconds

if TYPE_CHECKING:
    from sim.kernel.streams import RandomStreams
    from sim.paas.calls import Call

Scorer = Literal["prefix", "queue", "kv", "load", "active"]

#: Tokens of a block that the prefix scorer counts; waiting calls at which the load scorer gives nothing.
BLOCK = 16
LOAD_THRESHOLD = 128


@policy("router", "gateway")
class Gateway:
    """Send a call to the replica with the highest weighted sum of scores from 0 to 1; ties are drawn.

    `prefix`: blocks of 16 prompt tokens that are cached, of all of them. `queue`: waiting calls, 1 for the
    fewest and 0 for the most. `kv`: free share of the key-value cache. `load`: 0.5 for none waiting, falling
    to 0 at 128. `active`: calls there, 1 for none and 0 for the most. The signals may be up to `staleness`
    old (50 ms between looks upstream).
    """

    weights: dict[Scorer, Annotated[float, Ge(0)]] = field(
        default_factory=lambda: {"prefix": 2.0, "queue": 1.0, "kv": 1.0}
    )
    staleness: Seconds = 0.0

    def __post_init__(self) -> None:
        if not any(self.weights.values()):
            raise ValueError("gateway needs a weight above 0, such as {prefix: 2, queue: 1, kv: 1}")

    def start(self, streams: RandomStreams, name: str) -> None:
        """Open the random stream of this service's router."""
        self._uniform = streams.uniforms(f"paas/{name}/router")
        self._waiting = Signals(waiting_of, self.staleness)
        self._loads = Signals(load_of, self.staleness)
        self._uses = Signals(kv_use, self.staleness)

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        total = [0.0] * len(replicas)
        for scorer, weight in self.weights.items():
            if weight > 0:
                for at, score in enumerate(self._scores(scorer, call, replicas, now)):
                    total[at] += weight * score
        best = max(total)
        ties = [at for at, score in enumerate(total) if score == best]
        return replicas[ties[int(self._uniform() * len(ties))] if len(ties) > 1 else ties[0]]

    def _scores(self, scorer: Scorer, call: Call, replicas: Sequence[R], now: float) -> list[float]:
        if scorer == "prefix":
            blocks = max(1, call.tokens_in // BLOCK)
            return [min(1.0, cached(replica, call) // BLOCK / blocks) for replica in replicas]
        if scorer == "kv":
            return [1.0 - used for used in self._uses.of(replicas, now)]
        if scorer == "active":
            loads = self._loads.of(replicas, now)
            most = max(loads)
            return [(most - load) / most if most else 1.0 for load in loads]
        waiting = self._waiting.of(replicas, now)
        if scorer == "load":
            return [0.5 * (1.0 - min(count, LOAD_THRESHOLD) / LOAD_THRESHOLD) for count in waiting]
        low, high = min(waiting), max(waiting)
        return [(high - count) / (high - low) if high > low else 1.0 for count in waiting]
