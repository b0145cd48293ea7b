"""Kubernetes' scorers of resources, in whole numbers as upstream."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le, Len

from sim.iaas.resources import RESOURCE_NAMES
from sim.paas.policies.scores.base import Floats, Indices
from sim.paas.policies.scores.kubernetes import arithmetic
from sim.paas.policies.scores.kubernetes.arithmetic import NON_ZERO_CPU, NON_ZERO_MEMORY, Ints, whole
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes, Placer
    from sim.paas.units import Unit

#: Upstream's units: thousandths of a core, bytes, thousandths of a device.
_SCALES = (1000.0, 1.0, 1000.0)
_NON_ZERO = (NON_ZERO_CPU, NON_ZERO_MEMORY, 0)
_ACCELERATORS = RESOURCE_NAMES.index("accelerators")

Weight = Annotated[int, Ge(0), Le(100)]
Percentage = Annotated[int, Ge(0), Le(100)]
Points = Annotated[int, Ge(0), Le(10)]


def amounts(unit: Unit, nodes: Nodes, candidates: Indices, column: int) -> tuple[Ints, Ints]:
    """(requested with the unit, capacity) of a resource."""
    total = nodes.total[:, column].take(candidates)
    capacity = whole(total, _SCALES[column])
    used = whole(total - nodes.free[:, column].take(candidates), _SCALES[column])
    return used + whole(unit.resources[column], _SCALES[column]), capacity


@policy("score", "NodeResourcesFit")
class NodeResourcesFit:
    """Kubernetes' score of the same name: by what is allocated, in whole per cent, remainders cut off.

    `strategy` LeastAllocated spreads, MostAllocated packs, RequestedToCapacityRatio follows `shape`:
    points of (per cent used, 0..10). Accelerators count only for units that ask for some, and only
    with a weight; a unit that asks for no cores (memory) counts as 100m (200 MiB).
    """

    final: ClassVar[bool] = True

    strategy: Literal["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"] = "LeastAllocated"
    shape: Annotated[list[tuple[Percentage, Points]], Len(1)] | None = None
    cpu: Weight = 1
    memory: Weight = 1
    accelerators: Weight = 0

    def __post_init__(self) -> None:
        """A shape goes with the strategy that looks at it, and from left to right."""
        if (self.shape is not None) != (self.strategy == "RequestedToCapacityRatio"):
            raise ValueError("`strategy: RequestedToCapacityRatio` and `shape` go together")
        at = [x for x, _ in self.shape or ()]
        if any(left >= right for left, right in itertools.pairwise(at)):
            raise ValueError(f"shape: the percentages used must rise from point to point, got {at}")

    def attach(self, placer: Placer) -> None:
        """Look where units are that ask for nothing."""
        self._census = placer.census

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100, whole."""
        counted = []
        for column, weight in enumerate((self.cpu, self.memory, self.accelerators)):
            asked = unit.resources[column]
            if not weight or (column == _ACCELERATORS and not asked > 0):
                continue
            requested, capacity = amounts(unit, nodes, candidates, column)
            if not asked > 0:
                requested = requested + _NON_ZERO[column]
            bare = self._census.bare[column] if column < _ACCELERATORS else None
            if bare:
                places = np.searchsorted(candidates, list(bare))
                for place, (node, count) in zip(places.tolist(), bare.items(), strict=True):
                    if place < len(candidates) and candidates[place] == node:
                        requested[place] += count * _NON_ZERO[column]
            counted.append((requested, capacity, weight))
        if not counted:
            return np.zeros(len(candidates))
        if self.strategy == "LeastAllocated":
            result = arithmetic.least_allocated(counted)
        elif self.strategy == "MostAllocated":
            result = arithmetic.most_allocated(counted)
        else:
            result = arithmetic.requested_to_capacity_ratio(counted, self.shape or ())
        return result.astype(np.float64)


@policy("score", "NodeResourcesBalancedAllocation")
class NodeResourcesBalancedAllocation:
    """Kubernetes' score of the same name (v1.22 to v1.34): 100 x (1 - deviation of the shares used).

    Cores and memory count, and accelerators for units that ask for some if `accelerators` is on.
    Units that ask for nothing at all score 0 everywhere.
    """

    final: ClassVar[bool] = True

    accelerators: bool = False

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100, whole."""
        columns = [0, 1]
        if self.accelerators and unit.resources.accelerators > 0:
            columns.append(_ACCELERATORS)
        if not any(unit.resources[column] > 0 for column in columns):
            return np.zeros(len(candidates))
        counted = [amounts(unit, nodes, candidates, column) for column in columns]
        return arithmetic.balanced_allocation(counted).astype(np.float64)
