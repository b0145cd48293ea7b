"""Replicas for the load that is forecast."""

from __future__ import annotations

import math
from dataclasses import field
from math import nan
from typing import Annotated

import numpy as np
from annotated_types import Gt

from sim.errors import StratusError
from sim.paas.autoscaling.hpa_behaviour import Log
from sim.paas.policies.autoscalers.base import Observation
from sim.paas.policies.forecasters import Forecaster, HoltWinters
from sim.paas.policies.nested import OfKind
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds


@policy("autoscaler", "predictive")
class Predictive:
    """Replicas for the rate forecast until a replica asked for at the next look would be ready.

    replicas = ceil(rate / (target x calls per second of one replica)), where rate is the largest
    `quantile` of the forecast over the lead time and two periods (a peak before that must not be
    scaled away). The guard rail does the same sum with the rate just observed plus the backlog
    worked off within `recovery`, and can only add replicas: with a useless forecast the policy is a
    reactive one with a margin. While the history is too short the guard rail decides alone (without
    it, the number stays). A scale-down must be agreed by all wishes of the last `stabilisation`
    seconds.
    """

    forecaster: Annotated[Forecaster, OfKind("forecaster")] = field(default_factory=HoltWinters)
    target: Annotated[Fraction, Gt(0)] = 0.7
    quantile: Annotated[Fraction, Gt(0)] = 0.9
    guard: bool = True
    recovery: PositiveSeconds = 60.0
    stabilisation: Seconds = 60.0
    bin: PositiveSeconds = 60.0
    period: PositiveSeconds = 15.0

    signal = nan
    predicted = nan
    recommended = -1
    reason = ""

    def __post_init__(self) -> None:
        self._wished: Log = []

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        history = observation.history
        capacity = observation.capacity * self.target
        if not capacity > 0:
            raise StratusError("autoscaler predictive: the service's time model gives no capacity")
        self.signal = observation.rate
        forecast = self.forecaster.predict(history.rates, history.width, self._steps(observation, now))
        if forecast is None:
            self.predicted = nan
            wish = 0 if self.guard else observation.wanted
            self.reason = "short-history"
        else:
            self.predicted = float(np.max(forecast.quantile(self.quantile)))
            wish = _replicas(self.predicted, capacity)
            self.reason = ""
        if self.guard:
            needed = _replicas(observation.rate + observation.queued / self.recovery, capacity)
            if needed > wish:
                wish = needed
                self.reason = self.reason or "guard-rail"
        self.recommended = wish
        return self._steady(wish, now)

    def _steps(self, observation: Observation, now: float) -> int:
        """Bins from the last complete one to the end of the horizon."""
        history = observation.history
        last = float(history.times[-1]) if len(history.times) else 0.0
        end = now + observation.lead_time + 2 * self.period
        return max(1, math.ceil((end - last) / history.width))

    def _steady(self, wish: int, now: float) -> int:
        """The largest wish of the window."""
        log = self._wished
        while log and now - log[0][0] >= self.stabilisation:
            log.pop(0)
        log.append((now, wish))
        most = max(value for _, value in log)
        if most > wish:
            self.reason = "stabilised"
        return most


def _replicas(rate: float, capacity: float) -> int:
    """Replicas that serve a rate; a hair more than a whole number does not cost another one."""
    return math.ceil(rate / capacity - 1e-9)
