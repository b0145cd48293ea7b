"""From a scenario to a platform ready to run: the only place that knows every constructor."""

from __future__ import annotations

import gc
import shutil
import tempfile
import weakref
from collections.abc import Callable
from functools import partial
from itertools import count
from math import inf, isfinite
from pathlib import Path

import numpy as np
from simpy.events import Event

from sim import catalog, registry
from sim.iaas.faults import Crashes, Faults, Outage
from sim.iaas.network import Link, Network
from sim.iaas.nodes import Cluster, NodeType
from sim.iaas.pools import NodePool
from sim.iaas.resources import Resources
from sim.iaas.storage import ObjectStore
from sim.iaas.taints import Taint
from sim.kernel.context import Context
from sim.kernel.distributions import Constant
from sim.kernel.kernel import Kernel, Limits
from sim.kernel.outcome import Outcome
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.autoscaling import keda_jobs
from sim.paas.autoscaling.disruption import DisruptionBudget
from sim.paas.handover import Handover, Interconnect
from sim.paas.jobs import JobClass, Jobs
from sim.paas.policies.filters import DEFAULT
from sim.paas.quota.ledger import Ledger
from sim.paas.quota.reclaim import Rules
from sim.paas.quota.tree import Tree
from sim.paas.replicaset import ReplicaBounds
from sim.paas.scaledjobs import Scaled
from sim.paas.scheduler import Scheduler
from sim.paas.scrape import Scrape
from sim.paas.service import Service
from sim.paas.sharing import Sharing
from sim.paas.speed import Speed
from sim.paas.topology import SPANS
from sim.paas.vertical import Memory, Vertical
from sim.registry import fresh
from sim.saas import future
from sim.saas.application import Application
from sim.saas.blocks import Floats
from sim.saas.callgraph import CallSpec
from sim.saas.sessions import Sessions
from sim.saas.slo import SLO
from sim.scenario import spec
from sim.scenario.facts import facts, instance_price, link_figures, power_curve
from sim.scenario.hosts import hosting, models_of
from sim.scenario.offer import offer
from sim.scenario.platform import DisruptionBudget as BudgetSpec
from sim.scenario.platform import ScaledJob, VerticalPolicy


class Platform:
    """Everything one run is made of. Made by `build`; runs once.

    Attributes:
        ctx: clock, randomness, records.
        cluster: the nodes.
        network: the links.
        services: by name.
        applications: by name.
        jobs: training jobs; None when the scenario has none.
    """

    def __init__(self, scenario: spec.Scenario, replication: int) -> None:
        self.scenario = scenario
        #: Happens when a run that drains has nothing left to do, with True if it was given up.
        self._idle: Event | None = None
        limits = scenario.limits
        memory = None if limits.memory is None else int(limits.memory)
        kernel = Kernel(limits=Limits(limits.events, limits.wall, memory))
        spool = Path(tempfile.mkdtemp(prefix="stratus-"))
        # Also when building or running fails.
        self._clean_up = weakref.finalize(self, shutil.rmtree, spool, ignore_errors=True)
        recorder = Recorder(kernel, spool=spool, row_budget=scenario.record.row_budget)
        self.ctx = Context(kernel, RandomStreams(scenario.seed, replication), recorder)
        self.cluster = Cluster(self.ctx)
        self.pools = _pools(self)
        self.network = _network(self)
        self._faults = _faults(self)
        self.scheduler = _scheduler(self)
        self.store = _store(self)
        sharing = fresh(scenario.platform.sharing)
        self.sharing = None if sharing is None else Sharing(kernel, sharing)
        self.services = {name: _service(self, name) for name in scenario.platform.services}
        _link_pools(self)
        ids, call_ids = count(), count()
        self.applications = {name: _application(self, name, ids, call_ids) for name in scenario.applications}
        self.jobs = _jobs(self) if scenario.platform.jobs else None
        for service in self.services.values():
            service.start()

    def run(self, progress: Callable[[Kernel], None] | None = None) -> Outcome:
        """Simulate until the scenario's end, a limit or Ctrl-C, and hand over what was recorded."""
        kernel = self.ctx.kernel
        kernel.progress = progress
        reason = "completed"
        # Many objects and few cycles: with the default thresholds a third of the time goes into collecting.
        thresholds = gc.get_threshold()
        gc.set_threshold(100_000, 50, 100)
        try:
            kernel.run(until=self.scenario.duration)
            reason = kernel.stopped or reason
            if self.scenario.drain and kernel.stopped is None and self._busy():
                reason = self._drain(kernel)
        except KeyboardInterrupt:
            reason = "interrupted"
        finally:
            gc.set_threshold(*thresholds)
        end = kernel.now
        for part in (*self.applications.values(), *self.services.values(), self.jobs, self.cluster):
            if part is not None:
                part.close()
        self.scheduler.close()
        recorded = self.ctx.recorder.finish(end)
        self._clean_up()
        ended = {"reason": reason, "time": end, "events": kernel.events}
        return Outcome(recorded.tables, recorded.steps, facts(self.scenario, ended, self._capacities()))

    def planned_lead(self, service: str, together: int = 1) -> float:
        """Seconds from asking for a replica to its first call, as planned, if so many start together."""
        wanted = self.scenario.platform.services[service]
        return _planned_lead(self, wanted, _weights(wanted), together)

    def future(self, service: str, width: float) -> Floats:
        """Calls per second that a service will get, by bins of a width in seconds."""
        return _future(self, service, width)

    def _capacities(self) -> dict[str, float]:
        """Calls per second of one full replica, of the services that can tell."""
        known = {name: service.capacity() for name, service in self.services.items()}
        return {name: capacity for name, capacity in known.items() if isfinite(capacity)}

    def _drain(self, kernel: Kernel) -> str:
        """Go on until nothing is on its way or a limit is reached; says which."""
        self._idle = kernel.event()
        most = self.scenario.limits.time
        if most is not None:
            kernel.call_at(max(most, kernel.now), self._give_up)
        overdue = kernel.run(until=self._idle)
        return kernel.stopped or ("time" if overdue else "completed")

    def _give_up(self) -> None:
        """The limit on simulated time is reached."""
        if self._idle is not None and not self._idle.triggered:
            self._idle.succeed(True)

    def _busy(self) -> bool:
        """Whether a request or a job is still on its way."""
        jobs = self.jobs is not None and bool(self.jobs.unfinished)
        return jobs or any(application.in_flight for application in self.applications.values())

    def look_idle(self) -> None:
        """End a run that drains, once nothing is on its way."""
        if self._idle is not None and not self._idle.triggered and not self._busy():
            self._idle.succeed()


def build(scenario: spec.Scenario, replication: int = 0) -> Platform:
    """A platform in its first moment.

    Args:
        scenario: loaded and checked.
        replication: number of the independent repetition; changes every random number.
    """
    return Platform(scenario, replication)


def _pools(platform: Platform) -> list[NodePool]:
    infrastructure = platform.scenario.infrastructure
    # A node autoscaler that removes nodes removes the empty ones too.
    shrinks = getattr(platform.scenario.platform.node_scaling, "shrinks", False)
    made = []
    for site_name, site in infrastructure.sites.items():
        hourly = catalog.grid(site.grid).hourly if site.grid is not None else ()
        carbon = tuple(intensity * site.pue for intensity in hourly)
        for name, pool in site.pools.items():
            node = offer(infrastructure, pool)
            assert node is not None, "the loader has checked it"
            node_type = NodeType(
                pool.instance,
                Resources(node.cpu, node.memory, node.accelerators, node.disk),
                catalog.device(node.device) if node.device is not None else None,
                instance_price(infrastructure, pool),
                power_curve(infrastructure, pool),
                pool.rack_size,
                pool.nvlink_size,
                pool.labels,
                tuple(Taint(each.key, each.value, each.effect) for each in pool.taints),
                carbon,
                node.network,
            )
            made.append(
                NodePool(
                    platform.ctx,
                    platform.cluster,
                    name,
                    site_name,
                    node_type,
                    initial=pool.nodes.initial,
                    minimum=pool.nodes.min,
                    maximum=pool.nodes.max,
                    provisioning=pool.provisioning,
                    boot=pool.boot,
                    idle_timeout=inf if shrinks else pool.idle_timeout,
                )
            )
    return made


def _network(platform: Platform) -> Network:
    infrastructure = platform.scenario.infrastructure
    links = []
    for name, link in infrastructure.network.links.items():
        latency, bandwidth = link_figures(link)
        a, b = link.between
        links.append(Link(name, a, b, latency, bandwidth, link.price, link.energy))
    return Network(platform.ctx, list(infrastructure.sites), links, infrastructure.network.sharing)


def _faults(platform: Platform) -> Faults | None:
    faults = platform.scenario.infrastructure.faults
    crashes = [Crashes(pool, each.mtbf, each.mttr) for pool, each in faults.crashes.items()]
    outages = [Outage(each.at, each.target, each.duration) for each in faults.script]
    if not crashes and not outages:
        return None
    return Faults(platform.ctx, platform.cluster, [*crashes, *outages], platform.network)


def _scheduler(platform: Platform) -> Scheduler:
    wanted = platform.scenario.platform.scheduler
    filters = wanted.filters
    if filters is None:
        filters = [registry.lookup("filter", name)() for name in DEFAULT]
    return Scheduler(
        platform.ctx,
        platform.cluster,
        order=fresh(wanted.order),
        discipline=fresh(wanted.discipline),
        filters=[fresh(each) for each in filters],
        scores=[(fresh(score), weight) for score, weight in wanted.scores],
        preemption=fresh(wanted.preemption),
        decisions=platform.scenario.record.decisions,
        pools=[pool for pool in platform.pools if pool.maximum > pool.minimum],
        ties=wanted.ties,
        node_scaling=fresh(platform.scenario.platform.node_scaling),
        quotas=_quotas(platform),
        fragmentation=platform.scenario.record.fragmentation,
    )


def _quotas(platform: Platform) -> Ledger | None:
    wanted = platform.scenario.platform.scheduler
    if not wanted.queues:
        return None
    tree = Tree(
        {name: (queue.quota(), queue.cohort) for name, queue in wanted.queues.items()},
        {name: (cohort.quota(), cohort.parent) for name, cohort in wanted.cohorts.items()},
    )
    rules = {name: Rules(**queue.preemption.model_dump()) for name, queue in wanted.queues.items()}
    return Ledger(platform.ctx, tree, rules)


def _store(platform: Platform) -> ObjectStore | None:
    storage = platform.scenario.infrastructure.storage
    if storage is None:
        return None
    return ObjectStore(platform.ctx, platform.network, storage.site, storage.bandwidth)


def _resources(wanted: spec.Resources) -> Resources:
    return Resources(wanted.cpu, wanted.memory, wanted.accelerators, wanted.disk)


def _service(platform: Platform, name: str) -> Service:
    wanted = platform.scenario.platform.services[name]
    model = catalog.model(wanted.model) if wanted.model is not None else None
    weights = _weights(wanted)
    memory = wanted.accelerator_memory
    if memory is None:
        # A model on several accelerators is spread over them.
        memory = weights / max(1.0, wanted.resources.accelerators) if wanted.resources.accelerators else 0.0
    return Service(
        platform.ctx,
        name,
        wanted.site,
        scheduler=platform.scheduler,
        time=wanted.time,
        engine=wanted.engine,
        router=wanted.router,
        admission=wanted.admission,
        bounds=ReplicaBounds(wanted.replicas.initial, wanted.replicas.min, wanted.replicas.max),
        resources=_resources(wanted.resources),
        store=platform.store,
        pools=None if wanted.pool is None else frozenset({f"{wanted.site}/{wanted.pool}"}),
        device=wanted.device,
        accelerator_memory=memory,
        rules=wanted.placement.rules(),
        model=model,
        precision=wanted.precision,
        queue=wanted.queue,
        timeout=wanted.timeout,
        image=(f"image/{name}", wanted.image) if wanted.image else None,
        # Services of one model at one precision share what a node has cached.
        weights=(f"weights/{wanted.model or name}/{wanted.precision}", weights) if weights else None,
        load_rate=wanted.load_rate,
        warmup=wanted.warmup,
        drain_timeout=wanted.drain_timeout,
        autoscaler=wanted.autoscaler,
        scrape=_scrape(wanted.scrape),
        vertical=_vertical(wanted.vertical),
        disruption=_disruption(wanted.disruption_budget),
        planned_lead=_planned_lead(platform, wanted, weights),
        arrivals=partial(_future, platform, name),
        sharing=platform.sharing,
        hosting=hosting(wanted),
    )


def _link_pools(platform: Platform) -> None:
    """Tell the services that only process prompts who goes on."""
    for name, wanted in platform.scenario.platform.services.items():
        if wanted.decode is not None:
            service, decode = platform.services[name], wanted.decode
            service.handover = Handover(
                service,
                platform.services[decode.service],
                platform.network,
                Interconnect(decode.bandwidth, decode.local, decode.latency),
                bytes_per_token=decode.size(service.model),
                threshold=decode.threshold,
            )


def _scrape(wanted: spec.Scrape | None) -> Scrape | None:
    return None if wanted is None else Scrape(wanted.period, wanted.delay, wanted.missing)


def _weights(wanted: spec.Service) -> float:
    """Bytes of a service's weights."""
    if wanted.weights is not None:
        return wanted.weights
    return 0.0 if wanted.model is None else catalog.model(wanted.model).weights(wanted.precision)


def _planned_lead(platform: Platform, wanted: spec.Service, weights: float, together: int = 1) -> float:
    """Seconds from asking for a replica to its first call, as its owner would reckon before measuring."""
    site = platform.scenario.infrastructure.sites[wanted.site]
    pools = [pool for name, pool in site.pools.items() if wanted.pool in (None, name)]
    seconds = wanted.warmup
    if pools and all(pool.nodes.max > pool.nodes.initial for pool in pools):
        seconds += min(pool.provisioning.mean + pool.boot.mean for pool in pools)
    storage = platform.scenario.infrastructure.storage
    if storage is not None:
        seconds += (wanted.image + weights) * together / storage.bandwidth
    if wanted.load_rate is not None:
        seconds += weights / wanted.load_rate
    return seconds


def _future(platform: Platform, service: str, width: float) -> Floats:
    """What will come to a service: the streams of these names are drawn a second time."""
    scenario, streams = platform.scenario, platform.ctx.streams
    users = [
        future.Users(name, sum(wanted.users.values()), wanted.arrivals, platform.applications[name].graph)
        for name, wanted in scenario.applications.items()
    ]
    # A service that generates gets the calls of those that process their prompts.
    services = scenario.platform.services
    before = [name for name, each in services.items() if each.decode and each.decode.service == service]
    rates = [
        future.rates(name, users, RandomStreams(streams.seed, streams.replication), width, scenario.duration)
        for name in (service, *before)
    ]
    total: Floats = np.sum(rates, axis=0)
    return total


def _application(platform: Platform, name: str, ids: count[int], call_ids: count[int]) -> Application:
    scenario = platform.scenario
    wanted = scenario.applications[name]
    calls = [
        CallSpec(
            call_name,
            [platform.services[target] for target in call.to],
            after=call.after,
            send=call.send,
            work=call.work,
            probability=call.probability,
            models=models_of(scenario.platform.services[call.to[0]], call.model),
        )
        for call_name, call in wanted.calls.items()
    ]
    return Application(
        platform.ctx,
        platform.network,
        name,
        users=wanted.users,
        arrivals=wanted.arrivals,
        calls=calls,
        until=scenario.duration,
        send=wanted.send,
        reply=wanted.reply,
        work=wanted.work,
        tokens_in=wanted.tokens_in,
        tokens_out=wanted.tokens_out,
        sessions=_sessions(wanted.sessions),
        shared=wanted.shared_prompt,
        offload=wanted.offload,
        site_kinds={site: each.kind for site, each in scenario.infrastructure.sites.items()},
        slo=None if wanted.slo is None else SLO(wanted.slo.latency or inf, wanted.slo.quantile),
        priority=wanted.priority,
        client=None if wanted.client is None else wanted.client.behaviour(),
        allowed_sites=wanted.allowed_sites,
        ids=ids,
        call_ids=call_ids,
        on_idle=platform.look_idle,
    )


def _sessions(wanted: spec.Sessions | None) -> Sessions | None:
    if wanted is None:
        return None
    return Sessions(wanted.turns, wanted.think, inf if wanted.window is None else wanted.window)


def _jobs(platform: Platform) -> Jobs:
    scenario = platform.scenario
    jobs = Jobs(platform.ctx, platform.scheduler, platform.look_idle, platform.sharing)
    for name, wanted in scenario.platform.jobs.items():
        kind = JobClass(
            name,
            wanted.workers,
            _resources(wanted.resources),
            wanted.duration or Constant(0.0),
            estimate_error=wanted.estimate.factor,
            tenant=wanted.tenant,
            priority=wanted.priority,
            deadline=inf if wanted.deadline is None else wanted.deadline,
            checkpoint=wanted.checkpoint,
            restart=wanted.restart,
            speed=_speed(wanted),
            elastic=None if wanted.elastic is None else (wanted.elastic.min, wanted.elastic.max),
            weight=wanted.weight,
            site=wanted.site,
            pools=_job_pools(scenario, wanted),
            device=wanted.device,
            accelerator_memory=wanted.accelerator_memory or 0.0,
            rules=wanted.placement.rules(),
            scaled=_scaled(wanted.scaled_job),
        )
        rng = platform.ctx.streams.stream(f"paas/jobs/{name}/arrivals")
        jobs.add(kind, fresh(wanted.arrivals).blocks(rng, 1, scenario.duration))
    return jobs


def _vertical(wanted: VerticalPolicy | None) -> Vertical | None:
    if wanted is None:
        return None
    use = wanted.memory
    memory = None
    if use is not None:
        memory = Memory(use.base, use.per_call, use.min, inf if use.max is None else use.max)
    return Vertical(wanted.mode, wanted.min, inf if wanted.max is None else wanted.max, memory)


def _disruption(wanted: BudgetSpec | None) -> DisruptionBudget | None:
    if wanted is None:
        return None
    return DisruptionBudget(_pods(wanted.min_available), _pods(wanted.max_unavailable))


def _pods(wanted: int | str | None) -> int | float | None:
    """A number of pods as it is, a text such as 50% as a share."""
    return float(wanted.removesuffix("%")) / 100.0 if isinstance(wanted, str) else wanted


def _scaled(wanted: ScaledJob | None) -> Scaled | None:
    if wanted is None:
        return None
    rules = keda_jobs.ScaledJob(
        maximum=wanted.max,
        strategy=wanted.strategy,
        deduction=wanted.deduction,
        running_share=wanted.running_share,
        activation=wanted.activation,
    )
    return Scaled(rules, wanted.polling, wanted.target)


def _speed(wanted: spec.JobClass) -> Speed:
    levels = {level: getattr(wanted.slowdown, level) for level in SPANS}
    slowdown = {level: factor for level, factor in levels.items() if factor is not None}
    if set(slowdown.values()) == {1.0}:
        slowdown = {}
    return Speed(wanted.throughput, wanted.scaling, slowdown)


def _job_pools(scenario: spec.Scenario, wanted: spec.JobClass) -> frozenset[str] | None:
    if wanted.pool is None:
        return None
    sites = [wanted.site] if wanted.site is not None else list(scenario.infrastructure.sites)
    return frozenset(f"{site}/{wanted.pool}" for site in sites)
