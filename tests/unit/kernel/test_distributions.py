import copy
import importlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import registry
from sim.kernel.distributions import (
    Choice,
    Constant,
    Empirical,
    Erlang,
    Exponential,
    Gamma,
    Hyperexponential,
    LogNormal,
    Normal,
    Pareto,
    Uniform,
    Weibull,
    constant_or,
    value_fields,
)

CONTINUOUS = [
    Uniform(1.0, 3.0),
    Exponential(2.0),
    Erlang(2.0, 3),
    Gamma(2.0, 0.5),
    Gamma(0.1, 1.4),
    LogNormal(2.0, 1.2),
    LogNormal(1e6, 0.1),
    Weibull(2.0, 0.8),
    Weibull(2.0, 3.0),
    Pareto(2.0, 4.5),
    Pareto(2.0, 1.3),
    Hyperexponential(2.0, 2.0),
    Normal(2.0, 0.05),
    Normal(2.0, 0.4),
    Normal(2.0, 0.75),
    Empirical({"p0": 0.5, "p50": 1.0, "p90": 4.0, "p100": 9.0}),
]
ALL = [
    *CONTINUOUS,
    Constant(2.0),
    Choice([1.0, 2.0, 8.0], [2.0, 1.0, 1.0]),
    Empirical({"p50": 3.0, "p99": 5.0}),
]
name = "{0.dist}-{0.mean:.3g}-{0.cv:.3g}".format


def by_quantiles(distribution, power):
    """Mean of x**power as the integral of the quantile function, by the midpoint rule towards both ends."""
    # q = 3u^2 - 2u^3 puts more points where heavy tails need them.
    u = (np.arange(10_000) + 0.5) / 10_000
    q, weight = 3 * u**2 - 2 * u**3, 6 * u * (1 - u)
    x = np.array([distribution.quantile(p) for p in q])
    return float(np.mean(x**power * weight))


@pytest.mark.parametrize(
    "distribution",
    [
        d
        for d in CONTINUOUS
        if d.dist not in ("gamma", "erlang", "hyperexponential") and d not in (Pareto(2.0, 1.3),)
    ],
    ids=name,
)
def test_mean_and_cv_are_those_of_the_quantile_function(distribution):
    mean, square = by_quantiles(distribution, 1), by_quantiles(distribution, 2)
    assert distribution.mean == pytest.approx(mean, rel=1e-4)
    assert distribution.cv == pytest.approx(math.sqrt(square / mean**2 - 1), rel=5e-3)


@pytest.mark.parametrize("distribution", [d for d in ALL if d.cv <= 2], ids=name)
def test_samples_have_the_stated_mean_and_cv(distribution):
    # 200,000 numbers. The mean must lie within 4 standard errors (false alarm: 1 in 16,000 a case).
    # The cv's error is larger under heavy tails; its own error is taken from 20 batches, 5 of them.
    x = distribution.sample(np.random.default_rng(5), 200_000)
    assert x.shape == (200_000,)
    assert x.min() >= 0
    error = distribution.mean * distribution.cv / math.sqrt(len(x))
    assert abs(x.mean() - distribution.mean) <= 4 * error + 1e-12
    batches = x.reshape(20, -1)
    cvs = batches.std(axis=1) / batches.mean(axis=1)
    assert abs(cvs.mean() - distribution.cv) <= 5 * cvs.std() / math.sqrt(20) + 2e-3 * distribution.cv + 1e-12


@pytest.mark.parametrize("distribution", CONTINUOUS, ids=name)
def test_samples_follow_the_quantiles(distribution):
    # The number of samples below a quantile is binomial; 4.5 deviations: 1 in 150,000 for each of 6.
    x = distribution.sample(np.random.default_rng(6), 100_000)
    for q in (0.01, 0.1, 0.5, 0.9, 0.99, 0.999):
        below = np.count_nonzero(x <= distribution.quantile(q))
        assert abs(below - q * len(x)) < 4.5 * math.sqrt(len(x) * q * (1 - q))


@pytest.mark.parametrize("distribution", ALL, ids=name)
def test_quantiles_rise_and_reach_the_ends(distribution):
    values = [distribution.quantile(q) for q in np.linspace(0, 1, 101)]
    assert all(a <= b for a, b in itertools.pairwise(values))
    assert values[0] >= 0
    x = distribution.sample(np.random.default_rng(7), 1000)
    assert values[0] <= x.min() + 1e-12
    assert x.max() <= values[-1] + 1e-12
    for wrong in (-0.01, 1.01, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            distribution.quantile(wrong)


def test_known_values():
    assert Exponential(2.0).quantile(1 - math.exp(-1)) == pytest.approx(2.0)
    # Survival of an Erlang-2 with stages of mean 1 at x = 2: e^-2 (1 + 2).
    assert Erlang(2.0, 2).quantile(1 - 3 * math.exp(-2)) == pytest.approx(2.0)
    assert LogNormal(1.0, 1.0).quantile(0.5) == pytest.approx(1 / math.sqrt(2))
    assert Weibull(2.0, 1.0).cv == pytest.approx(1.0)
    assert Gamma(2.0, 1.0).quantile(0.3) == pytest.approx(Exponential(2.0).quantile(0.3))
    assert Pareto(3.0, 3.0).quantile(0.0) == pytest.approx(2.0)
    assert (Pareto(3.0, 3.0).cv, Pareto(3.0, 2.0).cv) == (pytest.approx(1 / math.sqrt(3)), math.inf)
    # Half a normal: mean sigma*sqrt(2/pi), cv sqrt(pi/2 - 1) = 0.7555; just above what is allowed.
    assert Normal(1.0, 0.75).quantile(0.5) == pytest.approx(0.6744897 * math.sqrt(math.pi / 2), rel=0.02)


def test_empirical_joins_quantiles_by_lines_and_stays_flat_outside():
    measured = Empirical({"p50": 1.0, "p90": 5.0, "p10": 0.5})
    assert [measured.quantile(q) for q in (0, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1)] == pytest.approx(
        [0.5, 0.5, 0.5, 0.75, 1.0, 3.0, 5.0, 5.0]
    )
    assert measured.mean == pytest.approx(0.1 * 0.5 + 0.4 * 0.75 + 0.4 * 3.0 + 0.1 * 5.0)
    assert Empirical({"p99.9": 2.0}).quantile(0.2) == 2.0


def test_choice_by_weights():
    drawn = Choice([4.0, 1.0, 2.0], [1.0, 0.0, 3.0])
    assert drawn.mean == pytest.approx(2.5)
    assert [drawn.quantile(q) for q in (0.1, 0.75, 0.76, 1.0)] == [2.0, 2.0, 4.0, 4.0]
    assert set(drawn.sample(np.random.default_rng(1), 1000)) == {2.0, 4.0}
    # Sums of tenths are not exact: the seventh of ten equal values is still reached at 0.7.
    assert [Choice(list(range(1, 11))).quantile(k / 10) for k in range(1, 11)] == list(range(1, 11))
    assert Choice([1.0, 2.0, 6.0]).mean == pytest.approx(3.0)


@given(
    st.floats(1e-6, 1e12),
    st.floats(0.01, 10),
    st.floats(1e-6, 1 - 1e-6),
)
def test_scale_is_only_a_factor(mean, cv, q):
    for family in (LogNormal, Gamma):
        assert family(mean, cv).quantile(q) == pytest.approx(mean * family(1.0, cv).quantile(q), rel=1e-9)
    if cv > 1.001:
        assert Hyperexponential(mean, cv).quantile(q) == pytest.approx(
            mean * Hyperexponential(1.0, cv).quantile(q), rel=1e-6
        )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Constant(-1.0), "value must be 0 or more"),
        (lambda: Constant(math.inf), "finite"),
        (lambda: Uniform(3.0, 1.0), "high .* below low"),
        (lambda: Uniform(-1.0, 1.0), "low must"),
        (lambda: Exponential(0.0), "mean must be more than 0"),
        (lambda: Exponential(math.nan), "mean must be a finite number"),
        (lambda: Erlang(1.0, 0), "k must be 1 or more"),
        (lambda: Gamma(1.0, 0.0), "use constant"),
        (lambda: LogNormal(1.0, -1.0), "use constant"),
        (lambda: Weibull(1.0, 0.01), "shape must be 0.05"),
        (lambda: Pareto(1.0, 1.0), "mean is infinite"),
        (lambda: Hyperexponential(1.0, 1.0), "use gamma or erlang"),
        (lambda: Normal(1.0, 0.9), "use gamma"),
        (lambda: Empirical({}), "at least one"),
        (lambda: Empirical({"q50": 1.0}), "'q50' is not a quantile"),
        (lambda: Empirical({"p101": 1.0}), "'p101' is not a quantile"),
        (lambda: Empirical({"px": 1.0}), "'px' is not a quantile"),
        (lambda: Empirical({"p50": 2.0, "p90": 1.0}), r"p90 \(1.0\) is below"),
        (lambda: Empirical({"p50": 2.0, "p50.0": 2.0}), "twice"),
        (lambda: Empirical({"p50": -2.0}), "p50 must be 0 or more"),
        (lambda: Choice([]), "at least one"),
        (lambda: Choice([1.0], [1.0, 2.0]), "2 weights for 1 values"),
        (lambda: Choice([1.0], [0.0]), "at least one weight"),
        (lambda: Choice([-1.0]), "0 or more"),
    ],
)
def test_wrong_parameters_are_refused_with_help(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_every_distribution_is_registered_copies_and_says_which_fields_carry_the_dimension():
    importlib.import_module("sim.saas.policies.lengths")  # the one that lives elsewhere
    marked = {name: value_fields(cls) for name, cls in registry.classes("distribution")}
    assert marked == {
        "choice": ["values"],
        "constant": ["value"],
        "empirical": ["quantiles"],
        "erlang": ["mean"],
        "exponential": ["mean"],
        "gamma": ["mean"],
        "hyperexponential": ["mean"],
        "lognormal": ["mean"],
        "normal": ["mean"],
        "pareto": ["mean"],
        "preset": [],
        "uniform": ["low", "high"],
        "weibull": ["mean"],
    }
    for distribution in ALL:
        assert copy.deepcopy(distribution) == distribution


def test_constant_or():
    assert constant_or(3) == Constant(3.0)
    assert constant_or(Exponential(1.0)) == Exponential(1.0)
