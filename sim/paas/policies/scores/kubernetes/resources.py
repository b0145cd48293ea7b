"""Kubernetes' scorers of resources, in whole numbers as upstream."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le, Len

from sim.iaas.resources import RESOURCE_NAMES
from sim.paas.policies.scores.base import Floats, Indices, alike, pick, rows_for
from sim.paas.policies.scores.kubernetes import arithmetic
from sim.paas.policies.scores.kubernetes.arithmetic import NON_ZERO_CPU, NON_ZERO_MEMORY, whole
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


def amounts(unit: Unit, nodes: Nodes, rows: Indices | None, column: int) -> tuple[Floats, Floats]:
    """(requested with the unit, capacity) of a resource."""
    total = pick(nodes.total[:, column], rows)
    used = whole(total - pick(nodes.free[:, column], rows), _SCALES[column])
    used += whole(unit.resources[column], _SCALES[column])
    return used, whole(total, _SCALES[column])


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
        rows, kept = rows_for(nodes, candidates)
        counted = []
        for column, weight in enumerate((self.cpu, self.memory, self.accelerators)):
            asked = unit.resources[column]
            if not weight or (column == _ACCELERATORS and not asked > 0):
                continue
            requested, capacity = amounts(unit, nodes, rows, column)
            if not asked > 0:
                requested += _NON_ZERO[column]
            bare = self._census.bare[column] if column < _ACCELERATORS else None
            if bare:
                there = list(bare) if rows is None else np.searchsorted(rows, list(bare)).tolist()
                for place, (node, count) in zip(there, bare.items(), strict=True):
                    if rows is None or (place < len(rows) and rows[place] == node):
                        requested[place] += count * _NON_ZERO[column]
            counted.append((requested, capacity, weight))
        if not counted:
            return alike(0.0, candidates)
        if self.strategy == "LeastAllocated":
            result = arithmetic.least_allocated(counted)
        elif self.strategy == "MostAllocated":
            result = arithmetic.most_allocated(counted)
        else:
            result = arithmetic.requested_to_capacity_ratio(counted, self.shape or ())
        return pick(result, kept)


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
            return alike(0.0, candidates)
        rows, kept = rows_for(nodes, candidates)
        counted = [amounts(unit, nodes, rows, column) for column in columns]
        return pick(arithmetic.balanced_allocation(counted), kept)
