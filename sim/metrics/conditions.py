"""Bounds on metrics, such as `>= 95%` or `< 200ms`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from sim import units
from sim.metrics.registry import lookup

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(r"\s*(>=|<=|>|<)\s*(.+?)\s*")

#: Dimensions of metrics whose bounds are plain numbers: counts, and grams of CO2e.
_PLAIN = {"": "count", "carbon": "count"}


@dataclass(frozen=True, slots=True)
class Condition:
    """A bound on a metric's mean, such as `>= 95%`."""

    metric: str
    sign: str
    bound: float

    def holds(self, value: float) -> bool:
        """Whether a mean meets it; an undefined one (NaN) never does."""
        return _SIGNS[self.sign](value, self.bound)

    def __str__(self) -> str:
        return f"{self.metric} {self.sign} {units.show(self.bound, lookup(self.metric).dimension)}"


def condition(metric: str, text: str) -> Condition:
    """Read a condition: a sign, and a number in the metric's SI unit or a quantity of its dimension.

    Raises:
        UsageError: no such metric.
        ValueError: not a sign and a quantity of the metric's dimension.
    """
    dimension = lookup(metric).dimension
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a condition; write for instance >= 95%")
    try:
        bound = float(match[2])
    except ValueError:
        bound = units.parse(match[2], _PLAIN.get(dimension, dimension))
    if not math.isfinite(bound):
        raise ValueError(f"{text!r} has no finite bound")
    return Condition(metric, match[1], bound)
