"""The JSON Schema of a scenario file, for editors: names, types, units, help, all policies.

Pydantic writes the schema of the models. Where a model holds a policy or a distribution it leaves
a reference (`x-stratus`), which is filled in here from the registry, so that plug-ins appear too.
What one part must know of another (a link naming a site) no schema can express: the loader checks
that alone.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic_core import PydanticUndefined

from sim import registry
from sim.scenario.canonical import plain
from sim.scenario.fields import Spec, adapter, parameters
from sim.scenario.overrides import default_in_file
from sim.scenario.shapes import hints
from sim.scenario.spec import Scenario
from sim.units import Quantity, pattern

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "https://stratus-sim.github.io/schema/scenario.json"

_REF = "#/$defs/{model}"
_Json = dict[str, Any]

#: Which dimension a pattern is of; each is written once, under `$defs`.
_DIMENSIONS = {
    pattern(name): name
    for name in [
        "duration",
        "bytes",
        "bandwidth",
        "flop",
        "flops",
        "power",
        "energy",
        "money",
        "price",
        "price_per_byte",
        "carbon_intensity",
        "rate",
        "cores",
        "fraction",
        "count",
    ]
}


def schema() -> _Json:
    """The schema as plain data; equal registries give equal schemas."""
    registry.load_builtin()
    made = Scenario.model_json_schema(by_alias=True, ref_template=_REF)
    defs: _Json = made.pop("$defs", {})
    models = list(defs)
    for model in _models(Spec):
        _set_defaults(made if model is Scenario else defs.get(model.__name__, {}), model)
    filled = _filled(made, defs)
    for name in models:
        defs[name] = _filled(defs[name], defs)
    filled["patternProperties"] = {"^x-": {"description": "ignored; a place for anchors"}}
    return {"$schema": DIALECT, "$id": ID, **filled, "$defs": dict(sorted(defs.items()))}


def text() -> str:
    """The schema as the text of a file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _models(base: type[Spec]) -> Iterator[type[Spec]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _set_defaults(entry: _Json, model: type[Spec]) -> None:
    """Defaults as a file would write them, in units."""
    for name, hint in hints(model).items():
        default = default_in_file(model, name, hint)
        properties = entry.get("properties", {})
        if name in properties and default is not PydanticUndefined:
            properties[name]["default"] = default


def _filled(node: Any, defs: _Json) -> Any:
    """A part of a schema with every `x-stratus` reference resolved; new definitions go to `defs`."""
    if isinstance(node, list):
        return [_filled(item, defs) for item in node]
    if not isinstance(node, dict):
        return node
    if "x-stratus" in node:
        variety, key = node["x-stratus"]
        beside = {name: value for name, value in node.items() if name != "x-stratus"}
        return {**beside, "$ref": f"#/$defs/{_define(variety, key, defs)}"}
    for name, inner in node.pop("$defs", {}).items():
        if name not in defs:
            defs[name] = inner
            defs[name] = _filled(inner, defs)
    made = {name: _filled(item, defs) for name, item in node.items()}
    if made.get("type") == "string" and made.get("pattern") in _DIMENSIONS:
        return {"$ref": f"#/$defs/{_define('quantity', _DIMENSIONS[made['pattern']], defs)}"}
    if "additionalProperties" not in made and len(made.get("patternProperties", ())) == 1:
        # Pydantic lets a key pass that does not match; the loader does not.
        ((pattern_of_keys, values),) = made.pop("patternProperties").items()
        made |= {"propertyNames": {"pattern": pattern_of_keys}, "additionalProperties": values}
    if isinstance(made.get("title"), str) and "properties" not in made:
        del made["title"]
    return made


def _define(variety: str, key: str, defs: _Json) -> str:
    name = f"{variety}.{key}"
    if name not in defs:
        defs[name] = {}
        make = {"policy": _policy, "distribution": _distribution, "scores": _scores, "quantity": _quantity}[
            variety
        ]
        defs[name] = make(key, defs)
    return name


def _policy(kind: str, defs: _Json) -> _Json:
    """The name of a policy whose parameters all have defaults, or a mapping with its tag."""
    short = [name for name, cls in registry.classes(kind) if not _required(cls)]
    forms: list[Any] = [{"enum": short, "description": f"{kind} with default parameters"}] if short else []
    forms += [_variant(cls, name, registry.tag(kind), None, defs) for name, cls in registry.classes(kind)]
    return {"oneOf": forms}


def _quantity(dimension: str, defs: _Json) -> _Json:
    """Text with a unit of a dimension."""
    return {
        "type": "string",
        "pattern": pattern(dimension),
        "description": f"a {dimension.replace('_', ' ')}",
    }


def _distribution(dimension: str, defs: _Json) -> _Json:
    """One value, or a mapping with `dist`."""
    value = Quantity(dimension, ge=0).__get_pydantic_json_schema__(None, None)  # type: ignore[arg-type]
    value = _filled(value, defs)
    forms = [_variant(cls, name, "dist", dimension, defs) for name, cls in registry.classes("distribution")]
    return {"anyOf": [{**value, "description": f"{dimension}: one value"}, {"oneOf": forms}]}


def _scores(kind: str, defs: _Json) -> _Json:
    """Scorers by name, each a weight or a mapping of its weight and parameters."""
    weight = Quantity("count", ge=0).__get_pydantic_json_schema__(None, None)  # type: ignore[arg-type]
    weight = _filled(weight, defs)
    properties = {}
    for name, cls in registry.classes(kind):
        full = _variant(cls, name, "policy", None, defs)
        full["properties"] = {"weight": weight, **full["properties"]}
        full["required"] = [key for key in full["required"] if key != "policy"]
        properties[name] = {"anyOf": [weight, full], "description": full["description"]}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _variant(cls: type[Any], name: str, tag: str, dimension: str | None, defs: _Json) -> _Json:
    """A mapping that chooses one registered class and sets its parameters."""
    made: _Json = _filled(adapter(cls, dimension).json_schema(ref_template=_REF), defs)
    help_of = meanings(cls)
    hints = parameters(cls, dimension)
    for field in dataclasses.fields(cls):
        if field.name not in made["properties"]:
            continue
        entry = made["properties"][field.name]
        if field.name in help_of:
            entry["description"] = help_of[field.name]
        default = default_of(field)
        if default is not dataclasses.MISSING and field.name != tag:
            entry["default"] = plain(default, hints[field.name])
    made["properties"] = {tag: {"const": name}} | {k: v for k, v in made["properties"].items() if k != tag}
    made["required"] = [tag, *(key for key in made.get("required", []) if key != tag)]
    made["title"] = name
    made["description"] = summary(cls)
    return made


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default of a parameter, or `dataclasses.MISSING`."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def summary(cls: type[Any]) -> str:
    """The first sentence of a policy's help."""
    return " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())


def meanings(cls: type[Any]) -> dict[str, str]:
    """Help of each parameter: the `name: text` lines of a policy's docstring."""
    names = {field.name for field in dataclasses.fields(cls)}
    found: dict[str, str] = {}
    current = ""
    for line in (inspect.getdoc(cls) or "").splitlines():
        start = re.match(r"\s*(\w+): (.*)", line)
        if start and start[1] in names:
            current = start[1]
            found[current] = start[2].strip()
        elif current and line.startswith(" ") and line.strip():
            found[current] += f" {line.strip()}"
        else:
            current = ""
    return found


def _required(cls: type[Any]) -> bool:
    return any(f.init and default_of(f) is dataclasses.MISSING for f in dataclasses.fields(cls))
