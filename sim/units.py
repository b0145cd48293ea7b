"""Quantities: text such as `250ms`, `16Gi`, `10Gbps`, `1.5 USD/h` to SI floats, and back.

Inside Stratus everything is a plain float or int in: seconds, bytes, bytes per second, FLOP,
FLOP per second, watts, joules, US dollars, grams of CO2e, events per second. This module is the
only place that knows any other unit. Decimal prefixes are powers of 1000 (`GB` = 1e9 bytes),
binary ones powers of 1024 (`Gi` = `GiB` = 2**30 bytes), as in Kubernetes quantities. `bps` counts
bits, `B/s` bytes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from sim.errors import did_you_mean

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

_DECIMAL = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}
_TIME = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0}
_TIME |= {"h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0, "w": 604800.0, "week": 604800.0}

_BYTES = {p + "B": f for p, f in _DECIMAL.items()}
_BYTES |= dict(_BINARY) | {p + "B": f for p, f in _BINARY.items()}
_PER_TIME = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_ENERGY = {p + "J": f for p, f in _DECIMAL.items()} | {p + "Wh": 3600 * f for p, f in _DECIMAL.items()}
_MONEY = {"USD": 1.0, "$": 1.0, "ct": 0.01}

_UNITS: dict[str, dict[str, float]] = {
    "duration": _TIME,
    "bytes": _BYTES,
    "bandwidth": {p + "bps": f / 8 for p, f in _DECIMAL.items()}
    | {p + "bit/s": f / 8 for p, f in _DECIMAL.items()}
    | {unit + "/s": f for unit, f in _BYTES.items()},
    "flop": {p + "FLOP": f for p, f in _DECIMAL.items()},
    "flops": {p + "FLOPS": f for p, f in _DECIMAL.items()} | {p + "FLOP/s": f for p, f in _DECIMAL.items()},
    "power": {"mW": 1e-3} | {p + "W": f for p, f in _DECIMAL.items()},
    "energy": _ENERGY,
    "money": _MONEY,
    "price": {f"{m}/{t}": v / s for m, v in _MONEY.items() for t, s in _PER_TIME.items()},
    "price_per_byte": {f"{m}/{b}": v / s for m, v in _MONEY.items() for b, s in _BYTES.items()},
    "energy_per_byte": {f"{e}/{b}": v / s for e, v in _ENERGY.items() for b, s in _BYTES.items()},
    "carbon_intensity": {"g/kWh": 1 / 3.6e6, "kg/MWh": 1 / 3.6e6, "gCO2/kWh": 1 / 3.6e6},
    "rate": {f"/{t}": 1 / s for t, s in _PER_TIME.items()},
    "cores": {"": 1.0, "m": 1e-3},
    "fraction": {"": 1.0, "%": 0.01},
    "count": {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9},
}

#: Dimensions whose bare number is unambiguous (the unit of the quantity is one).
BARE = {"cores", "fraction", "count"}

_EXAMPLE = {
    "duration": "250ms, 3s, 5min or 2h",
    "bytes": "64kB, 16Gi or 80GB",
    "bandwidth": "100Mbps, 10Gbps or 2GB/s",
    "flop": "8.7GFLOP",
    "flops": "312TFLOPS",
    "power": "400W or 1.2kW",
    "energy": "3J or 2kWh",
    "money": "12 USD",
    "price": "1.5 USD/h",
    "price_per_byte": "0.09 USD/GB",
    "energy_per_byte": "0.06 kWh/GB or 5J/GB",
    "carbon_intensity": "350 g/kWh",
    "rate": "20/s, 300/min or 12/h",
    "cores": "4, 0.5 or 500m",
    "fraction": "0.8 or 80%",
    "count": "64, 10k or 5M",
}

_NOUN = {
    "bytes": "a size",
    "cores": "a number of cores",
    "count": "a number",
    "energy": "an energy",
    "energy_per_byte": "an energy per size",
    "flop": "a number of FLOP",
    "flops": "a FLOP rate",
    "money": "an amount of money",
    "power": "a power",
}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ONE = re.compile(rf"\s*({_NUMBER})\s*(.*?)\s*", re.DOTALL)
_COMPOUND = re.compile(r"(?:\d+(?:\.\d+)?(?:d|h|min|ms|us|m|s)){2,}")
_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|min|ms|us|m|s)")


def parse(value: object, dimension: str) -> float:
    """The SI value of a quantity.

    Args:
        value: a string with its unit, or a number where the dimension is in `BARE` (or is zero).
        dimension: a key of the table above, e.g. `duration`.

    Raises:
        ValueError: not a quantity of that dimension; the text says what would be.
    """
    units = _UNITS[dimension]
    noun = _NOUN.get(dimension, "a " + dimension.replace("_", " "))
    hint = f"write {_EXAMPLE[dimension]}"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"expected {noun}, got {value!r}; {hint}")
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            raise ValueError(f"{value!r} is not {noun}; {hint}")
        if value != 0 and dimension not in BARE:
            raise ValueError(f"{value!r} has no unit; {hint}")
        return float(value)
    text = value.strip()
    if dimension == "duration" and _COMPOUND.fullmatch(text):
        return math.fsum(float(n) * _TIME[u] for n, u in _PART.findall(text))
    match = _ONE.fullmatch(text)
    if match is None:
        raise ValueError(f"{value!r} is not {noun}; {hint}")
    number, unit = float(match[1]), match[2].replace(" ", "")
    if unit not in units:
        if unit == "" and number == 0:
            return 0.0
        near = did_you_mean(unit, units) if unit else ""
        near = near if "did you" in near else ""
        raise ValueError(f"{value!r} is not {noun}{near}; {hint}")
    # Dividing by 1/factor keeps decimal submultiples exact: 250 / 1000, not 250 * 0.001.
    factor = units[unit]
    inverse = round(1 / factor)
    exact = factor < 1 and math.isclose(inverse * factor, 1.0, rel_tol=1e-12)
    result = number / inverse if exact else number * factor
    if not math.isfinite(result):
        raise ValueError(f"{value!r} is too large; {hint}")
    return result


def pattern(dimension: str) -> str:
    """A regular expression (ECMA 262) that matches the strings `parse` accepts."""
    units = "|".join(sorted(map(re.escape, filter(None, _UNITS[dimension])), key=len, reverse=True))
    units = units.replace("\\-", "-").replace("\\%", "%").replace("/", r"\s*/\s*")
    bare = r"|" if dimension in BARE else ""
    zero = "" if dimension in BARE else r"|^\s*[-+]?0+(?:\.0*)?\s*$"
    compound = rf"|^\s*{_COMPOUND.pattern}\s*$" if dimension == "duration" else ""
    return rf"^\s*{_NUMBER}\s*(?:{units}{bare})\s*$" + zero + compound


@dataclass(frozen=True, slots=True)
class Quantity:
    """Marks a float field as a quantity: `Annotated[float, Quantity("duration", gt=0)]`.

    Pydantic calls the two methods; nothing here imports it, so the model layers stay light.
    """

    dimension: str
    gt: float | None = None
    ge: float | None = None
    le: float | None = None

    def check(self, value: object) -> float:
        """Parse and check the bounds; raises ValueError with the reason."""
        number = parse(value, self.dimension)
        if self.gt is not None and not number > self.gt:
            raise ValueError(f"must be more than {self.gt:g}, got {value!r}")
        if self.ge is not None and not number >= self.ge:
            raise ValueError(f"must be at least {self.ge:g}, got {value!r}")
        if self.le is not None and not number <= self.le:
            raise ValueError(f"must be at most {self.le:g}, got {value!r}")
        return number

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number: dict[str, Any] = {"type": "number"}
        if self.dimension not in BARE:
            number["const"] = 0
        bounds = {"exclusiveMinimum": self.gt, "minimum": self.ge, "maximum": self.le}
        number |= {key: bound for key, bound in bounds.items() if bound is not None}
        text = {"type": "string", "pattern": pattern(self.dimension)}
        return {
            "anyOf": [number, text],
            "examples": _EXAMPLE[self.dimension].replace(" or ", ", ").split(", "),
        }


Seconds = Annotated[float, Quantity("duration", ge=0)]
PositiveSeconds = Annotated[float, Quantity("duration", gt=0)]
Bytes = Annotated[float, Quantity("bytes", ge=0)]
BytesPerSecond = Annotated[float, Quantity("bandwidth", gt=0)]
Flop = Annotated[float, Quantity("flop", ge=0)]
FlopPerSecond = Annotated[float, Quantity("flops", gt=0)]
Watts = Annotated[float, Quantity("power", ge=0)]
Dollars = Annotated[float, Quantity("money", ge=0)]
DollarsPerSecond = Annotated[float, Quantity("price", ge=0)]
JoulesPerByte = Annotated[float, Quantity("energy_per_byte", ge=0)]
DollarsPerByte = Annotated[float, Quantity("price_per_byte", ge=0)]
GramsPerJoule = Annotated[float, Quantity("carbon_intensity", ge=0)]
PerSecond = Annotated[float, Quantity("rate", ge=0)]
Cores = Annotated[float, Quantity("cores", ge=0)]
Fraction = Annotated[float, Quantity("fraction", ge=0, le=1)]
Number = Annotated[float, Quantity("count", ge=0)]

_SCALES: dict[str, list[tuple[float, str]]] = {
    "duration": [(86400, " d"), (3600, " h"), (60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs")],
    "bytes": [(10.0**p, f" {s}B") for p, s in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k"), (0, ""))],
    "energy": [(3.6e9, " MWh"), (3.6e6, " kWh"), (3.6e3, " Wh"), (1, " J"), (1e-3, " mJ")],
    "power": [(1e6, " MW"), (1e3, " kW"), (1, " W"), (1e-3, " mW")],
    "carbon": [(1e6, " t"), (1e3, " kg"), (1, " g"), (1e-3, " mg")],
}


def show(value: float, dimension: str = "", digits: int = 3) -> str:
    """A value for people: three significant digits and a fitting unit; `–` for nothing."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if dimension == "fraction":
        return f"{_digits(value * 100, digits)} %"
    if dimension == "money" and 0 < abs(value) < 0.01:
        return f"{_digits(value * 100, digits)} ¢"
    if dimension == "money":
        return ("-" if value < 0 else "") + f"${_digits(abs(value), digits)}"
    if dimension == "rate":
        return f"{_digits(value, digits)} /s"
    if dimension == "bandwidth":
        return show(value * 8, "bytes", digits).replace("B", "bit/s")
    scales = _SCALES.get(dimension)
    if scales is None or value == 0:
        return _digits(value, digits) + (" B" if dimension == "bytes" else "")
    for scale, unit in scales:
        if abs(value) >= scale:
            return _digits(value / scale, digits) + unit
    return _digits(value / scales[-1][0], digits) + scales[-1][1]


def _digits(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return f"{value:.{digits - 1}g}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
