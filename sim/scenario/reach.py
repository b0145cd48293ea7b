"""Whether links join the sites that must talk: users and services, services and the object store."""

from __future__ import annotations

from collections.abc import Iterator

from sim.scenario.document import Location
from sim.scenario.faults import Problem
from sim.scenario.spec import Application, Scenario, Service


def check_reach(scenario: Scenario) -> Iterator[Problem]:
    """Every pair of sites that must talk and cannot. Links carry both ways, so joined is joined to all."""
    sites = scenario.infrastructure.sites
    links = scenario.infrastructure.network.links.values()
    if any(site not in sites for link in links for site in link.between):
        return
    yield from _store(scenario)
    yield from _pairs(scenario)
    for name, app in scenario.applications.items():
        yield from _calls(scenario, ("applications", name, "calls"), app)


def _reached(scenario: Scenario, origin: str) -> set[str]:
    """Sites that links join to `origin`, itself among them."""
    links = scenario.infrastructure.network.links.values()
    reached = {origin}
    fresh = {origin}
    while fresh:
        fresh = {site for link in links if fresh & set(link.between) for site in link.between} - reached
        reached |= fresh
    return reached


def _store(scenario: Scenario) -> Iterator[Problem]:
    """Services load their images and weights from the store."""
    sites, storage = scenario.infrastructure.sites, scenario.infrastructure.storage
    if storage is None or storage.site not in sites:
        return
    reached = _reached(scenario, storage.site)
    for name, service in scenario.platform.services.items():
        if service.site in sites and service.site not in reached and _loads(service):
            message = f"no links lead from the storage at {storage.site!r} to {service.site!r}"
            yield Problem(("platform", "services", name, "site"), message)


def _pairs(scenario: Scenario) -> Iterator[Problem]:
    """Caches of prompts go from the service that makes them to the one that generates."""
    sites, services = scenario.infrastructure.sites, scenario.platform.services
    for name, service in services.items():
        target = None if service.decode is None else services.get(service.decode.service)
        if target is None or service.site not in sites or target.site not in sites:
            continue
        if target.site not in _reached(scenario, service.site):
            message = f"no links lead from {service.site!r} to {target.site!r}, where it runs"
            yield Problem(("platform", "services", name, "decode", "service"), message)


def _loads(service: Service) -> bool:
    weights = service.model is not None if service.weights is None else service.weights > 0
    return service.replicas.max > 0 and (service.image > 0 or weights)


def _calls(scenario: Scenario, at: Location, app: Application) -> Iterator[Problem]:
    """Services that are joined to the users of an application are joined to one another as well."""
    sites = scenario.infrastructure.sites
    for origin in [site for site in app.users if site in sites]:
        reached = _reached(scenario, origin)
        for name, call in app.calls.items():
            for index, target in enumerate(call.to):
                service = scenario.platform.services.get(target)
                if service is None or service.site not in sites or service.site in reached:
                    continue
                message = f"no links lead from {origin!r} to {service.site!r}, where {target!r} runs"
                yield Problem((*at, name, "to", index), message)
