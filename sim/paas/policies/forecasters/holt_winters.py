"""Exponential smoothing with a trend and a season."""

from __future__ import annotations

from collections import deque

import numpy as np

from sim.paas.policies.forecasters.base import RESIDUALS, Floats, Forecast, from_errors, season_bins
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds


@policy("forecaster", "holt-winters")
class HoltWinters:
    """Level, trend and additive season, each smoothed exponentially, bin by bin.

    level  l = alpha (y - s') + (1 - alpha) (l' + b')
    trend  b = beta (l - l') + (1 - beta) b'
    season s = gamma (y - l' - b') + (1 - gamma) s'     where s' is one season back
    h ahead: l + h b + the season of that bin (Hyndman and Athanasopoulos, Forecasting: Principles and
    Practice, 3rd ed., sect. 8.3). The first season only begins it:
    its mean is the level, the deviations from it are the season, the trend is zero. The error
    variance h ahead is 1 + sum over j < h of (alpha (1 + j beta) + gamma [season divides j])^2
    (Hyndman et al., Forecasting with Exponential Smoothing, 2008, table 6.1).
    """

    season: PositiveSeconds = 86400.0
    alpha: Fraction = 0.3
    beta: Fraction = 0.02
    gamma: Fraction = 0.3

    def __post_init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._seen = 0
        self._level = 0.0
        self._trend = 0.0
        self._seasonal: list[float] = []
        self._residuals: deque[float] = deque(maxlen=RESIDUALS)

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins; needs one season."""
        season = season_bins(self.season, width)
        if len(rates) < season:
            return None
        if len(rates) < self._seen or (self._seasonal and len(self._seasonal) != season):
            self._forget()
        if self._seen == 0:
            self._level = float(np.mean(rates[:season]))
            self._seasonal = (rates[:season] - self._level).tolist()
            self._seen = season
        for rate in rates[self._seen :].tolist():
            self._learn(rate, self._seen % season)
            self._seen += 1
        ahead = np.arange(1, steps + 1)
        seasonal = np.asarray(self._seasonal)[(self._seen - 1 + ahead) % season]
        mean = self._level + ahead * self._trend + seasonal
        return from_errors(mean, self._variance(steps, season), self._residuals)

    def _learn(self, rate: float, phase: int) -> None:
        level, trend, seasonal = self._level, self._trend, self._seasonal[phase]
        self._residuals.append(rate - (level + trend + seasonal))
        self._level = self.alpha * (rate - seasonal) + (1 - self.alpha) * (level + trend)
        self._trend = self.beta * (self._level - level) + (1 - self.beta) * trend
        self._seasonal[phase] = self.gamma * (rate - level - trend) + (1 - self.gamma) * seasonal

    def _variance(self, steps: int, season: int) -> Floats:
        later = np.arange(1, steps)
        weights = self.alpha * (1 + later * self.beta) + self.gamma * (later % season == 0)
        return np.concatenate(([1.0], 1.0 + np.cumsum(weights**2)))
