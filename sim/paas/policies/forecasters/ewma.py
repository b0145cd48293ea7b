"""Simple exponential smoothing."""

from __future__ import annotations

from collections import deque

import numpy as np

from sim.paas.policies.forecasters.base import RESIDUALS, Floats, Forecast, from_errors
from sim.registry import policy
from sim.units import Fraction


@policy("forecaster", "ewma")
class Ewma:
    """Simple exponential smoothing: the same rate for all bins to come, recent bins weigh most.

    level = alpha x rate + (1 - alpha) x level, begun with the first rate. The error variance h steps
    ahead is 1 + (h - 1) alpha^2 (Hyndman and
    Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., sect. 8.7).
    """

    alpha: Fraction = 0.3

    def __post_init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._seen = 0
        self._level = 0.0
        self._residuals: deque[float] = deque(maxlen=RESIDUALS)

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins; needs two bins."""
        if len(rates) < self._seen:
            self._forget()
        for rate in rates[self._seen :].tolist():
            if self._seen == 0:
                self._level = rate
            else:
                error = rate - self._level
                self._residuals.append(error)
                self._level += self.alpha * error
            self._seen += 1
        if self._seen < 2:
            return None
        variance = 1.0 + np.arange(steps) * self.alpha**2
        return from_errors(np.full(steps, self._level), variance, self._residuals)
