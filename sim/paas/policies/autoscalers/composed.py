"""An autoscaler put together from parts, each of which can be exchanged."""

from __future__ import annotations

import math
from dataclasses import field
from math import nan
from typing import Annotated

import numpy as np
from annotated_types import Gt

from sim import registry
from sim.paas.policies.autoscalers.base import Observation
from sim.paas.policies.autoscalers.signals import Signal, read
from sim.paas.policies.forecasters import Forecaster
from sim.paas.policies.nested import OfKind
from sim.paas.policies.recommenders import Recommender, Target
from sim.paas.policies.stabilisers import Stabiliser, Window
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds


@policy("autoscaler", "composed")
class Composed:
    """Signal, forecaster, recommender and stabilisers of your choice, in this order.

    The recommender turns the signal of the service as a whole into replicas. With a forecaster, whose
    subject is always the rate of calls, it gets the larger of the rate and of the largest `quantile`
    of the forecast until a replica asked for at the next look would be ready; while the history is too
    short, the rate. The stabilisers hold the wish back, one after the other; the bounds of the
    service come last.
    """

    signal_of: Signal = "concurrency"
    forecaster: Annotated[Forecaster, OfKind("forecaster")] | None = None
    quantile: Annotated[Fraction, Gt(0)] = 0.9
    recommender: Annotated[Recommender, OfKind("recommender")] = field(default_factory=Target)
    stabilisers: list[Annotated[Stabiliser, OfKind("stabiliser")]] = field(default_factory=lambda: [Window()])
    bin: PositiveSeconds = 60.0
    period: PositiveSeconds = 15.0

    signal = nan
    predicted = nan
    recommended = -1
    reason = ""

    def __post_init__(self) -> None:
        if self.forecaster is not None and self.signal_of != "rate":
            raise ValueError("a forecaster foresees the rate of calls: it needs `signal_of: rate`")
        for stabiliser in self.stabilisers:
            registry.start(stabiliser)

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        value = self.signal = read(self.signal_of, observation)
        if self.forecaster is not None:
            value = max(value, self._foresee(self.forecaster, observation, now))
        wish = self.recommended = self.recommender.recommend(value, observation)
        self.reason = ""
        for stabiliser in self.stabilisers:
            held = stabiliser.hold(wish, observation.wanted, now)
            if held != wish:
                self.reason = self.reason or str(getattr(stabiliser, "policy", "stabilised"))
            wish = held
        return wish

    def _foresee(self, forecaster: Forecaster, seen: Observation, now: float) -> float:
        """The largest rate until a replica asked for at the next look would be ready; 0 if unknown."""
        history = seen.history
        last = float(history.times[-1]) if len(history.times) else 0.0
        end = now + seen.lead_time + 2 * self.period
        steps = max(1, math.ceil((end - last) / history.width))
        forecast = forecaster.predict(history.rates, history.width, steps)
        self.predicted = nan if forecast is None else float(np.max(forecast.quantile(self.quantile)))
        return 0.0 if forecast is None else self.predicted
