"""A replica whose calls wait in more than one line; which lines, and who begins when, a subclass says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from math import inf, nextafter
from typing import TYPE_CHECKING

from sim.kernel.lines import Entry, FifoLine
from sim.paas.calls import Call
from sim.paas.replica import Replica
from sim.tables import TIMEOUT

if TYPE_CHECKING:
    from sim.paas.service import Service
    from sim.paas.units import Unit


class Place:
    """Where a call waits, and until when its line takes it for in time; `line` is None once it left."""

    __slots__ = ("due", "entry", "line")

    def __init__(self, line: FifoLine[Call], entry: Entry, due: float) -> None:
        self.line: FifoLine[Call] | None = line
        self.entry = entry
        self.due = due

    def leave(self) -> None:
        """Give the place up."""
        assert self.line is not None
        self.line.cancel(self.entry)
        self.line = None


class LinedReplica(Replica, ABC):
    """What replicas with several lines have in common: calls come, wait, and leave unserved."""

    __slots__ = ("_again",)

    def __init__(self, service: Service, unit: Unit) -> None:
        super().__init__(service, unit)
        #: The next moment at which the lines are looked at anyway.
        self._again = inf

    @abstractmethod
    def lines(self) -> Iterable[FifoLine[Call]]:
        """All lines, in the order in which their calls are named."""

    @abstractmethod
    def joins(self, call: Call, now: float) -> bool:
        """Let a call wait in its line (by `wait_in`), or refuse it; whether it waits."""

    def offer(self, call: Call, now: float) -> None:
        """Serve a call, let it wait, or reject it because its line is full."""
        free = self.busy < self._servers
        if not free and self.waiting >= self._limit:
            self._service.refuse(call, "queue-full", now)
            return
        if not self.joins(call, now):
            return
        self._refill(now)
        place: Place = call.entry
        if self.waiting > self._limit and place.line is not None:
            place.leave()
            self.waiting -= 1
            self.load -= 1
            self._service.refuse(call, "queue-full", now)

    def feed(self, held: FifoLine[Call], now: float) -> None:
        """Take the calls that the service held back, as far as there is room, and begin."""
        most = self._limit + (self._servers - self.busy) * self._service.engine.largest
        while held and self.waiting < most:
            self.joins(held.pop(), now)
        self._refill(now)

    def wait_in(self, line: FifoLine[Call], call: Call, now: float, due: float, last: float) -> None:
        """Let a call wait in a line.

        Args:
            line: of this replica.
            call: that came.
            now: the moment (s).
            due: until when the line takes it for in time.
            last: after which moment it is let go; the service's own bound holds besides.
        """
        self.load += 1
        self.waiting += 1
        call.entry = Place(line, line.push(call), due)
        if self._timeout is not None:
            last = min(last, call.enter + self._timeout)
        if last < inf:
            # A batch that can begin at the last moment still takes the call along.
            self._kernel.call_at(max(now, nextafter(last, inf)), self._overdue, call, call.entry)

    def taken(self, calls: list[Call]) -> None:
        """These calls do not wait any longer: they begin service."""
        for call in calls:
            call.entry.leave()
        self.waiting -= len(calls)

    def _refill(self, now: float) -> None:
        before = self.busy
        self._fill(now)
        if self.busy != before:
            self._show(now, self.busy - before)

    def _ask_again(self, moment: float) -> None:
        """Look at the lines again at a moment, unless that is to happen before."""
        if moment < self._again:
            self._again = moment
            self._kernel.call_at(moment, self._look)

    def _look(self) -> None:
        now = self._kernel.now
        if now >= self._again:
            self._again = inf
        if self.waiting:
            self._refill(now)

    def _overdue(self, call: Call, place: Place) -> None:
        """Let go of a call that has waited too long, if it still waits here."""
        if place.line is None:
            return
        now = self._kernel.now
        self._leaves(place, now)
        self._service.give_up(call, TIMEOUT, "timeout", now)

    def cancel(self, call: Call, now: float) -> bool:
        """Let go of a call that waits here; whether it did."""
        place = call.entry
        if not isinstance(place, Place) or not any(place.line is line for line in self.lines()):
            return False
        self._leaves(place, now)
        return True

    def _leaves(self, place: Place, now: float) -> None:
        """A call leaves unserved; others may have waited behind it."""
        place.leave()
        self.waiting -= 1
        if self.waiting:
            self._refill(now)
        self._gone()

    def clear(self, now: float) -> list[Call]:
        """End all service at once; returns the calls that were here, in service first."""
        here = self.calls()
        for line in self.lines():
            while line:
                line.pop().entry.line = None
        self.waiting = 0
        super().clear(now)
        return here

    def calls(self) -> list[Call]:
        """The calls here, in service first."""
        running = [call for batch in self._running.values() for call in batch]
        return running + [call for line in self.lines() for call in line]
