"""What every scorer is: `score(unit, nodes, candidates)`, a number each, more is better.

The scheduler maps each scorer's numbers to 0..100 over the candidates (lowest 0, highest 100; all
equal: all 0), weights and adds them; the highest sum wins, ties go to the lowest node index. A class
attribute `final = True` says that the numbers are points already, as those of Kubernetes' scorers.
A scorer with `attach(placer)` or `start(scheduler)` is given these first; one with `saw(group)` is told
of every group that is submitted, and one with `device(unit, nodes, at)` says which device of the chosen
node a share of one comes from.
`nodes.free` does not yet hold the unit that is to be placed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class Score(Protocol):
    """What the scheduler needs of a scorer."""

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """One number per candidate, more is better."""
        ...


def weights_of(unit: Unit, cpu: float, memory: float, accelerators: float) -> list[tuple[int, float]]:
    """(column, weight) of what counts; accelerators only for a unit that asks for some."""
    wanted = accelerators if unit.resources.accelerators > 0 else 0.0
    return [(k, w) for k, w in enumerate((cpu, memory, wanted)) if w > 0]


def rows_for(nodes: Nodes, candidates: Indices) -> tuple[Indices | None, Indices | None]:
    """(Rows to reckon, those of the results to keep), None for all.

    Most of the nodes are done faster as whole columns, from which the candidates are picked in the end.
    """
    return (None, candidates) if 2 * len(candidates) > len(nodes.ready) else (candidates, None)


def pick(column: Floats, rows: Indices | None) -> Floats:
    """These rows of a column; a view where it is all."""
    return column if rows is None else column.take(rows)


def alike(points: float, candidates: Indices) -> Floats:
    """The same points for all candidates, which the placer need not add; read-only."""
    return np.broadcast_to(np.float64(points), len(candidates))


def free_shares(unit: Unit, nodes: Nodes, rows: Indices | None, column: int) -> Floats:
    """Share of a resource that would stay free, 0 where the node has none of it."""
    total = pick(nodes.total[:, column], rows)
    left = pick(nodes.free[:, column], rows) - unit.resources[column]
    if total.min() > 0:
        return np.asarray(left / total)
    return np.divide(left, total, out=np.zeros_like(left), where=total > 0)


def used_shares(unit: Unit, nodes: Nodes, rows: Indices | None, column: int) -> Floats:
    """Share of a resource that would be used, 0 where the node has none of it."""
    total: Floats = pick(nodes.total[:, column], rows)
    left: Floats = pick(nodes.free[:, column], rows) - unit.resources[column]
    if total.min() > 0:
        return np.asarray(1.0 - left / total)
    return 1.0 - np.divide(left, total, out=np.ones_like(left), where=total > 0)
