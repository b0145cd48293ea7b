"""Metrics of forecasts: what autoscalers foresaw against what came, look by look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.stats.view import View, average, equals

Floats = NDArray[np.float64]


def measure(view: View, name: str) -> dict[str, float]:
    """Metrics `services.<service>.forecast.*`; NaN where nothing was foreseen.

    Every look of the window counts whose bin has ended with it.
    """
    due = view.numbers("scaling", "due")
    mine = equals(view.text("scaling", "service"), name) & view.inside("scaling", "time")
    rows = np.flatnonzero(mine & (due <= view.end))
    ends, width, expected, low, high, level = (
        view.numbers("scaling", column)[rows] for column in ("due", "bin", "expected", "low", "high", "level")
    )
    enters = np.sort(view.numbers("calls", "enter")[equals(view.text("calls", "service"), name)])
    actual = (np.searchsorted(enters, ends) - np.searchsorted(enters, ends - width)) / width
    return {
        "forecast.mape": mape(actual, expected),
        "forecast.pinball": pinball(actual, high, level),
        "forecast.coverage": average(actual <= high),
        "forecast.band": average((low <= actual) & (actual <= high)),
    }


def mape(actual: Floats, forecast: Floats) -> float:
    """Mean of |actual - forecast| / actual; bins in which nothing came are left out."""
    some = actual > 0
    return average(np.abs(actual[some] - forecast[some]) / actual[some])


def pinball(actual: Floats, quantile: Floats, level: Floats) -> float:
    """Mean of level x shortfall, or (1 - level) x excess of a quantile (Koenker and Bassett 1978)."""
    short = actual - quantile
    return average(np.maximum(level * short, (level - 1.0) * short))
