"""What the actions of a learning autoscaler are counted from."""

from __future__ import annotations

from math import isnan, nan
from typing import Annotated, Any, NamedTuple

from sim import registry
from sim.paas.policies.autoscalers.base import Autoscaler, Observation, Surroundings
from sim.paas.policies.nested import OfKind

#: An autoscaler that an agent corrects: any but an agent, or one that knows the future.
Base = Annotated[Any, OfKind("autoscaler", but=("learned", "linear-q", "oracle", "q-learning"))]


class Footing(NamedTuple):
    """Where an action starts from.

    Attributes:
        wish: replicas that another autoscaler wants, within the bounds; None: those asked for.
        foreseen: calls/s it expects; NaN where it does not say.
    """

    wish: int | None
    foreseen: float

    def replicas(self, seen: Observation) -> int:
        """The number of replicas that steps are added to."""
        return seen.wanted if self.wish is None else self.wish


def start(base: Autoscaler | None, surroundings: Surroundings) -> None:
    """Begin a run."""
    if base is not None:
        path = f"{surroundings.path}/base"
        registry.start(base, Surroundings(surroundings.streams, path, surroundings.arrivals))


def footing(base: Autoscaler | None, seen: Observation, now: float) -> Footing:
    """Ask the autoscaler that is corrected, if there is one."""
    if base is None:
        return Footing(None, nan)
    wish = min(max(int(base.want(seen, now)), seen.minimum), seen.maximum)
    outlook = getattr(base, "outlook", None)
    expected = nan if outlook is None else float(outlook.expected)
    return Footing(wish, float(getattr(base, "predicted", nan)) if isnan(expected) else expected)
