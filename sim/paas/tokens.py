"""A replica that serves a language model token by token, with an engine of `sim.paas.llm`."""

from __future__ import annotations

from collections import deque
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from sim.kernel.lines import FifoLine
from sim.paas.calls import Call
from sim.paas.llm import Content, Engine, PrefixCache, Sequence, StepwiseEngine
from sim.paas.policies.continuous import ContinuousBatch
from sim.paas.replica import Replica, ReplicaState
from sim.tables import TIMEOUT

if TYPE_CHECKING:
    from sim.paas.handover import Cache, Port
    from sim.paas.service import Service
    from sim.paas.units import Unit


class TokenReplica(Replica):
    """Gives calls to its engine; each leaves when its last token is generated.

    A call begins service when its sequence first gets a place in the batch; until then it may time out. Of a
    call in two legs (`sim.paas.handover`) it processes the prompt, and counts as loaded with it until the
    cache is gone; or it waits for the cache and generates.

    Attributes:
        pending: prompt tokens of the calls that wait for their first place.
        port: what caches of prompts come and go through, once one has.
    """

    __slots__ = (
        "_adapter",
        "_cache",
        "_caches",
        "_engine",
        "_evicted",
        "_live",
        "_note",
        "_patient",
        "_timer",
        "pending",
        "port",
    )

    _engine: Engine | StepwiseEngine

    def __init__(self, service: Service, unit: Unit) -> None:
        super().__init__(service, unit)
        self._live: dict[int, Sequence] = {}
        self._patient: deque[Sequence] = deque()
        self._note = service.ctx.recorder.table("sequences").add
        self._timer = 0
        self._cache: PrefixCache | None = None
        self._evicted = 0
        self._caches: dict[int, Cache] = {}
        self.pending = 0
        self.port: Port | None = None

    def settle(self) -> None:
        """Take note of the node it was bound to, and build the engine for it."""
        super().settle()
        policy, service, unit = self._service.engine, self._service, self.unit
        assert isinstance(policy, ContinuousBatch)
        self._adapter = policy.adapter if policy.adapters is not None else None
        self._engine = policy.build(
            service.model,
            service.precision,
            self._batch.device,
            unit.resources.accelerators,
            unit.id,
            service.ctx.recorder.table("iterations").add,
            service.ctx.recorder.table("adapters").add,
        )
        self._cache = self._engine.batch.cache if isinstance(self._engine, Engine) else None

    @property
    def kv_use(self) -> float:
        """Share of its cache's blocks in use, 0 to 1."""
        return self._engine.use(self._kernel.now)

    def cached(self, call: Call) -> int:
        """Tokens of a call's prompt that its prefix cache holds now, in the host's memory or nearer."""
        engine, content = self._engine, _content(call)
        if content is None or not isinstance(engine, Engine):
            return 0
        return engine.cached(content, call.tokens_in or 1, self._kernel.now)

    def offer(self, call: Call, now: float) -> None:
        """Let a call wait for a place in the batch, or refuse it."""
        engine = self._engine
        if len(engine.batch.waiting) >= self._limit:
            self._service.refuse(call, "queue-full", now)
            return
        cache: Cache | None = call.cache
        if cache is None:
            sequence = Sequence(call.id, now, call.tokens_in or 1, call.tokens_out or 1, call.priority, call)
        else:
            sequence = cache.leg(call, now)
        if self._adapter is not None:
            sequence.adapter = self._adapter(call)
        if self._cache is not None:
            sequence.content = _content(call)
        reason = engine.refusal(sequence)
        if reason:
            self._service.refuse(call, reason, now)
            return
        self.load += 1
        self.pending += sequence.prompt
        self._live[call.id] = sequence
        if self._timeout is not None:
            self._patient.append(sequence)
            if not self._expiring:
                self._expiring = True
                self._kernel.call_at(call.enter + self._timeout, self._expire)
        self.waiting = len(engine.batch.waiting) + 1
        if engine.offer(sequence, now):
            self._look_then()

    def feed(self, held: FifoLine[Call], now: float) -> None:
        """Take all the service held back: the engine has a line of its own."""
        while held and len(self._engine.batch.waiting) < self._limit:
            self.offer(held.pop(), now)

    def _look_then(self) -> None:
        """The engine's present stretch ends at another moment."""
        self._timer += 1
        self._kernel.call_at(self._engine.until, self._wake, self._timer)

    def _arm(self) -> None:
        """Wake at the end of the engine's present stretch."""
        self._timer += 1
        until = self._engine.until
        if until < inf:
            self._kernel.call_at(until, self._wake, self._timer)
        busy = int(until < inf)
        if not busy and self._device is not None:
            self._device.leave(self.unit.id)
        if busy != self.busy:
            change = busy - self.busy
            self.busy = busy
            self._show(self._kernel.now, change)

    def _paced(self, pace: float) -> None:
        """Others at work on its accelerator came or left."""
        if self._engine.rescale(pace, self._kernel.now):
            self._arm()

    def _wake(self, number: int) -> None:
        if number != self._timer:
            return
        now = self._kernel.now
        engine = self._engine
        shared = self._device
        if shared is not None and not self.busy:
            engine.rescale(1.0, now)
            shared.enter(self.unit.id, self._service.name, self._paced)
        done = engine.proceed(now)
        if engine.entering:
            self._enter(engine.entering, now)
        self.waiting = len(engine.batch.waiting)
        self._timer = number = number + 1
        until = engine.until
        if until < inf and self.busy:
            # As `_arm` does: most stretches follow another.
            self._kernel.call_at(until, self._wake, number)
        else:
            self._arm()
        if engine.fetching:
            self._fetch(engine.fetching)
        if done:
            self._leave(done, now)

    # ------------------------------------------------------------ caches come and go

    def _fetch(self, sequences: list[Sequence]) -> None:
        """There is room for the caches of these."""
        for sequence in sequences:
            sequence.owner.cache.fetch(self, partial(self._fetched, sequence))
        sequences.clear()

    def _fetched(self, sequence: Sequence) -> None:
        """The cache of a sequence is here."""
        call: Call = sequence.owner
        assert isinstance(self._engine, Engine)
        if self._live.get(call.id) is sequence:
            call.cache.release()
            if self._engine.arrived(sequence, self._kernel.now):
                self._look_then()

    def release(self, cache: Cache) -> None:
        """A cache that was made here is not needed here any more."""
        if self._caches.pop(cache.call.id, None) is not None and cache.sequence is not None:
            if self._engine.cancel(cache.sequence, self._kernel.now):
                self._look_then()
            self._gone()

    # ------------------------------------------------------------ calls begin and end

    def _enter(self, sequences: list[Sequence], now: float) -> None:
        """Sequences have their prompts processed; some for the first time."""
        batch, service = self._batch, self._service
        size, number = len(self._engine.batch.running), self.unit.id
        for sequence in sequences:
            call: Call = sequence.owner
            if call.start != call.start:
                call.start = now
                self.pending -= sequence.prompt
                call.replica = number
                call.batch = size
                batch.fill([call])
                service.began(batch)

    def _leave(self, done: list[Sequence], now: float) -> None:
        """Sequences have all their tokens."""
        service, live, note, number = self._service, self._live, self._note, self.unit.id
        cache = self._cache
        calls = []
        for sequence in done:
            call: Call = sequence.owner
            if live.pop(call.id, None) is None:
                # Cancelled while its last iteration was under way.
                continue
            calls.append(call)
            evicted = 0
            if cache is not None:
                evicted, self._evicted = cache.evicted - self._evicted, cache.evicted
            if call.cache is not None:
                if sequence.keeps:
                    call.cache.keep(self, sequence, evicted)
                    self._caches[call.id] = call.cache
                    self.load += 1
                else:
                    note(call.cache.row(sequence, number, evicted))
                continue
            note(
                (
                    call.id,
                    call.request.id,
                    service.name,
                    number,
                    sequence.prompt,
                    sequence.output,
                    call.enter,
                    sequence.first,
                    now,
                    sequence.preemptions,
                    sequence.cached,
                    sequence.loaded,
                    evicted,
                )
            )
        self.load -= len(calls)
        if service.held and self.state is ReplicaState.READY:
            self.feed(service.held, now)
        service.served(calls, now)
        if self.load == 0 and self.state is ReplicaState.DRAINING:
            service.replica_set.retire(self, "scaled-down")

    def _expire(self) -> None:
        """Let go of the calls that have waited too long for their first place in the batch."""
        self._expiring = False
        now = self._kernel.now
        timeout, patient, service = self._timeout, self._patient, self._service
        if timeout is None:
            return
        changed = False
        while patient:
            sequence = patient[0]
            call: Call = sequence.owner
            waits = call.start != call.start and call.id in self._live
            if waits and call.enter + timeout > now:
                if not self._expiring:
                    self._expiring = True
                    self._kernel.call_at(call.enter + timeout, self._expire)
                break
            patient.popleft()
            if waits:
                changed |= self._engine.cancel(sequence, now)
                self.pending -= sequence.prompt
                del self._live[call.id]
                self.load -= 1
                service.give_up(call, TIMEOUT, "timeout", now)
        if changed:
            self._arm()
        if self.load == 0 and self.state is ReplicaState.DRAINING:
            service.replica_set.retire(self, "scaled-down")

    def cancel(self, call: Call, now: float) -> bool:
        """Let go of a call that waits or is served here; whether it was here."""
        sequence = self._live.get(call.id)
        if sequence is None or sequence.owner is not call:
            return False
        del self._live[call.id]
        if call.start == call.start:
            self._service.broken(1)
        else:
            self.pending -= sequence.prompt
        if self._engine.cancel(sequence, now):
            self._arm()
        self.waiting = len(self._engine.batch.waiting)
        self._gone()
        return True

    def clear(self, now: float) -> list[Call]:
        """End all service at once; returns the calls that were here, those begun first."""
        calls = self.calls()
        self._service.broken(sum(call.start == call.start for call in calls))
        self._live.clear()
        self._timer += 1
        if self._device is not None:
            self._device.leave(self.unit.id)
        if self.busy:
            self.busy = 0
            self._show(now, -1)
        self.load = self.pending = 0
        caches, self._caches = self._caches, {}
        for cache in caches.values():
            cache.lost()
        return calls

    def calls(self) -> list[Call]:
        """The calls here, those begun first."""
        calls = [sequence.owner for sequence in self._live.values()]
        return sorted(calls, key=lambda call: call.start != call.start)


def _content(call: Call) -> Content | None:
    """What a call's prompt has in common with others, None for nothing."""
    content: Content | None = getattr(call.request, "content", None)
    return content
