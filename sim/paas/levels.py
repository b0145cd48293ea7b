"""A replica whose line has priority levels, bounds of its own, or replies that keep their order.

The rules are those of Triton's dynamic batcher (triton-inference-server/core src/scheduler_utils.cc). A
level has a line of calls in time and one of those whose time is over and that were delayed; a batch is
gathered from the levels in their order, in each first from the one, then from the other. Here a call
whose time is over is rejected at that moment; Triton does so when its thread looks next.
"""

from __future__ import annotations

from collections import deque
from math import inf, nextafter
from typing import TYPE_CHECKING

from sim.kernel.lines import Entry, FifoLine
from sim.paas.calls import Call
from sim.paas.policies.engines import DynamicBatch
from sim.paas.replica import Replica, ReplicaState
from sim.tables import TIMEOUT

if TYPE_CHECKING:
    from sim.paas.service import Service
    from sim.paas.units import Unit


class _Level:
    """The calls of one level that wait."""

    __slots__ = ("delayed", "delays", "override", "places", "prompt", "timeout")

    def __init__(self, policy: DynamicBatch, number: int) -> None:
        rules = policy.rules(number)
        self.timeout = rules.timeout or inf
        self.override = rules.allow_override and rules.timeout > 0.0
        self.delays = rules.timeout_action == "delay"
        self.places = rules.max_size or inf
        self.prompt: FifoLine[Call] = FifoLine()
        self.delayed: FifoLine[Call] = FifoLine()

    def __len__(self) -> int:
        return len(self.prompt) + len(self.delayed)


class _Place:
    """Where a call waits, and until when; `line` is None once it does not."""

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


class LevelReplica(Replica):
    """Serves calls in batches level by level."""

    __slots__ = ("_ended", "_levels", "_order", "_policy")

    def __init__(self, service: Service, unit: Unit) -> None:
        super().__init__(service, unit)
        policy = service.engine
        assert isinstance(policy, DynamicBatch)
        self._policy = policy
        numbers = range(1, policy.priority_levels + 1) if policy.priority_levels else (0,)
        self._levels = {number: _Level(policy, number) for number in numbers}
        #: Batches in the order they were gathered whose replies have not left.
        self._order: deque[list[Call]] = deque()
        #: Those of them that were served, by the number of their first call.
        self._ended: dict[int, list[Call]] = {}
        if policy.preserve_ordering:
            self._served = self._in_order

    # ------------------------------------------------------------ calls come

    def offer(self, call: Call, now: float) -> None:
        """Serve a call, let it wait, or reject it because its line is full."""
        free = self.busy < self._servers
        if not self._joins(call, now, self._limit + free):
            return
        if free:
            self._refill(now)
        if self.waiting > self._limit and call.entry is not None and call.entry.line is not None:
            call.entry.leave()
            self.waiting -= 1
            self.load -= 1
            self._service.refuse(call, "queue-full", now)

    def feed(self, held: FifoLine[Call], now: float) -> None:
        """Take the calls that the service held back, as far as there is room, and begin."""
        while held and self.waiting < self._limit + (self._servers - self.busy) * self._policy.max_batch:
            self._joins(held.pop(), now, inf)
        self._refill(now)

    def _joins(self, call: Call, now: float, limit: float) -> bool:
        """Let a call wait, or turn it away; whether it waits."""
        level = self._levels[self._policy.level(call.priority)]
        if self.waiting >= limit or len(level) >= level.places:
            self._service.refuse(call, "queue-full", now)
            return False
        self.load += 1
        self.waiting += 1
        timeout = min(level.timeout, call.timeout) if level.override else level.timeout
        due = call.enter + timeout
        call.entry = _Place(level.prompt, level.prompt.push(call), due)
        # A batch that can begin at the last moment still takes the call along.
        last = inf if level.delays else due
        if self._timeout is not None:
            last = min(last, call.enter + self._timeout)
        if last < inf:
            self._kernel.call_at(max(now, nextafter(last, inf)), self._overdue, call, call.entry)
        if level.delays and due < inf:
            self._kernel.call_at(max(now, nextafter(due, inf)), self._late, call.entry)
        return True

    def _refill(self, now: float) -> None:
        before = self.busy
        self._fill(now)
        if self.busy != before:
            self._show(now, self.busy - before)

    # ------------------------------------------------------------ batches begin and end

    def _fill(self, now: float) -> None:
        """Begin batches while a server is free and the engine wants one."""
        while self.waiting and self.busy < self._servers:
            pending = self._pending(now)
            if not pending:
                return
            oldest = min(call.enter for call in pending)
            count = self._take(len(pending), oldest, now)
            if count == 0:
                again = self._look_again(oldest)
                if not self._gathering and again < inf:
                    self._gathering = True
                    self._kernel.call_at(again, self._look)
                return
            calls = pending[:count]
            for call in calls:
                call.entry.leave()
            self.waiting -= count
            if self._policy.preserve_ordering:
                self._order.append(calls)
            self._begin(calls, now)

    def _pending(self, now: float) -> list[Call]:
        """The calls of a full batch, or all, who goes first first; those whose time is over step back."""
        most = self._policy.max_batch
        found: list[Call] = []
        for level in self._levels.values():
            late = []
            for call in level.prompt:
                if len(found) == most:
                    break
                if call.entry.due >= now:
                    found.append(call)
                elif level.delays:
                    late.append(call)
            for call in late:
                place = call.entry
                place.leave()
                place.line = level.delayed
                place.entry = level.delayed.push(call)
            for call in level.delayed:
                if len(found) == most:
                    break
                found.append(call)
            if len(found) == most:
                break
        return found

    def _in_order(self, calls: list[Call], now: float) -> None:
        """Let the replies leave that wait for no earlier batch."""
        order, ended = self._order, self._ended
        ended[calls[0].id] = calls
        while order and order[0][0].id in ended:
            first = order.popleft()
            del ended[first[0].id]
            self._service.served(first, now)

    # ------------------------------------------------------------ calls leave unserved

    def _overdue(self, call: Call, place: _Place) -> None:
        """Let go of a call that has waited too long, if it still waits here."""
        if place.line is None:
            return
        place.leave()
        self.waiting -= 1
        self.load -= 1
        self._service.give_up(call, TIMEOUT, "timeout", self._kernel.now)
        if self.load == 0 and self.state is ReplicaState.DRAINING:
            self._service.replica_set.retire(self, "scaled-down")

    def _late(self, place: _Place) -> None:
        """The batcher, where it is awake to gather a batch, looks at a call whose time is over."""
        if place.line is not None and self.busy < self._servers:
            self._pending(self._kernel.now)

    def cancel(self, call: Call, now: float) -> bool:
        """Let go of a call that waits here; whether it did."""
        place = call.entry
        lines = (line for level in self._levels.values() for line in (level.prompt, level.delayed))
        if not isinstance(place, _Place) or not any(place.line is line for line in lines):
            return False
        place.leave()
        self.waiting -= 1
        self._gone()
        return True

    def clear(self, now: float) -> list[Call]:
        """End all service at once; returns the calls that were here, in service first."""
        here = self.calls()
        for level in self._levels.values():
            for line in (level.prompt, level.delayed):
                while line:
                    line.pop().entry.line = None
        self.waiting = 0
        self._service.broken(sum(map(len, self._ended.values())))
        self._order.clear()
        self._ended.clear()
        super().clear(now)
        return here

    def calls(self) -> list[Call]:
        """The calls here, in service first."""
        lines = [line for level in self._levels.values() for line in (level.prompt, level.delayed)]
        served = [call for batch in self._ended.values() for call in batch]
        running = [call for batch in self._running.values() for call in batch]
        return [*served, *running, *(call for line in lines for call in line)]
