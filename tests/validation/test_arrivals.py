"""Arrival processes against what theory says of them.

Seeds are fixed. A z-test at 4.5 standard errors raises a false alarm for 7 seeds in a million, the
distribution tests at p < 1e-5 for 10 in a million.
"""

import numpy as np
import pytest
from scipy import stats

from sim.saas.policies.arrivals import MarkovModulated, OnOff, Periodic, Poisson, RandomJumps
from sim.saas.policies.batches import Batches
from sim.saas.policies.recorded import Preset
from sim.saas.policies.varying import Crowd, Diurnal, FlashCrowd, Ramp
from sim.saas.policies.weekly import Weekly

SURPRISE = 4.5
P = 1e-5


def times(process, users, until, seed):
    blocks = list(process.blocks(np.random.default_rng(seed), users, until))
    return np.concatenate([block.times for block in blocks])


def counts(process, users, until, window, seed):
    return np.histogram(times(process, users, until, seed), np.arange(0, until + window / 2, window))[0]


def test_poisson_gaps_are_exponential_and_counts_are_not_dispersed():
    drawn = times(Poisson(2.0), 5, 4000.0, seed=11)
    assert abs(len(drawn) - 40_000) < SURPRISE * 200
    assert stats.kstest(np.diff(drawn) * 10, "expon").pvalue > P
    number = counts(Poisson(2.0), 5, 4000.0, 1.0, seed=12)
    spread = (len(number) - 1) * number.var(ddof=1) / number.mean()
    assert P < stats.chi2.cdf(spread, len(number) - 1) < 1 - P


@pytest.mark.parametrize(
    ("process", "users", "until"),
    [
        (Diurnal(1.0, amplitude=0.95, period=600.0, peak_at=100.0), 20, 3000.0),
        (Diurnal(1.0, period=900.0, crowds=[Crowd(200, 8, 20, 30, 40), Crowd(250, 3, 0, 60, 0)]), 20, 1800.0),
        (Diurnal(1.0, period=900.0, crowds=[Crowd(200, 0, 10, 300, 5)]), 20, 1800.0),
        (FlashCrowd(0.5, at=100.0, factor=200.0, ramp=5.0, hold=3.0, decay=10.0), 10, 400.0),
        (Ramp(0.0, 3.0, over=500.0, begin=100.0), 20, 800.0),
        (Ramp(3.0, 0.0, over=500.0, begin=100.0), 20, 800.0),
        (Weekly(1.0, hours=[1, 5, 3], days=[1, 1, 2, 1, 1, 0, 1], day=90.0, begins=50.0), 20, 900.0),
        (Batches(3.0, on=40.0, period=100.0, first=30.0, idle=0.2), 20, 1000.0),
        (Batches(0.1, on=40.0, period=100.0, first=30.0, idle=3.0), 20, 1000.0),
    ],
)
def test_varying_poisson_processes_follow_the_integral_of_their_rate(process, users, until):
    # Time rescaling: through the integral of its rate a Poisson process becomes one of rate 1.
    grid = np.linspace(0, until, 2_000_001)
    rate = process.expected(grid, users)
    integral = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) / 2) * (grid[1] - grid[0])))
    drawn = times(process, users, until, seed=21)
    assert abs(len(drawn) - integral[-1]) < SURPRISE * np.sqrt(integral[-1])
    rescaled = np.interp(drawn, grid, integral)
    assert stats.kstest(rescaled / integral[-1], "uniform").pvalue > P
    assert stats.kstest(np.diff(rescaled), "expon").pvalue > P


def test_diurnal_counts_match_the_integral_in_closed_form():
    process, users, until = Diurnal(3.0, amplitude=0.8, period=100.0, peak_at=25.0), 10, 50.0
    # Integral of r (1 + a cos(2 pi (t - p) / T)) over half a wave around its peak.
    due = 30.0 * (50.0 + 0.8 * 100.0 / np.pi)
    number = [len(times(process, users, until, seed)) for seed in range(200)]
    assert abs(np.mean(number) - due) < SURPRISE * np.sqrt(due / 200)
    assert P < stats.chi2.cdf(np.sum((np.array(number) - due) ** 2) / due, 200) < 1 - P


def dispersion(spread, mean, constant, window):
    """Index of dispersion of counts for a rate of variance `spread` with exponential correlation."""
    share = 1 - (1 - np.exp(-window / constant)) * constant / window
    return 1 + 2 * spread * constant * share / mean


def measured(process, users, window, runs=60, windows=300):
    """Mean rate and dispersion, each with its standard error over independent runs."""
    number = np.array([counts(process, users, window * windows, window, seed) for seed in range(runs)])
    # The mean of all runs is subtracted, so that a run's own drift is not lost.
    ratio = ((number - number.mean()) ** 2).mean(axis=1) / number.mean()
    rate = number.mean(axis=1) / window
    error = np.sqrt(runs)
    return rate.mean(), rate.std(ddof=1) / error, ratio.mean(), ratio.std(ddof=1) / error


@pytest.mark.parametrize("window", [1.0, 10.0])
def test_mmpp_has_the_mean_and_the_dispersion_of_theory(window):
    high, low, long, short = 9.0, 1.0, 5.0, 2.0
    process = MarkovModulated([low, high], [long, short])
    share = short / (long + short)
    mean = 4 * (low + (high - low) * share)
    due = dispersion((4 * (high - low)) ** 2 * share * (1 - share), mean, 1 / (1 / long + 1 / short), window)
    rate, rate_error, ratio, ratio_error = measured(process, 4, window)
    assert abs(rate - mean) < SURPRISE * rate_error
    assert abs(ratio - due) < SURPRISE * ratio_error
    assert process.expected(np.zeros(1), 4)[0] == pytest.approx(mean)


@pytest.mark.parametrize("window", [1.0, 10.0])
def test_jumps_have_the_mean_and_the_dispersion_of_theory(window):
    # Levels are independent, so the rate forgets at the pace of its jumps.
    low, high, stay = 1.0, 12.0, 5.0
    mean = 4 * (high - low) / np.log(high / low)
    square = 16 * (high**2 - low**2) / 2 / np.log(high / low)
    due = dispersion(square - mean**2, mean, stay, window)
    rate, rate_error, ratio, ratio_error = measured(RandomJumps(low, high, stay), 4, window)
    assert abs(rate - mean) < SURPRISE * rate_error
    assert abs(ratio - due) < SURPRISE * ratio_error


def test_a_bursty_week_has_its_mean_and_its_dispersion():
    # Flat hours: the rate is the mean one all the time, and the dispersion that which was asked for.
    flat = Weekly(5.0, hours=[1.0, 1.0], dispersion=9.0)
    rate, rate_error, ratio, ratio_error = measured(flat, 1, 60.0, runs=60, windows=100)
    assert abs(rate - 5.0) < SURPRISE * rate_error
    assert abs(ratio - 9.0) < SURPRISE * ratio_error
    # With hours the mean of each of them is that of the curve.
    process = Weekly(5.0, hours=[1.0, 7.0], day=400.0, dispersion=9.0, swing=20.0)
    number = np.array([counts(process, 1, 4000.0, 200.0, seed) for seed in range(60)])
    grid = np.arange(0.5, 4000.0)
    due = process.expected(grid, 1).reshape(20, 200).sum(axis=1)
    assert (np.abs(number.mean(axis=0) - due) < SURPRISE * number.std(axis=0, ddof=1) / np.sqrt(60)).all()


def test_independent_users_of_on_off_average_out():
    # The dispersion of n independent users is that of one, far from n times it.
    share = 5 / 20
    due = dispersion(16.0 * share * (1 - share), 4.0 * share, 1 / (1 / 5 + 1 / 15), 10.0)
    rate, rate_error, ratio, ratio_error = measured(OnOff(4.0, 5.0, 15.0), 20, 10.0)
    assert abs(rate - 20.0) < SURPRISE * rate_error
    assert abs(ratio - due) < SURPRISE * ratio_error


def test_one_user_goes_on_and_off_within_a_run():
    # Long-run dispersion 1 + 2 r^2 p (1 - p) c / (r p), as above in a window without end.
    mean = 50.0 * 5 / 20
    long_run = 1 + 2 * 50.0**2 * (3 / 16) * 3.75 / mean
    drawn = times(OnOff(50.0, 5.0, 15.0), 1, 20_000.0, seed=31)
    assert abs(len(drawn) / 20_000 - mean) < SURPRISE * np.sqrt(long_run * mean / 20_000)


def test_mmpp_of_few_arrivals_loses_none_between_its_stretches():
    process = MarkovModulated([0.001, 0.003], [1.0, 1.0])
    assert abs(len(times(process, 1, 2e6, seed=41)) - 4000) < SURPRISE * np.sqrt(4000 * 1.01)


def test_periodic_counts_do_not_vary_at_all():
    number = counts(Periodic(0.25), 8, 500.0, 1.0, seed=1)
    assert (number == 32).all()


@pytest.mark.parametrize("name", ["azure-llm-conv", "azure-llm-code"])
def test_presets_reproduce_rate_dispersion_and_token_quantiles(name):
    from sim import catalog

    card = catalog.preset(name)
    rate, rate_error, ratio, ratio_error = measured(Preset(name), 1, 60.0, runs=80, windows=100)
    assert abs(rate - card.rate) < SURPRISE * rate_error
    assert abs(ratio - card.dispersion) < SURPRISE * ratio_error
    blocks = list(Preset(name, rate=100.0).blocks(np.random.default_rng(5), 1, 500.0))
    for column in ("tokens_in", "tokens_out"):
        drawn = np.concatenate([block.columns[column] for block in blocks])
        for quantile, value in card.quantiles[column].items():
            share = float(quantile[1:]) / 100
            if 0 < share < 1:
                margin = SURPRISE * np.sqrt(share * (1 - share) / len(drawn))
                assert (drawn < round(value)).mean() <= share + margin
                assert (drawn <= round(value) + 1).mean() >= share - margin
