"""Services that host several models: what a file says, whether it can be, and what is built from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le, Len
from pydantic import Field

from sim import catalog, registry
from sim.errors import did_you_mean
from sim.paas.hosting import HostedModel, Hosting
from sim.registry import fresh
from sim.scenario.document import Location
from sim.scenario.faults import Problem
from sim.scenario.fields import Name, PolicyField, Spec
from sim.scenario.offer import offer
from sim.units import Bytes, PositiveSeconds, Seconds

if TYPE_CHECKING:
    from sim.scenario.spec import Application, Scenario, Service

#: Models that one service may host.
MOST = 10_000

#: Engines that know one model only.
_SINGLE = ("adaptive-batch", "continuous-batch")


class Hosted(Spec):
    """A model that a service hosts beside others."""

    model: str | None = Field(default=None, description="model of the catalog (`stratus list models`)")
    time: Annotated[Any, PolicyField("time")] | None = Field(
        default=None, description="how long a batch takes; as the service says unless given"
    )
    weights: Bytes | None = Field(
        default=None, description="size of the weights; from model and the service's precision unless given"
    )
    load: PositiveSeconds | None = Field(
        default=None,
        description="from the node into the accelerator's memory; weights over the service's `load_rate` "
        "unless given",
    )
    share: Annotated[float, Ge(0), Le(1e9)] = Field(
        default=1.0, description="of the calls that name no model, against the other models"
    )
    copies: Annotated[int, Ge(1), Le(MOST)] = Field(
        default=1, description="as many models alike, say fine-tuned from one: NAME-1, NAME-2 and so on"
    )
    skew: Annotated[float, Ge(0), Le(10)] = Field(
        default=0.0, description="popularity of the copies: the share of the k-th goes with k^-skew (Zipf)"
    )


class Hosts(Spec):
    """Models that take turns in the memory of each replica; calls name theirs, or draw it by the shares."""

    models: Annotated[dict[Name, Hosted], Len(1)] = Field(description="models by name")
    memory: Bytes | None = Field(
        default=None, description="for weights on each replica; what its accelerators have unless given"
    )
    patience: Seconds = Field(
        default=0.0,
        description="a call whose model is out lets calls of those that are in go first for so long",
    )

    def shares(self) -> dict[str, float]:
        """Share of each model, copies by themselves, among the calls that name none."""
        found: dict[str, float] = {}
        for name, model in self.models.items():
            if model.copies == 1:
                found[name] = model.share
                continue
            weights = [rank**-model.skew for rank in range(1, model.copies + 1)]
            total = sum(weights)
            for rank, weight in enumerate(weights, 1):
                found[f"{name}-{rank}"] = model.share * weight / total
        total = sum(found.values()) or 1.0
        return {name: share / total for name, share in found.items()}


def hosting(service: Service) -> Hosting | None:
    """As the service takes it; None where it serves one model."""
    if service.hosts is None:
        return None
    made: dict[str, HostedModel] = {}
    for name, each in service.hosts.models.items():
        model = catalog.model(each.model) if each.model is not None else None
        size = _size(service, each)
        load = each.load
        if load is None:
            assert service.load_rate is not None, "the loader has checked it"
            load = size / service.load_rate
        time = fresh(each.time or service.time)
        assert time is not None, "the loader has checked it"
        registry.start(time, model, service.precision)
        names = [name] if each.copies == 1 else [f"{name}-{rank}" for rank in range(1, each.copies + 1)]
        for one in names:
            # Copies differ in their weights, but take the same time.
            artifact = f"weights/{each.model or name}/{service.precision}/{one}"
            made[one] = HostedModel((artifact, size), load, time.seconds)
    return Hosting(made, service.hosts.memory, service.hosts.patience)


def _size(service: Service, model: Hosted) -> float:
    if model.weights is not None:
        return float(model.weights)
    assert model.model is not None, "the loader has checked it"
    return catalog.model(model.model).weights(service.precision)


def check_hosts(scenario: Scenario, at: Location, service: Service) -> Iterator[Problem]:
    """What is wrong about the models that a service hosts."""
    if service.hosts is None:
        return
    if service.engine.policy in _SINGLE or getattr(service.engine, "levelled", False):
        levels = "" if service.engine.policy in _SINGLE else " with levels, bounds or ordered replies"
        message = f"{service.engine.policy}{levels} serves one model: it does not go with `hosts`"
        yield Problem((*at, "engine"), message)
    if service.model is not None:
        yield Problem((*at, "model"), "a service with `hosts` names its models there", "key")
    shares = [model.share for model in service.hosts.models.values()]
    if not sum(shares) > 0:
        yield Problem((*at, "hosts", "models"), "no model has a `share` above 0", "key")
    if sum(model.copies for model in service.hosts.models.values()) > MOST:
        yield Problem((*at, "hosts", "models"), f"more than {MOST} models in all", "key")
    largest = 0.0
    for name, model in service.hosts.models.items():
        here: Location = (*at, "hosts", "models", name)
        known = catalog.names("model")
        if model.model is not None and model.model not in known:
            hint = did_you_mean(model.model, known)
            yield Problem((*here, "model"), f"the catalog has no model {model.model!r}{hint}")
            continue
        if model.weights is None and model.model is None:
            yield Problem(here, "give `weights`, or a `model` of the catalog", "key")
            continue
        if model.load is None and service.load_rate is None:
            yield Problem(here, "give `load`, or `load_rate` of the service", "key")
        time = model.time or service.time
        if (
            time is not None
            and time.policy == "roofline"
            and (model.model is None or catalog.model(model.model).flop is None)
        ):
            yield Problem(here, "a roofline time needs a `model` with FLOP in the catalog", "key")
        largest = max(largest, _size(service, model))
    yield from _memory(scenario, at, service, largest)


def _memory(scenario: Scenario, at: Location, service: Service, largest: float) -> Iterator[Problem]:
    """Whether the largest model fits into the memory for weights, on every node a replica may get."""
    assert service.hosts is not None
    memory = service.hosts.memory
    if memory is not None:
        if largest > memory:
            message = f"{memory / 1e9:.3g} GB hold no model of {largest / 1e9:.3g} GB"
            yield Problem((*at, "hosts", "memory"), message)
        return
    site = scenario.infrastructure.sites.get(service.site)
    for name, pool in site.pools.items() if site is not None else ():
        kind = offer(scenario.infrastructure, pool)
        if service.pool not in (None, name) or kind is None or service.device not in (None, kind.device):
            continue
        if kind.device is None or not service.resources.accelerators:
            yield Problem((*at, "hosts"), "give `memory`: its replicas have no accelerator", "key")
            return
        has = catalog.device(kind.device).memory * service.resources.accelerators
        if largest > has:
            message = f"{has / 1e9:.3g} GB of {kind.device} hold no model of {largest / 1e9:.3g} GB"
            yield Problem((*at, "hosts", "models"), message, "key")


def check_calls(scenario: Scenario, at: Location, app: Application) -> Iterator[Problem]:
    """Whether calls name models that their services host."""
    for name, call in app.calls.items():
        targets = {
            target: scenario.platform.services[target].hosts
            for target in call.to
            if target in scenario.platform.services
        }
        for target, hosts in targets.items():
            if call.model is None:
                continue
            if hosts is None:
                yield Problem((*at, name, "model"), f"{target!r} does not host several models", "key")
            elif call.model not in hosts.shares():
                hint = did_you_mean(call.model, hosts.shares())
                yield Problem((*at, name, "model"), f"{target!r} hosts no model {call.model!r}{hint}")
        shares = [None if hosts is None else hosts.shares() for hosts in targets.values()]
        if call.model is None and any(each != shares[0] for each in shares):
            message = "give a `model`: the alternatives do not host the same models with the same shares"
            yield Problem((*at, name), message, "key")


def models_of(service: Service, named: str | None) -> dict[str, float] | None:
    """The models that a call of a service may be for, and their shares; None where it has no choice."""
    if service.hosts is None:
        return None
    return {named: 1.0} if named is not None else service.hosts.shares()
