"""A plan of every waiting group's start: conservative backfilling.

Time from now on is cut into stretches between two changes, each with a table of what is free in it
(`sim.iaas.room`). A waiting group is promised the first moment from which its units fit, on the same
nodes, for as long as it will run, and its room is taken out of the plan; so whoever comes later in the
queue can take only what nobody before it needs (Mu'alem and Feitelson 2001, section 2). The plan is
made anew, in order of the queue, in every pass that holds somebody up: what ends early closes up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import inf

import numpy as np

from sim.iaas.resources import Resources
from sim.iaas.room import Floats, give, slots, take
from sim.paas.backfill import Ending
from sim.paas.placement import Placer
from sim.paas.policies.filters import Mask
from sim.paas.units import Group, Knows, Unit

#: More units than one node holds.
MOST = 1_000_000


class Plan:
    """Room promised to the groups that wait, and what is left of it for the others.

    It costs about (changes in time) x (nodes) for each promise, and holds a table of all nodes for
    each change. A group of several kinds of units is seated kind by kind on the first nodes that fit.
    A running group that has overrun its end counts as ending now, but its room is not there yet.

    Args:
        placer: knows which nodes units may use.
        running: groups that run and have an end, by that end.
        now: seconds.
        knows: whether running times are those stated or the true ones.
        most: promises made at most; whoever comes behind starts only where it is in nobody's way.

    Attributes:
        until: moment promised to the group that was planned last (s); infinite if it cannot start.
        promises: whether the next group that has to wait is to be promised a start.
    """

    open = False

    def __init__(
        self,
        placer: Placer,
        running: Iterable[Ending],
        now: float,
        knows: Knows = "estimate",
        most: int = 1000,
    ) -> None:
        cluster = placer.cluster
        self.until = inf
        self._placer = placer
        self._cluster = cluster
        self._knows = knows
        self._now = now
        self.promises = True
        self._left = most
        self._times = [now]
        self._tables = [cluster.room.copy(order="F")]
        #: By table: what fits on each node, by what one unit takes; until the table changes.
        self._known: dict[int, dict[Resources, Floats]] = {}
        #: (table, row, what stood there) of each `take`, to be undone.
        self._undo: list[list[tuple[Floats, int, Floats]]] = []
        for end, _, group in running:
            self._give_back(max(now, end), group)

    def _give_back(self, end: float, group: Group) -> None:
        """Running groups come in order of their end, so only the last table changes."""
        if end > self._times[-1] or len(self._times) == 1:
            self._times.append(end)
            self._tables.append(self._tables[-1].copy(order="F"))
        for unit in group.units:
            if unit.node is not None:
                give(self._tables[-1], unit.node.index, unit.resources, unit.devices)

    # ------------------------------------------------------------ promises

    def promise(self, group: Group) -> None:
        """Plan a group that cannot start now for the first moment at which it can."""
        self._left -= 1
        self.promises = self._left > 0
        seconds = group.soonest(self._knows)
        for first in range(1, len(self._times)):
            places = self._seats(group, first, seconds)
            if places is not None:
                self.until = self._times[first]
                self._occupy(group, places, self.until, self.until + seconds)
                return
        self.until = inf

    def _seats(self, group: Group, first: int, seconds: float) -> list[int] | None:
        """Nodes for all its units from the start of a stretch on, or None."""
        window = self._tables[first : self._behind(self._times[first] + seconds)] or [self._tables[first]]
        places: list[int] = []
        at = 0
        # With several kinds, one must see what the others take.
        tables = window if len(group.shape) == 1 else [table.copy(order="F") for table in window]
        if tables is not window:
            # Their numbers may be those of tables that are gone.
            for table in tables:
                self._known.pop(id(table), None)
        for shape, count in group.shape:
            unit = group.units[at]
            at += count
            room = self._rooms(tables, unit, count)
            if room.sum() < count:
                return None
            taken = np.clip(count - (np.cumsum(room) - room), 0.0, room)
            found = np.repeat(np.arange(len(taken)), taken.astype(int)).tolist()
            places += found
            if tables is not window:
                for node in found:
                    for table in tables:
                        self._take(table, node, shape[0])
        return places

    def _rooms(self, tables: Sequence[Floats], unit: Unit, count: int) -> Floats:
        """Units like this one that fit on each node through all of the tables."""
        allowed = self._placer.allowed(unit) & self._cluster.ready
        room = np.where(allowed, self._slots(tables[0], unit.resources), 0.0)
        for table in tables[1:]:
            if room.sum() < count:
                break
            np.minimum(room, self._slots(table, unit.resources), out=room)
        return room

    def _slots(self, table: Floats, resources: Resources) -> Floats:
        known = self._known.setdefault(id(table), {})
        found = known.get(resources)
        if found is None:
            found = known[resources] = slots(table, resources, MOST)
        return found

    def _take(self, table: Floats, node: int, resources: Resources) -> None:
        """Take one unit's room from a table of the plan."""
        take(table, node, resources)
        self._known.pop(id(table), None)

    def _occupy(self, group: Group, places: Sequence[int], start: float, end: float) -> None:
        """Take a group's room out of the plan from a start to an end."""
        first, behind = self._cut(start), self._cut(end)
        for unit, node in zip(group.units, places, strict=True):
            for table in self._tables[first:behind]:
                self._take(table, node, unit.resources)

    def _cut(self, moment: float) -> int:
        """Number of the first stretch that begins at a moment, made if there is none."""
        if moment == inf:
            return len(self._times)
        # The first stretch is the present itself, which a second one may follow at the same moment.
        at = bisect_left(self._times, moment, lo=1)
        if at == len(self._times) or self._times[at] != moment:
            self._times.insert(at, moment)
            self._tables.insert(at, self._tables[at - 1].copy(order="F"))
        return at

    def _behind(self, end: float) -> int:
        """Number of the first stretch that begins at or after an end."""
        return bisect_left(self._times, end, lo=1)

    # ------------------------------------------------------------ the gate for whoever starts now

    def ends_by(self, group: Group, now: float) -> bool:
        """Nobody is waved through: every start has to fit the plan."""
        return False

    def keeps(self, group: Group, places: Sequence[int], now: float) -> bool:
        """Never asked, since nobody is waved through."""
        return False

    def mask(self, unit: Unit) -> Mask:
        """Nodes where the unit fits from now on for as long as its group will run."""
        group = unit.group
        assert group is not None
        end = self._now + group.soonest(self._knows)
        return self._rooms(self._tables[: self._behind(end)], unit, 1) > 0

    def take(self, unit: Unit, node: int) -> None:
        """The unit will occupy the node from now on."""
        group = unit.group
        assert group is not None
        behind = self._cut(self._now + group.soonest(self._knows))
        done = []
        for table in self._tables[:behind]:
            done.append((table, node, table[node].copy()))
            self._take(table, node, unit.resources)
        self._undo.append(done)

    def undo(self, times: int) -> None:
        """Forget the last so many `take`s."""
        for _ in range(times):
            for table, node, row in reversed(self._undo.pop()):
                table[node] = row
                self._known.pop(id(table), None)
