"""What runs, in the order of the queue, and which of it would have to go for a group that waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from sim.iaas.room import Floats, fits, give, slots, slots_at, take
from sim.paas.queue import Entry, entry
from sim.paas.units import Group

if TYPE_CHECKING:
    from sim.paas.placement import Placer
    from sim.paas.scheduler import Scheduler

#: A group's place in the order, negated: the last group first.
#: A number tells apart entries of one group that are alike.
_Reversed = tuple[float, float, int, int, Group]


class RunningLine:
    """Running groups by the order, to be taken from its end.

    While a group runs its key may fall (less is left of it): a key that was computed earlier is then
    a bound, and is looked at again only when it comes first. An order whose keys rise in steps says
    when with `changes(group, now)`, seconds until the next rise; the queue is then gone through anew.
    For an order that depends on time otherwise all keys are computed at each look.

    Args:
        scheduler: whose order and running groups are followed.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._order = scheduler.order
        self._changes = getattr(scheduler.order, "changes", None)
        self._heap: list[_Reversed] = []
        self._numbers = count()
        #: The entry that counts of each group in the heap, by the group's id.
        self._valid: dict[int, _Reversed] = {}

    def add(self, group: Group) -> None:
        """A group was bound."""
        now = self._scheduler.ctx.kernel.now
        self._push(group, now)
        self._watch(group, now)

    @contextmanager
    def behind(self, group: Group, now: float) -> Iterator[Iterator[Group]]:
        """Running groups that come after a waiting one, last first; those looked at stay in line."""
        mine = entry(self._order, group, now)
        if self._order.time_dependent:
            self._heap = [self._reversed(each, now) for each in self._valid_groups()]
            self._valid = {each[4].id: each for each in self._heap}
            heapify(self._heap)
        seen: list[_Reversed] = []
        try:
            yield self._walk(mine, now, seen)
        finally:
            for each in seen:
                heappush(self._heap, each)

    def _walk(self, mine: Entry, now: float, seen: list[_Reversed]) -> Iterator[Group]:
        heap = self._heap
        while heap:
            last = heap[0]
            group = last[4]
            if self._valid.get(group.id) is not last:
                heappop(heap)
            elif not group.live:
                heappop(heap)
                del self._valid[group.id]
            else:
                fresh = entry(self._order, group, now)
                if fresh[0] != -last[0]:
                    heappop(heap)
                    self._push(group, now)
                elif fresh[:3] <= mine[:3]:
                    return
                else:
                    heappop(heap)
                    seen.append(last)
                    yield group

    def _valid_groups(self) -> list[Group]:
        return [each[4] for each in self._valid.values() if each[4].live]

    def _push(self, group: Group, now: float) -> None:
        made = self._reversed(group, now)
        self._valid[group.id] = made
        heappush(self._heap, made)

    def _reversed(self, group: Group, now: float) -> _Reversed:
        key, submitted, rank, _ = entry(self._order, group, now)
        return (-key, -submitted, -rank, next(self._numbers), group)

    def _watch(self, group: Group, now: float) -> None:
        """Look again when the group's key rises next."""
        if self._changes is None:
            return
        seconds = self._changes(group, now)
        if seconds < float("inf"):
            self._scheduler.ctx.kernel.call_in(seconds, self._risen, group)

    def _risen(self, group: Group) -> None:
        if group.live:
            now = self._scheduler.ctx.kernel.now
            self._push(group, now)
            self._scheduler.wake()
            self._watch(group, now)


def make_room(group: Group, candidates: Iterable[Group], placer: Placer) -> list[Group]:
    """Running groups that have to go so that `group` fits: candidates in turn, as many as it takes.

    Those that can keep their own nodes beside the group stay, the latest candidate first. Nothing is
    changed: this is a trial on the table of free room.

    Args:
        group: it waits.
        candidates: groups that may have to go, the first to go first.
        placer: finds the nodes.

    Returns:
        The victims; none if the group would not even fit with all candidates gone.
    """
    free = placer.cluster.room
    chosen = _enough(group, candidates, placer)
    before: dict[int, Floats] = {}
    removed: list[Group] = []
    places: list[int] | None = None
    seats: _Seats | None = None
    try:
        for other in chosen:
            seats = seats or _Seats(group, placer)
            for unit in other.units:
                assert unit.node is not None
                at = unit.node.index
                if at not in before:
                    before[at] = free[at].copy()
                give(free, at, unit.resources, unit.devices)
                seats.update(at)
            removed.append(other)
            if seats.enough():
                places = placer.place(group, checked=True)
                if places is not None:
                    break
        if places is None:
            return []
        for unit, at in zip(group.units, places, strict=True):
            before.setdefault(at, free[at].copy())
            take(free, at, unit.resources)
        return [other for other in reversed(removed) if not _back(other, free)]
    finally:
        for at, row in before.items():
            free[at] = row


class _Seats:
    """How many of a group's units find room, kind by kind, kept up to date node by node."""

    def __init__(self, group: Group, placer: Placer) -> None:
        self._free = placer.cluster.room
        self._rooms: list[Floats] = []
        self._kinds: list[tuple[tuple[float, ...], int]] = []
        first = 0
        for shape, most in group.shape:
            usable = placer.allowed(group.units[first]) & placer.cluster.ready
            first += most
            # A node that may not be used has a negative number, and keeps it.
            self._rooms.append(np.where(usable, slots(self._free, shape[0], most), -1.0))
            self._kinds.append((shape[0], most))
        self._totals = [float(room[room > 0].sum()) for room in self._rooms]

    def update(self, at: int) -> None:
        """The room of a node has changed."""
        for kind, ((resources, most), room) in enumerate(zip(self._kinds, self._rooms, strict=True)):
            if room[at] >= 0:
                now = slots_at(self._free, at, resources, most)
                self._totals[kind] += now - float(room[at])
                room[at] = now

    def enough(self) -> bool:
        """What `Placer.enough` would say."""
        return all(total >= most for total, (_, most) in zip(self._totals, self._kinds, strict=True))


def _enough(group: Group, candidates: Iterable[Group], placer: Placer) -> Iterator[Group]:
    """The candidates, once they are known to hold as many accelerators as the group lacks."""
    cluster = placer.cluster
    asked = sum(unit.resources.accelerators for unit in group.units)
    lacking = asked - float(cluster.free[:, 2].sum())
    waiting: list[Group] = []
    for other in candidates:
        if not other.preemptible or other.live < len(other.units):
            continue
        lacking -= sum(unit.resources.accelerators for unit in other.units)
        waiting.append(other)
        if lacking <= 1e-6:
            yield from waiting
            waiting = []


def _back(group: Group, free: Floats) -> bool:
    """Whether all units of a removed group find room on their own nodes; takes it if so."""
    before: list[tuple[int, Floats]] = []
    for unit in group.units:
        assert unit.node is not None
        at = unit.node.index
        if not fits(free, at, unit.resources):
            for node, row in reversed(before):
                free[node] = row
            return False
        before.append((at, free[at].copy()))
        take(free, at, unit.resources)
    return True
