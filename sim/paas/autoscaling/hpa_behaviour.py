"""How fast a HorizontalPodAutoscaler may go: stabilisation windows and rate policies.

Source: kubernetes/pkg/controller/podautoscaler/horizontal.go with the defaults of
pkg/apis/autoscaling/v2/defaults.go, read in v1.20.2 and mid-2026; the newer rule where they differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Len

from sim.units import PositiveSeconds, Seconds

#: (moment, value) pairs, oldest first.
Log = list[tuple[float, int]]

#: Without `behavior`: largest step up is to twice the replicas, or to 4.
UP_FACTOR = 2.0
UP_MINIMUM = 4
#: Seconds in which a lower recommendation must not be contradicted before it counts.
DOWNSCALE_STABILISATION = 300.0


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
    return Rules(DOWNSCALE_STABILISATION, [RatePolicy("percent", 100, 15.0)])


class Limited(NamedTuple):
    """Replicas after a limit, and the controller's word for what held them back."""

    replicas: int
    reason: str


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


def stabilise_plain(desired: int, log: Log, now: float, down: float = DOWNSCALE_STABILISATION) -> int:
    """Without `behavior`: the largest recommendation that is at most `down` seconds old."""
    return max([desired, *(value for moment, value in log if now - moment <= down)])


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
) -> Limited:
    """Replicas after the rates of `behavior` and the bounds."""
    if desired > current:
        fastest = up_limit(current, up, added, removed, now)
        if desired > min(maximum, fastest):
            over = maximum > fastest
            return Limited(fastest, "ScaleUpLimit") if over else Limited(maximum, "TooManyReplicas")
    elif desired < current:
        slowest = down_limit(current, down, added, removed, now)
        if desired < max(minimum, slowest):
            under = minimum < slowest
            return Limited(slowest, "ScaleDownLimit") if under else Limited(minimum, "TooFewReplicas")
    return Limited(desired, "DesiredWithinRange")


def limit_plain(desired: int, current: int, minimum: int, maximum: int) -> Limited:
    """Replicas after the bounds, without `behavior`: at most a doubling, or 4; no limit downwards."""
    fastest = int(max(UP_FACTOR * current, UP_MINIMUM))
    if desired < minimum:
        return Limited(minimum, "TooFewReplicas")
    if desired > min(maximum, fastest):
        over = maximum > fastest
        return Limited(fastest, "ScaleUpLimit") if over else Limited(maximum, "TooManyReplicas")
    return Limited(desired, "DesiredWithinRange")
