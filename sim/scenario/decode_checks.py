"""Whether services that are said to process prompts for another one can do so."""

from __future__ import annotations

from collections.abc import Iterator

from sim import catalog
from sim.scenario.document import Location
from sim.scenario.faults import Problem, unknown_name
from sim.scenario.offer import offer
from sim.scenario.spec import Scenario, Service


def check_decode(scenario: Scenario) -> Iterator[Problem]:
    """Everything wrong with `decode` of the services."""
    services = scenario.platform.services
    for name, service in services.items():
        if service.decode is None:
            continue
        at: Location = ("platform", "services", name, "decode")
        others = [other for other in services if other != name]
        target = services.get(service.decode.service)
        if service.decode.service == name:
            yield Problem((*at, "service"), "a service cannot hand over to itself: leave `decode` out")
        elif target is None:
            yield unknown_name((*at, "service"), "service", service.decode.service, others)
        else:
            yield from _pair(at, service, target)
            yield from _bandwidth(scenario, at, service, target)


def _pair(at: Location, service: Service, target: Service) -> Iterator[Problem]:
    assert service.decode is not None
    other = service.decode.service
    if target.decode is not None:
        yield Problem((*at, "service"), f"{other!r} hands over itself: only two services can share a call")
    for who, each in (("this service", service), (repr(other), target)):
        if each.engine.policy != "continuous-batch":
            message = f"needs `engine: continuous-batch`, and {who} has {each.engine.policy!r}"
            yield Problem(at, message, "key")
        for alone in ("pipeline", "speculation", "adapters", "longest_chunk"):
            if getattr(each.engine, alone, None) is not None:
                yield Problem(at, f"does not go together with `{alone}`, which {who} has", "key")
    if service.model != target.model:
        message = (
            f"{other!r} serves {target.model or 'no model'}, not {service.model or 'none'}: caches do not fit"
        )
        yield Problem((*at, "service"), message)
    known = service.model in catalog.names("model")
    if service.model is not None and not known:
        return
    if not service.decode.size(catalog.model(service.model) if service.model is not None else None):
        yield Problem(at, "give `bytes_per_token`: the catalog does not know the size of the cache", "key")


def _bandwidth(scenario: Scenario, at: Location, *services: Service) -> Iterator[Problem]:
    """Each node either states its network, or `bandwidth` does."""
    decode = services[0].decode
    if decode is None or decode.bandwidth is not None:
        return
    silent: dict[str, None] = {}
    for service in services:
        site = scenario.infrastructure.sites.get(service.site)
        for name, pool in site.pools.items() if site is not None else ():
            kind = offer(scenario.infrastructure, pool)
            if service.pool in (None, name) and kind is not None and kind.network is None:
                silent[pool.instance] = None
    if silent:
        yield Problem(at, f"give `bandwidth`: {', '.join(silent)} states no `network`", "key")
