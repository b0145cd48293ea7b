"""How much of what is free is of no use to the usual work: the fragmentation measure of FGD.

For one kind of work and one node: everything free of its devices, if the work does not run there or
asks for no device; else the free parts of devices that are too small for it. The measure is the mean
over the kinds of work, by how often each comes.

Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
Gradient Descent", USENIX ATC 2023, section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from sim.iaas.resources import TOLERANCE, Resources
from sim.iaas.room import ACCELERATORS, FIRST, Floats, Mask, needed
from sim.kernel.context import Context
from sim.paas.units import Group, Shape, Unit

if TYPE_CHECKING:
    from sim.paas.placement import Placer

K = TypeVar("K")

#: Share of all units that the usual work makes up.
TYPICAL = 0.95
#: Rows reckoned at a time, to bound memory.
_ROWS = 512


class Work:
    """Kinds of work and how often each comes, as columns.

    Args:
        mix: (what a unit asks for, share of all units).
    """

    def __init__(self, mix: Sequence[tuple[Resources, float]]) -> None:
        self.shares = np.array([share for _, share in mix])
        self._least = np.zeros((len(mix), FIRST))
        #: The part of a device that one unit needs, all of it where it asks for whole ones; no device
        #: is large enough for work that is no use for any.
        self._part = np.full(len(mix), np.inf)
        for row, (asked, _) in enumerate(mix):
            for column, amount in needed(asked):
                self._least[row, column] = amount * (1.0 - TOLERANCE)
            if asked.accelerators > 0:
                self._part[row] = min(1.0, asked.accelerators) * (1.0 - TOLERANCE)
        self._columns = np.flatnonzero(self._least.any(axis=0))

    def wasted(self, room: Floats, may: Mask | None) -> Floats:
        """Devices' worth of fragments on each row; see `fragmented`."""
        shares = room[:, None, FIRST:]
        lost = np.where(shares < self._part[:, None], shares, 0.0).sum(axis=2)
        out = np.zeros(lost.shape, dtype=np.bool_) if may is None else ~may
        for column in self._columns:
            out |= room[:, column, None] < self._least[:, column]
        return np.asarray((np.where(out, room[:, ACCELERATORS, None], lost) * self.shares).sum(axis=1))


def fragmented(room: Floats, work: Work, may: Mask | None = None) -> Floats:
    """Devices' worth of fragments on each row.

    Args:
        room: a table of what nodes have left; see `sim.iaas.room`.
        work: what is usually asked for.
        may: one row a node, one column a kind of work: whether it could ever run there; None: always.
    """
    blocks = [
        work.wasted(room[at : at + _ROWS], None if may is None else may[at : at + _ROWS])
        for at in range(0, len(room), _ROWS)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0)


def typical(counts: Mapping[K, int], share: float) -> list[tuple[K, float]]:
    """The most frequent kinds until they make up so much of all, with their shares of what is kept.

    Of equally frequent ones those that were met first.
    """
    wanted, kept = share * sum(counts.values()), 0
    chosen = []
    for kind, count in sorted(counts.items(), key=lambda item: -item[1]):
        chosen.append((kind, count))
        kept += count
        if kept >= wanted:
            break
    return [(kind, count / kept) for kind, count in chosen]


class Experience:
    """What the usual work is, by the units met so far, looked at anew each time there are twice as many.

    Args:
        placer: knows where a unit could ever run.
        share: of all units, that the usual work makes up.

    Attributes:
        work: the usual kinds.
        may: one row a node, one column a kind: whether it could ever run there; None: all could.
    """

    def __init__(self, placer: Placer, share: float = TYPICAL) -> None:
        self._placer = placer
        self._share = share
        self._counts: dict[Shape, int] = {}
        self._samples: dict[Shape, Unit] = {}
        self._seen = self._known = self._rows = 0
        self._kinds: list[Unit] = []
        self.work = Work([])
        self.may: Mask | None = None

    def saw(self, group: Group) -> None:
        """These units came."""
        for unit in group.units:
            self._counts[unit.shape] = self._counts.get(unit.shape, 0) + 1
            self._samples.setdefault(unit.shape, unit)
        self._seen += len(group.units)

    def renew(self) -> bool:
        """Bring `work` and `may` up to date; whether they changed."""
        rows = len(self._placer.cluster.nodes)
        grown = self._seen >= 2 * self._known and self._seen > 0
        if not grown and rows == self._rows:
            return False
        self._rows = rows
        if grown:
            self._known = self._seen
            mix = typical(self._counts, self._share)
            self._kinds = [self._samples[shape] for shape, _ in mix]
            self.work = Work([(shape[0], share) for shape, share in mix])
        masks = [self._placer.allowed(unit) for unit in self._kinds]
        self.may = np.column_stack(masks) if not all(mask.all() for mask in masks) else None
        return True


class FragmentationRecord:
    """Records how many devices are idle on ready nodes, and how much of that is fragments.

    The usual work is what was submitted so far; see `Experience`. Between two looks at that only rows
    that changed are reckoned anew, once in a moment.

    Args:
        ctx: clock and records.
        placer: knows the nodes, and where a unit could ever run.
    """

    def __init__(self, ctx: Context, placer: Placer) -> None:
        self._kernel = ctx.kernel
        self._cluster = placer.cluster
        self._experience = Experience(placer)
        self._changed: dict[int, None] = {}
        self._due = False
        self._idle, self._fragments = np.zeros(0), np.zeros(0)
        self._series = tuple(
            ctx.recorder.series(f"paas/scheduler/{name}") for name in ("idle_devices", "fragmented_devices")
        )

    def saw(self, group: Group) -> None:
        """A group was submitted."""
        self._experience.saw(group)
        self._wake()

    def touch(self, nodes: Iterable[int]) -> None:
        """Something changed on these nodes."""
        self._changed.update(dict.fromkeys(nodes))
        self._wake()

    def _wake(self) -> None:
        if not self._due:
            self._due = True
            self._kernel.call_in(0.0, self._renew)

    def _renew(self) -> None:
        self._due = False
        every = len(self._cluster.nodes)
        rows: Sequence[int] = list(self._changed)
        self._changed.clear()
        if self._experience.renew():
            self._idle, self._fragments = np.zeros(every), np.zeros(every)
            rows = range(every)
        if not len(rows):
            return
        at = np.asarray(rows)
        room, ready = self._cluster.room[at], self._cluster.ready[at]
        may = None if self._experience.may is None else self._experience.may[at]
        self._idle[at] = np.where(ready, room[:, ACCELERATORS], 0.0)
        self._fragments[at] = np.where(ready, fragmented(room, self._experience.work, may), 0.0)
        for series, values in zip(self._series, (self._idle, self._fragments), strict=True):
            series.set(float(values.sum()))
