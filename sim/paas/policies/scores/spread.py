"""Units of one owner apart from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sim.paas.policies.scores.base import Floats, Indices
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes, Placer
    from sim.paas.units import Unit


@policy("score", "spread")
class Spread:
    """Prefer nodes (or NVLink domains, racks, sites) with the fewest units of the same service or job.

    Kubernetes PodTopologySpread: the loss of one of them then takes few replicas.
    """

    topology: Literal["node", "nvlink", "rack", "site"] = "node"

    def attach(self, placer: Placer) -> None:
        """Look where the owners' units are."""
        self._census = placer.census

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated number of the owner's units in the node's domain."""
        if unit.owner not in self._census.placed:
            return np.zeros(len(candidates))
        return -self._census.around(nodes, (unit.owner,), self.topology)[candidates]
