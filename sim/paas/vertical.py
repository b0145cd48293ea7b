"""Vertical scaling of a service in a run: the VPA's recommender on CPU, and its updater if wanted.

A busy replica uses the cores that it was first given, an idle one none; a sample a minute and ready
replica is the mean over that minute, taken over the whole service. A request other than that changes how
replicas are packed onto nodes and what nodes that needs, never how fast they are: nothing is
throttled. Memory is not sampled, since nothing here uses memory over time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING, Literal

from sim.paas.autoscaling.vpa import Range, Usage, recommend, should_evict

if TYPE_CHECKING:
    from sim.paas.replica import Replica
    from sim.paas.service import Service

#: Seconds between two samples, recommendations and looks of the updater, as upstream.
PERIOD = 60.0
#: Share of the replicas that the updater leaves alone at a time.
STAYS = 0.5


@dataclass(frozen=True, slots=True)
class Vertical:
    """What is done with recommendations.

    Attributes:
        mode: "Off" only records them, "Initial" gives new replicas the target, "Recreate" also evicts
            replicas whose request is out of bounds.
        minimum: least cores recommended.
        maximum: most cores recommended.
    """

    mode: Literal["Off", "Initial", "Recreate"] = "Off"
    minimum: float = 0.0
    maximum: float = inf


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
        ready = list(replicas.ready)
        area = service.busy.area(now)
        busy, self._area = (area - self._area) / PERIOD, area
        if not ready:
            return
        share = min(1.0, busy / (len(ready) * service.engine.servers))
        for replica in ready:
            self._usage.add_cpu(share * self._cores, replica.unit.resources.cpu, now)
        wished = self._within(recommend(self._usage)[0])
        evicted = self._apply(ready, wished, now)
        request = replicas.demand.resources.cpu
        self._rows.add((now, service.name, self._rules.mode, share * self._cores, *wished, request, evicted))

    def _within(self, wished: Range) -> Range:
        low, high = self._rules.minimum, self._rules.maximum
        return Range(*(min(high, max(low, cores)) for cores in wished))

    def _apply(self, ready: list[Replica], wished: Range, now: float) -> int:
        """Give new replicas the target, and evict those that differ too much; how many that were."""
        if self._rules.mode == "Off":
            return 0
        replicas = self._service.replica_set
        replicas.request(wished.target)
        if self._rules.mode == "Initial":
            return 0
        able = len(ready) - ceil(STAYS * replicas.wanted)
        evicted = 0
        for replica in ready:
            unit = replica.unit
            if evicted < able and should_evict(unit.resources.cpu, wished, now - unit.ready):
                assert unit.on_drained is not None
                unit.on_drained(unit)
                evicted += 1
        return evicted
