"""The plain forecasters against statsmodels (extra `forecast-check`)."""

import numpy as np
import pytest

from sim.paas.policies.forecasters import Autoregressive, Ewma, HoltWinters

holtwinters = pytest.importorskip(
    "statsmodels.tsa.holtwinters", reason="needs statsmodels: extra forecast-check"
)

SEASON = 12
RATES = 50 + 20 * np.sin(2 * np.pi * np.arange(150) / SEASON) + np.random.default_rng(8).normal(0, 4, 150)


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.8])
def test_simple_smoothing(alpha):
    theirs = holtwinters.SimpleExpSmoothing(RATES, initialization_method="known", initial_level=RATES[0])
    fitted = theirs.fit(smoothing_level=alpha, optimized=False)
    ours = Ewma(alpha).predict(RATES, 60.0, 4)
    assert ours.mean == pytest.approx(fitted.forecast(4), rel=1e-9)
    assert ours.residuals == pytest.approx(fitted.resid[1:], rel=1e-9)


@pytest.mark.parametrize(("alpha", "beta", "gamma"), [(0.3, 0.02, 0.3), (0.7, 0.2, 0.1), (0.1, 0.5, 0.6)])
def test_holt_winters(alpha, beta, gamma):
    level = RATES[:SEASON].mean()
    theirs = holtwinters.ExponentialSmoothing(
        RATES[SEASON:],
        trend="add",
        seasonal="add",
        seasonal_periods=SEASON,
        initialization_method="known",
        initial_level=level,
        initial_trend=0.0,
        initial_seasonal=RATES[:SEASON] - level,
    )
    # statsmodels states beta and gamma as the textbook does.
    fitted = theirs.fit(
        smoothing_level=alpha, smoothing_trend=beta, smoothing_seasonal=gamma, optimized=False
    )
    ours = HoltWinters(SEASON * 60.0, alpha, beta, gamma).predict(RATES, 60.0, SEASON - 1)
    # At exactly one season ahead statsmodels 0.15 uses a stale season.
    assert ours.mean == pytest.approx(fitted.forecast(SEASON - 1), rel=1e-9)
    assert ours.residuals == pytest.approx(fitted.resid, rel=1e-9)


@pytest.mark.parametrize("order", [1, 3, 6])
def test_autoregression(order):
    from statsmodels.tsa.ar_model import AutoReg

    fitted = AutoReg(RATES, order).fit()
    ours = Autoregressive(order).predict(RATES, 60.0, 8)
    assert ours.mean == pytest.approx(fitted.forecast(8), rel=1e-7)
    assert ours.residuals == pytest.approx(fitted.resid, rel=1e-6, abs=1e-8)
