"""Forecasters that learn, and the ensemble: what they must find, and what they must not claim."""

import numpy as np
import pytest

from sim.kernel.streams import RandomStreams
from sim.paas.policies.forecasters import (
    Ensemble,
    Ewma,
    Forecast,
    GradientBoosting,
    Perceptron,
    SeasonalNaive,
)
from sim.paas.policies.forecasters.ensemble import weights

WIDTH = 60.0
SEASON = 24


def wave(bins, noise=0.0, seed=3):
    at = np.arange(bins)
    return 100 + 40 * np.sin(2 * np.pi * at / SEASON) + np.random.default_rng(seed).normal(0, noise, bins)


class Stub:
    """A member with a fixed error; says nothing before `since` bins."""

    def __init__(self, error, since=1):
        self.error, self.since = error, since

    def predict(self, rates, width, steps):
        if len(rates) < self.since:
            return None
        # The truth is the number of the bin.
        truth = len(rates) + np.arange(steps, dtype=float)
        return Forecast(truth + self.error, np.ones(steps), np.array([-self.error]))


LEARNED = [
    GradientBoosting(season=SEASON * WIDTH, window=400),
    Perceptron(season=SEASON * WIDTH, window=400),
]


@pytest.mark.parametrize("forecaster", LEARNED, ids=lambda f: f.policy)
def test_a_noisy_season_is_learnt_better_than_it_is_repeated(forecaster):
    rates = wave(500, noise=6)
    truth = wave(510)[480:486]
    mine = forecaster.predict(rates[:480], WIDTH, 6)
    naive = SeasonalNaive(SEASON * WIDTH).predict(rates[:480], WIDTH, 6)
    assert np.mean((mine.mean - truth) ** 2) < 0.7 * np.mean((naive.mean - truth) ** 2)
    # Errors on bins not seen when learning: no smaller than the noise, no larger than those of repeating.
    assert 5.0 < np.std(mine.residuals) < np.std(naive.residuals)
    assert np.all(np.diff(mine.widening) >= 0)
    assert mine.widening[0] == 1.0


@pytest.mark.parametrize("forecaster", LEARNED, ids=lambda f: f.policy)
def test_a_new_level_is_followed(forecaster):
    rates = np.concatenate((wave(480), 300 + wave(12)))
    forecast = forecaster.predict(rates, WIDTH, 1)
    assert forecast.mean[0] == pytest.approx(300 + wave(493)[492], abs=25)


@pytest.mark.parametrize("cls", [GradientBoosting, Perceptron])
def test_the_seed_comes_from_the_stream_of_its_name(cls):
    def forecast(seed, path):
        forecaster = cls(season=0.0, refit=60)
        forecaster.start(RandomStreams(seed), path)
        return forecaster.predict(wave(120, noise=5), WIDTH, 3).mean.tolist()

    assert forecast(1, "a") == forecast(1, "a")
    assert forecast(1, "a") != forecast(1, "b")
    assert forecast(1, "a") != forecast(2, "a")


def test_a_model_is_fitted_once_in_so_many_bins(monkeypatch):
    fitted = []
    forecaster = GradientBoosting(season=0.0, trees=2, refit=50, window=90)
    learn = GradientBoosting._fit
    monkeypatch.setattr(GradientBoosting, "_fit", lambda *a: fitted.append(len(a[1])) or learn(*a))
    rates = wave(230)
    for end in range(50, 230):
        forecaster.predict(rates[:end], WIDTH, 2)
    assert fitted == [50, 100, 150, 200]


def test_weights_by_hand():
    nan = np.nan
    # Mean squares 1 and 4: weights 4/5 and 1/5.
    assert weights(np.array([[1.0, 2.0], [-1.0, -2.0]])) == pytest.approx([0.8, 0.2])
    assert weights(np.array([[1.0, nan], [1.0, 0.5]])) == pytest.approx([0.2, 0.8])
    assert weights(np.array([[0.0, 1.0, 0.0]])).tolist() == [0.5, 0.0, 0.5]
    assert weights(np.full((3, 2), nan)).tolist() == [0.5, 0.5]
    # Without errors: as much as the others on average, here (1 + 1/4) / 2.
    assert weights(np.array([[1.0, 2.0, nan]])) == pytest.approx(np.array([1, 0.25, 0.625]) / 1.875)


def test_the_ensemble_is_the_weighted_mean_with_the_errors_it_would_have_made():
    rates = np.arange(10.0)
    forecast = Ensemble([Stub(1.0), Stub(-2.0), Stub(5.0, since=99)], window=4).predict(rates, WIDTH, 2)
    # 0.8 x (+1) + 0.2 x (-2) = 0.4 above the truth.
    assert forecast.mean == pytest.approx([10.4, 11.4])
    assert forecast.residuals == pytest.approx([-0.4] * 4)


def test_a_member_that_knows_takes_over():
    forecast = Ensemble([Stub(3.0), Stub(0.0)]).predict(np.arange(10.0), WIDTH, 1)
    assert forecast.mean.tolist() == [10.0]


def test_an_ensemble_without_an_able_member_is_silent():
    assert Ensemble([Stub(0.0, since=99)]).predict(np.arange(10.0), WIDTH, 1) is None


def test_the_combination_beats_its_worst_member():
    rates = wave(400, noise=4)
    naive, flat = SeasonalNaive(SEASON * WIDTH), Ewma(0.3)

    def error(forecaster):
        made = [forecaster.predict(rates[:end], WIDTH, 1).mean[0] - rates[end] for end in range(200, 400)]
        return np.mean(np.square(made))

    assert error(Ensemble([naive, flat])) < min(error(Ewma(0.3)), 1.2 * error(naive))
