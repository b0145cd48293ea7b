"""Whether every variant of a study, each arm at each point of the axes, is a valid scenario.

A fault of a variant points to the line of the arm or axis that brought it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sim.scenario.canonical import plain
from sim.scenario.checks import check
from sim.scenario.document import Location, dotted
from sim.scenario.faults import Problem, Problems
from sim.scenario.overrides import placed, split
from sim.scenario.spec import Scenario
from sim.scenario.study import Choice, Study
from sim.scenario.validation import validate

#: Largest number of variants (arms times points of the axes) of one study.
MAX_VARIANTS = 1000


def check_variants(scenario: Scenario, known: Sequence[Problem] = ()) -> list[Problem]:
    """Everything wrong with the arms and axes of a study, except what is `known` of the scenario itself."""
    study = scenario.study
    choices = study.choices()
    if not study.arms and not choices:
        return []
    count = max(1, len(study.arms))
    for values in choices.values():
        count *= len(values)
    if count > MAX_VARIANTS:
        return [Problem(("study", "axes"), f"make {count} variants; at most {MAX_VARIANTS} are allowed")]
    wrong = list(_conflicts(scenario))
    if wrong:
        return wrong
    base = plain(scenario, Scenario)
    reported: set[str] = set()
    arms = (study.arms or {"": {}}).items()
    for (arm, settings), point in itertools.product(arms, itertools.product(*choices.values())):
        places: dict[str, Location] = {path: ("study", "arms", arm, path) for path in settings}
        changed = dict(settings)
        for choice in point:
            changed |= choice.settings
            places |= {path: _place(choice, path) for path in choice.settings}
        for problem in _variant(base, changed, places, known, scenario.folder):
            if problem.message not in reported:
                reported.add(problem.message)
                wrong.append(problem)
    return wrong


def _place(choice: Choice, path: str) -> Location:
    """Where a setting of an axis or a case stands."""
    return choice.place if choice.place[1] == "axes" else (*choice.place, path)


def _variant(
    base: Mapping[str, Any],
    settings: Mapping[str, Any],
    places: Mapping[str, Location],
    known: Sequence[Problem],
    folder: Path,
) -> list[Problem]:
    """What is wrong with the scenario under some settings; `places` tells where each stands."""
    data = dict(base)
    found: list[Problem] = []
    done: list[str] = []
    for path, value in settings.items():
        # Of an axis the path itself is wrong, not one of its values.
        place = places[path][:3] if places[path][1] == "axes" else places[path]
        try:
            parts = split(path)
            if parts[0] == "study":
                raise ValueError("an arm or axis cannot change the study itself")
            data = placed(data, parts, value)
            done.append(path)
        except Problems as error:
            found.extend(Problem(place, item.message, "key") for item in error.found)
        except ValueError as error:
            found.append(Problem(place, str(error), "key"))
    try:
        wrong = check(validate(data, folder)) if done else []
    except Problems as error:
        wrong = error.found
    return [*found, *(_blamed(item, done, places) for item in wrong if item not in known)]


def _blamed(problem: Problem, settings: Sequence[str], places: Mapping[str, Location]) -> Problem:
    """A problem of a variant, at the setting that brought it: the longest common path wins."""

    def common(path: str) -> int:
        pairs = itertools.takewhile(
            lambda pair: str(pair[0]) == str(pair[1]), zip(split(path), problem.path, strict=False)
        )
        return len(list(pairs))

    best = max(settings, key=common)
    message = problem.message
    if problem.path != split(best):
        message = f"{dotted(problem.path)}: {message}"
    return Problem(places[best], message)


def _conflicts(scenario: Scenario) -> Iterator[Problem]:
    """Axes, cases and arms that set the same thing, arms without a difference, values that repeat."""
    study = scenario.study
    yield from _shared(study)
    for path, values in study.axes.items():
        for index, value in enumerate(values):
            if any(value == other and type(value) is type(other) for other in values[:index]):
                yield Problem(("study", "axes", path, index), "this value stands twice")
    seen: dict[str, str] = {}
    for arm, settings in study.arms.items():
        key = json.dumps(settings, sort_keys=True)
        if key in seen:
            yield Problem(("study", "arms", arm), f"sets the same as the arm {seen[key]!r}", "key")
        seen.setdefault(key, arm)


def _shared(study: Study) -> Iterator[Problem]:
    """Settings of arms and cases at or below a path that another axis varies."""
    axes = [(axis, path) for axis, found in study.choices().items() for one in found for path in one.settings]
    varied = list(dict.fromkeys(axes))
    for arm, settings in study.arms.items():
        for other in settings:
            for _, path in varied:
                if _nested(path, other):
                    yield Problem(("study", "arms", arm, other), f"an axis varies {path} already", "key")
    for case, named in study.cases.items():
        for name, settings in named.items():
            for other in settings:
                for axis, path in varied:
                    if axis != case and _nested(path, other):
                        place = ("study", "cases", case, name, other)
                        yield Problem(place, f"{axis} varies {path} too", "key")
        if case in study.axes:
            yield Problem(("study", "cases", case), "an axis has this name already", "key")


def _nested(path: str, other: str) -> bool:
    """Whether one of two paths leads to or through the other."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")
