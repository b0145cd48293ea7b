"""What one part of a scenario must know of another: names, sizes, cycles.

Each check yields the problems it finds; all of them are reported together. They run on a scenario
whose every value is already of the right type.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim import catalog
from sim.errors import ScenarioError, did_you_mean
from sim.paas.policies.autoscalers.learned import Learned
from sim.paas.policies.autoscalers.learner import Learner
from sim.paas.policies.sharing import Contention, Interference
from sim.saas.policies.recorded import Preset, Trace
from sim.saas.policies.servegen import ServeGen
from sim.scenario.arrival_checks import check_arrivals, check_job_arrivals
from sim.scenario.decode_checks import check_decode
from sim.scenario.document import Location
from sim.scenario.faults import Problem, unknown_name
from sim.scenario.hosts import check_calls, check_hosts
from sim.scenario.offer import Offer, offer
from sim.scenario.quota_checks import check_quotas
from sim.scenario.reach import check_reach
from sim.scenario.spec import Application, JobClass, Pool, Resources, Scenario, Service
from sim.scenario.step_checks import check_steps
from sim.scenario.study_checks import check_study

#: Largest mean size of a gang; bounds the memory that one number in a file can ask for.
MOST_WORKERS = 10_000


def check(scenario: Scenario) -> list[Problem]:
    """Everything wrong between the parts of a scenario."""
    return [
        *_times(scenario),
        *_sites(scenario),
        *_network(scenario),
        *_faults(scenario),
        *_services(scenario),
        *check_decode(scenario),
        *_jobs(scenario),
        *_sharing(scenario),
        *check_quotas(scenario),
        *_applications(scenario),
        *check_reach(scenario),
        *check_study(scenario),
    ]


def _catalog(path: Location, kind: str, name: str) -> Iterator[Problem]:
    known = catalog.names(kind)
    if name not in known:
        yield Problem(path, f"the catalog has no {kind} {name!r}{did_you_mean(name, known)}")


def _times(scenario: Scenario) -> Iterator[Problem]:
    if scenario.warmup >= scenario.duration:
        yield Problem(("warmup",), "must be shorter than `duration`: nothing would be counted")
    if not scenario.applications and not scenario.platform.jobs:
        yield Problem((), "nothing to simulate: add `applications` or `platform.jobs`")


def _sites(scenario: Scenario) -> Iterator[Problem]:
    for name, instance in scenario.infrastructure.instances.items():
        at: Location = ("infrastructure", "instances", name)
        if name in catalog.names("instance"):
            yield Problem(at, "the catalog has an instance type of this name; choose another", "key")
        if instance.device is not None:
            yield from _catalog((*at, "device"), "device", instance.device)
        if (instance.accelerators > 0) != (instance.device is not None):
            yield Problem(at, "`device` and `accelerators` go together: give both or neither", "key")
    for site_name, site in scenario.infrastructure.sites.items():
        at = ("infrastructure", "sites", site_name)
        if site.grid is not None:
            yield from _catalog((*at, "grid"), "grid", site.grid)
        for pool_name, pool in site.pools.items():
            known = [*scenario.infrastructure.instances, *catalog.names("instance")]
            if pool.instance not in known:
                yield unknown_name(
                    (*at, "pools", pool_name, "instance"), "instance type", pool.instance, known
                )
            elif pool.slices is not None and offer(scenario.infrastructure, pool) is None:
                yield _slices((*at, "pools", pool_name, "slices"), scenario, pool)


def _slices(at: Location, scenario: Scenario, pool: Pool) -> Problem:
    whole = offer(scenario.infrastructure, pool.model_copy(update={"slices": None}))
    device = None if whole is None else whole.device
    known = [] if device is None else catalog.profiles(device)
    if not known:
        return Problem(at, f"{device or pool.instance} cannot be cut into slices")
    return Problem(at, f"{device} has no slices {pool.slices!r}{did_you_mean(str(pool.slices), known)}")


def _network(scenario: Scenario) -> Iterator[Problem]:
    sites = scenario.infrastructure.sites
    for name, link in scenario.infrastructure.network.links.items():
        at: Location = ("infrastructure", "network", "links", name)
        for index, site in enumerate(link.between):
            if site not in sites:
                yield unknown_name((*at, "between", index), "site", site, sites)
        if link.between[0] == link.between[1]:
            yield Problem((*at, "between"), "a link needs two different sites")
        if link.kind is not None and link.kind not in catalog.names("link"):
            yield from _catalog((*at, "kind"), "link", link.kind)
            continue
        bandwidth = link.bandwidth or (catalog.link(link.kind).bandwidth if link.kind else None)
        if link.latency is None and link.kind is None:
            yield Problem((*at, "latency"), "is missing: give it, or a `kind` of the catalog", "key")
        if bandwidth is None:
            hint = f"the catalog has no bandwidth for {link.kind!r}" if link.kind else "give it, or a `kind`"
            yield Problem((*at, "bandwidth"), f"is missing: {hint}", "key")
    storage = scenario.infrastructure.storage
    if storage is not None and storage.site not in sites:
        yield unknown_name(("infrastructure", "storage", "site"), "site", storage.site, sites)


def _faults(scenario: Scenario) -> Iterator[Problem]:
    sites = scenario.infrastructure.sites
    pools = [f"{site}/{pool}" for site in sites for pool in sites[site].pools]
    for target in scenario.infrastructure.faults.crashes:
        if target not in pools:
            at: Location = ("infrastructure", "faults", "crashes", target)
            yield unknown_name(at, "pool (`site/pool`)", target, pools, "key")
    for index, fault in enumerate(scenario.infrastructure.faults.script):
        at = ("infrastructure", "faults", "script", index, "target")
        name, *node = fault.target.rsplit("/", 1) if fault.target.count("/") == 2 else (fault.target,)
        if name not in pools and (node or name not in sites):
            yield unknown_name(at, "site or pool", name, [*sites, *pools])
        elif node:
            most = _pool(scenario, name).nodes.max
            if not node[0].isdecimal() or int(node[0]) >= most:
                yield Problem(at, f"{name} has the nodes 0 to {most - 1}")
        if fault.at >= scenario.duration:
            yield Problem(at[:-1], "begins after the end of the run")


def _pool(scenario: Scenario, name: str) -> Pool:
    site, pool = name.split("/")
    return scenario.infrastructure.sites[site].pools[pool]


def _services(scenario: Scenario) -> Iterator[Problem]:
    for name, service in scenario.platform.services.items():
        at: Location = ("platform", "services", name)
        if service.model is not None:
            yield from _catalog((*at, "model"), "model", service.model)
        hosted = service.hosts is not None and all(m.time is not None for m in service.hosts.models.values())
        if service.time is None and service.engine.policy != "continuous-batch" and not hosted:
            yield Problem((*at, "time"), "is missing", "key")
        if service.engine.policy == "continuous-batch" and service.engine.blocks is None:
            yield from _cache(scenario, at, service)
        yield from check_hosts(scenario, at, service)
        yield from _host_cache(at, service)
        found = list(_place(scenario, at, service))
        yield from found or _roofline(scenario, at, service)
        if not found:
            hosts = [
                kind for pool in _pools(scenario, service) if (kind := offer(scenario.infrastructure, pool))
            ]
            fitting = [kind.device for kind in hosts if not _shortage(service, kind)]
            yield from check_steps(at, service, fitting)
        used = getattr(service.autoscaler, "replicas", None)
        if isinstance(used, int) and not service.replicas.min <= used <= service.replicas.max:
            span = f"{service.replicas.min} to {service.replicas.max}"
            yield Problem((*at, "autoscaler"), f"replicas: {used} lies outside of the bounds {span}")
        if isinstance(service.autoscaler, Learned | Learner) and service.autoscaler.weights is not None:
            try:
                service.autoscaler.load()
            except ScenarioError as error:
                yield Problem((*at, "autoscaler", "weights"), str(error))


def _host_cache(at: Location, service: Service) -> Iterator[Problem]:
    """Whether the size of a block is known, where the memory of the host keeps some."""
    known = service.model in catalog.names("model") and catalog.model(service.model or "").kv_bytes_per_token
    if getattr(service.engine, "host_cache", 0.0) and not known:
        fault = "needs a `model` with a key-value cache in the catalog"
        yield Problem((*at, "engine", "host_cache"), fault)


def _cache(scenario: Scenario, at: Location, service: Service) -> Iterator[Problem]:
    """Whether a language model leaves memory for its key-value cache on every device it may run on."""
    model = catalog.model(service.model) if service.model in catalog.names("model") else None
    if model is None or not model.kv_bytes_per_token or service.precision not in model.bytes_per_parameter:
        yield Problem((*at, "engine"), "give `blocks`, or a `model` with a key-value cache in the catalog")
        return
    site = scenario.infrastructure.sites.get(service.site)
    for name, pool in site.pools.items() if site is not None else ():
        kind = offer(scenario.infrastructure, pool)
        if service.pool not in (None, name) or kind is None or service.device not in (None, kind.device):
            continue
        if kind.device is None:
            yield Problem((*at, "engine"), f"give `blocks`: {pool.instance} names no device")
            continue
        device, count = catalog.device(kind.device), service.resources.accelerators
        if service.engine.capacity(model, service.precision, device, count) < 1:
            yield Problem((*at, "engine"), f"{model.name} leaves no memory for its cache on {device.name}")


def _jobs(scenario: Scenario) -> Iterator[Problem]:
    # A trace may bring tenants of its own.
    told = any(hasattr(job.arrivals, "file") for job in scenario.platform.jobs.values())
    tenants = sorted({job.tenant for job in scenario.platform.jobs.values()})
    for name in getattr(scenario.platform.scheduler.order, "weights", {}):
        if name not in tenants and not told:
            at: Location = ("platform", "scheduler", "order", "weights", name)
            yield unknown_name(at, "tenant", name, tenants, "key")
    for name, job in scenario.platform.jobs.items():
        at = ("platform", "jobs", name)
        yield from _place(scenario, at, job)
        if not job.workers.mean <= MOST_WORKERS:
            message = f"{job.workers.mean:g} workers a job are more than the {MOST_WORKERS} it may have"
            yield Problem((*at, "workers"), message)
        yield from check_job_arrivals(at, job)


def _sharing(scenario: Scenario) -> Iterator[Problem]:
    """Whether a way of sharing speaks of services and kinds of jobs that there are."""
    sharing = scenario.platform.sharing
    known = [*scenario.platform.services, *scenario.platform.jobs]
    at: Location = ("platform", "sharing")
    named: dict[Location, str] = {}
    if isinstance(sharing, Interference):
        for one, others in sharing.slowdown.items():
            named[*at, "slowdown", one] = one
            named |= {(*at, "slowdown", one, other): other for other in others}
    elif isinstance(sharing, Contention):
        named = {(*at, "demands", name): name for name in sharing.demands}
    for where, name in named.items():
        if name not in known:
            yield unknown_name(where, "service or kind of jobs", name, known, "key")


def _place(scenario: Scenario, at: Location, work: Service | JobClass) -> Iterator[Problem]:
    """Whether one replica (or worker) fits on some node of the pools it may use."""
    sites = scenario.infrastructure.sites
    accelerators = work.resources.accelerators
    if accelerators > 1 and accelerators != int(accelerators):
        message = f"a share of one accelerator (below 1) or whole ones, not {accelerators:g}"
        yield Problem((*at, "resources", "accelerators"), message)
        return
    if work.device is not None and not catalog.has_device(work.device):
        yield from _catalog((*at, "device"), "device", work.device)
        return
    if work.site is not None and work.site not in sites:
        yield unknown_name((*at, "site"), "site", work.site, sites)
        return
    chosen = [work.site] if work.site is not None else list(sites)
    pools = {f"{site}/{name}": pool for site in chosen for name, pool in sites[site].pools.items()}
    if work.pool is not None:
        names = sorted({name.split("/")[1] for name in pools})
        pools = {name: pool for name, pool in pools.items() if name.split("/")[1] == work.pool}
        if not pools:
            yield unknown_name((*at, "pool"), f"pool of {work.site or 'any site'}", work.pool, names)
            return
    if isinstance(work, Service) and work.replicas.max == 0:
        return
    if not any(pool.nodes.max > 0 for pool in pools.values()):
        yield Problem((*at, "site"), f"the site {work.site!r} has no nodes to run it on")
        return
    nodes = [offer(scenario.infrastructure, pool) for pool in pools.values() if pool.nodes.max > 0]
    known = [node for node in nodes if node is not None]
    if len(known) < len(nodes):
        return
    reasons = {node.called: _shortage(work, node) for node in known}
    if all(reasons.values()):
        listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        unit = "replica" if isinstance(work, Service) else "worker"
        yield Problem((*at, "resources"), f"one {unit} fits on no node there ({listed})")


def _shortage(work: Service | JobClass, node: Offer) -> str:
    """What a node lacks for one replica, or nothing."""
    needs: Resources = work.resources
    if work.device is not None and node.device != work.device:
        return f"has {node.device or 'no accelerator'}"
    for name in ("cpu", "accelerators"):
        need, has = getattr(needs, name), getattr(node, name)
        if need > has:
            return f"has {has:g} {name}, {need:g} needed"
    for name in ("memory", "disk"):
        need, has = getattr(needs, name), getattr(node, name)
        if need > has:
            return f"has {has / 1e9:.3g} GB of {name}, {need / 1e9:.3g} GB needed"
    memory = work.accelerator_memory
    if memory and node.device is not None and catalog.has_device(node.device):
        has = catalog.device(node.device).memory
        if memory > has:
            return f"its {node.device} has {has / 1e9:.3g} GB of memory, {memory / 1e9:.3g} GB needed"
    return ""


def _pools(scenario: Scenario, service: Service) -> Iterator[Pool]:
    """The pools a service may use."""
    for name, pool in scenario.infrastructure.sites[service.site].pools.items():
        if service.pool in (None, name):
            yield pool


def _roofline(scenario: Scenario, at: Location, service: Service) -> Iterator[Problem]:
    """What a roofline time needs of the model and of the devices it may run on."""
    if service.time is None or service.time.policy not in ("roofline", "encoder-decoder"):
        return
    if service.hosts is not None:
        return
    if service.model is None:
        yield Problem((*at, "model"), "is missing: a roofline time needs the FLOP of a model", "key")
        return
    if service.model not in catalog.names("model"):
        return
    if catalog.model(service.model).flop is None:
        yield Problem((*at, "model"), f"the catalog has no FLOP for {service.model!r}: choose another `time`")
    if service.time.policy == "encoder-decoder" and not catalog.model(service.model).decoder:
        yield Problem((*at, "model"), f"{service.model} has no decoder in the catalog: choose another `time`")
    for pool in _pools(scenario, service):
        kind = offer(scenario.infrastructure, pool)
        if kind is None or _shortage(service, kind):
            continue
        if kind.device is None:
            yield Problem((*at, "time"), f"a roofline time needs a device, and {pool.instance} names none")
        elif catalog.has_device(kind.device):
            peaks = catalog.device(kind.device).peak
            if service.precision not in peaks:
                hint = did_you_mean(service.precision, peaks)
                yield Problem(
                    (*at, "precision"), f"{kind.device} has no figure for {service.precision}{hint}"
                )


def _applications(scenario: Scenario) -> Iterator[Problem]:
    sites = scenario.infrastructure.sites
    for name, app in scenario.applications.items():
        at: Location = ("applications", name)
        for site in app.users:
            if site not in sites:
                yield unknown_name((*at, "users", site), "site", site, sites, "key")
        for index, site in enumerate(app.allowed_sites or ()):
            if site not in sites:
                yield unknown_name((*at, "allowed_sites", index), "site", site, sites)
        yield from check_arrivals((*at, "arrivals"), app.arrivals)
        if app.sessions is not None and isinstance(app.arrivals, Trace | Preset | ServeGen):
            fault = "these arrivals bring the tokens of whole prompts: sessions are for those that bring none"
            yield Problem((*at, "sessions"), fault, "key")
        yield from _calls(scenario, (*at, "calls"), app)
        yield from check_calls(scenario, (*at, "calls"), app)


def _calls(scenario: Scenario, at: Location, app: Application) -> Iterator[Problem]:
    services = scenario.platform.services
    for name, call in app.calls.items():
        for index, target in enumerate(call.to):
            if target not in services:
                yield unknown_name((*at, name, "to", index), "service", target, services)
            elif target in call.to[:index]:
                yield Problem((*at, name, "to", index), f"{target!r} stands twice")
        for index, before in enumerate(call.after):
            if before not in app.calls:
                yield unknown_name((*at, name, "after", index), "call", before, app.calls)
        targets = [services[target] for target in call.to if target in services]
        if (
            targets
            and app.allowed_sites is not None
            and not any(s.site in app.allowed_sites for s in targets)
        ):
            yield Problem((*at, name, "to"), "no alternative is at one of the `allowed_sites`")
    cycle = _cycle({name: call.after for name, call in app.calls.items()})
    if cycle:
        yield Problem((*at, cycle[0], "after"), f"the calls wait for each other: {' after '.join(cycle)}")


def _cycle(after: dict[str, list[str]]) -> list[str]:
    """A cycle in `after`, its first call repeated at the end, or nothing."""
    done: set[str] = set()
    for start in after:
        trail = [start]
        choices = [iter(after[start])]
        while choices:
            step = next(choices[-1], None)
            if step is None:
                done.add(trail.pop())
                choices.pop()
            elif step in trail:
                return [*trail[trail.index(step) :], step]
            elif step in after and step not in done:
                trail.append(step)
                choices.append(iter(after[step]))
    return []
