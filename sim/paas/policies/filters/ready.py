"""Only nodes that take units."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sim.paas.policies.filters.base import Mask
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit


@policy("filter", "ready")
class NodeReady:
    """Only nodes that are up and not being drained (Kubernetes NodeUnschedulable)."""

    reason: ClassVar[str] = "not ready"
    retry_on: ClassVar[tuple[str, ...]] = ("ready",)

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where the node is not ready."""
        return ~nodes.ready
