"""From a validator's complaints to faults: where in the file, what is wrong, what was expected.

Pydantic reports a location in its own terms (with union members and `[key]` in it) and a message
for programmers. Here both are turned into what the writer of the file needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sim.errors import Fault, did_you_mean
from sim.scenario.document import Document, Location, dotted
from sim.scenario.shapes import names

_NOTHING: Any = object()

#: What is said of a required key that is not there.
MISSING = "is missing"


class Problem(NamedTuple):
    """One thing wrong in plain data; `where` tells whether its key or its value is to blame."""

    path: Location
    message: str
    where: Literal["key", "value"] = "value"


class Problems(ValueError):
    """Several problems below one value, found by a validator that builds a policy."""

    def __init__(self, found: Iterable[Problem]) -> None:
        self.found = list(found)
        super().__init__("; ".join(problem.message for problem in self.found))


def unknown_name(
    path: Location, what: str, name: str, known: Iterable[str], where: Literal["key", "value"] = "value"
) -> Problem:
    """A name that nothing has, with the nearest one that something has."""
    return Problem(path, f"no {what} is called {name!r}{did_you_mean(name, known)}", where)


def faults(found: Iterable[Problem], document: Document) -> list[Fault]:
    """The problems with the positions of their places in the document."""
    return [
        Fault(
            document.file,
            *document.position(problem.path, of_key=problem.where == "key"),
            dotted(problem.path),
            problem.message,
        )
        for problem in found
    ]


def problems(error: ValidationError, hint: Any, data: Any) -> list[Problem]:
    """What pydantic found wrong in `data`, which should have had the type `hint`."""
    merged: dict[tuple[Location, str], list[str]] = {}
    for detail in error.errors(include_url=False):
        for problem in _translate(detail, hint, data):
            messages = merged.setdefault((problem.path, problem.where), [])
            if problem.message not in messages:
                messages.append(problem.message)
    return [
        Problem(path, "; or ".join(messages), "key" if where == "key" else "value")
        for (path, where), messages in merged.items()
    ]


def _translate(detail: ErrorDetails, hint: Any, data: Any) -> list[Problem]:
    kind = detail["type"]
    path = _in_data(detail["loc"], data, missing=kind == "missing")
    inner = detail.get("ctx", {}).get("error")
    if isinstance(inner, Problems):
        return [Problem((*path, *item.path), item.message, item.where) for item in inner.found]
    if kind == "extra_forbidden":
        known = names(hint, data, path[:-1])
        return [Problem(path, f"unknown key{did_you_mean(str(path[-1]), known)}", "key")]
    if kind == "missing":
        return [Problem(path, MISSING, "key")]
    if detail["loc"] and detail["loc"][-1] == "[key]":
        return [Problem(path, _message(detail), "key")]
    return [Problem(path, _message(detail))]


def _in_data(loc: tuple[str | int, ...], data: Any, *, missing: bool) -> Location:
    """A location without the parts that pydantic adds and no file has."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        below = _below(data, part)
        if below is not _NOTHING:
            data = below
        elif not (missing and index == len(loc) - 1):
            continue
        path.append(part)
    return tuple(path)


def _below(data: Any, part: str | int) -> Any:
    """The value one step down, or `_NOTHING` where the data has no such place."""
    if isinstance(data, Mapping):
        return data.get(part, _NOTHING)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return _NOTHING


def shown(value: Any) -> str:
    """A value as a message shows it: short, and by its YAML name where it has one."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "dataclass_exact_type": "a mapping",
    "none_required": "nothing",
}

_BOUNDS: dict[str, tuple[str, str]] = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def _message(detail: ErrorDetails) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {shown(value)}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {context[bound]}, got {shown(value)}"
    special = _SPECIAL.get(kind)
    return special(value, context) if special else f"{detail['msg']}, got {shown(value)}"


def _literal(value: Any, context: Mapping[str, Any]) -> str:
    words = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
    hint = did_you_mean(value, words) if isinstance(value, str) else f" (known: {', '.join(words)})"
    return f"{shown(value)} is not one of the choices{hint}"


_SPECIAL: dict[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "value_error": lambda value, context: str(context["error"]),
    "literal_error": _literal,
    "string_too_short": lambda value, context: "must not be empty",
    "too_short": lambda value, context: (
        f"needs at least {context['min_length']}, got {context['actual_length']}"
    ),
    "too_long": lambda value, context: (
        f"takes at most {context['max_length']}, got {context['actual_length']}"
    ),
    "recursion_loop": lambda value, context: "repeats itself without end",
}
