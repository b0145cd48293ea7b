"""The same as one season ago."""

from __future__ import annotations

import numpy as np

from sim.paas.policies.forecasters.base import RESIDUALS, Floats, Forecast, from_errors, season_bins
from sim.registry import policy
from sim.units import PositiveSeconds


@policy("forecaster", "seasonal-naive")
class SeasonalNaive:
    """The rate one season ago; the plain benchmark that every other forecast has to beat.

    The error variance grows by one unit per whole season ahead (Hyndman and Athanasopoulos,
    Forecasting: Principles and Practice, 3rd ed., sect. 5.5).
    """

    season: PositiveSeconds = 86400.0

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins; needs one season."""
        season = season_bins(self.season, width)
        if len(rates) < season:
            return None
        ahead = np.arange(steps)
        mean = rates[len(rates) - season + ahead % season]
        residuals = (rates[season:] - rates[:-season])[-RESIDUALS:]
        return from_errors(mean, 1.0 + ahead // season, residuals)
