import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from sim.paas.policies.forecasters import (
    Autoregressive,
    Ensemble,
    Ewma,
    Forecast,
    GradientBoosting,
    HoltWinters,
    Perceptron,
    SeasonalNaive,
)
from sim.paas.policies.nested import OfKind
from sim.registry import fresh

WIDTH = 60.0
RNG = np.random.default_rng(11)


def wave(bins, season=24, level=100.0, swing=40.0, slope=0.0):
    at = np.arange(bins)
    return level + swing * np.sin(2 * np.pi * at / season) + slope * at


ALL = [
    SeasonalNaive(season=24 * WIDTH),
    Ewma(0.4),
    HoltWinters(season=24 * WIDTH),
    Autoregressive(4),
    Autoregressive(2, season=24 * WIDTH),
    GradientBoosting(season=24 * WIDTH, trees=8, refit=30),
    Perceptron(season=0.0, refit=30, iterations=20),
    Ensemble(
        [Ewma(0.4), SeasonalNaive(season=24 * WIDTH), Perceptron(0.0, refit=30, iterations=9)], window=9
    ),
]


@pytest.mark.parametrize("forecaster", ALL, ids=lambda f: f.policy)
def test_the_answer_depends_on_the_history_alone(forecaster):
    rates = np.maximum(0.0, wave(120) + RNG.normal(0, 5, 120))
    grown = fresh(forecaster)
    for end in range(30, 121, 3):
        grown.predict(rates[:end], WIDTH, 6)
    for end in (120, 75):
        one = grown.predict(rates[:end], WIDTH, 6)
        other = fresh(forecaster).predict(rates[:end], WIDTH, 6)
        np.testing.assert_array_equal(one.mean, other.mean)
        np.testing.assert_array_equal(one.quantile(0.9), other.quantile(0.9))


@pytest.mark.parametrize("forecaster", ALL, ids=lambda f: f.policy)
@pytest.mark.parametrize("level", [0.0, 50.0])
def test_a_constant_rate_stays(forecaster, level):
    forecast = fresh(forecaster).predict(np.full(150, level), WIDTH, 30)
    assert forecast.mean == pytest.approx(np.full(30, level), abs=1e-9)
    assert forecast.quantile(0.99) == pytest.approx(forecast.mean, abs=1e-6)


@pytest.mark.parametrize("forecaster", ALL, ids=lambda f: f.policy)
def test_one_bin_is_too_short(forecaster):
    assert fresh(forecaster).predict(np.array([3.0]), WIDTH, 5) is None
    assert fresh(forecaster).predict(np.empty(0), WIDTH, 5) is None


@pytest.mark.parametrize(
    "forecaster",
    [SeasonalNaive(24 * WIDTH), HoltWinters(24 * WIDTH), Autoregressive(4)],
    ids=lambda f: f.policy,
)
def test_a_pure_season_is_foreseen(forecaster):
    truth = wave(200)
    forecast = forecaster.predict(truth[:150], WIDTH, 50)
    assert forecast.mean == pytest.approx(truth[150:], abs=1e-6)


def test_seasonal_naive_repeats_the_last_season_and_widens_by_seasons():
    forecast = SeasonalNaive(4 * WIDTH).predict(np.arange(12.0), WIDTH, 10)
    assert forecast.mean.tolist() == [8, 9, 10, 11] * 2 + [8, 9]
    assert forecast.widening[[0, 3, 4, 8]] == pytest.approx([1, 1, 2**0.5, 3**0.5])
    assert forecast.residuals.tolist() == [4.0] * 8


def test_ewma_by_hand():
    forecast = Ewma(0.5).predict(np.array([10.0, 20.0, 10.0]), WIDTH, 3)
    # 10 -> 15 -> 12.5, errors 10 and -5.
    assert forecast.mean.tolist() == [12.5] * 3
    assert forecast.residuals.tolist() == [10.0, -5.0]
    assert forecast.widening == pytest.approx(np.sqrt([1, 1.25, 1.5]))


def test_holt_winters_by_hand():
    forecaster = HoltWinters(season=2 * WIDTH, alpha=0.5, beta=0.2, gamma=0.4)
    forecast = forecaster.predict(np.array([8.0, 12.0, 11.0]), WIDTH, 3)
    # First season: level 10, season -2 and +2, trend 0. Then y = 11 against -2:
    # level 0.5 x 13 + 0.5 x 10 = 11.5; trend 0.2 x 1.5 = 0.3; season 0.4 x 1 + 0.6 x -2 = -0.8.
    assert forecast.mean == pytest.approx([11.5 + 0.3 + 2, 11.5 + 0.6 - 0.8, 11.5 + 0.9 + 2])
    assert forecast.residuals.tolist() == [3.0]
    # Error weights: alpha (1 + beta), then alpha (1 + 2 beta) + gamma.
    assert forecast.widening == pytest.approx(np.sqrt([1, 1 + 0.6**2, 1 + 0.6**2 + 1.1**2]))


def test_holt_winters_follows_a_trend():
    truth = wave(600, slope=0.5)
    forecast = HoltWinters(season=24 * WIDTH, beta=0.1).predict(truth[:576], WIDTH, 24)
    assert forecast.mean == pytest.approx(truth[576:], abs=3.0)


def test_autoregression_finds_its_coefficients():
    rng = np.random.default_rng(5)
    rates = np.full(4000, 50.0)
    for i in range(2, 4000):
        rates[i] = 20 + 0.5 * rates[i - 1] + 0.1 * rates[i - 2] + rng.normal(0, 2)
    forecast = Autoregressive(2, window=4000).predict(rates, WIDTH, 40)
    # Far ahead: the mean 20 / 0.4 and the stationary spread, by Yule and Walker.
    assert forecast.mean[-1] == pytest.approx(50.0, abs=0.5)
    rho = 0.5 / 0.9
    stationary = (1 / (1 - 0.5 * rho - 0.1 * (0.5 * rho + 0.1))) ** 0.5
    assert forecast.widening[-1] == pytest.approx(stationary, rel=0.05)
    assert np.std(forecast.residuals) == pytest.approx(2.0, rel=0.1)


def test_autoregression_cannot_run_away():
    rates = 1.5 ** np.arange(30)
    forecast = Autoregressive(1).predict(rates, WIDTH, 50)
    assert forecast.mean.max() <= 2 * rates.max()


def test_quantiles_are_those_of_the_errors_and_never_negative():
    forecast = Forecast(np.array([10.0, 1.0]), np.array([1.0, 2.0]), np.linspace(-4, 4, 9))
    assert forecast.quantile(0.5).tolist() == [10.0, 1.0]
    assert forecast.quantile(1.0).tolist() == [14.0, 9.0]
    assert forecast.quantile(0.0).tolist() == [6.0, 0.0]


def test_quantiles_cover_what_they_say():
    # One step ahead on noise around a wave: the 90 % quantile holds for about 90 % of 400 bins
    # (standard deviation 1.5 %; the band is four of them).
    rng = np.random.default_rng(7)
    truth = wave(900) + rng.normal(0, 8, 900)
    forecaster = HoltWinters(season=24 * WIDTH, alpha=0.1, beta=0.01, gamma=0.1)
    inside = [
        truth[end] <= forecaster.predict(truth[:end], WIDTH, 1).quantile(0.9)[0] for end in range(500, 900)
    ]
    assert 0.84 <= np.mean(inside) <= 0.96


def test_holt_winters_matches_statsmodels():
    pytest.importorskip("statsmodels", reason="statsmodels is not installed")
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    rng = np.random.default_rng(3)
    season, rates = 12, wave(100, season=12) + rng.normal(0, 4, 100)
    level = rates[:season].mean()
    theirs = ExponentialSmoothing(
        rates[season:],
        trend="add",
        seasonal="add",
        seasonal_periods=season,
        initialization_method="known",
        initial_level=level,
        initial_trend=0.0,
        initial_seasonal=rates[:season] - level,
    ).fit(smoothing_level=0.3, smoothing_trend=0.1, smoothing_seasonal=0.2, optimized=False)
    ours = HoltWinters(season=season * WIDTH, alpha=0.3, beta=0.1, gamma=0.2).predict(
        rates, WIDTH, season - 1
    )
    # Not at a whole season ahead, where statsmodels repeats an old seasonal state.
    assert ours.mean == pytest.approx(theirs.forecast(season - 1), rel=1e-9)
    assert ours.residuals == pytest.approx(rates[season:] - theirs.fittedvalues, rel=1e-6, abs=1e-9)


def test_a_field_of_a_kind_takes_a_name_or_a_mapping():
    from typing import Annotated, Any

    adapter = TypeAdapter(Annotated[Any, OfKind("forecaster")])
    assert adapter.validate_python("ewma") == Ewma()
    assert adapter.validate_json('{"policy": "holt-winters", "season": "2h", "alpha": 0.5}') == HoltWinters(
        season=7200.0, alpha=0.5
    )
    for wrong in ("emwa", {"policy": "ewma", "season": "1h"}, {"alpha": 0.5}, 3):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)
