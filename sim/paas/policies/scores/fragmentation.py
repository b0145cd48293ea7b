"""By how much a unit would break up what the usual work could use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Gt, Le
from numpy.typing import NDArray

from sim.iaas.resources import TOLERANCE, Resources
from sim.iaas.room import FIRST, after
from sim.paas.fragmentation import TYPICAL, Experience, fragmented
from sim.paas.policies.scores.base import Floats, Indices
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes, Placer
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Group, Unit

#: Kinds of units whose points are remembered.
_REMEMBERED = 128


class _Points:
    """What is known of one kind of unit: points and best device by node, and how new they are."""

    def __init__(self, rows: int) -> None:
        self.points = np.zeros(rows)
        self.device = np.zeros(rows, dtype=np.intp)
        self.stamp = np.full(rows, -1)


@policy("score", "fgd")
class FragmentationGradientDescent:
    """Prefer the node and device where the unit leaves the fewest new fragments (FGD).

    Weng et al., USENIX ATC 2023: a free part of a device is a fragment for work that it is too small
    for, or that the node cannot run. What the usual work is, it learns from the units submitted so
    far: the most frequent kinds, until they make up `typical` of all. As in the authors' scheduler the
    points are whole: 100 / (1 + exp(growth of the fragments in devices)), cut off, so that the first
    of nearly equal nodes is taken.
    """

    typical: Annotated[float, Gt(0), Le(1)] = TYPICAL

    def attach(self, placer: Placer) -> None:
        """Look where units could ever run."""
        self._placer = placer

    def start(self, scheduler: Scheduler) -> None:
        """Begin without any experience."""
        self._experience = Experience(self._placer, self.typical)
        self._forget(self._placer.cluster)

    def saw(self, group: Group) -> None:
        """Learn from what comes."""
        self._experience.saw(group)

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Whole points, 0..100: 50 where nothing changes."""
        return np.asarray(self._known(unit.resources, nodes, candidates).points[candidates])

    def device(self, unit: Unit, nodes: Nodes, at: int) -> int:
        """The device whose part breaks up the least; the first of equals."""
        return int(self._known(unit.resources, nodes, np.array([at])).device[at])

    def _forget(self, nodes: Nodes) -> None:
        self._tables: dict[Resources, _Points] = {}
        self._room = nodes.room.copy(order="F")
        self._stamp = np.zeros(len(self._room), dtype=np.intp)
        self._before = fragmented(self._room, self._experience.work, self._experience.may)

    def _known(self, asked: Resources, nodes: Nodes, candidates: Indices) -> _Points:
        """Points up to date at the candidates: nodes that did not change keep theirs."""
        if self._experience.renew() or self._room.shape != nodes.room.shape:
            self._forget(nodes)
        changed = np.flatnonzero((nodes.room != self._room).any(axis=1))
        if len(changed):
            self._room[changed] = nodes.room[changed]
            self._stamp[changed] += 1
            self._before[changed] = self._fragmented(self._room[changed], changed)
        known = self._tables.get(asked)
        if known is None:
            if len(self._tables) >= _REMEMBERED:
                self._tables.clear()
            known = self._tables[asked] = _Points(len(self._room))
        old = candidates[known.stamp[candidates] != self._stamp[candidates]]
        if len(old):
            known.points[old], known.device[old] = self._points(asked, old)
            known.stamp[old] = self._stamp[old]
        return known

    def _fragmented(self, room: Floats, rows: NDArray[np.intp]) -> Floats:
        may = self._experience.may
        return fragmented(room, self._experience.work, None if may is None else may[rows])

    def _points(self, asked: Resources, rows: NDArray[np.intp]) -> tuple[Floats, NDArray[np.intp]]:
        """For each row the best points, and the device that gives them."""
        room = self._room[rows]
        tried, device = np.arange(len(rows)), np.zeros(len(rows), dtype=np.intp)
        part = 0.0 < asked.accelerators < 1.0
        if part:
            shares = room[:, FIRST:]
            enough = shares >= asked.accelerators * (1.0 - TOLERANCE)
            for k in range(1, shares.shape[1]):
                # Devices with the same share are alike: only the first is tried.
                enough[:, k] &= (shares[:, :k] != shares[:, k, None]).all(axis=1)
            tried, device = np.nonzero(enough)
        left = after(room[tried], asked, device if part else None)
        growth = self._fragmented(left, rows[tried]) - self._before[rows[tried]]
        # The trifle keeps a growth of 0 at 50 whatever the rounding.
        points = np.floor(100.0 / (1.0 + np.exp(growth)) + 1e-6)
        order = np.lexsort((device, -points, tried))
        row, first = np.unique(tried[order], return_index=True)
        best, chosen = np.full(len(rows), -1.0), np.zeros(len(rows), dtype=np.intp)
        best[row], chosen[row] = points[order][first], device[order][first]
        return best, chosen
