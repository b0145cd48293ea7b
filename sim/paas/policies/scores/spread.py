"""Units of one owner apart from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.paas.policies.scores.base import Floats, Indices
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes, Placer
    from sim.paas.units import Unit


@policy("score", "spread")
class Spread:
    """Prefer nodes with the fewest units of the same service or job.

    Kubernetes PodTopologySpread over host names: one node's loss then takes few replicas.
    """

    def attach(self, placer: Placer) -> None:
        """Look where the owners' units are."""
        self._placed = placer.census.placed

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated number of the owner's units on the node."""
        result = np.zeros(len(candidates))
        for node, count in self._placed.get(unit.owner, {}).items():
            at = int(np.searchsorted(candidates, node))
            if at < len(candidates) and candidates[at] == node:
                result[at] = -count
        return result
