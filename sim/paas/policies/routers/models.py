"""A router for services that host several models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from sim.paas.policies.routers.base import R
from sim.registry import policy

if TYPE_CHECKING:
    from sim.kernel.streams import RandomStreams
    from sim.paas.calls import Call


@policy("router", "model-affinity")
class ModelAffinity:
    """Send each call to the least loaded replica that has its model in memory, or is loading it.

    Where none does, or all that do have `most` calls or more, the least loaded of all replicas gets it, and
    loads the model. For services with `hosts`; others have their one model everywhere.
    """

    most: Annotated[int, Ge(1)] = 16

    def start(self, streams: RandomStreams, name: str) -> None:
        """Nothing to prepare."""

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        model = getattr(call, "model", "")
        best: R | None = None
        for replica in replicas:
            holds = not model or replica.holds(model)  # type: ignore[attr-defined]
            if holds and replica.load < self.most and (best is None or replica.load < best.load):
                best = replica
        return min(replicas, key=_load) if best is None else best


def _load(replica: R) -> int:
    return replica.load
