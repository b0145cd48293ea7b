"""The forecast that concerns an autoscaler: until a replica asked for at the next look would be ready."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sim.paas.policies.autoscalers.base import Observation, Outlook
from sim.paas.policies.forecasters import Forecaster

#: Least quantile of the band that is recorded: that of the median would be a line.
BAND = 0.9


class Foresight(NamedTuple):
    """Largest rate at the quantile until then (calls/s), and what is foreseen of the last bin."""

    peak: float
    outlook: Outlook


def horizon(seen: Observation, now: float, period: float) -> float:
    """Moment until which a decision at `now` counts (s): the lead time and two periods from now.

    What is asked for at the next look is ready a period and a lead time from now; the look after
    that can correct it. A peak before that moment must not be scaled away.
    """
    return now + seen.lead_time + 2 * period


def _last(seen: Observation) -> float:
    """End of the last complete bin (s)."""
    times = seen.history.times
    return float(times[-1]) if len(times) else 0.0


def steps_ahead(seen: Observation, now: float, period: float) -> int:
    """Bins from the last complete one to the horizon, at least 1."""
    return max(1, math.ceil((horizon(seen, now, period) - _last(seen)) / seen.history.width))


def foresee(
    forecaster: Forecaster, seen: Observation, now: float, period: float, quantile: float
) -> Foresight | None:
    """Ask a forecaster for the bins from the last complete one to the horizon; None: it cannot say."""
    history = seen.history
    steps = steps_ahead(seen, now, period)
    forecast = forecaster.predict(history.rates, history.width, steps)
    if forecast is None:
        return None
    level = max(quantile, BAND)
    low, high = forecast.quantile(1.0 - level), forecast.quantile(level)
    outlook = Outlook(
        _last(seen) + steps * history.width,
        history.width,
        float(forecast.mean[-1]),
        float(low[-1]),
        float(high[-1]),
        level,
    )
    return Foresight(float(np.max(forecast.quantile(quantile))), outlook)


def replicas(rate: float, capacity: float) -> int:
    """Replicas that serve a rate; a hair more than a whole number does not cost another one."""
    return math.ceil(rate / capacity - 1e-9)
