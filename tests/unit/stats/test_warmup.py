import numpy as np

from sim.stats.warmup import mser5


def test_a_biased_start_is_cut():
    rng = np.random.default_rng(5)
    values = rng.normal(10.0, 1.0, 2000)
    values[:200] += np.linspace(30.0, 5.0, 200)
    assert 195 <= mser5(values) <= 250


def test_a_steady_run_needs_little():
    assert mser5(np.random.default_rng(6).normal(10.0, 1.0, 2000)) <= 100


def test_a_run_that_never_settles_is_too_short():
    assert mser5(np.linspace(0.0, 1.0, 1000) ** 2) is None


def test_too_few_observations():
    assert mser5(np.ones(49)) is None


def test_against_the_definition():
    values = np.random.default_rng(7).exponential(size=120).cumsum() % 3.0
    means = values.reshape(24, 5).mean(axis=1)
    errors = [np.sum((means[d:] - means[d:].mean()) ** 2) / (24 - d) ** 2 for d in range(19)]
    best = int(np.argmin(errors))
    assert mser5(values) == (None if best > 12 else best * 5)
