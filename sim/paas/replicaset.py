"""The replicas of a service: asked for, placed, started, drained, lost and asked for again."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sim.errors import StratusError
from sim.iaas.resources import Resources
from sim.paas.autoscaling.disruption import DisruptionBudget
from sim.paas.coldstart import ColdStart, Startup
from sim.paas.gauge import Gauge
from sim.paas.hosting import HostReplica
from sim.paas.levels import LevelReplica
from sim.paas.policies.continuous import ContinuousBatch
from sim.paas.policies.engines import DynamicBatch
from sim.paas.replica import Replica, ReplicaState
from sim.paas.rules import NO_RULES, Rules
from sim.paas.tokens import TokenReplica
from sim.paas.units import Group, Unit
from sim.tables import FAILED

if TYPE_CHECKING:
    from sim.iaas.storage import ObjectStore
    from sim.paas.scheduler import Scheduler
    from sim.paas.service import Service


@dataclass(frozen=True, slots=True)
class ReplicaBounds:
    """How many replicas there are at first, and may be."""

    initial: int
    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= self.initial <= self.maximum:
            raise StratusError(f"replicas: need 0 <= minimum <= initial <= maximum, got {self}")


@dataclass(frozen=True, slots=True)
class Demand:
    """What a replica asks of its node; see `sim.paas.units.Unit`."""

    resources: Resources
    site: str | None = None
    pools: frozenset[str] | None = None
    device: str | None = None
    accelerator_memory: float = 0.0
    priority: float = 0.0
    rules: Rules = NO_RULES


def _kind(service: Service) -> type[Replica]:
    """The kind of replica that a service needs."""
    engine = service.engine
    if service.hosting is not None:
        return HostReplica
    if isinstance(engine, ContinuousBatch):
        return TokenReplica
    return LevelReplica if isinstance(engine, DynamicBatch) and engine.levelled else Replica


class ReplicaSet:
    """Keeps as many replicas as are wanted.

    Whoever goes first when there are too many follows Kubernetes' ReplicaSet: replicas without a
    node, then those still starting, then the ready ones, each time the newest first. A ready one
    is drained: it gets no more calls and leaves when it has finished those it has, or after the
    drain time-out, which fails them. A replica whose node is lost fails its calls and is asked for
    anew. Draining replicas count neither as wanted nor as ready, but their servers do count as
    servers until they leave.

    Attributes:
        wanted: replicas asked for.
        ready: replicas that take calls, in order of their unit's number.
        servers: batches that can be in service at the same time.
        demand: what a new replica asks of its node.
        cold_starts: replicas that became ready after a cold start.
    """

    def __init__(
        self,
        service: Service,
        *,
        scheduler: Scheduler,
        store: ObjectStore | None,
        bounds: ReplicaBounds,
        demand: Demand,
        startup: Startup,
        drain_timeout: float | None,
        planned_lead: float | None,
        warm: bool,
        disruption: DisruptionBudget | None = None,
    ) -> None:
        recorder, now = service.ctx.recorder, service.ctx.kernel.now
        self._service = service
        self._kernel = service.ctx.kernel
        self._scheduler = scheduler
        self._store = store
        self._bounds = bounds
        self.demand = demand
        self._startup = startup
        self._drain_timeout = drain_timeout
        self._planned_lead = startup.shortest if planned_lead is None else planned_lead
        self._warm = warm
        self._disruption = disruption
        self._rows = recorder.table("units")
        self._replicas: dict[int, Replica] = {}
        self._warming: set[int] = set()
        self._lead = 0.0
        self._wanted_series = recorder.series(f"paas/{service.name}/wanted")
        self._ready_series = recorder.series(f"paas/{service.name}/ready")
        self.servers = Gauge(recorder.series(f"paas/{service.name}/servers"), now)
        self.wanted = 0
        self.ready: list[Replica] = []
        self.cold_starts = 0

    @property
    def replicas(self) -> list[Replica]:
        """All that are not gone, in order of their unit's number."""
        return list(self._replicas.values())

    @property
    def starting(self) -> int:
        """Replicas wanted that do not take calls yet."""
        return self.wanted - len(self.ready)

    @property
    def lead_time(self) -> float:
        """Seconds from asking for a replica to its first call: the mean so far, else as planned."""
        if self.cold_starts:
            return self._lead / self.cold_starts
        return self._planned_lead

    def begin(self) -> None:
        """Ask for the initial replicas. Those placed at once are warm, if the service is."""
        self.scale(self._bounds.initial)
        if self._warm:
            self._warming.update(self._replicas)

    # ------------------------------------------------------------ how many

    def scale(self, count: int) -> None:
        """Want this many from now on; the bounds are the caller's business."""
        change = count - self.wanted
        self.wanted = count
        self._wanted_series.set(count)
        for _ in range(change):
            self._add()
        if change < 0:
            for replica in self._leavers()[:-change]:
                self._remove(replica)

    def request(self, cores: float, memory: float) -> None:
        """Let new replicas ask for so many cores and bytes."""
        wished = self.demand.resources._replace(cpu=cores, memory=memory)
        if wished != self.demand.resources:
            self.demand = replace(self.demand, resources=wished)

    # ------------------------------------------------------------ who may be taken off

    def allowed(self) -> int:
        """Ready replicas that the disruption budget lets go now."""
        if self._disruption is None:
            return len(self.ready)
        return self._disruption.allowed(len(self.ready), self.wanted)

    def lets_go(self, unit: Unit) -> bool:
        """Whether this one may be evicted: one that is not ready may unless too few others are."""
        state = self._replicas[unit.id].state
        if self._disruption is None or state is ReplicaState.DRAINING:
            return True
        if state is ReplicaState.READY:
            return self.allowed() > 0
        return len(self.ready) >= self._disruption.desired(self.wanted)

    def _leavers(self) -> list[Replica]:
        """Those that could go, who goes first first."""
        live = [replica for replica in self._replicas.values() if replica.state < ReplicaState.DRAINING]
        newest = reversed(live)
        return sorted(
            newest,
            key=lambda r: (r.state, -r.unit.ready if r.state is ReplicaState.READY else 0.0),
        )

    def _add(self) -> None:
        demand = self.demand
        unit = Unit(
            "replica",
            self._service.name,
            demand.resources,
            site=demand.site,
            pools=demand.pools,
            device=demand.device,
            accelerator_memory=demand.accelerator_memory,
            rules=demand.rules,
            artifacts=self._startup.artifacts,
            priority=demand.priority,
            on_bound=self._bound,
            on_evicted=self._evicted,
            on_drained=self._move,
            guard=None if self._disruption is None else self,
        )
        self._scheduler.submit(Group([unit], priority=demand.priority))
        kind = _kind(self._service)
        self._replicas[unit.id] = kind(self._service, unit)

    def _remove(self, replica: Replica) -> None:
        if replica.state is ReplicaState.READY:
            self.ready.remove(replica)
            self._ready_series.set(len(self.ready))
            if replica.load > 0:
                replica.state = ReplicaState.DRAINING
                if self._drain_timeout is not None:
                    self._kernel.call_in(self._drain_timeout, self._cut, replica)
                return
        self.retire(replica, "scaled-down")

    def _move(self, unit: Unit) -> None:
        """Its node is to go: it finishes its calls, while another one starts in its stead."""
        replica = self._replicas[unit.id]
        if replica.state is not ReplicaState.DRAINING:
            self._remove(replica)
            self._add()

    def kill(self, replica: Replica, reason: str) -> None:
        """A ready replica dies: its calls fail, and another one is asked for."""
        now = self._kernel.now
        self.ready.remove(replica)
        self._ready_series.set(len(self.ready))
        calls = replica.clear(now)
        self.retire(replica, reason)
        self._add()
        for call in calls:
            self._service.give_up(call, FAILED, reason, now)

    def _cut(self, replica: Replica) -> None:
        """The drain time-out is over."""
        if replica.state is ReplicaState.DRAINING:
            now = self._kernel.now
            calls = replica.clear(now)
            self.retire(replica, "drain-timeout")
            for call in calls:
                self._service.give_up(call, FAILED, "drain-timeout", now)

    # ------------------------------------------------------------ the life of one

    def _bound(self, unit: Unit) -> None:
        replica = self._replicas[unit.id]
        replica.state = ReplicaState.STARTING
        replica.settle()
        if unit.id in self._warming and unit.bound == unit.submitted:
            self._start_warm(replica)
            return
        replica.start = ColdStart(
            self._kernel, self._store, self._startup, unit, lambda: self._started(replica)
        )

    def _start_warm(self, replica: Replica) -> None:
        """The run begins with a platform in operation: image and weights are there already."""
        unit = replica.unit
        assert unit.node is not None
        for artifact in (self._startup.image, self._startup.weights):
            if artifact is not None and self._store is not None:
                unit.node.artifacts.setdefault(*artifact)
        unit.pulled = unit.loaded = unit.ready = self._kernel.now
        self._takes_calls(replica)

    def _started(self, replica: Replica) -> None:
        replica.start = None
        self.cold_starts += 1
        self._lead += replica.unit.ready - replica.unit.submitted
        self._takes_calls(replica)

    def _takes_calls(self, replica: Replica) -> None:
        replica.state = ReplicaState.READY
        insort(self.ready, replica, key=lambda other: other.unit.id)
        self._ready_series.set(len(self.ready))
        self.servers.change(self._kernel.now, self._service.engine.servers)
        self._service.came_up(replica)

    def retire(self, replica: Replica, reason: str) -> None:
        """A replica without calls leaves its node, or the queue of the scheduler."""
        unit = replica.unit
        group = unit.group
        self._end(replica, reason)
        if unit.node is not None:
            self._scheduler.done(unit)
        elif group is not None:
            self._scheduler.withdraw(group)

    def _evicted(self, unit: Unit, reason: str = "") -> None:
        """The node is gone, and what was on it."""
        replica = self._replicas[unit.id]
        now = self._kernel.now
        again = replica.state is not ReplicaState.DRAINING
        if replica.state is ReplicaState.READY:
            self.ready.remove(replica)
            self._ready_series.set(len(self.ready))
        calls = replica.clear(now)
        self._end(replica, reason or "node-failed")
        if again:
            self._add()
        for call in calls:
            self._service.give_up(call, FAILED, "node-failed", now)

    def _end(self, replica: Replica, reason: str) -> None:
        now = self._kernel.now
        if replica.start is not None:
            replica.start.cancel()
            replica.start = None
        if replica.busy:
            # Without calls: an engine is in the midst of an iteration of calls that were cancelled.
            replica.clear(now)
        if replica.state >= ReplicaState.READY:
            self.servers.change(now, -self._service.engine.servers)
        replica.state = ReplicaState.GONE
        replica.unit.ended = now
        del self._replicas[replica.unit.id]
        self._write(replica, reason)

    def _write(self, replica: Replica, reason: str) -> None:
        unit = replica.unit
        self._rows.add(
            (
                unit.id,
                unit.kind,
                unit.owner,
                replica.node_name,
                unit.submitted,
                unit.bound,
                unit.pulled,
                unit.loaded,
                unit.ready,
                unit.ended,
                reason,
                *unit.resources,
            )
        )

    def close(self) -> None:
        """Write the rows of the replicas that are still there."""
        for replica in self._replicas.values():
            self._write(replica, "")
