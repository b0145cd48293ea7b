"""The arithmetic of the Kubernetes HorizontalPodAutoscaler (autoscaling/v2), as pure functions.

Amounts are integers in thousandths (milli), as the controller sees them, because it truncates:
80.9 % of a request counts as 80 %. Nothing here knows the simulation, so that the rules can be
checked against tables.

Source: kubernetes/pkg/controller/podautoscaler/replica_calculator.go and horizontal.go, with the
defaults of pkg/apis/autoscaling/v2/defaults.go; read in v1.20 and mid-2026, the newer rule where
they differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Len

from sim.units import PositiveSeconds, Seconds

#: (moment, value) pairs, oldest first.
Log = list[tuple[float, int]]


@dataclass(frozen=True)
class Tolerance:
    """How far the ratio of measured to wished may be from 1 before anything is done; inclusive."""

    down: float = 0.1
    up: float = 0.1

    def holds(self, ratio: float) -> bool:
        """Whether the ratio counts as 1."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


def by_utilisation(
    current: int,
    usage: int,
    requests: Sequence[int],
    target: int,
    *,
    unready: Sequence[int] = (),
    missing: Sequence[int] = (),
    tolerance: Tolerance = Tolerance(),
) -> int:
    """Replicas for a resource utilisation target.

    Args:
        current: replicas now asked for.
        usage: sum of usage over the pods that are ready and measured (milli).
        requests: what each of those pods requests (milli).
        target: wished usage in per cent of the requests, an integer.
        unready: requests of the pods not ready yet.
        missing: requests of the ready pods without a measurement.
        tolerance: band in which nothing changes.
    """
    if not requests:
        return current
    ratio = _utilisation(usage, sum(requests)) / target
    pods = len(requests)
    starting = bool(unready) and ratio > 1.0
    if not starting and not missing:
        return current if tolerance.holds(ratio) else math.ceil(ratio * pods)
    filled, total = usage, sum(requests)
    if ratio < 1.0:
        filled += sum(request * max(100, target) // 100 for request in missing)
    if ratio != 1.0:
        total, pods = total + sum(missing), pods + len(missing)
    if starting:
        total, pods = total + sum(unready), pods + len(unready)
    return _cautious(current, ratio, _utilisation(filled, total) / target, pods, tolerance)


def by_value(
    current: int,
    total: int,
    pods: int,
    target: int,
    *,
    unready: int = 0,
    missing: int = 0,
    tolerance: Tolerance = Tolerance(),
) -> int:
    """Replicas for a mean value per pod.

    Args:
        current: replicas now asked for.
        total: sum of the metric over the pods that are ready and measured (milli).
        pods: number of those.
        target: wished mean per pod (milli).
        unready: pods not ready yet.
        missing: ready pods without a measurement.
        tolerance: band in which nothing changes.
    """
    if pods == 0:
        return current
    ratio = (total // pods) / target
    starting = unready > 0 and ratio > 1.0
    if not starting and not missing:
        return current if tolerance.holds(ratio) else math.ceil(ratio * pods)
    if ratio < 1.0:
        total += missing * target
    if ratio != 1.0:
        pods += missing
    if starting:
        pods += unready
    return _cautious(current, ratio, (total // pods) / target, pods, tolerance)


def _utilisation(usage: int, requested: int) -> int:
    return 100 * usage // requested


def _cautious(current: int, ratio: float, filled: float, pods: int, tolerance: Tolerance) -> int:
    """The ratio after filling in unknown pods must still point the same way, else nothing changes."""
    if tolerance.holds(filled) or (ratio < 1.0 < filled) or (filled < 1.0 < ratio):
        return current
    wished = math.ceil(filled * pods)
    against = wished > current if filled < 1.0 else wished < current
    return current if against else wished


@dataclass
class RatePolicy:
    """At most `value` pods, or per cent of the pods there were, may be added or removed per `period`."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    type: Literal["pods", "percent"]
    value: Annotated[int, Ge(1)]
    period: PositiveSeconds


@dataclass
class Rules:
    """How fast one direction may go: the window that must agree, the rate policies and which counts.

    `select: max` allows the largest change that any policy allows, `min` the smallest, `disabled` none.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    window: Seconds = 0.0
    policies: Annotated[list[RatePolicy], Len(1)] = field(
        default_factory=lambda: [RatePolicy("percent", 100, 15.0)]
    )
    select: Literal["max", "min", "disabled"] = "max"


def default_up() -> Rules:
    """Four pods or a doubling in 15 s, whichever is more, at once."""
    return Rules(0.0, [RatePolicy("pods", 4, 15.0), RatePolicy("percent", 100, 15.0)])


def default_down() -> Rules:
    """Down to nothing in 15 s, once 300 s have agreed."""
    return Rules(300.0, [RatePolicy("percent", 100, 15.0)])


def stabilise(desired: int, current: int, log: Log, now: float, up: float, down: float) -> int:
    """The recommendation nearest to `current` among those of the window, in both directions.

    Args:
        desired: what the metrics ask for now.
        current: replicas now asked for.
        log: earlier recommendations; those with an age below a window count for it.
        now: moment (s).
        up: window for going up (s).
        down: window for going down (s).
    """
    least = most = desired
    for moment, value in log:
        age = now - moment
        if age < up and value < least:
            least = value
        if age < down and value > most:
            most = value
    if current < least:
        return least
    return most if current > most else current


def changed(log: Log, now: float, period: float) -> int:
    """Replicas added (or removed, for that log) less than `period` seconds ago."""
    return sum(change for moment, change in log if now - moment < period)


def up_limit(current: int, rules: Rules, added: Log, removed: Log, now: float) -> int:
    """Most replicas that the rates allow; never below `current`."""
    if rules.select == "disabled":
        return current
    limits = []
    for rate in rules.policies:
        start = current - changed(added, now, rate.period) + changed(removed, now, rate.period)
        grown = start + rate.value if rate.type == "pods" else math.ceil(start * (1 + rate.value / 100))
        limits.append(grown)
    return max(current, max(limits) if rules.select == "max" else min(limits))


def down_limit(current: int, rules: Rules, added: Log, removed: Log, now: float) -> int:
    """Fewest replicas that the rates allow; never above `current`."""
    if rules.select == "disabled":
        return current
    limits = []
    for rate in rules.policies:
        start = current - changed(added, now, rate.period) + changed(removed, now, rate.period)
        shrunk = start - rate.value if rate.type == "pods" else int(start * (1 - rate.value / 100))
        limits.append(shrunk)
    return min(current, min(limits) if rules.select == "max" else max(limits))


def limit(
    desired: int,
    current: int,
    minimum: int,
    maximum: int,
    up: Rules,
    down: Rules,
    added: Log,
    removed: Log,
    now: float,
) -> tuple[int, str]:
    """Replicas after the rates and the bounds, and which of them held it back ("" for none)."""
    if desired > current:
        fastest = up_limit(current, up, added, removed, now)
        if desired > min(maximum, fastest):
            return (fastest, "scale-up-rate") if maximum > fastest else (maximum, "maximum")
    elif desired < current:
        slowest = down_limit(current, down, added, removed, now)
        if desired < max(minimum, slowest):
            return (slowest, "scale-down-rate") if minimum < slowest else (minimum, "minimum")
    return desired, ""
