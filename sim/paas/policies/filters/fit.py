"""Only nodes with room."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sim.iaas.resources import TOLERANCE
from sim.paas.policies.filters.base import Mask, none
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit


@policy("filter", "fit")
class ResourcesFit:
    """Only nodes with enough of every requested resource free (Kubernetes NodeResourcesFit)."""

    reason: ClassVar[str] = "too little free"
    retry_on: ClassVar[tuple[str, ...]] = ("ready", "released")

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where some resource is short; what is not requested is not looked at."""
        short: Mask | None = None
        for column, amount in enumerate(unit.resources):
            if amount > 0:
                # Sums of fractional requests may miss a total by rounding.
                lacks = nodes.free[:, column] < amount * (1 - TOLERANCE)
                short = lacks if short is None else short | lacks
        return none(nodes) if short is None else short
