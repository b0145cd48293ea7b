"""Step scaling: how far a metric is from its alarm decides how many replicas come or go.

Source: Amazon EC2 Auto Scaling user guide, "Step and simple scaling policies" (adjustment types,
rounding and bounds of steps), read mid-2026.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sim.units import Number

Adjustment = Literal["change", "percent", "exact"]


@dataclass
class Step:
    """One interval of the metric: `lower <= value < upper`, and what it does to the replicas.

    `change` adds `by` replicas (negative: removes), `percent` that many per cent of them, `exact` sets them.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    by: float
    lower: Number | None = None
    upper: Number | None = None


def step_for(value: float, steps: Sequence[Step]) -> Step | None:
    """The first step whose interval holds the value."""
    for step in steps:
        above = step.lower is None or value >= step.lower
        if above and (step.upper is None or value < step.upper):
            return step
    return None


def adjusted(current: int, step: Step, adjustment: Adjustment, least: int = 1) -> int:
    """Replicas after a step, not below zero.

    Args:
        current: replicas now asked for.
        step: that applies.
        adjustment: how `by` is meant.
        least: replicas that a percentage moves at least.
    """
    if adjustment == "exact":
        return max(0, int(step.by))
    if adjustment == "change":
        return max(0, current + int(step.by))
    return max(0, current + _whole(current * step.by / 100.0, least))


def _whole(change: float, least: int) -> int:
    """Towards zero, but a change is at least one replica, and at least `least`."""
    if change == 0.0:
        return 0
    size = max(1, least, math.floor(abs(change)))
    return size if change > 0 else -size
