"""`stratus list` and `describe`: what names a scenario can use, and what they mean."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click

from sim.cli.console import common, out, out_json
from sim.errors import UsageError, did_you_mean

#: Kinds whose plural is not the kind and an s.
_PLURALS = {"arrivals": "arrivals", "node_scaling": "node_scaling", "sharing": "sharing", "steps": "steps"}

#: Stands for the kinds of policies together.
ALL_POLICIES = "policies"

#: Names of a kind in the overview of all kinds.
SHOWN_NAMES = 16


@click.command("list")
@click.argument("kind", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the names as JSON.")
@common
def list_command(kind: str | None, as_json: bool, plugins: tuple[Path, ...]) -> None:
    """List policies and the rows of the catalog.

    KIND limits it to one kind, such as routers, or to the policies of all kinds: policies.
    """
    kinds = _kinds()
    if kind == ALL_POLICIES:
        kinds = _policies()
    elif kind is not None:
        kinds = {_kind(kind, kinds): kinds[_kind(kind, kinds)]}
    if as_json:
        out_json({"version": 1, "names": kinds})
        return
    for index, (name, names) in enumerate(kinds.items()):
        if kind is None:
            out(_overview(name, names))
            continue
        if len(kinds) > 1:
            out(("\n" if index else "") + f"{_plural(name)}:")
        for item in names:
            text = _summary(name, item)
            out(f"{item:<22} {text}" if text else item)


@click.command("describe")
@click.argument("name")
@click.option("--kind", help="Kind of the name, where several kinds have it.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@common
def describe_command(name: str, kind: str | None, as_json: bool, plugins: tuple[Path, ...]) -> None:
    """Explain a policy (its parameters, with defaults and units) or a row of the catalog."""
    kinds = _kinds()
    if kind is not None:
        chosen = _kind(kind, kinds)
        kinds = {chosen: kinds[chosen]}
    found = [each for each, names in kinds.items() if name in names]
    if not found:
        if name in kinds or name.removesuffix("s") in kinds:
            raise UsageError(f"{name!r} is a kind: see `stratus list {name}`")
        known = [item for names in kinds.values() for item in names]
        near = did_you_mean(name, known)
        raise UsageError(f"nothing is called {name!r}{near if 'did you' in near else '; see `stratus list`'}")
    described = {each: _described(each, name) for each in found}
    if as_json:
        out_json({"version": 1, "name": name, "kinds": described})
        return
    for index, (each, entry) in enumerate(described.items()):
        if index:
            out("")
        _print(each, name, entry)


def _policies() -> dict[str, list[str]]:
    """Every kind of policy with its names."""
    from sim import registry

    registry.load_builtin()
    return {kind: registry.names(kind) for kind in registry.kinds()}


def _kinds() -> dict[str, list[str]]:
    """Every kind with its names: policies first, then the catalog."""
    from sim import catalog

    return _policies() | {kind: list(catalog.names(kind)) for kind in catalog.KINDS}


def _kind(given: str, kinds: dict[str, list[str]]) -> str:
    plurals = {_plural(kind): kind for kind in kinds}
    kind = plurals.get(given, given)
    if kind not in kinds:
        raise UsageError(f"no kind is called {given!r}{did_you_mean(given, [*plurals, ALL_POLICIES])}")
    return kind


def _plural(kind: str) -> str:
    return _PLURALS.get(kind, f"{kind}s")


def _overview(kind: str, names: list[str]) -> str:
    """A kind and its names in a few lines; many names are cut short."""
    shown = ", ".join(names[:SHOWN_NAMES])
    more = f" ... (`stratus list {_plural(kind)}` shows all {len(names)})" if len(names) > SHOWN_NAMES else ""
    return textwrap.fill(
        f"{_plural(kind)}: {shown}{more}", width=100, subsequent_indent="    ", break_on_hyphens=False
    )


def _summary(kind: str, name: str) -> str:
    """One line about a policy; the rows of the catalog have names that speak for themselves."""
    from sim import registry
    from sim.scenario.schema import summary

    return summary(registry.lookup(kind, name)) if name in registry.names(kind) else ""


def _described(kind: str, name: str) -> dict[str, Any]:
    from sim import catalog, registry

    if name not in registry.names(kind):
        return {"rows": dict(catalog.describe(kind, name))}
    cls = registry.lookup(kind, name)
    parameters = _parameters(cls, registry.tag(kind))
    needed = [f"{row['name']}: ..." for row in parameters if row["default"] == "required"]
    return {
        "help": inspect.getdoc(cls) or "",
        "use": f"{{{', '.join([f'{registry.tag(kind)}: {name}', *needed])}}}",
        "parameters": parameters,
    }


def _parameters(cls: type[Any], tag: str) -> list[dict[str, str]]:
    from sim.scenario.canonical import plain
    from sim.scenario.fields import parameters
    from sim.scenario.schema import default_of, meanings

    hints, texts = parameters(cls, None), meanings(cls)
    rows = []
    for field in dataclasses.fields(cls):
        if field.name not in hints or field.name == tag:
            continue
        default = default_of(field)
        given = "required" if default is dataclasses.MISSING else _text(plain(default, hints[field.name]))
        row = {"name": field.name, "type": _type(hints[field.name]), "default": given}
        rows.append({**row, "meaning": texts.get(field.name, "")})
    return rows


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _type(hint: Any) -> str:
    """A parameter's type in the words of a scenario file; for a quantity its dimension."""
    from sim.kernel.distribution import PLACE_OF_USE
    from sim.scenario.fields import DistributionOf, InputFile, PolicyField
    from sim.scenario.shapes import shape, strip
    from sim.units import Quantity

    bare, marks = strip(hint)
    for mark in marks:
        if isinstance(mark, Quantity):
            if PLACE_OF_USE in marks:
                return "value with the unit of its place"
            return mark.dimension.replace("_", " ")
        if isinstance(mark, PolicyField):
            return mark.kind
        if isinstance(mark, DistributionOf):
            return f"distribution of {mark.dimension}"
        if isinstance(mark, InputFile):
            return "file"
    at = shape(hint, None)
    if get_origin(bare) is Literal:
        return " | ".join(map(str, get_args(bare)))
    if at.entries is not None:
        return f"mapping to {_type(at.entries)}"
    if at.items is not None:
        return f"list of {_type(at.items)}"
    if at.fields is not None:
        return f"mapping of {', '.join(at.fields)}"
    return {int: "whole number", float: "number", str: "text", bool: "true | false"}.get(bare, str(bare))


def _print(kind: str, name: str, entry: dict[str, Any]) -> None:
    out(f"{name} ({kind})")
    if "rows" in entry:
        width = max(map(len, entry["rows"]), default=0)
        for label, value in entry["rows"].items():
            out(f"  {label:<{width}}  {value}")
        return
    out("")
    for line in entry["help"].splitlines():
        out(f"  {line}" if line else "")
    out("")
    out(f"  in a scenario: {entry['use']}")
    if entry["parameters"]:
        out("  parameters:")
    width = max((len(row["name"]) for row in entry["parameters"]), default=0)
    for row in entry["parameters"]:
        given = row["default"] if row["default"] == "required" else f"default {row['default']}"
        out(f"    {row['name']:<{width}}  {row['type']}, {given}")
