"""An autoscaler put together from parts, each of which can be exchanged."""

from __future__ import annotations

from dataclasses import field
from math import nan
from typing import Annotated

from annotated_types import Gt

from sim import registry
from sim.paas.policies.autoscalers.base import NO_OUTLOOK, Observation, Surroundings
from sim.paas.policies.autoscalers.foresight import foresee
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
        self.outlook = NO_OUTLOOK
        if self.forecaster is not None and self.signal_of != "rate":
            raise ValueError("a forecaster foresees the rate of calls: it needs `signal_of: rate`")
        for stabiliser in self.stabilisers:
            registry.start(stabiliser)

    def start(self, surroundings: Surroundings) -> None:
        """Let the forecaster acquire its state."""
        if self.forecaster is not None:
            registry.start(self.forecaster, surroundings.streams, f"{surroundings.path}/forecaster")

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
        foresight = foresee(forecaster, seen, now, self.period, self.quantile)
        if foresight is None:
            self.predicted, self.outlook = nan, NO_OUTLOOK
            return 0.0
        self.predicted, self.outlook = foresight
        return self.predicted
