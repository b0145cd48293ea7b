"""Watts from a power curve, and joules of a load that changes in steps.

A curve is a sequence of (utilisation 0..1, watts) points by rising utilisation, linear in between
and constant outside: the form in which server power is published (SPECpower, Teads). Energy of a
stepwise load is exact, because power is constant wherever load is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from sim.catalog import Curve
from sim.catalog.curves import compose

__all__ = ["check", "compose", "joules", "watts"]


def check(curve: Curve) -> None:
    """Refuse a curve that is not one.

    Raises:
        ValueError: no points, utilisation outside 0..1 or not rising, or negative watts.
    """
    if not curve:
        raise ValueError("a power curve needs at least one point")
    loads = [at for at, _ in curve]
    if loads[0] < 0 or loads[-1] > 1 or any(a >= b for a, b in pairwise(loads)):
        raise ValueError(f"utilisation must rise from 0 to 1 in a power curve, got {loads}")
    if min(power for _, power in curve) < 0:
        raise ValueError("a power curve has no negative watts")


def watts(curve: Curve, utilisation: float) -> float:
    """Watts at a utilisation between 0 and 1.

    Raises:
        ValueError: the curve has no points.
    """
    if not curve:
        raise ValueError("a power curve needs at least one point")
    right = bisect_right(curve, utilisation, key=lambda point: point[0])
    if right == 0:
        return curve[0][1]
    if right == len(curve):
        return curve[-1][1]
    (low, before), (high, after) = curve[right - 1], curve[right]
    return before + (utilisation - low) / (high - low) * (after - before)


def joules(curve: Curve, times: Sequence[float], utilisation: Iterable[float], end: float) -> float:
    """Energy of a load that is `utilisation[i]` from `times[i]` until the next time, or until `end`.

    Raises:
        ValueError: the curve has no points, or times and loads differ in number.
    """
    ends = [*times[1:], end]
    steps = zip(times, ends, utilisation, strict=True)
    return sum(watts(curve, load) * (until - since) for since, until, load in steps)
