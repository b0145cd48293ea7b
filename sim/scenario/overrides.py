"""Settings by dotted path, `platform.services.chat.replicas.max=8`: `--set`, arms and axes.

A part that contains dots or other signs is quoted: `infrastructure.faults.crashes.'plant/gpu'.mtbf`.
The path is checked against the models, not the text, so a key that a file leaves out can be set;
a short form on the way (`router: least-load`, `nodes: 4`) is written out first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from sim.errors import Fault, ScenarioError, did_you_mean
from sim.scenario.canonical import plain
from sim.scenario.checks import check
from sim.scenario.document import Location, dotted, parse_value
from sim.scenario.faults import Problem, Problems, shown
from sim.scenario.shapes import Shape, shape, strip
from sim.scenario.spec import Scenario
from sim.scenario.validation import validate

#: Stands for the file in faults of `--set`.
COMMAND_LINE = "<--set>"

_PART = re.compile(r"""'([^']*)'|"([^"]*)"|([^.'"]+)""")


def split(path: str) -> Location:
    """The parts of a dotted path; a number can be the index of a list.

    Raises:
        ValueError: not a path.
    """
    parts: list[str] = []
    at = 0
    while True:
        match = _PART.match(path, at)
        if match is None:
            raise ValueError(f"{path!r} is not a path such as platform.services.chat.replicas.max")
        parts.append(next(group for group in match.groups() if group is not None).strip())
        at = match.end()
        if at == len(path):
            return tuple(parts)
        if path[at] != ".":
            raise ValueError(f"{path!r} is not a path: a dot is missing after {path[:at]!r}")
        at += 1


def assignment(text: str) -> tuple[Location, Any]:
    """Path and value of `path=value`; the value is read as YAML.

    Raises:
        ValueError: not of that form.
    """
    sign = _outside_quotes(text, "=")
    if sign < 0:
        raise ValueError(f"{text!r} is not of the form path=value")
    try:
        return split(text[:sign].strip()), parse_value(text[sign + 1 :])
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


def alternatives(text: str) -> tuple[Location, list[Any]]:
    """Path and values of `path=a,b,c`, as `--vary` takes them.

    Raises:
        ValueError: not of that form.
    """
    sign = _outside_quotes(text, "=")
    if sign < 0:
        raise ValueError(f"{text!r} is not of the form path=a,b,c")
    try:
        values = parse_value(f"[{text[sign + 1 :]}]")
        path = split(text[:sign].strip())
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    if not values:
        raise ValueError(f"{text!r} names no value")
    return path, values


def _outside_quotes(text: str, sign: str) -> int:
    quote = ""
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == sign:
            return index
    return -1


def apply(scenario: Scenario, settings: Mapping[str, Any]) -> Scenario:
    """The scenario with other values at some dotted paths; an arm or a point of the axes.

    Raises:
        ScenarioError: no such place, or not a valid scenario with these values.
    """
    data = plain(scenario, Scenario)
    try:
        for path, value in settings.items():
            data = placed(data, split(path), value)
        changed = validate(data, scenario.folder)
        wrong = check(changed)
    except Problems as error:
        wrong = error.found
    except ValueError as error:
        wrong = [Problem((), str(error))]
    if wrong:
        raise ScenarioError(Fault(scenario.name, 0, 0, dotted(item.path), item.message) for item in wrong)
    return changed


def placed(data: Mapping[str, Any], path: Location, value: Any) -> dict[str, Any]:
    """A copy of a scenario's plain data with `value` at `path`.

    Raises:
        Problems: the scenario has no such place; the message names the nearest.
    """
    made: dict[str, Any] = _placed(dict(data), Scenario, path, 0, value)
    return made


def _placed(data: Any, hint: Any, path: Location, depth: int, value: Any) -> Any:
    if depth == len(path):
        return value
    data = _written_out(data, hint)
    at = shape(hint, data)
    part = path[depth]
    last = depth == len(path) - 1
    if at.items is not None:
        return _in_list(data, at, path, depth, value)
    if at.fields is None and at.entries is None:
        above = dotted(path[:depth])
        raise _unknown(path, f"no such setting: {above} is a single value")
    if data is not None and not isinstance(data, Mapping):
        raise _unknown(path, f"cannot be set: {dotted(path[:depth])} is {shown(data)}, not a mapping")
    entries = dict(data or {})
    if at.fields is not None:
        if part not in at.fields:
            raise _unknown(path, f"no such setting: {shown(part)}{did_you_mean(str(part), at.fields)}")
        inner, below = at.fields[str(part)], entries.get(str(part))
        if below is None and not last:
            model, _ = strip(hint)
            if isinstance(model, type) and issubclass(model, BaseModel):
                default = default_in_file(model, str(part), inner)
                below = None if default is PydanticUndefined else default
    else:
        if part not in entries and not last:
            raise _unknown(path, f"no such setting: {shown(part)}{did_you_mean(str(part), entries)}")
        inner, below = at.entries, entries.get(str(part))
    entries[str(part)] = _placed(below, inner, path, depth + 1, value)
    return entries


def _in_list(data: Any, at: Shape, path: Location, depth: int, value: Any) -> Any:
    items = list(data) if isinstance(data, list) else []
    part = str(path[depth])
    if not part.isdecimal() or int(part) >= len(items):
        raise _unknown(
            path, f"no such setting: {dotted(path[:depth])} is a list of {len(items)}, counted from 0"
        )
    items[int(part)] = _placed(items[int(part)], at.items, path, depth + 1, value)
    return items


def _written_out(data: Any, hint: Any) -> Any:
    """The mapping that a short form stands for."""
    bare, marks = strip(hint)
    for form in (*marks, bare):
        if hasattr(form, "short"):
            return form.short(data)
    return data


def default_in_file(model: type[BaseModel], name: str, hint: Any) -> Any:
    """What a key that a file leaves out means, as plain data; `PydanticUndefined` if it must be given."""
    for attribute, info in model.model_fields.items():
        if (info.alias or attribute) == name:
            default = info.get_default(call_default_factory=True)
            return default if default is PydanticUndefined else plain(default, hint)
    return PydanticUndefined


def _unknown(path: Location, message: str) -> Problems:
    return Problems([Problem(path, message)])
