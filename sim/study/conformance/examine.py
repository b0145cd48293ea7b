"""The single checks of a policy, in the order they are told."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np

from sim import registry
from sim.errors import ScenarioError, UsageError, did_you_mean
from sim.kernel.outcome import Outcome
from sim.scenario.build import build
from sim.scenario.load import loads, resolved
from sim.scenario.spec import Scenario
from sim.study.conformance.trials import TRIALS, trial

#: Kind -> the method that is the rule.
VERBS = {
    "admission": "admit",
    "allocation": "allocate",
    "arrivals": "blocks",
    "autoscaler": "want",
    "discipline": "hold",
    "distribution": "sample",
    "engine": "take",
    "filter": "reject",
    "forecaster": "predict",
    "node_scaling": "plan",
    "offload": "place",
    "order": "key",
    "preemption": "victims",
    "recommender": "recommend",
    "router": "pick",
    "score": "score",
    "sharing": "paces",
    "stabiliser": "hold",
    "steps": "build",
    "time": "seconds",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was asked, whether it holds, and what is wrong if not."""

    check: str
    passed: bool
    detail: str = ""


def policies_of(module: str) -> list[tuple[str, str]]:
    """(kind, name) of the policies that a module registers."""
    return [
        (kind, name)
        for kind in registry.kinds()
        for name, cls in registry.classes(kind)
        if cls.__module__ == module
    ]


def examine(
    kind: str,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    also: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """Try a policy; the findings in order, up to one without which the later ones make no sense.

    Args:
        kind: as in `stratus list`.
        name: registered name.
        parameters: as in a scenario file; needed for those without a default.
        also: further settings of the trial, by path.

    Raises:
        UsageError: no trial is known for the kind.
    """
    cls = registry.lookup(kind, name)
    if kind not in TRIALS:
        raise UsageError(f"there is no trial for policies of the kind {kind!r}{did_you_mean(kind, TRIALS)}")
    summary = (cls.__doc__ or "").strip().splitlines()[0].strip()
    findings = [
        Finding("the first line of its docstring is a sentence", summary.endswith("."), f"it is {summary!r}")
    ]
    try:
        scenario = trial(kind, name, dict(parameters or {}), dict(also or {}))
    except ScenarioError as error:
        return [*findings, Finding("its parameters are accepted", False, str(error))]
    findings.append(Finding("its parameters are accepted", True))
    written = resolved(scenario)
    same = resolved(loads(written)) == written
    findings.append(Finding("its parameters can be written and read back", same, "they differ afterwards"))
    changed: list[str] = []
    before = (random.getstate(), _plain(np.random.get_state()))  # noqa: NPY002 - what must not be used
    try:
        with _watched(cls, VERBS[kind], changed):
            first = fingerprint(build(scenario).run())
    except Exception as error:
        return [*findings, Finding("it runs", False, f"{type(error).__name__}: {error}")]
    after = (random.getstate(), _plain(np.random.get_state()))  # noqa: NPY002
    second = fingerprint(build(scenario).run())
    return [
        *findings,
        Finding("it runs", True),
        Finding(f"{VERBS[kind]} leaves its arguments alone", not changed, ", ".join(changed[:3])),
        Finding(
            "it uses no random numbers but its stream's",
            before == after,
            "`random` or `numpy.random` were drawn from; take a stream in `start`",
        ),
        Finding(
            "the same scenario gives the same run again",
            first == second,
            "state outlives a run, or randomness has no seed; acquire state in `start`",
        ),
    ]


def fingerprint(outcome: Outcome) -> str:
    """A digest of all that a run recorded."""
    digest = hashlib.blake2b(digest_size=16)
    for table, columns in sorted(outcome.tables.items()):
        for name, data in columns.items():
            content = "\0".join(data.texts()).encode() if hasattr(data, "texts") else data.tobytes()
            digest.update(f"{table}.{name}:{len(content)}:".encode() + content)
    for path, (times, values) in sorted(outcome.steps.items()):
        digest.update(path.encode() + times.tobytes() + values.tobytes())
    return digest.hexdigest()


def run_print(scenario: Scenario) -> str:
    """Simulate a scenario; the digest of what it recorded."""
    return fingerprint(build(scenario).run())


def _plain(state: Any) -> Any:
    """A state of numpy's old generator in a form that can be compared."""
    return tuple(item.tobytes() if isinstance(item, np.ndarray) else item for item in state)


@contextmanager
def _watched(cls: type[Any], verb: str, changed: list[str]) -> Iterator[None]:
    """Note which lists, mappings and arrays the verb was given and has changed."""
    original: Callable[..., Any] | None = cls.__dict__.get(verb)
    if original is None:
        yield
        return
    own = original

    @wraps(own)
    def asked(self: Any, *args: Any) -> Any:
        shown = [_snapshot(value) for value in args]
        answer = own(self, *args)
        for number, (value, was) in enumerate(zip(args, shown, strict=True), start=1):
            if was is not None and _snapshot(value) != was:
                text = f"argument {number} was changed"
                if text not in changed:
                    changed.append(text)
        return answer

    setattr(cls, verb, asked)
    try:
        yield
    finally:
        setattr(cls, verb, own)


def _snapshot(value: Any) -> Any:
    """What tells whether a value was changed, None for what cannot be looked into."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, dict):
        return list(map(id, value)), list(map(id, value.values()))
    if isinstance(value, list):
        return list(map(id, value))
    return None
