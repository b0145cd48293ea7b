"""By the shares of a node that are or stay allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.paas.policies.scores.base import (
    Floats,
    Indices,
    free_shares,
    pick,
    rows_for,
    used_shares,
    weights_of,
)
from sim.registry import policy
from sim.units import Number

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit


@policy("score", "least-allocated")
class LeastAllocated:
    """Prefer nodes with the most left over: weighted mean of the free shares, unit included.

    Kubernetes NodeResourcesFit with strategy LeastAllocated, its default, in fractions instead
    of integers. Accelerators count only for units that ask for some, as extended resources do there.
    """

    cpu: Number = 1.0
    memory: Number = 1.0
    accelerators: Number = 1.0

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100: percentage that would stay free."""
        weights = weights_of(unit, self.cpu, self.memory, self.accelerators)
        if not weights:
            return np.zeros(len(candidates))
        rows, kept = rows_for(nodes, candidates)
        result = np.zeros(1)
        for column, weight in weights:
            result = result + weight * free_shares(unit, nodes, rows, column)
        return pick(np.asarray(result * (100.0 / sum(w for _, w in weights))), kept)


@policy("score", "most-allocated")
class MostAllocated:
    """Prefer the fullest nodes that still fit (bin packing): weighted mean of the used shares.

    Kubernetes NodeResourcesFit with strategy MostAllocated; keeps whole nodes free for large gangs
    and lets elastic pools give empty ones back.
    """

    cpu: Number = 1.0
    memory: Number = 1.0
    accelerators: Number = 1.0

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100: percentage that would be used."""
        weights = weights_of(unit, self.cpu, self.memory, self.accelerators)
        if not weights:
            return np.zeros(len(candidates))
        rows, kept = rows_for(nodes, candidates)
        result = np.zeros(1)
        for column, weight in weights:
            used = used_shares(unit, nodes, rows, column)
            result = result + (used if weight == 1.0 else weight * used)
        return pick(np.asarray(result * (100.0 / sum(w for _, w in weights))), kept)


@policy("score", "balanced-allocation")
class BalancedAllocation:
    """Prefer nodes whose resources would be used in equal shares.

    Kubernetes NodeResourcesBalancedAllocation as of v1.22: 1 - standard deviation of the used
    shares (of cpu, memory and, if asked for, accelerators).
    """

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100: 100 where all shares are equal."""
        columns = [column for column, _ in weights_of(unit, 1.0, 1.0, 1.0)]
        rows, kept = rows_for(nodes, candidates)
        shares = [np.minimum(1.0 - free_shares(unit, nodes, rows, k), 1.0) for k in columns]
        mean = sum(shares) / len(shares)
        variance = sum((share - mean) ** 2 for share in shares) / len(shares)
        return pick(np.asarray(100.0 * (1.0 - np.sqrt(variance))), kept)
