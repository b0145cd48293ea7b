"""Only nodes whose labels and taints the unit accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sim.paas.labels import fulfils
from sim.paas.policies.filters.base import Mask, none
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit


@policy("filter", "taints")
class ToleratesTaints:
    """Only nodes whose NoSchedule and NoExecute taints the unit tolerates (Kubernetes TaintToleration)."""

    reason: ClassVar[str] = "has a taint that is not tolerated"
    retry_on: ClassVar[tuple[str, ...]] = ()

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where some taint keeps the unit away."""
        tolerations = unit.rules.tolerations
        out = [
            any(
                taint.effect != "PreferNoSchedule" and not any(each.covers(taint) for each in tolerations)
                for taint in kind.taints
            )
            for kind in nodes.kinds
        ]
        return np.array(out, dtype=np.bool_)[nodes.kind_id] if any(out) else none(nodes)


@policy("filter", "node-affinity")
class MatchesLabels:
    """Only nodes that fulfil one of the unit's required terms (Kubernetes NodeAffinity, required)."""

    reason: ClassVar[str] = "labels do not match"
    retry_on: ClassVar[tuple[str, ...]] = ()

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where none of the terms holds."""
        if not unit.rules.required:
            return none(nodes)
        found = none(nodes)
        for term in unit.rules.required:
            found |= fulfils(nodes, term)
        return ~found
