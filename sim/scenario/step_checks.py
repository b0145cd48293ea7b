"""What the step times of a language model's engine need of the catalog, of the model and of the devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sim import catalog
from sim.errors import ScenarioError, StratusError, did_you_mean
from sim.paas.llm import read_profile
from sim.paas.llm.roofline import lacking
from sim.paas.policies.steps import FromProfile, Roofline, choose
from sim.scenario.document import Location
from sim.scenario.faults import Problem
from sim.scenario.spec import Service


def check_steps(at: Location, service: Service, devices: Iterable[str | None]) -> Iterator[Problem]:
    """The step times of a service, on each of the devices its replicas may run on."""
    # Each stage of a pipeline spreads its layers over its part of the accelerators.
    stages, count = getattr(service.engine, "stages", 1), service.resources.accelerators
    if stages > 1 and count % stages:
        message = f"{stages} stages need a multiple of {stages} accelerators, not {count:g}"
        yield Problem((*at, "engine", "pipeline"), message)
        return
    steps = getattr(service.engine, "steps", None)
    where: Location = (*at, "engine", "steps")
    if isinstance(steps, FromProfile) and steps.name is not None:
        known = catalog.names("profile")
        if steps.name not in known:
            hint = did_you_mean(steps.name, known)
            yield Problem((*where, "name"), f"the catalog has no profile {steps.name!r}{hint}")
        return
    if isinstance(steps, FromProfile) and steps.file is not None:
        try:
            read_profile(steps.file)
        except ScenarioError as error:
            for fault in error.faults:
                yield Problem((*where, "file"), str(fault))
        return
    if not isinstance(steps, FromProfile | Roofline):
        return
    named = "profile" if isinstance(steps, FromProfile) else "roofline"
    if service.model is None:
        yield Problem((*at, "model"), f"is missing: step times {named} are of a model", "key")
        return
    if service.model not in catalog.names("model"):
        return
    model, number = catalog.model(service.model), max(1, round(count / stages))
    for device in dict.fromkeys(devices):
        if device is None:
            yield Problem(where, f"step times {named} need a device, and a node there has none")
        elif isinstance(steps, Roofline) and catalog.has_device(device):
            reason = lacking(model, catalog.device(device), service.precision, number)
            if reason:
                yield Problem(where, reason)
        elif isinstance(steps, FromProfile):
            try:
                choose(model.name, service.precision, device, number)
            except StratusError as error:
                yield Problem(where, str(error))
