"""How much of what is free is of no use to the usual work: the fragmentation measure of FGD.

For one kind of work and one node: everything free of its devices, if the work does not run there or
asks for no device; else the free parts of devices that are too small for it. The measure is the mean
over the kinds of work, by how often each comes.

Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
Gradient Descent", USENIX ATC 2023, section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sim.iaas.nodes import Cluster
from sim.iaas.resources import TOLERANCE, Resources
from sim.iaas.room import ACCELERATORS, FIRST, Floats, lacks
from sim.kernel.context import Context
from sim.paas.units import Group

#: Share of all units that the usual work makes up.
TYPICAL = 0.95


def fragmented(room: Floats, mix: Iterable[tuple[Resources, float]]) -> Floats:
    """Devices' worth of fragments on each row.

    Args:
        room: a table of what nodes have left; see `sim.iaas.room`.
        mix: (what a unit asks for, share of all units).
    """
    shares = room[:, FIRST:]
    idle = room[:, ACCELERATORS]
    result = np.zeros(len(room))
    for asked, share in mix:
        if not asked.accelerators > 0:
            result += share * idle
            continue
        # The part of a device that one unit needs: all of it where it asks for whole ones.
        part = min(1.0, asked.accelerators) * (1.0 - TOLERANCE)
        too_small = np.where(shares < part, shares, 0.0).sum(axis=1)
        result += share * np.where(lacks(room, asked), idle, too_small)
    return result


def typical(counts: dict[Resources, int], share: float) -> list[tuple[Resources, float]]:
    """The most frequent kinds until they make up so much of all, with their shares of what is kept."""
    wanted, kept = share * sum(counts.values()), 0
    chosen = []
    for asked, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        chosen.append((asked, count))
        kept += count
        if kept >= wanted:
            break
    return [(asked, count / kept) for asked, count in chosen]


class FragmentationRecord:
    """Records how many devices are idle on ready nodes, and how much of that is fragments.

    The usual work is what was submitted so far, looked at anew each time there are twice as many units;
    in between, only rows that changed are reckoned anew, once in a moment.

    Args:
        ctx: clock and records.
        cluster: the nodes.
    """

    def __init__(self, ctx: Context, cluster: Cluster) -> None:
        self._kernel = ctx.kernel
        self._cluster = cluster
        self._counts: dict[Resources, int] = {}
        self._seen = self._known = 0
        self._mix: list[tuple[Resources, float]] = []
        self._changed: dict[int, None] = {}
        self._due = False
        self._idle, self._fragments = np.zeros(0), np.zeros(0)
        self._series = tuple(
            ctx.recorder.series(f"paas/scheduler/{name}") for name in ("idle_devices", "fragmented_devices")
        )

    def saw(self, group: Group) -> None:
        """A group was submitted."""
        for unit in group.units:
            self._counts[unit.resources] = self._counts.get(unit.resources, 0) + 1
        self._seen += len(group.units)
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
        if self._seen >= 2 * self._known or len(self._idle) < every:
            self._known = self._seen
            self._mix = typical(self._counts, TYPICAL) if self._counts else []
            self._idle, self._fragments = np.zeros(every), np.zeros(every)
            rows = range(every)
        if not len(rows):
            return
        at = np.asarray(rows)
        room, ready = self._cluster.room[at], self._cluster.ready[at]
        self._idle[at] = np.where(ready, room[:, ACCELERATORS], 0.0)
        self._fragments[at] = np.where(ready, fragmented(room, self._mix), 0.0)
        for series, values in zip(self._series, (self._idle, self._fragments), strict=True):
            series.set(float(values.sum()))
