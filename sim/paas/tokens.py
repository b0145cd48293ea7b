"""A replica that serves a language model token by token, with an engine of `sim.paas.llm`."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from sim.errors import StratusError
from sim.kernel.lines import FifoLine
from sim.paas.calls import Call
from sim.paas.llm import Engine, Sequence
from sim.paas.policies.continuous import ContinuousBatch
from sim.paas.replica import Replica, ReplicaState

if TYPE_CHECKING:
    from sim.paas.service import Service
    from sim.paas.units import Unit


class TokenReplica(Replica):
    """Gives calls to its engine; each leaves when its last token is generated.

    A call begins service when its sequence first gets a place in the batch.
    """

    __slots__ = ("_engine", "_live", "_timer")

    def __init__(self, service: Service, unit: Unit) -> None:
        super().__init__(service, unit)
        if service.timeout is not None:
            raise StratusError(f"service {service.name}: engine continuous-batch knows no timeout")
        self._engine: Engine
        self._live: dict[int, Sequence] = {}
        self._timer = 0

    def settle(self) -> None:
        """Take note of the node it was bound to; its device may decide how fast the engine is."""
        super().settle()
        service, policy = self._service, self._service.engine
        assert isinstance(policy, ContinuousBatch)
        self._engine = policy.build(
            service.model, service.precision, self._batch.device, self.unit.resources.accelerators
        )

    def offer(self, call: Call, now: float) -> None:
        """Let a call wait for a place in the batch, or refuse it."""
        if len(self._engine.batch.waiting) >= self._limit:
            self._service.refuse(call, "queue-full", now)
            return
        sequence = Sequence(call.id, now, max(1, call.tokens_in), max(1, call.tokens_out), owner=call)
        reason = self._engine.refusal(sequence)
        if reason:
            self._service.refuse(call, reason, now)
            return
        self.load += 1
        self._live[call.id] = sequence
        if self._engine.offer(sequence, now):
            self._arm()

    def feed(self, held: FifoLine[Call], now: float) -> None:
        """Take all the service held back: the engine has a line of its own."""
        while held and len(self._engine.batch.waiting) < self._limit:
            self.offer(held.pop(), now)

    def _arm(self) -> None:
        """Wake at the end of the engine's present stretch."""
        self._timer += 1
        if self._engine.until < inf:
            self._kernel.call_at(self._engine.until, self._wake, self._timer)

    def _wake(self, number: int) -> None:
        if number != self._timer:
            return
        now = self._kernel.now
        engine, service = self._engine, self._service
        done = engine.proceed(now)
        batch = self._batch
        for sequence in engine.entering():
            call: Call = sequence.owner
            if call.start != call.start:
                call.start = now
                call.replica = self.unit.id
                call.batch = len(engine.batch.running)
                batch.fill([call])
                service.began(batch)
        self._arm()
        busy = int(engine.until < inf)
        if busy != self.busy:
            change = busy - self.busy
            self.busy = busy
            self._show(now, change)
        if not done:
            return
        self.load -= len(done)
        for sequence in done:
            del self._live[sequence.number]
        if service.held and self.state is ReplicaState.READY:
            self.feed(service.held, now)
        service.served([sequence.owner for sequence in done], now)
        if self.load == 0 and self.state is ReplicaState.DRAINING:
            service.replica_set.retire(self, "scaled-down")

    def clear(self, now: float) -> list[Call]:
        """End all service at once; returns the calls that were here, those begun first."""
        calls = self.calls()
        self._service.broken(sum(call.start == call.start for call in calls))
        self._live.clear()
        self._timer += 1
        if self.busy:
            self.busy = 0
            self._show(now, -1)
        self.load = 0
        return calls

    def calls(self) -> list[Call]:
        """The calls here, those begun first."""
        calls = [sequence.owner for sequence in self._live.values()]
        return sorted(calls, key=lambda call: call.start != call.start)
