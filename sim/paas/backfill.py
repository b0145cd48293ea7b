"""Backfilling: what may start behind a group that has to wait, without delaying it.

EASY backfilling (Lifka 1995; Mu'alem and Feitelson 2001) gives the waiting head a reservation: the
`until` of a `Reservation` is the first moment at which it fits, if every running group ends when its
user said. A later group may start now if it ends by then, or if the head still fits at that moment
with the later group's nodes taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

import numpy as np

from sim.iaas.room import Floats, after, give, pack, slots, slots_at, take
from sim.paas.placement import Placer
from sim.paas.policies.filters import Mask
from sim.paas.queue import Bucket
from sim.paas.units import Group, Knows, Unit

#: (end by its estimate, id, group) of groups that run.
Ending = tuple[float, int, Group]


class Reservation:
    """Room kept for the group at the head of the queue from the moment it can start.

    Exact on resource vectors and nodes for a head of equal units. Of a head of several kinds, all
    but the last kind are pinned to the first nodes that fit, which may hold back more than needed,
    never less. A group that has overrun its estimate counts as ending now.

    Args:
        head: the group that waits.
        placer: knows which nodes its units may use.
        running: groups that run and have an end, by that end.
        now: seconds.
        knows: whether running times are those stated or the true ones.

    Attributes:
        until: seconds; infinite if the head could not start even when all those groups have ended.
    """

    open = False

    def __init__(
        self, head: Group, placer: Placer, running: Iterable[Ending], now: float, knows: Knows = "estimate"
    ) -> None:
        cluster = placer.cluster
        self._cluster = cluster
        self._knows = knows
        self.until = inf
        self._free: Floats = cluster.room.copy()
        self._kinds: list[tuple[tuple[float, ...], int, Mask]] = []
        first = 0
        for shape, count in head.shape:
            self._kinds.append((shape[0], count, placer.allowed(head.units[first]) & cluster.ready))
            first += count
        self._find_moment(running, now)
        for resources, count, allowed in self._kinds[:-1]:
            pack(self._free, allowed, resources, count)
        self._resources, self._count, self._allowed = self._kinds[-1]
        self._room = self._rooms(self._free)
        self._total = float(self._room.sum())
        self._undo: list[tuple[int, Floats, float]] = []

    def ends_by(self, group: Group, now: float) -> bool:
        """Whether a group started now might end by `until`."""
        return now + group.soonest(self._knows) <= self.until

    def next_short(self, bucket: Bucket, at: int, now: float) -> int:
        """Position from `at` on of the next group that might: all longer ones of a bucket are held alike."""
        return bucket.next_short(at, self.until - now, self._knows, lambda group: self.ends_by(group, now))

    def keeps(self, group: Group, places: Sequence[int], now: float) -> bool:
        """Whether it does on those nodes."""
        rate = group.speed.on_nodes([self._cluster.nodes[at] for at in places], group.asked)
        return now + group.restart + group.left(self._knows) / rate <= self.until

    def mask(self, unit: Unit) -> Mask:
        """Nodes the unit may occupy beyond `until` such that the head still fits then."""
        left = self._total - self._room + self._rooms(after(self._free, unit.resources))
        # Room that is pinned for the head's other kinds is nobody else's, free as it is now.
        return (left >= self._count) & (slots(self._free, unit.resources, 1) > 0)

    def take(self, unit: Unit, node: int) -> None:
        """The unit will occupy the node beyond `until`."""
        self._undo.append((node, self._free[node].copy(), float(self._room[node])))
        take(self._free, node, unit.resources)
        if self._allowed[node]:
            room = slots_at(self._free, node, self._resources, self._count)
            self._total += room - float(self._room[node])
            self._room[node] = room

    def undo(self, times: int) -> None:
        """Forget the last so many `take`s."""
        for _ in range(times):
            node, row, room = self._undo.pop()
            self._total += room - float(self._room[node])
            self._free[node] = row
            self._room[node] = room

    def _rooms(self, free: Floats) -> Floats:
        return np.where(self._allowed, slots(free, self._resources, self._count), 0.0)

    def _find_moment(self, running: Iterable[Ending], now: float) -> None:
        """Give back what ends, in order of time, until the head fits; and all else that ends then."""
        free = self._free
        rooms = [np.where(ok, slots(free, res, count), 0.0) for res, count, ok in self._kinds]
        totals = [float(room.sum()) for room in rooms]
        for end, _, group in running:
            if end > self.until:
                return
            for unit in group.units:
                if unit.node is None:
                    continue
                at = unit.node.index
                give(free, at, unit.resources, unit.devices)
                if self.until < inf:
                    continue
                for kind, (resources, count, allowed) in enumerate(self._kinds):
                    if allowed[at]:
                        room = slots_at(free, at, resources, count)
                        totals[kind] += room - float(rooms[kind][at])
                        rooms[kind][at] = room
            enough = all(total >= kind[1] for total, kind in zip(totals, self._kinds, strict=True))
            if self.until == inf and enough and self._fits():
                self.until = max(now, end)

    def _fits(self) -> bool:
        """Whether all kinds of the head's units fit together."""
        if len(self._kinds) == 1:
            return True
        free = self._free.copy()
        return all(pack(free, allowed, res, count) == count for res, count, allowed in self._kinds)
