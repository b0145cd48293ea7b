"""From a file to a scenario, and from a scenario back to text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sim.errors import Fault, ScenarioError
from sim.scenario import canonical, document, manifests
from sim.scenario.checks import check
from sim.scenario.document import Document, Location, dotted
from sim.scenario.faults import Problem, Problems, faults
from sim.scenario.fields import INPUT_FILES
from sim.scenario.mending import beyond
from sim.scenario.overrides import COMMAND_LINE, assignment, placed
from sim.scenario.spec import Scenario
from sim.scenario.validation import load_policies, validate
from sim.scenario.variants import check_variants


def load(path: Path | str, sets: Sequence[str] = ()) -> Scenario:
    """The scenario in a file, with `path=value` settings applied.

    Raises:
        ScenarioError: with every fault that was found.
    """
    path = Path(path)
    return loads(document.read(path), sets, file=str(path), folder=path.parent)


def loads(text: str, sets: Sequence[str] = (), *, file: str = "<text>", folder: Path = Path()) -> Scenario:
    """The scenario in a YAML text; `file` names it in faults, `folder` is where its paths begin.

    Raises:
        ScenarioError: with every fault that was found.
    """
    load_policies()
    written = document.parse(text, file)
    data = {key: value for key, value in written.data.items() if not key.startswith("x-")}
    found: list[Fault] = []
    settings: list[tuple[Location, Any]] = []
    for item in sets:
        try:
            path, value = assignment(item)
            data = placed(data, path, value)
            settings.append((path, value))
        except Problems as error:
            found.extend(_command_line(problem) for problem in error.found)
        except ValueError as error:
            found.append(Fault(COMMAND_LINE, 0, 0, "", str(error)))
    if found:
        raise ScenarioError(found)
    data, unread = manifests.expand(data, folder)
    try:
        scenario = validate(data, folder)
        wrong = [*unread, *_check(scenario)]
    except Problems as error:
        wrong = [*unread, *error.found, *beyond(data, error.found, folder, _check)]
    if wrong:
        raise ScenarioError(_faults(wrong, written, [path for path, _ in settings]))
    return scenario


def resolved(scenario: Scenario) -> str:
    """The effective scenario as YAML; loading it gives an equal scenario."""
    return canonical.dump(canonical.plain(scenario, Scenario))


def digest(scenario: Scenario) -> str:
    """A key of the effective scenario: equal settings and equal input files give equal digests.

    Files count by their content, so that the key is the same on any machine.
    """
    files = {path: f"sha256:{content}" for path, content in inputs(scenario).items()}
    plain = canonical.plain(scenario, Scenario)
    text = json.dumps(_replaced(plain, files), sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def inputs(scenario: Scenario) -> dict[str, str]:
    """The files that a run reads besides the scenario, with the SHA-256 of their content."""
    sources = [app.arrivals for app in scenario.applications.values()]
    sources += [job.arrivals for job in scenario.platform.jobs.values()]
    sources += [getattr(service.engine, "steps", None) for service in scenario.platform.services.values()]
    sources += [service.autoscaler for service in scenario.platform.services.values()]
    paths = {getattr(source, name, None) for source in sources for name in INPUT_FILES}
    return {path: _sha256(path) for path in sorted(str(path) for path in paths if path)}


def _sha256(path: str) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _replaced(value: Any, words: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item, words) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, words) for item in value]
    return words.get(value, value) if isinstance(value, str) else value


def _check(scenario: Scenario) -> list[Problem]:
    """What is wrong between the parts of a scenario, and in the variants of its study."""
    wrong = check(scenario)
    return [*wrong, *check_variants(scenario, wrong)]


def _faults(wrong: Iterable[Problem], written: Document, set_paths: Sequence[Location]) -> list[Fault]:
    """Faults at their place in the file, or on the command line if it set that place."""
    found: list[Fault] = []
    for problem in wrong:
        text = tuple(map(str, problem.path))
        if any(text[: len(path)] == path for path in set_paths):
            found.append(_command_line(problem))
        else:
            found.extend(faults([problem], written))
    return found


def _command_line(problem: Problem) -> Fault:
    return Fault(COMMAND_LINE, 0, 0, dotted(problem.path), problem.message)
