"""What else is wrong with a file that has wrong keys and values: references are checked all the same.

Wrong values are left out, or replaced where something has to stand, until the file is a scenario.
What is then found between its parts is true of the file as it was written, except at those places.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sim.scenario.document import Location
from sim.scenario.faults import MISSING, Problem, Problems
from sim.scenario.shapes import child, names
from sim.scenario.spec import Scenario
from sim.scenario.validation import validate

#: With more faults than this, or in a longer file, what lies beyond them is left for the next try.
MOST_MENDED = 40
MOST_TEXT = 100_000

_ABSENT: Any = object()

#: Values of the kinds that a scenario must hold somewhere; each wrong or missing one of those gets the
#: first that is accepted in its place, so that the rest of the file can be checked all the same.
_STAND_INS: tuple[Any, ...] = (
    "100h",
    1,
    "1B",
    "1/s",
    "1Gbps",
    "cloud",
    {"kind": "cloud"},
    {"policy": "constant", "value": "1s"},
    {"process": "poisson", "rate": "1/s"},
    ["x", "y"],
    {"x": 1},
    {"x": {"to": "x"}},
    {},
)


def beyond(
    data: dict[str, Any],
    found: Sequence[Problem],
    folder: Path,
    check: Callable[[Scenario], list[Problem]],
) -> list[Problem]:
    """What `check` finds besides wrong keys and values, as far as the scenario makes sense without them.

    Args:
        data: as the file holds it.
        found: its wrong keys and values.
        folder: where relative paths of input files begin.
        check: what is wrong between the parts of a scenario.
    """
    text = json.dumps(data)
    if len(found) > MOST_MENDED or len(text) > MOST_TEXT:
        return []
    rest: dict[str, Any] = json.loads(text)
    for problem in found:
        _put(rest, problem.path, _ABSENT)
    mended = [
        _mend(rest, problem.path, folder)
        for problem in found
        if problem.where == "value" or problem.message.startswith(MISSING)
    ]
    try:
        wrong = check(validate(rest, folder))
    except Problems:
        return []
    known = [*mended, *(problem.path for problem in found)]
    # A misspelt key is missing under its right name: that is one fault.
    misspelt = {problem.path[:-1] for problem in found if problem.where == "key"}
    return [
        problem
        for problem in wrong
        if not any(_together(problem.path, path) for path in known)
        and not (problem.message.startswith(MISSING) and problem.path[:-1] in misspelt)
    ]


def _mend(data: dict[str, Any], path: Location, folder: Path) -> Location:
    """Leave out a wrong value if it may be left out, else put one in its place that is accepted there.

    Where nothing else is (the name of a policy that needs parameters), the value around it is replaced.

    Returns:
        The path of what was left out or replaced.
    """
    for place in (path, path[:-1]):
        if not place:
            break
        # An entry that others may name stays: without it they would be blamed.
        stays = place[-1] not in names(Scenario, data, place[:-1])
        for stand_in in _STAND_INS if stays else (_ABSENT, *_STAND_INS):
            # A copy: what lies in it may be mended next.
            _put(data, place, stand_in if stand_in is _ABSENT else copy.deepcopy(stand_in))
            try:
                validate(data, folder)
            except Problems as error:
                if any(_together(problem.path, place) for problem in error.found):
                    continue
            return place
    return path


def _put(data: dict[str, Any], path: Location, value: Any) -> None:
    """Set the value at a path, or take it out; nothing happens where the data has no such place."""
    *above, last = path or ("",)
    place: Any = data
    for part in above:
        place = child(place, part)
    if isinstance(place, list):
        if isinstance(last, int) and last < len(place) and value is not _ABSENT:
            place[last] = value
    elif isinstance(place, dict) and value is _ABSENT:
        place.pop(last, None)
    elif isinstance(place, dict):
        place[last] = value


def _together(one: Location, other: Location) -> bool:
    """Whether one place is the other or lies below it."""
    return all(a == b for a, b in zip(one, other, strict=False))
