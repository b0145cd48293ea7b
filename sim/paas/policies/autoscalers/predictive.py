"""Replicas for the load that is forecast."""

from __future__ import annotations

from dataclasses import field
from math import nan
from typing import Annotated

from annotated_types import Gt

from sim import registry
from sim.errors import StratusError
from sim.paas.autoscaling.hpa_behaviour import Log
from sim.paas.autoscaling.newsvendor import critical_ratio
from sim.paas.policies.autoscalers.base import NO_OUTLOOK, Observation, Surroundings
from sim.paas.policies.autoscalers.foresight import Foresight, foresee, replicas, steps_ahead
from sim.paas.policies.forecasters import Forecaster, HoltWinters
from sim.paas.policies.nested import OfKind
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds


@policy("autoscaler", "predictive")
class Predictive:
    """Replicas for the rate forecast until a replica asked for at the next look would be ready.

    That is two periods and the lead time - node, image, weights, warm-up - as measured so far, or
    as planned as long as none was. replicas = ceil(rate / (target x calls per second of one replica)),
    where rate is the largest `quantile` of the forecast until then (a peak before that must not be
    scaled away); 0.9 unless given. Instead of it the costs of a replica `too_few` and of one
    `too_many` for the same time can be given: the quantile is then too_few / (too_few + too_many),
    the newsvendor's.

    The guard rail does the same sum with the rate just observed plus the backlog worked off within
    `recovery`, and can only add replicas: with a useless forecast the policy is a reactive one with a
    margin. While the history is too short the guard rail decides alone (without it, the number
    stays). A scale-down must be agreed by all wishes of the last `stabilisation` seconds.
    """

    forecaster: Annotated[Forecaster, OfKind("forecaster")] = field(default_factory=HoltWinters)
    target: Annotated[Fraction, Gt(0)] = 0.7
    quantile: Annotated[Fraction, Gt(0)] | None = None
    too_few: Annotated[float, Gt(0)] | None = None
    too_many: Annotated[float, Gt(0)] | None = None
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
        self.outlook = NO_OUTLOOK
        self._asked = (-1, -1)
        self._answer: Foresight | None = None
        if (self.too_few is None) != (self.too_many is None):
            raise ValueError("too_few and too_many: give both costs or none")
        if self.quantile is not None and self.too_few is not None:
            raise ValueError(
                "quantile and the costs too_few and too_many say the same thing: give one of them"
            )

    def start(self, surroundings: Surroundings) -> None:
        """Let the forecaster acquire its state."""
        registry.start(self.forecaster, surroundings.streams, f"{surroundings.path}/forecaster")

    @property
    def level(self) -> float:
        """The quantile of the forecast to be ready for; 0.9 unless given."""
        if self.too_few is not None and self.too_many is not None:
            return critical_ratio(self.too_few, self.too_many)
        return 0.9 if self.quantile is None else self.quantile

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        capacity = observation.capacity * self.target
        if not capacity > 0:
            raise StratusError("autoscaler predictive: the service's time model gives no capacity")
        self.signal = observation.rate
        foresight = self._foresee(observation, now)
        if foresight is None:
            self.predicted, self.outlook = nan, NO_OUTLOOK
            wish = 0 if self.guard else observation.wanted
            self.reason = "short-history"
        else:
            self.predicted, self.outlook = foresight
            wish = replicas(self.predicted, capacity)
            self.reason = ""
        if self.guard:
            needed = replicas(observation.rate + observation.queued / self.recovery, capacity)
            if needed > wish:
                wish = needed
                self.reason = self.reason or "guard-rail"
        self.recommended = wish
        return self._steady(wish, now)

    def _foresee(self, seen: Observation, now: float) -> Foresight | None:
        """The forecast; asked for anew when a bin is complete or the horizon reaches further."""
        asked = len(seen.history.times), steps_ahead(seen, now, self.period)
        if asked != self._asked:
            self._asked = asked
            self._answer = foresee(self.forecaster, seen, now, self.period, self.level)
        return self._answer

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
