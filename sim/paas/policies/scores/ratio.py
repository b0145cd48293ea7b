"""By a curve over the share that would be used."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Len

from sim.paas.policies.scores.base import Floats, Indices, free_shares, pick, rows_for, weights_of
from sim.registry import policy
from sim.units import Fraction, Number

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit


@policy("score", "requested-to-capacity-ratio")
class RequestedToCapacityRatio:
    """Prefer nodes by a curve: points of (share used with the unit, score), straight in between.

    Kubernetes NodeResourcesFit with strategy RequestedToCapacityRatio, in fractions instead of
    integers. The default packs; `[[0, 10], [1, 0]]` spreads, `[[0, 0], [0.8, 10], [1, 0]]` fills to 80 %.
    """

    shape: Annotated[list[tuple[Fraction, Number]], Len(2)] | None = None
    cpu: Number = 1.0
    memory: Number = 1.0
    accelerators: Number = 1.0

    def __post_init__(self) -> None:
        """Points must go from left to right."""
        at = [x for x, _ in self.shape or ()]
        if any(left >= right for left, right in itertools.pairwise(at)):
            raise ValueError(f"shape: the shares used must rise from point to point, got {at}")

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Weighted mean of the curve over the resources."""
        points = self.shape or [(0.0, 0.0), (1.0, 10.0)]
        x, y = [at for at, _ in points], [value for _, value in points]
        weights = weights_of(unit, self.cpu, self.memory, self.accelerators)
        if not weights:
            return np.zeros(len(candidates))
        rows, kept = rows_for(nodes, candidates)
        result = np.zeros(1)
        for column, weight in weights:
            result = result + weight * np.interp(1.0 - free_shares(unit, nodes, rows, column), x, y)
        return pick(np.asarray(result / sum(w for _, w in weights)), kept)
