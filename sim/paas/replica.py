"""A replica: one copy of a service's model on one node, with its own waiting line.

The path of a call through here is the hottest of the simulator: no closures, no properties, one
event when a batch ends, one timer per line for its time-outs (they are due in the order of the
line) and one for a batch that is being gathered.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from math import inf
from typing import TYPE_CHECKING

from sim import registry
from sim.kernel.lines import FifoLine
from sim.paas.calls import Batch, Call
from sim.registry import fresh
from sim.tables import TIMEOUT

if TYPE_CHECKING:
    from sim.paas.coldstart import ColdStart
    from sim.paas.service import Service
    from sim.paas.sharing import SharedDevice
    from sim.paas.units import Unit


class ReplicaState(IntEnum):
    """Where a replica is in its life."""

    WAITING = 0
    STARTING = 1
    READY = 2
    DRAINING = 3
    GONE = 4


class Replica:
    """Serves calls in batches with an engine, first come first served.

    Attributes:
        unit: its place with the scheduler; numbers the replica.
        state: where it is in its life; set by the replica set.
        start: its cold start while that lasts.
        load: calls waiting or in service here.
        waiting: calls waiting here.
        busy: batches in service here.
        node_name: node it was bound to, "" before.
    """

    __slots__ = (
        "_batch",
        "_device",
        "_expiring",
        "_gathering",
        "_kernel",
        "_learn",
        "_limit",
        "_line",
        "_look_again",
        "_number",
        "_running",
        "_seconds",
        "_served",
        "_servers",
        "_service",
        "_share",
        "_take",
        "_timeout",
        "_use",
        "busy",
        "load",
        "node_name",
        "start",
        "state",
        "unit",
        "waiting",
    )

    def __init__(self, service: Service, unit: Unit) -> None:
        self.unit = unit
        self.state = ReplicaState.WAITING
        self.start: ColdStart | None = None
        self.load = 0
        self.waiting = 0
        self.busy = 0
        self.node_name = ""
        self._service = service
        self._served: Callable[[list[Call], float], object] = service.served
        self._kernel = service.ctx.kernel
        self._line: FifoLine[Call] = FifoLine()
        self._running: dict[int, list[Call]] = {}
        self._number = 0
        self._batch = Batch()
        self._seconds: Callable[[Batch], float] = service.time.seconds
        engine = service.engine
        #: Engines that learn do so for each replica on its own.
        self._learn: Callable[[int, float], object] | None = None
        if hasattr(engine, "learn"):
            engine = fresh(engine)
            registry.start(engine)
            self._learn = engine.learn
        self._take = engine.take
        self._look_again = engine.look_again
        self._servers = engine.servers
        self._limit = inf if service.queue is None else service.queue
        self._timeout = service.timeout
        self._expiring = False
        self._gathering = False
        self._use: Callable[[float], object] | None = None
        self._share = 0.0
        self._device: SharedDevice | None = None

    def settle(self) -> None:
        """Take note of the node it was bound to: the device, and what a busy server uses there."""
        node = self.unit.node
        if node is None:
            raise ValueError(f"unit {self.unit.id} has no node to settle on")
        self.node_name = node.name
        self._batch.device = node.type.device
        amount = self.unit.resources[node.main]
        self._share = amount / self._servers
        self._use = node.use if amount > 0.0 else None
        sharing = self._service.sharing
        self._device = None if sharing is None else sharing.device_of(self.unit)

    def holds(self, model: str) -> bool:
        """Whether a model is in memory or on its way there; where one model is served it always is."""
        return True

    # ------------------------------------------------------------ calls come

    def offer(self, call: Call, now: float) -> None:
        """Serve a call, let it wait, or reject it because the line is full."""
        self.load += 1
        if self.busy < self._servers:
            if self.waiting == 0 and self._take(1, call.enter, now) == 1:
                self._begin([call], now)
                self._show(now, 1)
                return
            self._wait(call)
            before = self.busy
            self._fill(now)
            if self.busy != before:
                self._show(now, self.busy - before)
            elif self.waiting > self._limit:
                self._line.cancel(call.entry)
                self.waiting -= 1
                self.load -= 1
                self._service.refuse(call, "queue-full", now)
        elif self.waiting < self._limit:
            self._wait(call)
        else:
            self.load -= 1
            self._service.refuse(call, "queue-full", now)

    def feed(self, held: FifoLine[Call], now: float) -> None:
        """Take calls the service held back, as many as free servers can gather, and begin."""
        room = (self._servers - self.busy) * self._service.engine.largest - self.waiting
        while room > 0 and held:
            self.load += 1
            self._wait(held.pop())
            room -= 1
        before = self.busy
        self._fill(now)
        if self.busy != before:
            self._show(now, self.busy - before)

    def _wait(self, call: Call) -> None:
        call.entry = self._line.push(call)
        self.waiting += 1
        if self._timeout is not None and not self._expiring:
            self._expiring = True
            self._kernel.call_at(call.enter + self._timeout, self._expire)

    # ------------------------------------------------------------ batches begin and end

    def _fill(self, now: float) -> None:
        """Begin batches while a server is free and the engine wants one."""
        line = self._line
        while self.waiting and self.busy < self._servers:
            oldest = line.peek().enter
            count = self._take(self.waiting, oldest, now)
            if count == 0:
                again = self._look_again(oldest)
                if not self._gathering and again < inf:
                    self._gathering = True
                    self._kernel.call_at(again, self._look)
                return
            calls = [line.pop() for _ in range(count)]
            self.waiting -= count
            self._begin(calls, now)

    def _begin(self, calls: list[Call], now: float) -> None:
        self.busy += 1
        batch = self._batch
        batch.fill(calls)
        size = batch.count
        number = self.unit.id
        for call in calls:
            call.start = now
            call.replica = number
            call.batch = size
        self._service.began(batch)
        self._number = key = self._number + 1
        self._running[key] = calls
        seconds = self._seconds(batch)
        if self._device is None:
            self._kernel.call_in(seconds, self._finish, key)
        else:
            self._device.begin(number, self._service.name, seconds, self._finish, key)

    def _finish(self, key: int) -> None:
        calls = self._running.pop(key, None)
        if calls is None:
            return
        now = self._kernel.now
        self.load -= len(calls)
        if self._learn is not None:
            self._learn(len(calls), now - calls[0].start)
        busy = self.busy
        self.busy = busy - 1
        service = self._service
        if self.waiting:
            self._fill(now)
        if self.busy != busy:
            self._show(now, self.busy - busy)
        if service.held and self.state is ReplicaState.READY:
            self.feed(service.held, now)
        self._served(calls, now)
        if self.load == 0 and self.state is ReplicaState.DRAINING:
            service.replica_set.retire(self, "scaled-down")

    def _show(self, now: float, change: int) -> None:
        """Put a change in the number of busy servers on record, here and at the node."""
        self._service.busy.change(now, change)
        if self._use is not None:
            self._use(change * self._share)

    def _look(self) -> None:
        """The engine wanted to be asked again now."""
        self._gathering = False
        if self.waiting and self.busy < self._servers:
            now = self._kernel.now
            before = self.busy
            self._fill(now)
            if self.busy != before:
                self._show(now, self.busy - before)

    # ------------------------------------------------------------ calls leave unserved

    def _expire(self) -> None:
        """Let go of the calls that have waited too long; they are at the front of the line."""
        self._expiring = False
        timeout = self._timeout
        if timeout is None:
            return
        now = self._kernel.now
        line = self._line
        while self.waiting:
            call = line.peek()
            if call.enter + timeout > now:
                # The callback of a call let go may have brought a new one, and with it the timer.
                if not self._expiring:
                    self._expiring = True
                    self._kernel.call_at(call.enter + timeout, self._expire)
                break
            line.pop()
            self.waiting -= 1
            self.load -= 1
            self._service.give_up(call, TIMEOUT, "timeout", now)
        if self.load == 0 and self.state is ReplicaState.DRAINING:
            self._service.replica_set.retire(self, "scaled-down")

    def cancel(self, call: Call, now: float) -> bool:
        """Let go of a call that waits here; whether it did."""
        if not self._line.holds(call.entry):
            return False
        self._line.cancel(call.entry)
        self.waiting -= 1
        self._gone()
        return True

    def _gone(self) -> None:
        """A call left unserved, which may have been the last of a replica that is to go."""
        self.load -= 1
        if self.load == 0 and self.state is ReplicaState.DRAINING:
            self._service.replica_set.retire(self, "scaled-down")

    def clear(self, now: float) -> list[Call]:
        """End all service at once; returns the calls that were here, in service first."""
        calls = [call for batch in self._running.values() for call in batch]
        self._service.broken(len(calls))
        self._running.clear()
        if self._device is not None:
            self._device.leave(self.unit.id)
        while self.waiting:
            calls.append(self._line.pop())
            self.waiting -= 1
        if self.busy:
            busy, self.busy = self.busy, 0
            self._show(now, -busy)
        self.load = 0
        return calls

    def calls(self) -> list[Call]:
        """The calls here, in service first."""
        return [call for batch in self._running.values() for call in batch] + list(self._line)
