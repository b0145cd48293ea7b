"""Knative's pod autoscaler on the signals of a simulated service."""

from __future__ import annotations

from math import inf, nan
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from sim.paas.autoscaling import kpa
from sim.paas.policies.autoscalers.base import Observation
from sim.paas.policies.autoscalers.trailing import Trailing
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds


@policy("autoscaler", "knative")
class Knative:
    """Knative Serving's autoscaler (KPA): a stable and a panic window on concurrency or requests/s.

    `target` is the value a replica bears (100 calls, or 200 per second, unless given; never above
    `container_concurrency`), of which `target_utilisation` is aimed at. Panic begins when the panic
    window asks for `panic_threshold` times the ready replicas; it never removes any and lasts a
    stable window longer. The bounds of the service are min-scale and max-scale, its initial replicas
    initial-scale. At zero a call waits, as in the activator, and wakes the service at once.
    `burst_capacity` decides whether the activator is in the path already, which shortens the way to
    zero; the hop itself costs no time here.
    """

    metric: Literal["concurrency", "rps"] = "concurrency"
    target: Annotated[float, Gt(0)] | None = None
    target_utilisation: Annotated[Fraction, Gt(0)] = 0.7
    container_concurrency: Annotated[int, Ge(0)] = 0
    stable_window: PositiveSeconds = 60.0
    panic_window: Annotated[Fraction, Gt(0)] = 0.1
    panic_threshold: Annotated[float, Gt(1)] = 2.0
    max_scale_up: Annotated[float, Gt(1)] = 1000.0
    max_scale_down: Annotated[float, Gt(1)] = 2.0
    burst_capacity: Annotated[float, Ge(-1)] = 211.0
    activation_scale: Annotated[int, Ge(1)] = 1
    scale_down_delay: Seconds = 0.0
    scale_to_zero: bool = True
    grace: PositiveSeconds = 30.0
    retention: Seconds = 0.0
    period: PositiveSeconds = kpa.TICK

    signal = nan
    recommended = -1
    reason = ""

    def __post_init__(self) -> None:
        target, total = kpa.resolve(
            self.metric,
            target=self.target,
            utilisation=self.target_utilisation,
            container_concurrency=self.container_concurrency,
        )
        self._spec = kpa.Decider(
            target=target,
            total=total,
            max_scale_up=self.max_scale_up,
            max_scale_down=self.max_scale_down,
            panic_threshold=self.panic_threshold,
            burst_capacity=self.burst_capacity,
            stable_window=self.stable_window,
            activation_scale=self.activation_scale,
            scale_down_delay=self.scale_down_delay,
        )
        self._stable = Trailing(self.stable_window)
        self._panic = Trailing(self.stable_window * self.panic_window)
        self._decider: kpa.Autoscaler | None = None
        self._zero = kpa.ZeroScaler(
            enabled=self.scale_to_zero,
            grace=self.grace,
            retention=self.retention,
            stable_window=self.stable_window,
            reached=True,
        )
        self._proxied_since = inf

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        value = observation.rate if self.metric == "rps" else observation.in_system
        stable = self._stable.add(now, value, self.period)
        panic = self._panic.add(now, value, self.period)
        self.signal = panic
        if self._decider is None:
            self._decider = kpa.Autoscaler.begin(self._spec, observation.ready, now)
        scale = self._decider.scale(observation.ready, stable, panic, now)
        assert scale is not None
        if scale.excess_burst >= 0:
            self._proxied_since = inf
        elif self._proxied_since == inf:
            self._proxied_since = now
        zero = self._zero
        zero.minimum, zero.maximum = observation.minimum, observation.maximum
        waited = now - self._proxied_since if self._proxied_since < inf else 0.0
        pods = zero.apply(scale.pods, observation.wanted, observation.ready, now, waited)
        self.recommended = scale.raw
        self.reason = self._why(scale, pods)
        return pods

    def _why(self, scale: kpa.Scale, pods: int) -> str:
        if pods < scale.pods:
            return "maximum"
        if pods > scale.pods:
            return "minimum" if self._zero.minimum > 0 else "scale-to-zero-wait"
        if scale.panicking:
            return "panic"
        if pods != scale.raw:
            return "scale-up-rate" if pods < scale.raw else "scale-down-rate"
        return ""
