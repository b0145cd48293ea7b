"""The effective scenario as plain data and as YAML: every default written out, in readable units.

`plain` is the inverse of validation: what it gives validates to an equal scenario. Numbers get the
unit in which they are shortest and still read back as exactly the same float.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from sim.scenario.document import scalar
from sim.scenario.shapes import Shape, shape, strip
from sim.units import Quantity, parse

#: Units a quantity may be written in, the first being the one that is used inside Stratus.
_UNITS: dict[str, tuple[str, ...]] = {
    "duration": ("s", "ms", "us", "min", "h", "d"),
    "bytes": ("B", "kB", "MB", "GB", "TB", "Ki", "Mi", "Gi"),
    "bandwidth": ("B/s", "kbps", "Mbps", "Gbps"),
    "flop": ("FLOP", "MFLOP", "GFLOP", "TFLOP"),
    "flops": ("FLOP/s", "GFLOP/s", "TFLOP/s"),
    "power": ("W", "kW", "mW"),
    "energy": ("J", "Wh", "kWh"),
    "money": (" USD",),
    "price": (" USD/s", " USD/h"),
    "price_per_byte": (" USD/B", " USD/GB"),
    "energy_per_byte": ("J/B", "J/GB", " kWh/GB"),
    "carbon_intensity": (" g/kWh",),
    "rate": ("/s", "/min", "/h", "/d"),
}


def text(value: float, dimension: str) -> float | str:
    """A quantity as the loader reads it back, exactly."""
    units = _UNITS.get(dimension)
    if units is None:
        return int(value) if value == int(value) and abs(value) < 2**53 else value
    exact: list[tuple[bool, bool, int, int, str]] = []
    for rank, unit in enumerate(units):
        factor = parse(f"1{unit}", dimension)
        if math.isinf(value / factor):
            continue
        for written in (f"{value / factor:.12g}", repr(value / factor)):
            number = written.removesuffix(".0")
            if parse(number + unit, dimension) == value:
                exact.append(("e" in number, "." in number, len(number), rank, number + unit))
    return min(exact)[-1] if exact else _nearest(value, units[0], dimension)


def _nearest(value: float, unit: str, dimension: str) -> str:
    """For a unit whose factor is not exact: the neighbour that reads back as `value`."""
    start = value / parse(f"1{unit}", dimension)
    below = above = start
    for _ in range(8):
        below, above = math.nextafter(below, -math.inf), math.nextafter(above, math.inf)
        for number in (below, above):
            if parse(f"{number!r}{unit}", dimension) == value:
                return f"{number!r}{unit}"
    return f"{start!r}{unit}"


def plain(value: Any, hint: Any) -> Any:
    """Plain data from which validation makes `value` again, `hint` being its declared type."""
    if value is None:
        return None
    _, marks = strip(hint)
    for mark in marks:
        if hasattr(mark, "plain"):
            return mark.plain(value)
        if isinstance(mark, Quantity):
            return text(value, mark.dimension)
    at = shape(hint, value)
    if at.fields is not None:
        return _mapping(value, at, marks)
    if at.entries is not None:
        return {str(key): plain(item, at.entries) for key, item in value.items()}
    if at.items is not None:
        return [plain(item, at.items) for item in value]
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and value == int(value) and abs(value) < 2**53:
        return int(value)
    return value


def _mapping(value: Any, at: Shape, marks: tuple[Any, ...]) -> Any:
    fields = at.fields or {}
    if not dataclasses.is_dataclass(value):
        attributes = {info.alias or name: name for name, info in type(value).model_fields.items()}
        return {name: plain(getattr(value, attributes[name]), hint) for name, hint in fields.items()}
    made = {name: plain(getattr(value, name), hint) for name, hint in fields.items()}
    for mark in marks:
        if hasattr(mark, "shorten"):
            return mark.shorten(made)
    return made


class _Dumper(yaml.SafeDumper):
    """Writes YAML that means the same in version 1.1 and 1.2: what either would misread is quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    try:
        quoted = not isinstance(scalar(value), str)
    except ValueError:
        quoted = True
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="'" if quoted else None)


def _number(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    # 1e-09 is text in YAML 1.1, 1.0e-09 a number in both.
    written = re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))
    return dumper.represent_scalar("tag:yaml.org,2002:float", written)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)


def dump(data: Mapping[str, Any]) -> str:
    """YAML text of plain data, keys in the given order."""
    written: str = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return written
