"""Classical bin packing: tightest, loosest, or best aligned fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sim.paas.policies.scores.base import Floats, Indices
from sim.registry import policy
from sim.units import Number

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit


def _left(unit: Unit, nodes: Nodes, candidates: Indices, weights: tuple[float, ...]) -> Floats:
    """Weighted sum of what would be left, each resource as a share of the largest node's."""
    result = np.zeros(len(candidates))
    for column, weight in enumerate(weights):
        largest = nodes.total[:, column].max(initial=0.0) if weight > 0 else 0.0
        if largest > 0:
            left = nodes.free[:, column].take(candidates) - unit.resources[column]
            result += left * (weight / largest)
    return result


@policy("score", "best-fit")
class BestFit:
    """Prefer the node with the least left over, measured against the largest node there is.

    Unlike most-allocated, which compares shares of each node, a small node that is filled up beats a
    large one that is fuller in per cent. With memory 0 it is the BestFit of Weng et al., ATC 2023.
    """

    cpu: Number = 1.0
    memory: Number = 1.0
    accelerators: Number = 1.0

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated weighted sum of what would be left."""
        return -_left(unit, nodes, candidates, (self.cpu, self.memory, self.accelerators))


@policy("score", "worst-fit")
class WorstFit:
    """Prefer the node with the most left over, measured against the largest node there is."""

    cpu: Number = 1.0
    memory: Number = 1.0
    accelerators: Number = 1.0

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Weighted sum of what would be left."""
        return _left(unit, nodes, candidates, (self.cpu, self.memory, self.accelerators))


@policy("score", "dot-product")
class DotProduct:
    """Prefer nodes by how what they have free aligns with what the unit asks for.

    The product of the two vectors, each resource as a share of the largest node's. `prefer: large`
    is the alignment of Tetris (Grandl et al., SIGCOMM 2014); `small` is the DotProd that Weng et al.
    compare with (ATC 2023), which packs tightly: with `memory: false`, and `whole`, since they cut the
    mean product to whole per cent, so that the first of nearly equal nodes is taken.
    """

    prefer: Literal["large", "small"] = "large"
    memory: bool = True
    whole: bool = False

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """The product, negated for `small`."""
        product = np.zeros(len(candidates))
        columns = (0, 1, 2) if self.memory else (0, 2)
        for column in columns:
            asked, largest = unit.resources[column], nodes.total[:, column].max(initial=0.0)
            if asked > 0 and largest > 0:
                product += nodes.free[:, column].take(candidates) * (asked / largest**2)
        signed = product if self.prefer == "large" else -product
        return np.floor(signed * (100.0 / len(columns)) + 1e-9) if self.whole else signed
