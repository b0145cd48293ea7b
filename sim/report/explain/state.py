"""The state of the cluster rebuilt from the tables: what was free on each node, and who was there."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import numpy as np
from numpy.typing import NDArray

from sim.iaas import room
from sim.iaas.resources import RESOURCE_NAMES
from sim.report.explain.records import Records, Row, Stay

#: Changes of one moment in order: nodes come and go, units end, units are bound (and end at once).
_DOWN, _UP, _END, _BIND, _AT_ONCE = range(5)


class State:
    """Free room by node and units in place, at a moment that can be moved forward.

    It is the state at the end of the moment, when the scheduler's pass was over. A node counts as
    ready from the first moment it was to its end, apart from the times it was down; while a node of an
    elastic pool is drained, which is not recorded, it counts as ready too.

    Args:
        records: the tables.
        time: where to begin.
        without: stays that are taken not to have been bound.

    Attributes:
        time: the moment.
        room: what is left, a row a node; see `sim.iaas.room`.
        ready: whether each node takes units.
        here: stays with units in place, by (owner, submitted, first unit).
    """

    def __init__(self, records: Records, time: float, without: frozenset[Stay] = frozenset()) -> None:
        self._records = records
        nodes = records.nodes
        self.numbers = {row["name"]: number for number, row in enumerate(nodes)}
        capacities = [tuple(row[name] for name in RESOURCE_NAMES) for row in nodes]
        width = max((room.width(capacity) for capacity in capacities), default=room.FIRST)
        self.total = room.table(len(nodes), width)
        for at, capacity in enumerate(capacities):
            room.fill(self.total, at, capacity)
        self.room = self.total.copy(order="F")
        self.ready: NDArray[np.bool_] = np.zeros(len(nodes), dtype=np.bool_)
        self.here: dict[Stay, list[tuple[int, ...]]] = {}
        self.time = -inf
        self._changes = _changes(records, without, self.numbers, -inf if records.shared else time)
        self._next = 0
        self.advance(time)

    def advance(self, time: float) -> bool:
        """Go to the end of that moment; whether anything was freed on the way."""
        freed = False
        changes = self._changes
        while self._next < len(changes) and changes[self._next][0] <= time:
            _, what, _, subject = changes[self._next]
            self._next += 1
            if isinstance(subject, int):
                self.ready[subject] = what == _UP
                freed |= what == _UP
            elif what == _BIND:
                self._bind(subject)
            else:
                self._end(subject)
                freed = True
        self.time = time
        return freed

    def moments(self, until: float) -> Iterator[float]:
        """Go through the moments before `until` at which something was freed, beginning with now."""
        yield self.time
        while self._next < len(self._changes) and self._changes[self._next][0] < until:
            if self.advance(self._changes[self._next][0]):
                yield self.time

    def on(self, node: int) -> list[Stay]:
        """Who has units on a node."""
        name = self._records.nodes[node]["name"]
        return [stay for stay in self.here if any(where == name for _, where, _ in stay.units)]

    def _bind(self, stay: Stay) -> None:
        self.here[stay] = [room.take(self.room, self.numbers[where], asked) for _, where, asked in stay.units]

    def _end(self, stay: Stay) -> None:
        taken = self.here.pop(stay)
        for (_, where, asked), devices in zip(stay.units, taken, strict=True):
            room.give(self.room, self.numbers[where], asked, devices)


def _changes(
    records: Records, without: frozenset[Stay], numbers: dict[str, int], since: float
) -> list[tuple[float, int, int, Stay | int]]:
    """(moment, kind, tie-break, stay or node) of all changes, in order, but of stays over by `since`."""
    found: list[tuple[float, int, int, Stay | int]] = []
    for at, node in enumerate(records.nodes):
        if node["ready"] == node["ready"]:
            found.append((node["ready"], _UP, at, at))
            if node["ended"] == node["ended"]:
                found.append((node["ended"], _DOWN, at, at))
    for start, end, name in records.downs:
        if name in numbers:
            found.append((start, _DOWN, numbers[name], numbers[name]))
            if end < inf:
                found.append((end, _UP, numbers[name], numbers[name]))
    for stay in records.stays:
        if stay.bound < inf and stay.ended > since and stay not in without:
            first = stay.units[0][0]
            found.append((stay.bound, _BIND, first, stay))
            if stay.ended < inf:
                found.append((stay.ended, _AT_ONCE if stay.ended == stay.bound else _END, first, stay))
    found.sort(key=lambda change: change[:3])
    return found


class Request:
    """What a group asked for, and where it may go by what never changes."""

    def __init__(self, records: Records, rows: list[Row]) -> None:
        self.kinds = [(int(row["units"]), tuple(float(row[name]) for name in RESOURCE_NAMES)) for row in rows]
        self.rows = rows
        self._nodes = records.nodes

    @property
    def units(self) -> int:
        """Units of all kinds."""
        return sum(count for count, _ in self.kinds)

    def allowed(self, *, dropped: str = "") -> NDArray[np.bool_]:
        """Nodes of the right site, pool and accelerator, without the rule that is dropped."""
        row = self.rows[0]
        pools = row["pools"].split()
        return np.array(
            [
                (dropped == "site" or not row["site"] or node["site"] == row["site"])
                and (dropped == "pools" or not pools or node["pool"] in pools)
                and (dropped == "device" or not row["device"] or node["device"] == row["device"])
                and (
                    dropped == "accelerator_memory" or node["accelerator_memory"] >= row["accelerator_memory"]
                )
                for node in self._nodes
            ],
            dtype=np.bool_,
        )

    def rules(self) -> list[str]:
        """The rules it has that keep it from nodes for good."""
        return [name for name in ("site", "pools", "device", "accelerator_memory") if self.rows[0][name]]

    def fits(self, free: NDArray[np.float64], allowed: NDArray[np.bool_]) -> bool:
        """Whether all its units find room together."""
        if len(self.kinds) == 1:
            count, asked = self.kinds[0]
            return bool(room.slots(free[allowed], asked, count).sum() >= count)
        left = free.copy(order="F")
        return all(room.pack(left, allowed, asked, count) == count for count, asked in self.kinds)

    def places(self, free: NDArray[np.float64], allowed: NDArray[np.bool_]) -> int:
        """How many units of its first kind find room."""
        count, asked = self.kinds[0]
        return int(min(count, room.slots(free[allowed], asked, count).sum()))
