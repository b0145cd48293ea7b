"""What a forecaster is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

#: Residuals kept: enough for a 99 % quantile, few enough to follow a change of regime.
RESIDUALS = 512


@dataclass(frozen=True, slots=True)
class Forecast:
    """Rates of the bins to come.

    Attributes:
        mean: expected rate of each bin (calls/s), not below 0.
        widening: factor on the residuals for each bin; 1 for the first.
        residuals: errors (actual minus forecast) of one-step forecasts in the past (calls/s).
    """

    mean: Floats
    widening: Floats
    residuals: Floats

    def quantile(self, q: float) -> Floats:
        """Rate of each bin that is exceeded with probability 1 - q, not below 0."""
        if len(self.residuals) == 0:
            return self.mean
        shift = float(np.quantile(self.residuals, q))
        return np.asarray(np.maximum(0.0, self.mean + shift * self.widening), dtype=float)


class Forecaster(Protocol):
    """What the predictive autoscaler asks of a forecaster."""

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins."""


def from_errors(mean: ArrayLike, variance: ArrayLike, residuals: ArrayLike) -> Forecast:
    """A forecast whose widening is the root of the relative error variances."""
    center = np.maximum(0.0, np.asarray(mean, dtype=np.float64))
    widening = np.sqrt(np.asarray(variance, dtype=np.float64))
    return Forecast(center, widening, np.asarray(residuals, dtype=np.float64))


def season_bins(season: float, width: float) -> int:
    """Bins of one season, at least 2."""
    return max(2, round(season / width))
