"""A service: calls come in, a router gives them to replicas, and each leaves exactly once.

Calls that come while no replica is ready wait in the service's own line; so do calls that come
behind them. Whichever replica has a free server takes from that line first, and once it is empty
the router decides again. A call that finds no replica wanted at all wakes the service: one replica
(or the minimum) is asked for at once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import TYPE_CHECKING

from sim import registry
from sim.catalog import Device, Model
from sim.catalog import device as catalog_device
from sim.errors import StratusError
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.lines import FifoLine
from sim.paas.autoscaling.disruption import DisruptionBudget
from sim.paas.calls import Batch, Call
from sim.paas.coldstart import Artifact, Startup
from sim.paas.gauge import Gauge
from sim.paas.pace import EnginePace
from sim.paas.policies.autoscalers.base import NO_OUTLOOK
from sim.paas.policies.continuous import ContinuousBatch
from sim.paas.replica import Replica
from sim.paas.replicaset import Demand, ReplicaBounds, ReplicaSet
from sim.paas.rules import NO_RULES, Rules
from sim.paas.scaling import ScalingLoop
from sim.paas.scrape import Scrape
from sim.paas.vertical import Vertical, VerticalLoop
from sim.registry import fresh
from sim.tables import CANCELLED, COMPLETED, FAILED, IN_FLIGHT, REJECTED, TIMEOUT

if TYPE_CHECKING:
    from sim.iaas.storage import ObjectStore
    from sim.paas.handover import Handover
    from sim.paas.hosting import Hosting
    from sim.paas.policies.admission import Admission
    from sim.paas.policies.autoscalers.base import Autoscaler
    from sim.paas.policies.engines import Engine
    from sim.paas.policies.forecasters.base import Floats
    from sim.paas.policies.routers import Router
    from sim.paas.policies.times import TimeModel
    from sim.paas.sharing import Sharing
from sim.paas.scheduler import Scheduler


class Service:
    """One model served at one site by a number of replicas.

    Args:
        ctx: clock, randomness, records.
        name: of the service.
        site: where its replicas run.
        scheduler: gives replicas their nodes.
        time: how long a batch takes; None: what follows from the engine, if that is a language model's.
        engine: how calls become batches.
        router: which replica gets a call.
        admission: which calls are let in; None: all that the queues take.
        bounds: number of replicas, at first and allowed.
        resources: what a replica reserves on its node.
        store: where images and weights come from; None: they are on every node.
        pools: node pools ("site/pool") its replicas may run in; None for any of the site.
        device: accelerator its replicas need; None for any.
        accelerator_memory: bytes it needs on one accelerator.
        rules: what its replicas say about labels, taints and other units.
        priority: of its replicas with the scheduler.
        model: what it serves, for time models that ask.
        precision: of the arithmetic, likewise.
        queue: calls that may wait per replica; None for any number.
        timeout: longest wait for service (s); None for any.
        image: name and bytes of the container image.
        weights: name and bytes of the model's weights.
        load_rate: bytes/s from node to accelerator.
        warmup: seconds from loaded to ready.
        drain_timeout: seconds a replica that is to go may finish its calls; None for as long as it takes.
        autoscaler: decides the number of replicas; None keeps the initial one.
        period: seconds between its looks; None for its own.
        scrape: how its view is measured; None: it sees the present state.
        planned_lead: seconds from asking for a replica to its first call, as long as none was measured;
            None: loading and warm-up alone.
        vertical: what is done about the cores its replicas ask for; None: nothing.
        disruption: how many replicas a node autoscaler may take off at a time; None: any.
        arrivals: calls per second that will come, by bins of a width in seconds, for the oracle.
        hosting: models that share each replica, which the calls name; None: one model.
        sharing: what it means that replicas have shares of one accelerator; None: nothing.
        warm: whether the initial replicas that find a place at once are ready at once.

    Attributes:
        submitted: calls that came so far.
        completed: calls served so far.
        rejected: calls turned away so far.
        timeouts: calls that waited too long so far.
        failed: calls lost with their replica so far.
        cancelled: calls that nobody waited for any more, let go of so far.
        serving: calls in service.
        held: calls that wait for a replica to become ready.
        busy: batches in service.
        inside: calls in the service.
        replica_set: its replicas.
        handover: to the service that generates, if this one only processes prompts; set before the run.
    """

    def __init__(
        self,
        ctx: Context,
        name: str,
        site: str,
        *,
        scheduler: Scheduler,
        time: TimeModel | None = None,
        engine: Engine,
        router: Router,
        admission: Admission | None = None,
        bounds: ReplicaBounds,
        resources: Resources,
        store: ObjectStore | None = None,
        pools: frozenset[str] | None = None,
        device: str | None = None,
        accelerator_memory: float = 0.0,
        rules: Rules = NO_RULES,
        priority: float = 0.0,
        model: Model | None = None,
        precision: str = "fp16",
        queue: int | None = None,
        timeout: float | None = None,
        image: Artifact | None = None,
        weights: Artifact | None = None,
        load_rate: float | None = None,
        warmup: float = 0.0,
        drain_timeout: float | None = None,
        autoscaler: Autoscaler | None = None,
        period: float | None = None,
        scrape: Scrape | None = None,
        planned_lead: float | None = None,
        arrivals: Callable[[float], Floats] | None = None,
        vertical: Vertical | None = None,
        disruption: DisruptionBudget | None = None,
        warm: bool = True,
        sharing: Sharing | None = None,
        hosting: Hosting | None = None,
    ) -> None:
        self.ctx = ctx
        self.name = name
        self.site = site
        self.model = model
        self.precision = precision
        self.queue = queue
        self.timeout = timeout
        self.bounds = bounds
        self.sharing = sharing
        self.hosting = hosting
        self.store = store
        self.engine = fresh(engine)
        self.time: TimeModel
        if time is not None:
            self.time = fresh(time)
        elif isinstance(self.engine, ContinuousBatch):
            self.time = EnginePace(self.engine, resources.accelerators)
        else:
            raise ValueError(f"service {name}: its engine needs a time model")
        self.router = fresh(router)
        registry.start(self.time, model, precision)
        registry.start(self.router, ctx.streams, name)
        if isinstance(self.engine, ContinuousBatch):
            self.engine.belong(ctx.streams, name)
        self._pick = self.router.pick
        self.admission = fresh(admission)
        registry.start(self.admission)
        #: Whether a call that nobody waits for leaves while it is "waiting", even "running", or "never".
        self.cancels: str = getattr(engine, "cancels", "never")
        now, recorder = ctx.kernel.now, ctx.recorder
        self.inside = Gauge(recorder.series(f"paas/{name}/in_system"), now)
        self.busy = Gauge(recorder.series(f"paas/{name}/busy"), now)
        self.held: FifoLine[Call] = FifoLine()
        self.submitted = self.completed = self.rejected = self.timeouts = self.failed = self.cancelled = 0
        self.serving = 0
        self.handover: Handover | None = None
        self._kernel = ctx.kernel
        self._rows = recorder.table("calls")
        self._scaling_rows = recorder.table("scaling")
        self._expiring = False
        self._planned_on = catalog_device(device) if device is not None else None
        self._cluster = scheduler.cluster
        self._elastic = scheduler.pools
        self._pools = pools
        self._scanned = 0
        self._plan = Batch()
        self._seen = Batch(0)
        self.replica_set = ReplicaSet(
            self,
            scheduler=scheduler,
            store=store,
            bounds=bounds,
            demand=Demand(resources, site, pools, device, accelerator_memory, priority, rules),
            startup=Startup(image, weights, load_rate, warmup),
            drain_timeout=drain_timeout,
            planned_lead=planned_lead,
            warm=warm,
            disruption=disruption,
        )
        self._ready = self.replica_set.ready
        self.scaling = (
            None if autoscaler is None else ScalingLoop(self, fresh(autoscaler), period, scrape, arrivals)
        )
        self.vertical = None if vertical is None else VerticalLoop(self, vertical)
        self._wakes = bool(getattr(autoscaler, "wakes", True))

    def start(self) -> None:
        """Ask for the initial replicas and begin to scale; called once, when the run begins."""
        self.replica_set.begin()
        if self.scaling is not None:
            self.scaling.start()
        if self.vertical is not None:
            self.vertical.start()

    # ------------------------------------------------------------ what others see

    @property
    def in_system(self) -> int:
        """Calls that wait or are served."""
        return self.inside.value

    @property
    def queued(self) -> int:
        """Calls that wait."""
        return self.inside.value - self.serving

    @property
    def ready(self) -> int:
        """Replicas that take calls."""
        return len(self._ready)

    @property
    def replicas(self) -> list[Replica]:
        """All replicas, whatever their state, in order of their unit's number."""
        return self.replica_set.replicas

    def expected_seconds(
        self, work: float = 1.0, tokens_in: float | None = None, tokens_out: float | None = None
    ) -> float:
        """Service time of a call alone in its batch (s); tokens not given are the mean seen so far."""
        return self._planned(1, work, tokens_in, tokens_out)

    def capacity(self) -> float:
        """Calls per second of one replica with all its batches full, of calls like those seen so far."""
        size = self.engine.largest
        mean = self._seen.work / self._seen.count if self._seen.count else 1.0
        seconds = self._planned(size, size * mean, None, None)
        return self.engine.servers * size / seconds if seconds > 0 else inf

    def expected_wait(self) -> float:
        """Estimate of the wait of a call that comes now (s), from one look at the backlog.

        With a free server: the time a batch may be gathered. Else the calls ahead, and this one, at
        the pace of the ready replicas with full batches; exact on average for one line and
        exponential times. Without a ready replica the lead time comes first.
        """
        ready = len(self._ready)
        waiting = self.inside.value - self.serving
        if ready and not waiting and self.busy.value < self.replica_set.servers.value:
            return self.engine.gathering
        pace = self.capacity() * max(1, ready or self.replica_set.wanted)
        wait = (waiting + 1) / pace
        return wait if ready else wait + self.replica_set.lead_time

    def _planned(self, count: int, work: float, tokens_in: float | None, tokens_out: float | None) -> float:
        seen, plan = self._seen, self._plan
        served = max(1, seen.count)
        tokens_in = seen.tokens_in / served if tokens_in is None else tokens_in
        tokens_out = seen.tokens_out / served if tokens_out is None else tokens_out
        plan.count = count
        plan.work = work
        plan.tokens_in = round(count * tokens_in)
        plan.tokens_out = round(count * tokens_out)
        plan.longest_out = round(tokens_out)
        plan.device = self._planned_on or self._likely_device()
        return self.time.seconds(plan)

    def _likely_device(self) -> Device | None:
        """The device of the first node it may run on that has one, else of a pool that may get such nodes."""
        nodes = self._cluster.nodes
        while self._planned_on is None and self._scanned < len(nodes):
            node = nodes[self._scanned]
            self._scanned += 1
            if self._may_use(node.site, node.pool):
                self._planned_on = node.type.device
        if self._planned_on is None:
            types = (pool.node_type for pool in self._elastic if self._may_use(pool.site, pool.path))
            return next((kind.device for kind in types if kind.device is not None), None)
        return self._planned_on

    def _may_use(self, site: str, pool: str) -> bool:
        return site == self.site and (self._pools is None or pool in self._pools)

    # ------------------------------------------------------------ calls come

    def submit(self, call: Call) -> None:
        """Take a call; `call.on_done` is called once when it has left, perhaps before this returns."""
        if self.handover is None:
            self.take(call)
        else:
            self.handover.submit(call)

    def take(self, call: Call) -> None:
        """Take a call that is served here and nowhere else."""
        now = self._kernel.now
        call.service = self.name
        call.enter = now
        self.submitted += 1
        reason = "" if self.admission is None else self.admission.admit(call, self, now)
        self.inside.change(now, 1)
        if reason:
            self.refuse(call, reason, now)
            return
        ready = self._ready
        if ready and not self.held:
            self._pick(call, ready, now).offer(call, now)
        else:
            self._hold(call, now)

    def _hold(self, call: Call, now: float) -> None:
        """Keep a call until a replica can take it."""
        if self.bounds.maximum == 0:
            self.refuse(call, "no-replicas", now)
            return
        if self.replica_set.wanted == 0 and self._wakes:
            self._wake(now)
        if self.queue is not None and len(self.held) >= self.queue * max(1, self.replica_set.wanted):
            self.refuse(call, "queue-full", now)
            return
        call.entry = self.held.push(call)
        if self.timeout is not None and not self._expiring:
            self._expiring = True
            self._kernel.call_at(call.enter + self.timeout, self._expire)

    def _wake(self, now: float) -> None:
        """From zero: ask for the first replica without waiting for the autoscaler's next look."""
        count = max(1, self.bounds.minimum)
        self._scaling_rows.add(
            (now, self.name, "activation", 1.0, nan, 0, count, count, count, 0, "call-at-zero", *NO_OUTLOOK)
        )
        self.replica_set.scale(count)

    def came_up(self, replica: Replica) -> None:
        """A replica takes calls now."""
        node = replica.unit.node
        if node is not None and node.type.device is not None:
            self._planned_on = node.type.device
        if self.held:
            replica.feed(self.held, self._kernel.now)

    # ------------------------------------------------------------ calls are served, or not

    def began(self, batch: Batch) -> None:
        """A batch goes into service."""
        seen = self._seen
        self.serving += batch.count
        seen.count += batch.count
        seen.work += batch.work
        seen.tokens_in += batch.tokens_in
        seen.tokens_out += batch.tokens_out

    def served(self, calls: list[Call], now: float) -> None:
        """A batch has been served."""
        count = len(calls)
        self.serving -= count
        self.completed += count
        self.inside.change(now, -count)
        for call in calls:
            call.finish = now
            call.status = COMPLETED
            self._write(call)
            call.on_done(call)

    def broken(self, count: int) -> None:
        """Calls in service were cut off; `give_up` follows for each."""
        self.serving -= count

    def refuse(self, call: Call, reason: str, now: float) -> None:
        """Turn a call away at the door."""
        self.rejected += 1
        self._leave(call, REJECTED, reason, now)

    def give_up(self, call: Call, status: str, reason: str, now: float) -> None:
        """A call that was let in leaves without its result."""
        if status == TIMEOUT:
            self.timeouts += 1
        elif status == FAILED:
            self.failed += 1
        else:
            raise StratusError(f"a call cannot be given up as {status!r}")
        self._leave(call, status, reason, now)

    def cancel(self, call: Call, reason: str) -> bool:
        """Nobody waits for a call any more; whether it leaves, which depends on the engine."""
        if self.cancels == "never" or call.status != IN_FLIGHT:
            return False
        return self.let_go(call, reason) if self.handover is None else self.handover.cancel(call, reason)

    def let_go(self, call: Call, reason: str, status: str = CANCELLED) -> bool:
        """Let a call leave that is served here, if it is still here and can be stopped; whether it did."""
        now = self._kernel.now
        if self.held.holds(call.entry):
            self.held.cancel(call.entry)
        elif not any(replica.cancel(call, now) for replica in self.replicas):
            return False
        if status == CANCELLED:
            self.cancelled += 1
            self._leave(call, CANCELLED, reason, now)
        else:
            self.give_up(call, status, reason, now)
        return True

    def _leave(self, call: Call, status: str, reason: str, now: float) -> None:
        self.inside.change(now, -1)
        call.finish = now
        call.status = status
        call.reason = reason
        self._write(call)
        call.on_done(call)

    def _expire(self) -> None:
        """Let go of held calls that have waited too long; they are at the front."""
        self._expiring = False
        timeout = self.timeout
        if timeout is None:
            return
        now = self._kernel.now
        held = self.held
        while held:
            call = held.peek()
            if call.enter + timeout > now:
                if not self._expiring:
                    self._expiring = True
                    self._kernel.call_at(call.enter + timeout, self._expire)
                break
            held.pop()
            self.give_up(call, TIMEOUT, "timeout", now)

    def _write(self, call: Call) -> None:
        self._rows.add(
            (
                call.id,
                call.request.id,
                self.name,
                call.replica,
                call.enter,
                call.start,
                call.finish,
                call.batch,
                call.status,
                call.reason,
            )
        )

    def close(self) -> None:
        """Write the rows of what is still there; called once, when the run has ended."""
        waiting = list(self.held)
        for replica in self.replicas:
            waiting += replica.calls()
        for call in sorted(waiting, key=lambda call: call.id):
            self._write(call)
        self.replica_set.close()
        if self.scaling is not None:
            self.scaling.stop()
