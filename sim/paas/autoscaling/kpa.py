"""Knative's pod autoscaler (KPA): two windows, a panic mode, and the way to zero and back.

Source: knative/serving pkg/autoscaler/scaling/autoscaler.go, pkg/autoscaler/aggregation/ and
pkg/reconciler/autoscaling/kpa/, read mid-2026; defaults from config/core/configmaps/autoscaler.yaml.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

#: Seconds between two decisions.
TICK = 2.0
#: Smallest target of any metric.
SMALLEST_TARGET = 0.01


@dataclass(frozen=True)
class Decider:
    """What one revision's autoscaler is told.

    Attributes:
        target: wished value of the metric per pod.
        total: value that a pod can bear, before the target utilisation is taken off.
        max_scale_up: largest factor by which ready pods may grow in one decision.
        max_scale_down: largest factor by which they may shrink.
        panic_threshold: panic begins when the panic window asks for this many times the ready pods.
        burst_capacity: requests above the present ones that must be bearable without the activator; 0:
            the activator is in the path at zero only; -1: always.
        stable_window: seconds that the stable value averages over; panic lasts at least as long.
        activation_scale: pods to start with from zero.
        scale_down_delay: seconds that a lower wish must last.
        reachable: whether traffic can reach the revision; only then the way down is limited.
    """

    target: float = 70.0
    total: float = 100.0
    max_scale_up: float = 1000.0
    max_scale_down: float = 2.0
    panic_threshold: float = 2.0
    burst_capacity: float = 211.0
    stable_window: float = 60.0
    activation_scale: int = 1
    scale_down_delay: float = 0.0
    reachable: bool = True


class Scale(NamedTuple):
    """A decision.

    Attributes:
        pods: wished.
        raw: wished by the window that counts, before rates, panic and delay.
        excess_burst: capacity left after the wished burst; below zero the activator is in the path.
        panicking: whether in panic mode.
    """

    pods: int
    raw: int
    excess_burst: int
    panicking: bool


@dataclass
class Autoscaler:
    """The memory of one revision's autoscaler between ticks.

    Attributes:
        spec: what it is told; may be exchanged between ticks.
        panic_since: moment the panic began or was last confirmed (s); None when calm.
        most_panic_pods: most pods wished in this panic.
        delayed: wishes by bucket of two seconds, for the scale-down delay.
    """

    spec: Decider
    panic_since: float | None = None
    most_panic_pods: int = 0
    delayed: dict[int, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, spec: Decider, ready: int, now: float) -> Autoscaler:
        """A new autoscaler; with more than one ready pod it starts in panic, to keep them."""
        return cls(spec, now if ready > 1 else None, ready)

    def scale(self, ready: int, stable: float | None, panic: float | None, now: float) -> Scale | None:
        """Decide; None if there is no data, and nothing changes then.

        Args:
            ready: pods that are ready.
            stable: mean of the metric over the stable window, all pods together.
            panic: the same over the panic window.
            now: moment (s).
        """
        if stable is None or panic is None:
            return None
        spec = self.spec
        pods = max(1, ready)
        highest = math.ceil(spec.max_scale_up * pods)
        lowest = math.floor(pods / spec.max_scale_down) if spec.reachable else 0
        by_stable, by_panic = math.ceil(stable / spec.target), math.ceil(panic / spec.target)
        stable_pods = self._activated(by_stable, min(max(by_stable, lowest), highest))
        panic_pods = self._activated(by_panic, min(max(by_panic, lowest), highest))
        self._panic(by_panic / pods >= spec.panic_threshold, now)
        desired = stable_pods
        if self.panic_since is not None:
            self.most_panic_pods = desired = max(self.most_panic_pods, stable_pods, panic_pods)
        if spec.scale_down_delay > 0.0 and spec.reachable:
            desired = self._delay(desired, now)
        raw = max(by_stable, by_panic) if self.panic_since is not None else by_stable
        burst = excess_burst(ready, spec.total, spec.burst_capacity, panic)
        return Scale(desired, raw, burst, self.panic_since is not None)

    def _activated(self, asked: int, pods: int) -> int:
        return max(pods, self.spec.activation_scale) if asked > 0 else pods

    def _panic(self, over: bool, now: float) -> None:
        if over:
            self.panic_since = now
        elif self.panic_since is not None and self.panic_since + self.spec.stable_window < now:
            self.panic_since = None
            self.most_panic_pods = 0

    def _delay(self, desired: int, now: float) -> int:
        """The largest wish of the buckets that the delay spans."""
        bucket = int(now) // int(TICK)
        oldest = bucket - math.ceil(self.spec.scale_down_delay / TICK)
        self.delayed = {index: pods for index, pods in self.delayed.items() if index > oldest}
        self.delayed[bucket] = max(desired, self.delayed.get(bucket, 0))
        return max(self.delayed.values())


def excess_burst(ready: int, total: float, burst: float, panic: float) -> int:
    """Capacity left after the present load and the wished burst.

    Args:
        ready: pods that are ready, 0 included.
        total: what one pod bears.
        burst: target burst capacity.
        panic: load over the panic window.
    """
    if burst == 0:
        return 0
    return -1 if burst < 0 else math.floor(ready * total - burst - panic)


def activators(ready: int, total: float, burst: float, capacity: float = 100.0) -> int:
    """Activator instances that should stand in the path, at least two."""
    if burst == 0:
        return 2
    return max(2, math.ceil((ready * total + max(0.0, burst)) / capacity))


def resolve(
    metric: Literal["concurrency", "rps"] = "concurrency",
    *,
    target: float | None = None,
    utilisation: float = 0.7,
    container_concurrency: float = 0.0,
) -> tuple[float, float]:
    """(target, total) per pod from the annotations.

    Args:
        metric: what is measured.
        target: annotation `target`.
        utilisation: share of the total that is aimed at.
        container_concurrency: requests that a container takes at once; 0 for any number.
    """
    if metric == "rps":
        total = 200.0 if target is None else target
    elif target is not None:
        total = min(target, container_concurrency) if container_concurrency > 0 else target
    else:
        total = container_concurrency if container_concurrency > 0 else 100.0
    return max(SMALLEST_TARGET, total * utilisation), total


def sample_size(pods: int) -> int:
    """Pods that are scraped, of so many, for a mean with 95 % confidence."""
    if pods <= 3:
        return max(0, pods)
    x = 1.96**2 * 100.0 / 25.0
    return math.ceil(pods * x / (pods + x - 1.0))


@dataclass
class ZeroScaler:
    """Bounds, the initial scale and the way to zero: what becomes of the autoscaler's wish.

    Attributes:
        minimum: `min-scale`.
        maximum: `max-scale`; 0 for no limit.
        initial: `initial-scale`, to be reached once before anything else counts.
        enabled: whether zero is allowed at all.
        grace: seconds that the activator must be in the path before the last pod goes.
        retention: seconds that the last pod stays after traffic has ended.
        stable_window: seconds that a revision is active at least.
        active_since: moment it became active; None while inactive.
        inactive_since: moment it became inactive.
        reached: whether the initial scale has been reached.
    """

    minimum: int = 0
    maximum: int = 0
    initial: int = 1
    enabled: bool = True
    grace: float = 30.0
    retention: float = 0.0
    stable_window: float = 60.0
    active_since: float | None = None
    inactive_since: float | None = None
    reached: bool = False

    def apply(self, desired: int, current: int, ready: int, now: float, proxied_for: float = 0.0) -> int:
        """Pods to ask for.

        Args:
            desired: of the autoscaler; below zero for "no data yet".
            current: pods asked for.
            ready: pods that are ready.
            now: moment (s).
            proxied_for: seconds that the activator has been in the path already.
        """
        if not self.reached:
            self.reached = ready >= self.initial
            if not self.reached:
                desired = max(desired, self.initial)
        if desired < 0:
            return current
        desired = max(desired, self.minimum)
        if self.maximum > 0:
            desired = min(desired, self.maximum)
        if desired > 0:
            if self.active_since is None and ready > 0:
                self.active_since, self.inactive_since = now, None
            return desired
        return self._to_zero(current, ready, now, proxied_for)

    def _to_zero(self, current: int, ready: int, now: float, proxied_for: float) -> int:
        if not self.enabled:
            return 1
        if current == 0:
            return 0
        if self.active_since is None and self.inactive_since is None:
            if ready == 0:
                # Still activating: nobody knows yet whether it can serve.
                return current
            self.active_since = now
        if self.active_since is not None:
            if now - self.active_since < self.stable_window:
                return 1
            self.active_since, self.inactive_since = None, now
        assert self.inactive_since is not None
        wait = max(self.grace, self.retention)
        if now - self.inactive_since >= wait or proxied_for >= wait:
            self.inactive_since = None
            return 0
        return current
