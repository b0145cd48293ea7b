"""Only nodes with room."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sim.iaas.room import lacks
from sim.paas.policies.filters.base import Mask
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit


@policy("filter", "fit")
class ResourcesFit:
    """Only nodes with enough of every requested resource free (Kubernetes NodeResourcesFit).

    Accelerators below 1 are a share of one device, which must have that much left; whole ones are
    devices that nobody uses.
    """

    reason: ClassVar[str] = "too little free"
    retry_on: ClassVar[tuple[str, ...]] = ("ready", "released")

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where some resource is short; what is not requested is not looked at."""
        return lacks(nodes.room, unit.resources)
