"""A replica that hosts several models, of which not all fit into its accelerators' memory at a time.

A call names its model. If that is out, its weights are loaded, one model at a time, for which models that
do not work are evicted, the one not used for longest first (as Triton, Ollama and ServerlessLLM do).
Calls are looked at in the order they came:

- of a model that is in, as many as the engine takes begin as soon as a server is free;
- of a model that is out, the load begins as soon as there is room. Until then models with calls that came
  earlier are not evicted, and nothing that came later begins: models at work come to rest, and nobody
  starves. With `patience` calls of the models that are in go first for so long, which makes fewer
  loads and longer waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from sim.errors import StratusError
from sim.kernel.lines import FifoLine
from sim.paas.calls import Batch, Call
from sim.paas.lined import LinedReplica

if TYPE_CHECKING:
    from sim.paas.coldstart import Artifact
    from sim.paas.service import Service
    from sim.paas.units import Unit


@dataclass(frozen=True, slots=True)
class HostedModel:
    """One of the models that a service hosts.

    Attributes:
        weights: name and bytes of its weights, which lie in the object store if there is one.
        load: seconds from the node into the accelerator's memory.
        seconds: service time of a batch.
    """

    weights: Artifact
    load: float
    seconds: Callable[[Batch], float]


@dataclass(frozen=True, slots=True)
class Hosting:
    """What a service hosts.

    Attributes:
        models: by name.
        memory: bytes for their weights on a replica; None: all its accelerators have, or its share.
        patience: seconds for which calls of models that are in go first.
    """

    models: Mapping[str, HostedModel]
    memory: float | None = None
    patience: float = 0.0


class _Slot:
    """One model on one replica."""

    __slots__ = ("line", "loaded", "model", "name", "running", "used")

    def __init__(self, name: str, model: HostedModel) -> None:
        self.name = name
        self.model = model
        self.line: FifoLine[Call] = FifoLine()
        self.loaded = False
        self.running = 0
        self.used = -inf


class HostReplica(LinedReplica):
    """Serves calls of several models, and brings in those that are out."""

    __slots__ = ("_free", "_hosting", "_inside", "_loading", "_rows", "_slots", "_swaps", "_waits")

    def __init__(self, service: Service, unit: Unit) -> None:
        super().__init__(service, unit)
        assert service.hosting is not None
        self._hosting = service.hosting
        self._slots = {name: _Slot(name, model) for name, model in self._hosting.models.items()}
        #: Models with calls that wait (or did a moment ago), and those in memory.
        self._waits: dict[str, _Slot] = {}
        self._inside: dict[str, _Slot] = {}
        self._free = 0.0
        self._loading: _Slot | None = None
        self._rows = service.ctx.recorder.table("hosted")
        self._swaps = service.ctx.recorder.table("swaps")

    def settle(self) -> None:
        """Take note of the node it was bound to, and of the memory there."""
        super().settle()
        memory, device = self._hosting.memory, self._batch.device
        if memory is None:
            if device is None:
                raise StratusError("a service with `hosts` on a node without accelerator needs `memory`")
            memory = device.memory * self.unit.resources.accelerators
        self._free = memory
        largest = max(slot.model.weights[1] for slot in self._slots.values())
        if largest > memory:
            raise StratusError(f"a hosted model of {largest:g} bytes is larger than the memory, {memory:g}")

    def holds(self, model: str) -> bool:
        """Whether a model is in memory or on its way there."""
        slot = self._slots[model]
        return slot.loaded or slot is self._loading

    def lines(self) -> Iterable[FifoLine[Call]]:
        """One line a model."""
        return [slot.line for slot in self._slots.values()]

    def joins(self, call: Call, now: float) -> bool:
        """Let a call wait in the line of its model."""
        slot = self._slots[call.model]
        self._rows.add((call.id, self._service.name, self.unit.id, call.model, int(slot.loaded)))
        self.wait_in(slot.line, call, now, inf, inf)
        self._waits[slot.name] = slot
        return True

    # ------------------------------------------------------------ batches and loads begin

    def _fill(self, now: float) -> None:
        """Begin batches and a load, going through the calls in the order they came."""
        while self._step(now):
            pass

    def _step(self, now: float) -> bool:
        """Begin one batch or load; whether there may be another."""
        for slot in self._by_age():
            oldest = slot.line.peek().enter
            if slot.loaded:
                if self.busy == self._servers:
                    continue
                count = self._take(len(slot.line), oldest, now)
                if count:
                    self._serve(slot, count, now)
                    return True
                self._ask_again(self._look_again(oldest))
            elif slot is not self._loading:
                patient = now < oldest + self._hosting.patience
                if self._loading is None and self._makes_room(slot, patient, now):
                    return True
                if not patient:
                    return False
                self._ask_again(oldest + self._hosting.patience)
        return False

    def _by_age(self) -> list[_Slot]:
        """Models with calls that wait, the one whose call came first first."""
        waits = self._waits
        for name in [name for name, slot in waits.items() if not slot.line]:
            del waits[name]
        return sorted(waits.values(), key=_age) if len(waits) > 1 else list(waits.values())

    def _serve(self, slot: _Slot, count: int, now: float) -> None:
        calls = list(islice(slot.line, count))
        self.taken(calls)
        slot.running += 1
        slot.used = now
        self._seconds = slot.model.seconds
        self._begin(calls, now)

    def _finish(self, key: int) -> None:
        calls = self._running.get(key)
        if calls is not None:
            slot = self._slots[calls[0].model]
            slot.running -= 1
            slot.used = self._kernel.now
        super()._finish(key)

    def _makes_room(self, slot: _Slot, patient: bool, now: float) -> bool:
        """Begin to load a model if models at rest can make room; whether it began."""
        age, size, free, leaving = _age(slot), slot.model.weights[1], self._free, []
        rest = [each for each in self._inside.values() if not each.running]
        rest.sort(key=lambda each: each.used)
        for each in rest:
            if free >= size:
                break
            if each.line and (patient or _age(each) < age):
                continue
            leaving.append(each)
            free += each.model.weights[1]
        if free < size:
            return False
        for each in leaving:
            each.loaded = False
            del self._inside[each.name]
        self._free = free - size
        self._loading = slot
        evicted = " ".join(each.name for each in leaving)
        store, node = self._service.store, self.unit.node
        if store is None or node is None:
            self._fetched(slot, now, evicted)
        else:
            store.fetch(node, *slot.model.weights, self._fetched, slot, now, evicted)
        return True

    def _fetched(self, slot: _Slot, began: float, evicted: str) -> None:
        """The weights are on the node."""
        if self._loading is slot:
            self._kernel.call_in(slot.model.load, self._loaded, slot, began, evicted)

    def _loaded(self, slot: _Slot, began: float, evicted: str) -> None:
        """The weights are in memory."""
        if self._loading is not slot:
            return
        now = self._kernel.now
        self._loading = None
        slot.loaded = True
        self._inside[slot.name] = slot
        slot.used = now
        self._swaps.add((began, self._service.name, self.unit.id, slot.name, evicted, now - began))
        if self.waiting:
            self._refill(now)

    def clear(self, now: float) -> list[Call]:
        """End all service and loading at once; returns the calls that were here, in service first."""
        self._loading = None
        for slot in self._slots.values():
            slot.running = 0
        return super().clear(now)


def _age(slot: _Slot) -> tuple[float, int]:
    """When the longest-waiting call of a model came; its number tells equals apart."""
    call = slot.line.peek()
    return call.enter, call.id
