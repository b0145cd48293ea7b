"""A linear function of the past."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from annotated_types import Ge

from sim.paas.policies.forecasters.base import RESIDUALS, Floats, Forecast, from_errors, season_bins
from sim.registry import policy
from sim.units import Seconds


@policy("forecaster", "ar")
class Autoregressive:
    """A linear function of the last bins (and of the bin one season ago), fitted by least squares.

    Fitted anew for each new bin on the last `window` bins. Forecasts further ahead feed on nearer
    ones, held between 0 and twice the largest rate seen so that an unstable fit cannot run away.
    The error variance h ahead is the sum of the squares of the first h impulse responses.
    """

    order: Annotated[int, Ge(1)] = 6
    season: Seconds = 0.0
    window: Annotated[int, Ge(8)] = 1024

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins; needs twice as many equations as coefficients."""
        lags = list(range(1, self.order + 1))
        season = season_bins(self.season, width) if self.season > 0 else 0
        if season > self.order:
            lags.append(season)
        recent = rates[-(self.window + lags[-1]) :]
        rows = len(recent) - lags[-1]
        if rows < 2 * (len(lags) + 1):
            return None
        columns = [np.ones(rows)] + [recent[lags[-1] - lag : len(recent) - lag] for lag in lags]
        matrix = np.column_stack(columns)
        target = recent[lags[-1] :]
        fitted = np.linalg.lstsq(matrix, target, rcond=None)[0]
        residuals = target - matrix @ fitted
        intercept, weights = float(fitted[0]), [float(weight) for weight in fitted[1:]]
        return from_errors(
            self._ahead(rates, lags, intercept, weights, steps),
            np.cumsum(_impulse(lags, weights, steps) ** 2),
            residuals[-RESIDUALS:],
        )

    def _ahead(
        self, rates: Floats, lags: list[int], intercept: float, weights: list[float], steps: int
    ) -> Floats:
        values = rates[-lags[-1] :].tolist()
        highest = 2.0 * float(np.max(rates))
        for _ in range(steps):
            value = intercept + math.fsum(w * values[-lag] for lag, w in zip(lags, weights, strict=True))
            values.append(min(max(0.0, value), highest))
        return np.asarray(values[-steps:])


def _impulse(lags: list[int], weights: list[float], steps: int) -> Floats:
    """What one unit of error now adds to the forecasts 0, 1, ... steps - 1 bins later."""
    response = [1.0]
    for step in range(1, steps):
        response.append(
            math.fsum(w * response[step - lag] for lag, w in zip(lags, weights, strict=True) if lag <= step)
        )
    return np.asarray(response)
