"""A replica whose line has priority levels, bounds of its own, or replies that keep their order.

The rules are those of Triton's dynamic batcher (triton-inference-server/core src/scheduler_utils.cc). A
level has a line of calls in time and one of those whose time is over and that were delayed; a batch is
gathered from the levels in their order, in each first from the one, then from the other. Here a call
whose time is over is rejected at that moment; Triton does so when its thread looks next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf, nextafter
from typing import TYPE_CHECKING

from sim.kernel.lines import FifoLine
from sim.paas.calls import Call
from sim.paas.lined import LinedReplica, Place
from sim.paas.policies.engines import DynamicBatch

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


class LevelReplica(LinedReplica):
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

    def lines(self) -> Iterable[FifoLine[Call]]:
        """Of each level the line of calls in time, and that of the delayed ones."""
        for level in self._levels.values():
            yield level.prompt
            yield level.delayed

    def joins(self, call: Call, now: float) -> bool:
        """Let a call wait in the line of its level, or refuse it; whether it waits."""
        level = self._levels[self._policy.level(call.priority)]
        if len(level) >= level.places:
            self._service.refuse(call, "queue-full", now)
            return False
        due = call.enter + (min(level.timeout, call.timeout) if level.override else level.timeout)
        self.wait_in(level.prompt, call, now, due, inf if level.delays else due)
        if level.delays and due < inf:
            self._kernel.call_at(max(now, nextafter(due, inf)), self._late, call.entry)
        return True

    def _fill(self, now: float) -> None:
        """Begin batches while a server is free and the engine wants one."""
        while self.waiting and self.busy < self._servers:
            pending = self._pending(now)
            if not pending:
                return
            oldest = min(call.enter for call in pending)
            count = self._take(len(pending), oldest, now)
            if count == 0:
                self._ask_again(self._look_again(oldest))
                return
            calls = pending[:count]
            self.taken(calls)
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
                place: Place = call.entry
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

    def _late(self, place: Place) -> None:
        """The batcher, where it is awake to gather a batch, looks at a call whose time is over."""
        if place.line is not None and self.busy < self._servers:
            self._pending(self._kernel.now)

    def _in_order(self, calls: list[Call], now: float) -> None:
        """Let the replies leave that wait for no earlier batch."""
        order, ended = self._order, self._ended
        ended[calls[0].id] = calls
        while order and order[0][0].id in ended:
            first = order.popleft()
            del ended[first[0].id]
            self._service.served(first, now)

    def clear(self, now: float) -> list[Call]:
        """End all service at once; returns the calls that were here, in service first."""
        here = super().clear(now)
        self._service.broken(sum(map(len, self._ended.values())))
        self._order.clear()
        self._ended.clear()
        return here

    def calls(self) -> list[Call]:
        """The calls here, those served whose reply is held back first."""
        return [call for batch in self._ended.values() for call in batch] + super().calls()
