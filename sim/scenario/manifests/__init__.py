"""Autoscalers of real clusters: `autoscaler: {manifest: hpa.yaml}` becomes a policy and bounds.

Read are HorizontalPodAutoscaler (autoscaling/v2), Knative Service (serving.knative.dev/v1), KEDA
ScaledObject (keda.sh/v1alpha1) and KServe InferenceService (serving.kserve.io/v1beta1); for a class of
jobs KEDA ScaledJob (`scaled_job: {manifest: job.yaml}`). A field that has no effect here is refused by
its name and line; those that only say what is scaled, or where a metric comes from, are passed over.
The bounds of the manifest replace those of the scenario.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sim.errors import ScenarioError, did_you_mean
from sim.scenario import document
from sim.scenario.document import Location
from sim.scenario.faults import Problem, shown
from sim.scenario.manifests import hpa, keda, keda_jobs, knative, kserve
from sim.scenario.manifests.reader import Fields
from sim.scenario.manifests.signals import SIGNALS
from sim.scenario.manifests.translation import Context, Translation
from sim.units import parse

_KINDS = {
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Service": "serving.knative.dev/v1",
    "ScaledObject": "keda.sh/v1alpha1",
    "InferenceService": "serving.kserve.io/v1beta1",
}


_JOBS = {"ScaledJob": "keda.sh/v1alpha1"}


def read(path: Path, context: Context) -> tuple[Translation | None, list[str]]:
    """What the manifest of an autoscaler means, and everything wrong with it, each with file and line.

    Args:
        path: of the YAML file.
        context: what it needs of the scenario.
    """
    found: list[str] = []
    root = _opened(path, _KINDS, found)
    if root is None:
        return None, found
    kind, top = root
    metadata, spec = top.fields("metadata"), top.fields("spec")
    if kind == "HorizontalPodAutoscaler":
        made = hpa.translate(spec, context)
    elif kind == "Service":
        made = knative.translate(spec)
    elif kind == "ScaledObject":
        made = keda.translate(spec, context)
    else:
        made = kserve.translate(metadata, spec, context)
    spec.close()
    top.close()
    return (None if found else made), found


def read_jobs(path: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """What the manifest of a ScaledJob means, as `scaled_job` is written, and everything wrong with it."""
    found: list[str] = []
    root = _opened(path, _JOBS, found)
    if root is None:
        return None, found
    _, top = root
    top.ignore("metadata")
    spec = top.fields("spec")
    made = keda_jobs.translate(spec)
    spec.close()
    top.close()
    return (None if found else made), found


def _opened(path: Path, kinds: Mapping[str, str], found: list[str]) -> tuple[str, Fields] | None:
    """The kind of a manifest and its top level; None where it cannot be read, or is of no such kind."""
    try:
        written = document.parse(document.read(path), path.name)
    except ScenarioError as error:
        found += [f"{fault.file}:{fault.line}:{fault.column}: {fault.message}" for fault in error.faults]
        return None
    root = Fields(written, (), written.data, found)
    kind = root.text("kind", "", tuple(kinds))
    if not kind:
        if not found:
            root.wrong((), f"kind is missing (known: {', '.join(kinds)})")
        return None
    root.text("apiVersion", kinds[kind], (kinds[kind],))
    root.ignore("status")
    return kind, root


def expand(data: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[Problem]]:
    """A scenario's plain data with every manifest read, in services, jobs, and arms and cases of its study.

    Args:
        data: as the file holds it.
        folder: of the scenario; paths that are not found from there begin at the current one.
    """
    problems: list[Problem] = []
    services = _mapping(_mapping(data.get("platform")).get("services"))
    changed: dict[str, Any] = {}
    for name, service in services.items():
        asked = _asked(_mapping(service).get("autoscaler"))
        if asked is not None:
            at: Location = ("platform", "services", name, "autoscaler")
            made = _translated(asked, service, folder, at, problems)
            changed[name] = {**service, **_settings(made, service.get("replicas"))}
    classes = _mapping(_mapping(data.get("platform")).get("jobs"))
    jobs: dict[str, Any] = {}
    for name, job in classes.items():
        asked = _asked(_mapping(job).get("scaled_job"))
        if asked is not None:
            at = ("platform", "jobs", name, "scaled_job")
            jobs[name] = {**job, "scaled_job": _translated_jobs(asked, folder, at, problems)}
    result = dict(data)
    if changed or jobs:
        result["platform"] = {**data["platform"]}
    if changed:
        result["platform"]["services"] = {**services, **changed}
    if jobs:
        result["platform"]["jobs"] = {**classes, **jobs}
    study = _mapping(data.get("study"))
    new: dict[str, Any] = {}
    if isinstance(study.get("arms"), Mapping):
        new["arms"] = _variants(study["arms"], services, folder, ("study", "arms"), problems)
    if isinstance(study.get("cases"), Mapping):
        new["cases"] = {
            case: _variants(named, services, folder, ("study", "cases", case), problems)
            for case, named in study["cases"].items()
        }
    if new:
        result["study"] = {**study, **new}
    return result, problems


def _variants(
    named: Any, services: Mapping[str, Any], folder: Path, at: Location, problems: list[Problem]
) -> Any:
    """Settings by path, by name: with the manifests among them read."""
    if not isinstance(named, Mapping):
        return named
    return {
        name: _arm(settings, services, folder, (*at, name), problems)
        if any(_asked(value) for value in _mapping(settings).values())
        else settings
        for name, settings in named.items()
    }


def _arm(
    settings: Mapping[str, Any],
    services: Mapping[str, Any],
    folder: Path,
    at: Location,
    problems: list[Problem],
) -> dict[str, Any]:
    made = dict(settings)
    for path, value in settings.items():
        asked = _asked(value)
        parts = path.split(".")
        if asked is not None and parts[:2] == ["platform", "jobs"] and parts[3:] == ["scaled_job"]:
            made[path] = _translated_jobs(asked, folder, (*at, path), problems)
        if asked is None or parts[:2] != ["platform", "services"] or parts[3:] != ["autoscaler"]:
            continue
        service = _mapping(services.get(parts[2]))
        translated = _translated(asked, service, folder, (*at, path), problems)
        there = path.removesuffix("autoscaler") + "replicas"
        replicas = settings.get(there, service.get("replicas"))
        for key, setting in _settings(translated, replicas).items():
            made[path.removesuffix("autoscaler") + key] = setting
    return made


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _asked(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) and "manifest" in value else None


def _settings(made: Translation | None, replicas: Any) -> dict[str, Any]:
    """What stands in the scenario instead; a plain policy after a fault, so that the rest is checked."""
    if made is None:
        return {"autoscaler": "fixed"}
    given = {"initial": replicas, "max": replicas} if isinstance(replicas, int) else _mapping(replicas)
    most = made.maximum
    if most is None:
        most = given.get("max", given.get("initial", 1))
    initial = given.get("initial", given.get("min", given.get("max", made.initial or made.minimum)))
    if isinstance(initial, int) and isinstance(most, int):
        initial = min(max(initial, made.minimum), most)
    return {
        "autoscaler": made.policy,
        "replicas": {"initial": initial, "min": made.minimum, "max": most},
    }


def _translated(
    asked: Mapping[str, Any], service: Mapping[str, Any], folder: Path, at: Location, problems: list[Problem]
) -> Translation | None:
    _only(asked, ("manifest", "metrics"), at, problems)
    signals = _mapping(asked.get("metrics"))
    for name, signal in signals.items():
        if signal not in SIGNALS:
            hint = did_you_mean(str(signal), SIGNALS)
            problems.append(Problem((*at, "metrics", name), f"no signal is called {shown(signal)}{hint}"))
    path = _path(asked, folder, at, problems)
    if path is None:
        return None
    context = Context({str(key): str(value) for key, value in signals.items()}, _cores(service))
    made, wrong = read(path, context)
    problems.extend(Problem((*at, "manifest"), message) for message in wrong)
    return made


def _translated_jobs(
    asked: Mapping[str, Any], folder: Path, at: Location, problems: list[Problem]
) -> dict[str, Any]:
    """What stands under `scaled_job` instead; the defaults after a fault, so that the rest is checked."""
    _only(asked, ("manifest",), at, problems)
    path = _path(asked, folder, at, problems)
    if path is None:
        return {}
    made, wrong = read_jobs(path)
    problems.extend(Problem((*at, "manifest"), message) for message in wrong)
    return made or {}


def _only(asked: Mapping[str, Any], known: Sequence[str], at: Location, problems: list[Problem]) -> None:
    problems.extend(
        Problem((*at, key), f"unknown key{did_you_mean(str(key), known)}", "key")
        for key in asked
        if key not in known
    )


def _path(asked: Mapping[str, Any], folder: Path, at: Location, problems: list[Problem]) -> Path | None:
    """Where the manifest is; None if no path is given."""
    name = asked["manifest"]
    if not isinstance(name, str) or not name:
        problems.append(Problem((*at, "manifest"), f"expected the path of a file, got {shown(name)}"))
        return None
    paths = [base / name for base in (folder, Path())]
    return next((each for each in paths if each.is_file()), paths[0])


def _cores(service: Mapping[str, Any]) -> float:
    """Cores that a replica requests; a fault there is reported by the loader."""
    try:
        return parse(_mapping(service.get("resources")).get("cpu", 1), "cores") or 1.0
    except ValueError:
        return 1.0
