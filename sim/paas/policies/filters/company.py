"""Only nodes that go with where other units run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sim.paas.company import kin, spread_out
from sim.paas.policies.filters.base import Mask, none
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes, Placer
    from sim.paas.units import Unit


@policy("filter", "unit-affinity")
class GoodCompany:
    """Only nodes near the units it must be near, and away from those it must be away from.

    Kubernetes InterPodAffinity, required: what the unit says of others, and what those that run say
    of it. Where no unit it must be near runs yet and it is one of them itself, any node will do.
    """

    reason: ClassVar[str] = "other units it must be near, or apart from"
    retry_on: ClassVar[tuple[str, ...]] = ("ready", "released", "bound")

    def attach(self, placer: Placer) -> None:
        """Look where units are."""
        self._census = placer.census

    def applies(self, unit: Unit) -> bool:
        """Whether anybody says anything."""
        return bool(unit.rules.company or self._census.rules)

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where a rule would be broken."""
        out = none(nodes)
        for rule in unit.rules.company:
            if rule.weight is not None:
                continue
            names = rule.names or (unit.owner,)
            around = self._census.around(nodes, names, rule.topology)
            if rule.apart:
                out |= around > 0
            elif around.any() or not {unit.owner, kin(unit.owner)} & set(names):
                out |= around <= 0
        for rule, where in self._census.against(unit):
            if rule.apart and rule.weight is None:
                here = np.zeros(len(nodes.ready))
                here[list(where)] = 1.0
                out |= spread_out(here, nodes, rule.topology) > 0
        return out


@policy("filter", "spread")
class EvenlySpread:
    """Only nodes that keep the unit's service or job within its required skew over domains.

    Kubernetes PodTopologySpread, DoNotSchedule: units in the node's domain, this one included, minus
    those in the emptiest domain that it may use at all.
    """

    reason: ClassVar[str] = "its domain has too many of the same units"
    retry_on: ClassVar[tuple[str, ...]] = ("ready", "released", "bound")

    def attach(self, placer: Placer) -> None:
        """Look where units are."""
        self._placer = placer

    def applies(self, unit: Unit) -> bool:
        """Whether it has such a rule."""
        return any(rule.required for rule in unit.rules.spread)

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where the skew would be too large."""
        out = none(nodes)
        for rule in unit.rules.spread:
            if not rule.required:
                continue
            around = self._placer.census.around(nodes, (unit.owner,), rule.topology)
            may = self._placer.allowed(unit, nodes) & nodes.ready
            if may.any():
                out |= around + 1 - around[may].min() > rule.max_skew
        return out
