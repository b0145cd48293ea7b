"""Whether every variant of a study, each arm at each point of the axes, is a valid scenario.

A fault of a variant points to the line of the arm or axis that brought it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sim.scenario.canonical import plain
from sim.scenario.checks import check
from sim.scenario.document import Location, dotted
from sim.scenario.faults import Problem, Problems
from sim.scenario.overrides import placed, split
from sim.scenario.spec import Scenario
from sim.scenario.validation import validate

#: Largest number of variants (arms times points of the axes) of one study.
MAX_VARIANTS = 1000


def check_variants(scenario: Scenario, known: Sequence[Problem] = ()) -> list[Problem]:
    """Everything wrong with the arms and axes of a study, except what is `known` of the scenario itself."""
    study = scenario.study
    if not study.arms and not study.axes:
        return []
    count = max(1, len(study.arms))
    for values in study.axes.values():
        count *= len(values)
    if count > MAX_VARIANTS:
        return [Problem(("study", "axes"), f"make {count} variants; at most {MAX_VARIANTS} are allowed")]
    wrong = list(_conflicts(scenario))
    if wrong:
        return wrong
    base = plain(scenario, Scenario)
    points = [
        dict(zip(study.axes, values, strict=True)) for values in itertools.product(*study.axes.values())
    ]
    reported: set[str] = set()
    for (arm, settings), point in itertools.product((study.arms or {"": {}}).items(), points):
        places: dict[str, Location] = {path: ("study", "arms", arm, path) for path in settings}
        places |= {
            path: ("study", "axes", path, study.axes[path].index(value)) for path, value in point.items()
        }
        for problem in _variant(base, {**settings, **point}, places, known):
            if problem.message not in reported:
                reported.add(problem.message)
                wrong.append(problem)
    return wrong


def _variant(
    base: Mapping[str, Any],
    settings: Mapping[str, Any],
    places: Mapping[str, Location],
    known: Sequence[Problem],
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
        wrong = check(validate(data)) if done else []
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
    """Axes and arms that set the same thing, arms without a difference, values that repeat."""
    study = scenario.study
    for path, values in study.axes.items():
        for index, value in enumerate(values):
            if any(value == other and type(value) is type(other) for other in values[:index]):
                yield Problem(("study", "axes", path, index), "this value stands twice")
        for arm, settings in study.arms.items():
            for other in settings:
                if f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}."):
                    yield Problem(("study", "arms", arm, other), f"an axis varies {path} already", "key")
    seen: dict[str, str] = {}
    for arm, settings in study.arms.items():
        key = json.dumps(settings, sort_keys=True)
        if key in seen:
            yield Problem(("study", "arms", arm), f"sets the same as the arm {seen[key]!r}", "key")
        seen.setdefault(key, arm)
