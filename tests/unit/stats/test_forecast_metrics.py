import math

import numpy as np
import pytest

from sim.stats.metrics.forecasts import mape, measure, pinball
from sim.stats.view import View

nan = math.nan


def test_mape_leaves_out_bins_without_arrivals():
    assert mape(np.array([10.0, 0.0, 4.0]), np.array([8.0, 5.0, 5.0])) == pytest.approx((0.2 + 0.25) / 2)
    assert math.isnan(mape(np.array([0.0]), np.array([5.0])))


def test_pinball_by_hand():
    # 2 short at 90 %: 1.8; 4 too many: 0.4.
    assert pinball(np.array([12.0, 6.0]), np.full(2, 10.0), np.full(2, 0.9)) == pytest.approx(1.1)


def test_pinball_is_least_at_the_quantile():
    truth = np.random.default_rng(2).exponential(5.0, 5000)
    losses = [pinball(truth, np.full(5000, x), np.full(5000, 0.8)) for x in np.linspace(1, 20, 200)]
    best = np.linspace(1, 20, 200)[int(np.argmin(losses))]
    assert best == pytest.approx(np.quantile(truth, 0.8), abs=0.15)


def test_forecasts_of_a_run_by_hand(outcome):
    calls = [{"service": "s", "enter": t} for t in (10.0, 11.0, 12.0, 25.0)] + [
        {"service": "t", "enter": 10.5}
    ]
    row = {"service": "s", "bin": 10.0, "level": 0.9}
    scaling = [
        row | {"time": 5.0, "due": 20.0, "expected": 0.2, "low": 0.1, "high": 0.25},  # came: 0.3
        row | {"time": 15.0, "due": 30.0, "expected": 0.2, "low": 0.15, "high": 0.5},  # came: 0.1
        row | {"time": 25.0, "due": 60.0, "expected": 9.0, "low": 9.0, "high": 9.0},  # after the end
        row | {"time": 26.0, "due": nan, "expected": nan, "low": nan, "high": nan, "level": nan},
    ]
    found = measure(View(outcome(calls=calls, scaling=scaling, window=(0.0, 40.0))), "s")
    assert found == pytest.approx(
        {
            "forecast.mape": (0.1 / 0.3 + 1.0) / 2,
            "forecast.pinball": (0.9 * 0.05 + 0.1 * 0.4) / 2,
            "forecast.coverage": 0.5,
            "forecast.band": 0.0,
        }
    )
    none = measure(View(outcome(calls=calls, scaling=scaling, window=(0.0, 40.0))), "t")
    assert all(math.isnan(value) for value in none.values())
