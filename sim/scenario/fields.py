"""Field types of scenario models beyond numbers and text: policies, distributions, replica bounds.

Each is a marker for `Annotated`. It validates plain data to the object that the model layers use,
describes itself to the JSON Schema (see `sim.scenario.schema`) and knows the names below it.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import core_schema
from typing_extensions import TypedDict

from sim import registry
from sim.errors import did_you_mean
from sim.kernel.distribution import PLACE_OF_USE, Distribution
from sim.scenario.faults import Problem, Problems, problems, shown
from sim.scenario.shapes import remembered, strip
from sim.units import Quantity

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

#: Rules of every mapping in a scenario: no unknown keys, no guessing between types, no NaN.
STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, validate_default=False)
#: Kinds of policies in words, where the kind alone says too little.
NOUNS = {
    "arrivals": "arrival process",
    "time": "time model",
    "order": "queue order",
    "node_scaling": "node autoscaler",
    "score": "scorer",
    "sharing": "way of sharing",
    "steps": "kind of step times",
}


class Spec(BaseModel):
    """Base of all scenario models: frozen, strict, no unknown keys."""

    model_config = STRICT


class Marker:
    """What all markers share: validation by `check`, with the loader's context at hand."""

    __slots__ = ()

    def check(self, value: Any, context: Mapping[str, Any]) -> Any:
        """The validated object.

        Raises:
            ValueError: wrong; `Problems` where more than one thing is.
        """
        raise TypeError(f"{type(self).__name__} must define check()")

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the values that `check` takes."""
        raise TypeError(f"{type(self).__name__} must define json_schema()")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        def run(value: Any, info: core_schema.ValidationInfo) -> Any:
            return self.check(value, info.context or {})

        return core_schema.with_info_plain_validator_function(run)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return self.json_schema()


@dataclass(frozen=True, slots=True)
class Pattern(Marker):
    """Text of a certain form; `expected` says in words which."""

    regex: str
    expected: str
    longest: int = 64

    def check(self, value: Any, context: Mapping[str, Any]) -> str:
        """The text itself."""
        if not isinstance(value, str):
            raise ValueError(f"expected text, got {shown(value)}")
        if len(value) > self.longest or not re.fullmatch(self.regex, value):
            raise ValueError(f"{shown(value)} is not {self.expected}")
        return value

    def json_schema(self) -> dict[str, Any]:
        """Text with a pattern."""
        return {"type": "string", "pattern": self.regex, "maxLength": self.longest}


# Folders are called after names, and Windows keeps these for its devices, in either case.
_NO_DEVICE = (
    r"(?!(?:[Cc][Oo][Nn]|[Pp][Rr][Nn]|[Aa][Uu][Xx]|[Nn][Uu][Ll]|(?:[Cc][Oo][Mm]|[Ll][Pp][Tt])[0-9])$)"
)

#: A name that the author of a scenario gives to a thing.
Name = Annotated[
    str,
    Pattern(
        rf"^{_NO_DEVICE}[A-Za-z0-9][A-Za-z0-9_-]*$",
        "a name: letters, digits, - and _, at most 64 of them, and none such as CON that Windows keeps",
    ),
]


@dataclass(frozen=True, slots=True)
class PolicyField(Marker):
    """A policy of a kind: its name, or a mapping of its tag and its parameters."""

    kind: str

    def check(self, value: Any, context: Mapping[str, Any]) -> Any:
        """The configured policy object."""
        key = registry.tag(self.kind)
        if isinstance(value, str):
            value = {key: value}
            named_at: tuple[str, ...] = ()
        else:
            named_at = (key,)
        noun = NOUNS.get(self.kind, self.kind)
        if not isinstance(value, dict):
            raise ValueError(
                f"expected the name of a policy ({noun}) or a mapping with `{key}`, got {shown(value)}"
            )
        if key not in value:
            known = ", ".join(registry.names(self.kind))
            raise Problems([Problem((key,), f"is missing: which {noun}? (known: {known})", "key")])
        name = value[key]
        if not isinstance(name, str) or name not in registry.names(self.kind):
            hint = did_you_mean(str(name), registry.names(self.kind))
            raise Problems([Problem(named_at, f"unknown {noun} {shown(name)}{hint}")])
        return build(registry.lookup(self.kind, name), value, None, context)

    def json_schema(self) -> dict[str, Any]:
        """A reference that `sim.scenario.schema` resolves."""
        return {"x-stratus": ["policy", self.kind]}

    def members(self, value: Any) -> dict[str, Any]:
        """Parameters of the policy that `value` names."""
        return _members(self.kind, value, None)

    def short(self, value: Any) -> Any:
        """The mapping that a short form stands for, or the value itself."""
        return {registry.tag(self.kind): value} if isinstance(value, str) else value

    def shorten(self, made: dict[str, Any]) -> Any:
        """The shortest form of a complete mapping, the tag first."""
        key = registry.tag(self.kind)
        name = made.pop(key)
        return {key: name, **made} if made else name


@dataclass(frozen=True, slots=True)
class DistributionOf(Marker):
    """A random quantity: one value with its unit, or a mapping with `dist` and its parameters.

    Attributes:
        dimension: of the values, as `sim.units` names it.
        bare: the distribution that a single value means, of one parameter.
    """

    dimension: str
    bare: str = "constant"

    def check(self, value: Any, context: Mapping[str, Any]) -> Any:
        """The distribution; its parameters that are values are read in this dimension."""
        if not isinstance(value, dict):
            if isinstance(value, str) and value in registry.names("distribution"):
                raise ValueError(f"write {{dist: {value}, ...}} with its parameters")
            cls = registry.lookup("distribution", self.bare)
            try:
                number = Quantity(self.dimension, ge=0).check(value)
                return cls(**{self.parameter(): number})
            except ValueError as error:
                raise ValueError(str(error)) from None
        if "dist" not in value:
            known = ", ".join(registry.names("distribution"))
            raise Problems([Problem(("dist",), f"is missing: which distribution? (known: {known})", "key")])
        name = value["dist"]
        if not isinstance(name, str) or name not in registry.names("distribution"):
            hint = did_you_mean(str(name), registry.names("distribution"))
            raise Problems([Problem(("dist",), f"unknown distribution {shown(name)}{hint}")])
        return build(registry.lookup("distribution", name), value, self.dimension, context)

    def parameter(self) -> str:
        """Name of the parameter that a single value sets."""
        return next(iter(parameters(registry.lookup("distribution", self.bare), self.dimension)))

    def json_schema(self) -> dict[str, Any]:
        """A reference that `sim.scenario.schema` resolves."""
        return {"x-stratus": ["distribution", self.dimension]}

    def members(self, value: Any) -> dict[str, Any]:
        """Parameters of the distribution that `value` names."""
        return _members("distribution", self.short(value), self.dimension)

    def short(self, value: Any) -> Any:
        """The mapping that a single value stands for, or the value itself."""
        if value is None or isinstance(value, (dict, list, Distribution)):
            return value
        return {"dist": self.bare, self.parameter(): value}

    def shorten(self, made: dict[str, Any]) -> Any:
        """The shortest form of a complete mapping, the tag first."""
        name = made.pop("dist")
        return made[self.parameter()] if name == self.bare else {"dist": name, **made}


@dataclass(frozen=True, slots=True)
class WholeNumber(Marker):
    """A count that may be written `50M` or `2k`."""

    ge: int = 0

    def check(self, value: Any, context: Mapping[str, Any]) -> int:
        """The count as an int."""
        number = Quantity("count", ge=self.ge).check(value)
        if number != int(number):
            raise ValueError(f"expected a whole number, got {shown(value)}")
        return int(number)

    def json_schema(self) -> dict[str, Any]:
        """A whole number, or text with a suffix."""
        schema = Quantity("count", ge=self.ge).__get_pydantic_json_schema__(None, None)  # type: ignore[arg-type]
        schema["anyOf"][0] = {"type": "integer", "minimum": self.ge}
        return schema


@dataclass(frozen=True, slots=True)
class InputFile(Marker):
    """A file that the run reads.

    A relative path starts at the folder of the scenario file, or else at the current one: that is
    where a path on the command line starts.
    """

    def check(self, value: Any, context: Mapping[str, Any]) -> str:
        """The absolute path of an existing file."""
        if not isinstance(value, str) or not value:
            raise ValueError(f"expected the path of a file, got {shown(value)}")
        try:
            paths = [(Path(folder) / value).resolve() for folder in (context.get("folder", "."), ".")]
            found = next((path for path in paths if path.is_file()), None)
        except (OSError, ValueError, RuntimeError):
            raise ValueError(f"{shown(value)} is not a path") from None
        if found is None:
            elsewhere = ", nor in the current folder" if paths[1] != paths[0] else ""
            raise ValueError(f"no such file: {paths[0]}{elsewhere}")
        return str(found)

    def json_schema(self) -> dict[str, Any]:
        """Any text: a schema cannot look at the disk."""
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class Group(Marker):
    """Parameters that belong together: a dataclass inside a policy."""

    cls: type[Any]

    def check(self, value: Any, context: Mapping[str, Any]) -> Any:
        """The object."""
        if not isinstance(value, dict):
            raise ValueError(f"expected a mapping, got {shown(value)}")
        return build(self.cls, value, None, context)

    def json_schema(self) -> dict[str, Any]:
        """Schema of its parameters."""
        return adapter(self.cls, None).json_schema()

    def members(self, value: Any) -> dict[str, Any]:
        """Its parameters."""
        return parameters(self.cls, None)


def build(cls: type[Any], data: dict[str, Any], dimension: str | None, context: Mapping[str, Any]) -> Any:
    """An object of a registered dataclass from plain data.

    Raises:
        Problems: everything wrong with its parameters.
    """
    checked = adapter(cls, dimension)
    try:
        # Through JSON text, because only there strict mode takes lists for tuples, mappings for
        # dataclasses and whole numbers for floats.
        values = checked.validate_json(json.dumps(data), context=dict(context))
    except ValidationError as error:
        raise Problems(problems(error, shape_of(cls, dimension), data)) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    try:
        return cls(**values)
    except (ValueError, OverflowError) as error:
        raise ValueError(str(error)) from None


@remembered
def adapter(cls: type[Any], dimension: str | None) -> TypeAdapter[Any]:
    """Validator of a registered dataclass, its `Value` fields read in a dimension."""
    return TypeAdapter(shape_of(cls, dimension))


@remembered
def shape_of(cls: type[Any], dimension: str | None) -> Any:
    """The parameters of a registered dataclass as a typed dictionary.

    A stdlib dataclass cannot be validated as it stands: the dimension of its distributions and
    values is known only at the place of use.
    """
    required = {f.name for f in dataclasses.fields(cls) if _required(f)}
    keys = {
        name: hint if name in required else NotRequired[hint]
        for name, hint in parameters(cls, dimension).items()
    }
    # Called through a plain name: type checkers know only literal typed dictionaries.
    make: Any = TypedDict
    made = make(cls.__name__, keys)
    made.__doc__ = cls.__doc__
    made.__module__ = __name__
    made.__pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    return made


#: Parameters of policies that are files a run reads.
INPUT_FILES = frozenset({"durations", "file", "throughputs", "weights"})


@remembered
def parameters(cls: type[Any], dimension: str | None) -> dict[str, Any]:
    """Type of every parameter of a registered dataclass (its tag among them), ready to validate."""
    hints = get_type_hints(cls, include_extras=True)
    ready = {f.name: _ready(hints[f.name], dimension or "count") for f in dataclasses.fields(cls) if f.init}
    for name in INPUT_FILES & ready.keys():
        if strip(ready[name])[0] is str:
            optional = type(None) in get_args(ready[name])
            ready[name] = Annotated[str, InputFile()] | None if optional else Annotated[str, InputFile()]
    return ready


def _ready(hint: Any, dimension: str) -> Any:
    """A type hint with values in `dimension`, and everything below it by our own markers."""
    if isinstance(hint, type) and issubclass(hint, Distribution):
        return Annotated[Distribution, DistributionOf("count")]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return Annotated[hint, Group(hint)]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        base, *marks = arguments
        of_kind = next((mark.kind for mark in marks if isinstance(getattr(mark, "kind", None), str)), None)
        if of_kind is not None:
            return Annotated[Any, PolicyField(of_kind)]
        quantity = next((mark for mark in marks if isinstance(mark, Quantity)), None)
        if isinstance(base, type) and issubclass(base, Distribution):
            return Annotated[Distribution, DistributionOf(quantity.dimension if quantity else "count")]
        if PLACE_OF_USE in marks and quantity is not None:
            return Annotated[float, dataclasses.replace(quantity, dimension=dimension), PLACE_OF_USE]
        return Annotated[(_ready(base, dimension), *marks)]
    if origin in (Union, types.UnionType):
        return reduce(or_, [_ready(part, dimension) for part in arguments])
    if isinstance(hint, types.GenericAlias) or (
        origin is not None and origin.__module__ == "collections.abc"
    ):
        return origin[tuple(_ready(part, dimension) if part is not ... else part for part in arguments)]
    return hint


def _required(f: dataclasses.Field[Any]) -> bool:
    return f.init and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _members(kind: str, value: Any, dimension: str | None) -> dict[str, Any]:
    key = registry.tag(kind)
    name = value.get(key) if isinstance(value, dict) else getattr(value, key, value)
    if isinstance(name, str) and name in registry.names(kind):
        return parameters(registry.lookup(kind, name), dimension)
    return {key: str}
