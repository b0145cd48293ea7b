"""What the recorded numbers of a run refer to, as plain data: prices, power, grids, links, objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim import catalog
from sim.kernel.distribution import Distribution
from sim.kernel.distributions import constant_or
from sim.paas.policies.autoscalers.learned import Learned
from sim.paas.policies.autoscalers.learner import Learner
from sim.scenario.arrival_checks import passed_over
from sim.scenario.offer import offer
from sim.scenario.spec import Infrastructure, Link, Pool, Scenario

#: Power of a machine that nobody measured: nothing is known, so nothing is counted; see `caveats`.
_UNKNOWN_POWER = ((0.0, 0.0), (1.0, 0.0))


def facts(scenario: Scenario, ended: dict[str, Any], capacities: Mapping[str, float]) -> dict[str, Any]:
    """The facts of one run; the keys are listed in `docs/architecture.md`.

    Args:
        scenario: what was run.
        ended: how the run ended: `reason`, `time` (s), `events`.
        capacities: calls per second of one full replica of each service, as far as it is known.
    """
    infrastructure = scenario.infrastructure
    end = ended["time"] if scenario.drain else scenario.duration
    return {
        "apps": {name: _application(scenario, name) for name in scenario.applications},
        "services": {
            name: {
                "site": service.site,
                "pool": service.pool,
                "model": service.model,
                "engine": service.engine.policy,
                "servers": service.engine.servers,
                "capacity": capacities.get(name),
                "decode": None if service.decode is None else service.decode.service,
                "slo": _objective(scenario, name),
            }
            for name, service in scenario.platform.services.items()
        },
        "engines": {name: _engine(scenario, name) for name in engines(scenario)},
        "chats": chats(scenario),
        "hosts": hosts(scenario),
        "pools": {
            f"{site_name}/{name}": _pool(infrastructure, site_name, pool)
            for site_name, site in infrastructure.sites.items()
            for name, pool in site.pools.items()
        },
        "sites": {
            name: {
                "kind": site.kind,
                "pue": site.pue,
                "grid": site.grid,
                "hourly": list(catalog.grid(site.grid).hourly) if site.grid is not None else None,
            }
            for name, site in infrastructure.sites.items()
        },
        "links": {name: _link(link) for name, link in infrastructure.network.links.items()},
        "jobs": list(scenario.platform.jobs),
        "queues": {
            name: queue.nominal.accelerators or 0.0
            for name, queue in scenario.platform.scheduler.queues.items()
        },
        "window": [scenario.warmup, max(end, scenario.warmup)],
        "ended": ended,
    }


def engines(scenario: Scenario) -> list[str]:
    """Services with a language model's engine."""
    services = scenario.platform.services
    return [name for name in services if services[name].engine.policy == "continuous-batch"]


def hosts(scenario: Scenario) -> list[str]:
    """Services that host several models."""
    return [name for name, service in scenario.platform.services.items() if service.hosts is not None]


def chats(scenario: Scenario) -> list[str]:
    """Applications that call one."""
    there = engines(scenario)
    return [
        name
        for name, app in scenario.applications.items()
        if any(target in there for call in app.calls.values() for target in call.to)
    ]


def instance_price(infrastructure: Infrastructure, pool: Pool) -> float:
    """USD per second of a node; 0 where neither pool nor instance type states a price."""
    if pool.price is not None:
        return pool.price
    instance = infrastructure.instances.get(pool.instance) or catalog.instance(pool.instance)
    return instance.price or 0.0


def power_curve(infrastructure: Infrastructure, pool: Pool) -> tuple[tuple[float, float], ...]:
    """(utilisation, watts) of a node; 0 W where its instance type states no power."""
    instance = infrastructure.instances.get(pool.instance) or catalog.instance(pool.instance)
    return tuple(instance.power or _UNKNOWN_POWER)


def link_figures(link: Link) -> tuple[Distribution, float]:
    """One-way latency and bandwidth (bytes/s) of a link: its own, else those of its kind."""
    kind = catalog.link(link.kind) if link.kind is not None else None
    latency = link.latency if link.latency is not None else constant_or(kind.latency if kind else 0.0)
    bandwidth = link.bandwidth or (kind.bandwidth if kind is not None else None)
    if bandwidth is None:
        raise ValueError("a link has neither bandwidth nor a kind that states one")
    return latency, bandwidth


def caveats(scenario: Scenario) -> list[str]:
    """What the results leave out - a figure that nobody knows, a row of a trace - in sentences."""
    infrastructure = scenario.infrastructure
    found = [text for job in scenario.platform.jobs.values() for text in passed_over(job)]
    found += [text for name in scenario.platform.services for text in _schooling(scenario, name)]
    for site_name, site in infrastructure.sites.items():
        if site.pools and site.grid is None:
            found.append(f"{site_name} names no grid: its energy is counted, its carbon is not.")
        for name, pool in site.pools.items():
            instance = infrastructure.instances.get(pool.instance) or catalog.instance(pool.instance)
            if pool.price is None and not instance.price:
                found.append(f"{site_name}/{name}: {pool.instance} has no price here and is counted as free.")
            if not instance.power:
                found.append(
                    f"{site_name}/{name}: no power figures for {pool.instance}; its energy is not counted."
                )
    return found


def _application(scenario: Scenario, name: str) -> dict[str, Any]:
    wanted = scenario.applications[name]
    return {
        "slo": None if wanted.slo is None else wanted.slo.model_dump(),
        "users": dict(wanted.users),
    }


def _schooling(scenario: Scenario, service: str) -> list[str]:
    """What a trained autoscaler was trained on, and how far this run is from it."""
    policy = scenario.platform.services[service].autoscaler
    if not isinstance(policy, Learned | Learner) or policy.weights is None:
        return []
    trained = policy.load().about.get("trained", {})
    if not isinstance(trained, dict) or "seed" not in trained:
        return [f"{service}: nothing says what its agent was trained on."]
    same = ": the same random numbers, so it is no fair test" if trained["seed"] == scenario.seed else ""
    sets = ", ".join(trained.get("sets", ())) or "as it is"
    return [
        f"{service}: its agent was trained on {trained.get('scenario')} with seed {trained['seed']} for "
        f"{trained.get('looks')} looks ({sets}); this run has seed {scenario.seed}{same}."
    ]


def _objective(scenario: Scenario, service: str) -> dict[str, float] | None:
    """The tightest SLO of the applications that call a service."""
    found = [
        (app.slo.latency, -app.slo.quantile)
        for app in scenario.applications.values()
        if app.slo is not None
        and app.slo.latency is not None
        and any(service in call.to for call in app.calls.values())
    ]
    tightest = min(found, default=None)
    return None if tightest is None else {"latency": tightest[0], "quantile": -tightest[1]}


def _engine(scenario: Scenario, name: str) -> dict[str, Any]:
    """What figures refer to: FLOP of a token, FLOP/s, blocks and places of a replica; None where unknown."""
    service = scenario.platform.services[name]
    pools = scenario.infrastructure.sites[service.site].pools
    offers = [
        kind
        for pool_name, pool in pools.items()
        if service.pool in (None, pool_name) and (kind := offer(scenario.infrastructure, pool))
    ]
    device = service.device or (offers[0].device if offers else None)
    model = catalog.model(service.model) if service.model is not None else None
    peak = catalog.device(device).peak.get(service.precision) if device is not None else None
    accelerators = service.resources.accelerators
    known = catalog.device(device) if device is not None else None
    return {
        "blocks": service.engine.capacity(model, service.precision, known, accelerators),
        "places": service.engine.max_sequences,
        "flop": None if model is None else 2 * (model.active_parameters or model.parameters),
        "peak": None if peak is None else peak * service.resources.accelerators,
    }


def _pool(infrastructure: Infrastructure, site: str, pool: Pool) -> dict[str, Any]:
    node = offer(infrastructure, pool)
    assert node is not None, "the loader has checked it"
    return {
        "site": site,
        "instance": pool.instance,
        "price": instance_price(infrastructure, pool),
        "power": [list(point) for point in power_curve(infrastructure, pool)],
        "accelerators": node.accelerators // node.slices,
        "slices": node.slices,
        "cpu": node.cpu,
        "device": node.device,
    }


def _link(link: Link) -> dict[str, Any]:
    latency, bandwidth = link_figures(link)
    return {
        "a": link.between[0],
        "b": link.between[1],
        "bandwidth": bandwidth,
        "latency": latency.mean,
        "price": link.price,
        "energy": link.energy,
    }
