"""What can stand at a place of a scenario: the names a mapping may have and the type of each.

Overrides walk these shapes to find the nearest valid path, fault messages use them for "did you
mean", and the canonical text follows them to know the unit of every number. Markers in `Annotated`
(policies, distributions, replica bounds) answer for themselves by a method `members(value)`.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel
from typing_extensions import is_typeddict

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Shape:
    """`fields` of a mapping with fixed keys, or `entries` of one with free keys, or `items` of a list."""

    fields: Mapping[str, Any] | None = None
    entries: Any = None
    items: Any = None


LEAF = Shape()


def remembered(function: F) -> F:
    """`functools.cache` that keeps the function's type."""
    return cast(F, cache(function))


def strip(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without `Annotated` and without `| None`, and the markers found on the way."""
    marks: list[Any] = []
    while True:
        if get_origin(hint) is Annotated:
            hint, *more = get_args(hint)
            marks.extend(more)
            continue
        if get_origin(hint) is NotRequired:
            (hint,) = get_args(hint)
            continue
        if get_origin(hint) in (Union, types.UnionType):
            parts = [part for part in get_args(hint) if part is not type(None)]
            structured = [part for part in parts if shape(part, None) is not LEAF]
            hint = (structured or parts)[0]
            continue
        return hint, tuple(marks)


def shape(hint: Any, value: Any) -> Shape:
    """The shape of a type; `value` (plain data or a built object) picks the variant of a policy."""
    bare, marks = strip(hint)
    for mark in marks:
        if hasattr(mark, "members"):
            return Shape(fields=mark.members(value))
    origin, arguments = get_origin(bare), get_args(bare)
    if isinstance(bare, type) and (issubclass(bare, BaseModel) or dataclasses.is_dataclass(bare)):
        return Shape(fields=hints(bare))
    if is_typeddict(bare):
        return Shape(fields=get_type_hints(bare, include_extras=True))
    if origin in (dict, Mapping):
        return Shape(entries=arguments[1])
    if origin in (list, tuple, Sequence):
        return Shape(items=arguments[0])
    return LEAF


@remembered
def hints(model: type[Any]) -> dict[str, Any]:
    """Types of a model's or dataclass's fields under the names they have in a file."""
    resolved = get_type_hints(model, include_extras=True)
    if issubclass(model, BaseModel):
        return {info.alias or name: resolved[name] for name, info in model.model_fields.items()}
    return {f.name: resolved[f.name] for f in dataclasses.fields(model) if f.init}


def choices(hint: Any) -> tuple[str, ...]:
    """The words a `Literal` allows, or nothing for another type."""
    bare, _ = strip(hint)
    return tuple(map(str, get_args(bare))) if get_origin(bare) is Literal else ()


def names(hint: Any, data: Any, path: Sequence[str | int]) -> list[str]:
    """Names that may stand in the mapping at `path`, when `data` has the type `hint`."""
    for part in path:
        at = shape(hint, data)
        if at.fields is not None:
            if part not in at.fields:
                return []
            hint = at.fields[str(part)]
        else:
            hint = at.entries if at.entries is not None else at.items
        if hint is None:
            return []
        data = child(data, part)
    return sorted(shape(hint, data).fields or ())


def child(data: Any, part: str | int) -> Any:
    """The value one step down, or None where there is none."""
    if isinstance(data, dict):
        return data.get(part)
    if isinstance(data, list) and isinstance(part, int) and 0 <= part < len(data):
        return data[part]
    return None
