"""Vertical scaling of a service in a run: the VPA's recommender on CPU and memory, and its updater if wanted.

A busy replica uses the cores that it was first given, an idle one none; a sample a minute and ready
replica is the mean over that minute, taken over the whole service. A request other than that changes how
replicas are packed onto nodes and what nodes that needs, never how fast they are: nothing is
throttled. What a replica uses of its memory is a base and so much for each call in it, looked at once a
minute; one that has more than it asked for, if it asked for any, is killed then, its calls fail, and
another takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, nan
from typing import TYPE_CHECKING, Literal

from sim.paas.autoscaling.vpa import Range, Usage, recommend, should_evict

if TYPE_CHECKING:
    from sim.paas.replica import Replica
    from sim.paas.service import Service

#: Seconds between two samples, recommendations and looks of the updater, as upstream.
PERIOD = 60.0
#: Share of the replicas that the updater leaves alone at a time.
STAYS = 0.5

_NO_MEMORY = (nan, nan, nan, nan, nan)


@dataclass(frozen=True, slots=True)
class Memory:
    """What replicas use of their memory, and the bounds of what is recommended (bytes).

    Attributes:
        base: of a replica without calls.
        per_call: of each call that waits or is served in it.
        minimum: least recommended.
        maximum: most recommended.
    """

    base: float
    per_call: float = 0.0
    minimum: float = 0.0
    maximum: float = inf


@dataclass(frozen=True, slots=True)
class Vertical:
    """What is done with recommendations.

    Attributes:
        mode: "Off" only records them, "Initial" gives new replicas the target, "Recreate" also evicts
            replicas whose request is out of bounds.
        minimum: least cores recommended.
        maximum: most cores recommended.
        memory: what replicas use of it; None: nobody looks at memory.
    """

    mode: Literal["Off", "Initial", "Recreate"] = "Off"
    minimum: float = 0.0
    maximum: float = inf
    memory: Memory | None = None


class VerticalLoop:
    """Samples, recommends, and applies what it may.

    Args:
        service: it looks at.
        rules: what is done.
    """

    def __init__(self, service: Service, rules: Vertical) -> None:
        self._service = service
        self._rules = rules
        self._kernel = service.ctx.kernel
        self._rows = service.ctx.recorder.table("vertical")
        self._usage = Usage()
        self._cores = service.replica_set.demand.resources.cpu
        self._area = 0.0

    def start(self) -> None:
        """Begin to look."""
        self._kernel.call_in(PERIOD, self._look)

    def _look(self) -> None:
        service, now = self._service, self._kernel.now
        self._kernel.call_in(PERIOD, self._look)
        replicas = service.replica_set
        area = service.busy.area(now)
        busy, self._area = (area - self._area) / PERIOD, area
        if not replicas.ready:
            return
        share = min(1.0, busy / (len(replicas.ready) * service.engine.servers))
        for replica in replicas.ready:
            self._usage.add_cpu(share * self._cores, replica.unit.resources.cpu, now)
        used, dying = self._remember(list(replicas.ready), now)
        cpu, memory = recommend(self._usage)
        rules = self._rules
        cpu = _within(cpu, rules.minimum, rules.maximum)
        if rules.memory is not None:
            memory = _within(memory, rules.memory.minimum, rules.memory.maximum)
        if rules.mode != "Off":
            bytes_ = replicas.demand.resources.memory if rules.memory is None else memory.target
            replicas.request(cpu.target, bytes_)
        for replica in dying:
            replicas.kill(replica, "out-of-memory")
        evicted = self._evict(cpu, memory, now) if rules.mode == "Recreate" else 0
        asked = replicas.demand.resources
        figures = _NO_MEMORY if rules.memory is None else (used, *memory, asked.memory)
        row = (now, service.name, rules.mode, share * self._cores, *cpu, asked.cpu, evicted)
        self._rows.add((*row, *figures, len(dying)))

    def _remember(self, ready: list[Replica], now: float) -> tuple[float, list[Replica]]:
        """Sample the memory: the largest use of a replica, and those that have more than they asked for."""
        memory = self._rules.memory
        if memory is None:
            return nan, []
        most, dying = 0.0, []
        for replica in ready:
            asked = replica.unit.resources.memory
            used = memory.base + memory.per_call * replica.load
            most = max(most, used)
            if 0.0 < asked < used:
                # Nobody sees more than the limit, at which it is killed.
                self._usage.add_memory(asked, now)
                self._usage.add_oom(asked, now)
                dying.append(replica)
            else:
                self._usage.add_memory(used, now)
        return most, dying

    def _evict(self, cpu: Range, memory: Range, now: float) -> int:
        """Evict those that differ too much; how many that were."""
        replicas = self._service.replica_set
        ready = list(replicas.ready)
        able = len(ready) - ceil(STAYS * replicas.wanted)
        evicted = 0
        for replica in ready:
            unit = replica.unit
            age = now - unit.ready
            wrong = should_evict(unit.resources.cpu, cpu, age)
            if self._rules.memory is not None:
                wrong = wrong or should_evict(unit.resources.memory, memory, age)
            if wrong and evicted < able and replicas.lets_go(unit):
                assert unit.on_drained is not None
                unit.on_drained(unit)
                evicted += 1
        return evicted


def _within(wished: Range, low: float, high: float) -> Range:
    return Range(*(min(high, max(low, amount)) for amount in wished))
