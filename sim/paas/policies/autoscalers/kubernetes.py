"""Kubernetes' HorizontalPodAutoscaler on the signals of a simulated service."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Annotated, Literal

from annotated_types import Gt

from sim.paas.autoscaling import hpa_metrics
from sim.paas.autoscaling.hpa import Behaviour, Controller
from sim.paas.autoscaling.hpa_behaviour import Rules, default_down, default_up
from sim.paas.autoscaling.hpa_metrics import Tolerance
from sim.paas.autoscaling.hpa_pods import MetricError
from sim.paas.policies.autoscalers.base import Observation
from sim.paas.policies.autoscalers.signals import Signal, read
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds


@dataclass
class Metric:
    """One entry of `metrics`: a signal of the service, and the target for it.

    `average` is wished per replica, `value` for the service as a whole. Type `pods` measures each
    replica, so replicas that start damp a scale-up; `external` (and `object`, which is the same
    here) measures the service.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    type: Literal["pods", "object", "external"]
    signal: Signal
    average: Annotated[float, Gt(0)] | None = None
    value: Annotated[float, Gt(0)] | None = None

    def __post_init__(self) -> None:
        if (self.average is None) == (self.value is None):
            raise ValueError("give either `average` (per replica) or `value` (for the service)")
        if self.type == "pods" and self.average is None:
            raise ValueError("a metric of type pods needs `average`")


def by_busy_share(target: float, seen: Observation, current: int, band: Tolerance) -> int | None:
    """Replicas for a resource utilisation of so many per cent; None without a measurement."""
    usage = round(1000 * seen.utilisation) * seen.ready
    ready, unready = [1000] * seen.ready, [1000] * seen.starting
    percent = max(1, round(100 * target))
    try:
        return hpa_metrics.by_utilisation(current, usage, ready, percent, unready=unready, tolerance=band)
    except MetricError:
        return None


@policy("autoscaler", "hpa")
class Hpa:
    """Kubernetes' HorizontalPodAutoscaler (autoscaling/v2) on one or several metrics.

    `utilisation` is busy servers over servers, in the controller's whole per cent; `concurrency` the
    calls in a replica (waiting or served); `metrics` lists others. The largest answer counts; with no
    target at all, utilisation 80 %. Replicas that are not ready count as unready pods: they bring no
    measurement and damp a scale-up. From zero replicas a call wakes the service, not this policy.

    Without `scale_up` and `scale_down` the rules are those of a manifest without `behavior`: at most
    a doubling (or 4) per look, and downwards the largest wish of the last `stabilisation` seconds.
    If one of them is given, the other has the defaults of the API.
    """

    utilisation: Annotated[Fraction, Gt(0)] | None = None
    concurrency: Annotated[float, Gt(0)] | None = None
    metrics: list[Metric] | None = None
    tolerance: Fraction = 0.1
    tolerance_up: Fraction | None = None
    tolerance_down: Fraction | None = None
    period: PositiveSeconds = 15.0
    stabilisation: Seconds = 300.0
    scale_up: Rules | None = None
    scale_down: Rules | None = None

    signal = nan
    reason = ""
    recommended = -1

    def __post_init__(self) -> None:
        rules = None
        if self.scale_up is not None or self.scale_down is not None:
            rules = Behaviour(self.scale_up or default_up(), self.scale_down or default_down())
        whole = any(metric.type != "pods" for metric in self.metrics or [])
        self._controller = Controller(behaviour=rules, stabilisation=self.stabilisation, from_zero=whole)
        up = self.tolerance if self.tolerance_up is None else self.tolerance_up
        down = self.tolerance if self.tolerance_down is None else self.tolerance_down
        self._band = Tolerance(down, up)

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        current = observation.wanted
        self.signal = nan
        controller = self._controller
        controller.minimum, controller.maximum = observation.minimum, observation.maximum
        proposals = []
        if controller.looks_at_metrics(current):
            proposals = self._proposals(observation, current)
        decision = controller.reconcile(current, proposals, now)
        self.recommended = decision.desired
        self.reason = REASONS[decision.reason]
        return decision.replicas

    def _proposals(self, seen: Observation, current: int) -> list[int | None]:
        """What each metric asks for; None where it has no measurement."""
        asked = [self._by_metric(metric, seen, current) for metric in self.metrics or []]
        if self.concurrency is not None:
            per_replica = Metric("pods", "concurrency", average=self.concurrency)
            asked.append(self._by_metric(per_replica, seen, current))
        if self.utilisation is not None or not asked:
            self.signal = seen.utilisation
            target = 0.8 if self.utilisation is None else self.utilisation
            asked.append(by_busy_share(target, seen, current, self._band))
        return asked

    def _by_metric(self, metric: Metric, seen: Observation, current: int) -> int | None:
        total = read(metric.signal, seen)
        usage = round(1000 * total)
        band = self._band
        if metric.type == "pods":
            assert metric.average is not None
            if seen.ready == 0:
                return None
            self.signal = total / seen.ready
            target = max(1, round(1000 * metric.average))
            return hpa_metrics.by_value(
                current, usage, seen.ready, target, unready=seen.starting, tolerance=band
            )
        self.signal = total
        if metric.average is not None:
            target = max(1, round(1000 * metric.average))
            return hpa_metrics.total_average(current, usage, target, tolerance=band).replicas
        assert metric.value is not None
        target = max(1, round(1000 * metric.value))
        return hpa_metrics.total_value(current, usage, target, seen.ready, tolerance=band).replicas


#: The controller's words, in those of the scaling table.
REASONS = {
    "DesiredWithinRange": "",
    "ScaleUpStabilized": "stabilised",
    "ScaleDownStabilized": "stabilised",
    "ScaleUpLimit": "scale-up-rate",
    "ScaleDownLimit": "scale-down-rate",
    "TooManyReplicas": "maximum",
    "TooFewReplicas": "minimum",
    "ScalingDisabled": "no-replicas",
    "FailedComputeMetricsReplicas": "no-measurement",
}
