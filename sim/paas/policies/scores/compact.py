"""The workers of a gang as close together as there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.iaas.room import slots
from sim.paas.labels import domains
from sim.paas.policies.scores.base import Floats, Indices
from sim.paas.rules import Topology
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes, Placer
    from sim.paas.units import Unit

#: From the closest to the widest.
_LEVELS: tuple[Topology, ...] = ("node", "nvlink", "rack", "site")

#: More workers than any node has room for.
_MANY = 10**6


@policy("score", "compact")
class Compact:
    """Prefer nodes that keep a gang together: on one node, in one NVLink domain, one rack, one site.

    Looks for the closest level with a domain that has room for all workers still to be placed and
    takes the tightest such domain; where there is none, those with the most room, so that the gang
    spans as few as possible. The rule of Kueue's topology-aware scheduling (BestFit), down to nodes.
    Says nothing about a single unit. What a spread gang pays is the `slowdown` of its job.
    """

    def attach(self, placer: Placer) -> None:
        """Look where there is room, and where the gang's workers are."""
        self._placer = placer

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Rank among the candidates, 0 the worst."""
        if unit.group is None or len(unit.group.units) < 2:
            return np.zeros(len(candidates))
        placed = self._placer.census.placed.get(unit.owner, {})
        missing = len(unit.group.units) - sum(placed.values())
        room = slots(nodes.room, unit.resources, _MANY)
        room[~(self._placer.allowed(unit) & nodes.ready)] = 0.0
        here = np.zeros(len(room))
        here[list(placed)] = 1.0
        keys: list[NDArray[np.float64] | NDArray[np.bool_]] = []
        for level in _LEVELS:
            ids = domains(nodes, level)
            total = np.bincount(ids, weights=room)[ids]
            held = np.bincount(ids, weights=here)[ids] > 0.0
            enough = total >= missing
            # Where the gang is already; then where all the rest fits, the tightest; then the roomiest.
            keys += [np.where(enough, -total, total), enough, held]
            if (enough & (held if placed else True))[candidates].any():
                # The closest level that can hold the whole gang: its domains come before all others.
                break
        order = np.lexsort([key[candidates] for key in keys])
        table = np.array([key[candidates][order] for key in keys])
        rank = np.zeros(len(candidates))
        rank[order[1:]] = np.cumsum((table[:, 1:] != table[:, :-1]).any(axis=0))
        return rank
