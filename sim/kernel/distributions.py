"""Probability distributions of durations, sizes and factors, by their mean and spread.

Each is a policy of kind `distribution`, chosen in a scenario by `dist: <name>`. All are of numbers
that are never negative. They are described by mean and coefficient of variation (cv = standard
deviation / mean) where that determines them, because these are what measurements report.
"""
# ruff: noqa: D102 - what mean, cv, sample and quantile do is said once, in Distribution.

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Annotated

import numpy as np
from annotated_types import Ge

from sim.kernel.distribution import (
    Distribution,
    Floats,
    Positive,
    PositiveValue,
    Value,
    check_q,
    finite,
    need,
    value_fields,
)
from sim.kernel.empirical import Choice, Empirical
from sim.registry import policy
from sim.units import Quantity

__all__ = [
    "Choice",
    "Constant",
    "Distribution",
    "Empirical",
    "Erlang",
    "Exponential",
    "Gamma",
    "Hyperexponential",
    "LogNormal",
    "Normal",
    "Pareto",
    "PositiveValue",
    "Uniform",
    "Value",
    "Weibull",
    "constant_or",
    "value_fields",
]

_STANDARD = NormalDist()


def constant_or(value: float | Distribution) -> Distribution:
    """The distribution itself, or a plain number as a `Constant`."""
    return value if isinstance(value, Distribution) else Constant(float(value))


def _check_mean(mean: float) -> None:
    finite(mean=mean)
    need(mean > 0, f"mean must be more than 0, got {mean!r}")


@policy("distribution", "constant")
class Constant(Distribution):
    """Always the same number."""

    value: Value

    def __post_init__(self) -> None:
        finite(value=self.value)
        need(self.value >= 0, f"value must be 0 or more, got {self.value!r}")

    @property
    def mean(self) -> float:
        return float(self.value)

    @property
    def cv(self) -> float:
        return 0.0

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return np.full(n, float(self.value))

    def quantile(self, q: float) -> float:
        check_q(q)
        return float(self.value)


@policy("distribution", "uniform")
class Uniform(Distribution):
    """Every number between `low` and `high` is equally likely."""

    low: Value
    high: Value

    def __post_init__(self) -> None:
        finite(low=self.low, high=self.high)
        need(self.low >= 0, f"low must be 0 or more, got {self.low!r}")
        need(self.high >= self.low, f"high ({self.high!r}) must not be below low ({self.low!r})")

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    @property
    def cv(self) -> float:
        return (self.high - self.low) / math.sqrt(12) / self.mean if self.mean else 0.0

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.uniform(self.low, self.high, n)

    def quantile(self, q: float) -> float:
        check_q(q)
        return self.low + q * (self.high - self.low)


@policy("distribution", "exponential")
class Exponential(Distribution):
    """Memoryless: the time between independent events; cv is 1."""

    mean: PositiveValue

    def __post_init__(self) -> None:
        _check_mean(self.mean)

    @property
    def cv(self) -> float:
        return 1.0

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.exponential(self.mean, n)

    def quantile(self, q: float) -> float:
        check_q(q)
        return -self.mean * math.log1p(-q) if q < 1 else math.inf


@policy("distribution", "erlang")
class Erlang(Distribution):
    """Sum of `k` exponential stages of equal mean; cv is 1/sqrt(k)."""

    mean: PositiveValue
    k: Annotated[int, Ge(1)]

    def __post_init__(self) -> None:
        _check_mean(self.mean)
        need(self.k >= 1, f"k must be 1 or more, got {self.k!r}")

    @property
    def cv(self) -> float:
        return 1 / math.sqrt(self.k)

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.gamma(self.k, self.mean / self.k, n)

    def quantile(self, q: float) -> float:
        check_q(q)
        return _gamma_quantile(q, self.k, self.mean / self.k)


@policy("distribution", "gamma")
class Gamma(Distribution):
    """Gamma with shape 1/cv^2 and scale mean*cv^2; cv 1 is the exponential distribution."""

    mean: PositiveValue
    cv: Positive

    def __post_init__(self) -> None:
        _check_mean(self.mean)
        finite(cv=self.cv)
        need(self.cv > 0, f"cv must be more than 0, got {self.cv!r}; use constant for no spread")

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.gamma(1 / self.cv**2, self.mean * self.cv**2, n)

    def quantile(self, q: float) -> float:
        check_q(q)
        return _gamma_quantile(q, 1 / self.cv**2, self.mean * self.cv**2)


@policy("distribution", "lognormal")
class LogNormal(Distribution):
    """The logarithm is normal, with variance ln(1 + cv^2): durations with a long right tail."""

    mean: PositiveValue
    cv: Positive

    def __post_init__(self) -> None:
        _check_mean(self.mean)
        finite(cv=self.cv)
        need(self.cv > 0, f"cv must be more than 0, got {self.cv!r}; use constant for no spread")

    def _logarithm(self) -> tuple[float, float]:
        variance = math.log1p(self.cv**2)
        return math.log(self.mean) - variance / 2, math.sqrt(variance)

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.lognormal(*self._logarithm(), n)

    def quantile(self, q: float) -> float:
        check_q(q)
        mu, sigma = self._logarithm()
        return math.exp(mu + sigma * _normal_quantile(q))


@policy("distribution", "weibull")
class Weibull(Distribution):
    """Times to failure: shape < 1 for early failures, 1 exponential, > 1 for wear.

    Survival is exp(-(x/scale)^shape), the scale following from mean = scale * Gamma(1 + 1/shape).
    """

    mean: PositiveValue
    shape: Positive

    def __post_init__(self) -> None:
        _check_mean(self.mean)
        finite(shape=self.shape)
        need(self.shape >= 0.05, f"shape must be 0.05 or more, got {self.shape!r}")

    def _scale(self) -> float:
        return self.mean / math.gamma(1 + 1 / self.shape)

    @property
    def cv(self) -> float:
        return math.sqrt(math.gamma(1 + 2 / self.shape) / math.gamma(1 + 1 / self.shape) ** 2 - 1)

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return self._scale() * rng.weibull(self.shape, n)

    def quantile(self, q: float) -> float:
        check_q(q)
        return self._scale() * (-math.log1p(-q)) ** (1 / self.shape) if q < 1 else math.inf


@policy("distribution", "pareto")
class Pareto(Distribution):
    """Heavy tail: beyond its minimum, survival is (minimum/x)^shape (Pareto type I).

    The minimum follows from mean = minimum * shape / (shape - 1); the variance is infinite up to
    shape 2.
    """

    mean: PositiveValue
    shape: Annotated[float, Quantity("count", gt=1)]

    def __post_init__(self) -> None:
        _check_mean(self.mean)
        finite(shape=self.shape)
        need(self.shape > 1, f"shape must be more than 1 (else the mean is infinite), got {self.shape!r}")

    def _minimum(self) -> float:
        return self.mean * (self.shape - 1) / self.shape

    @property
    def cv(self) -> float:
        return 1 / math.sqrt(self.shape * (self.shape - 2)) if self.shape > 2 else math.inf

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return self._minimum() * (1 + rng.pareto(self.shape, n))

    def quantile(self, q: float) -> float:
        check_q(q)
        return self._minimum() * (1 - q) ** (-1 / self.shape) if q < 1 else math.inf


@policy("distribution", "hyperexponential")
class Hyperexponential(Distribution):
    """A mixture of a short and a long exponential: more spread than memoryless.

    Two branches with balanced means, p1/rate1 = p2/rate2 (Tijms, A First Course in Stochastic
    Models, 2003, appendix B), which makes mean and cv determine it.
    """

    mean: PositiveValue
    cv: Annotated[float, Quantity("count", gt=1)]

    def __post_init__(self) -> None:
        _check_mean(self.mean)
        finite(cv=self.cv)
        need(self.cv > 1, f"cv must be more than 1, got {self.cv!r}; use gamma or erlang for less")

    def _branches(self) -> tuple[float, float, float]:
        """Probability of the short branch, and the means of both."""
        p = (1 + math.sqrt((self.cv**2 - 1) / (self.cv**2 + 1))) / 2
        return p, self.mean / (2 * p), self.mean / (2 * (1 - p))

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        p, short, long = self._branches()
        chosen = np.where(rng.random(n) < p, short, long)
        return chosen * rng.standard_exponential(n)

    def quantile(self, q: float) -> float:
        check_q(q)
        if q == 1:
            return math.inf
        p, short, long = self._branches()

        def above(x: float) -> float:
            return p * math.exp(-x / short) + (1 - p) * math.exp(-x / long)

        return _bisect(lambda x: above(x) <= 1 - q, 0.0, -long * math.log1p(-q))


@policy("distribution", "normal")
class Normal(Distribution):
    """A bell curve cut off at 0; `mean` and `cv` are those of what is left.

    With little spread the cut does nothing. Beyond cv 0.75 it would cut off half of the bell: take
    gamma or lognormal there.
    """

    mean: PositiveValue
    cv: Annotated[float, Quantity("count", gt=0, le=0.75)]

    def __post_init__(self) -> None:
        _check_mean(self.mean)
        finite(cv=self.cv)
        need(0 < self.cv <= 0.75, f"cv must be more than 0 and at most 0.75, got {self.cv!r}; use gamma")

    def _bell(self) -> tuple[float, float, float]:
        """Cut in standard deviations from the centre, and centre and deviation of the whole bell.

        With a the cut and h the hazard of the standard normal at a, the rest has mean
        sigma*(h - a) and variance sigma^2*(1 + a*h - h^2) (Johnson, Kotz and Balakrishnan,
        Continuous Univariate Distributions 1, 1994, section 13.10.1).
        """
        if self.cv < 0.1:
            return -math.inf, self.mean, self.mean * self.cv

        def spread(a: float) -> float:
            h = _STANDARD.pdf(a) / _STANDARD.cdf(-a)
            return math.sqrt(1 + a * h - h * h) / (h - a)

        cut = _bisect(lambda a: spread(a) >= self.cv, -10.5, 0.0)
        sigma = self.mean / (_STANDARD.pdf(cut) / _STANDARD.cdf(-cut) - cut)
        return cut, -cut * sigma, sigma

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        _, mu, sigma = self._bell()
        drawn = rng.normal(mu, sigma, n)
        negative = np.flatnonzero(drawn < 0)
        while len(negative):
            drawn[negative] = rng.normal(mu, sigma, len(negative))
            negative = negative[drawn[negative] < 0]
        return drawn

    def quantile(self, q: float) -> float:
        check_q(q)
        cut, mu, sigma = self._bell()
        below = _STANDARD.cdf(cut) if math.isfinite(cut) else 0.0
        return max(0.0, mu + sigma * _normal_quantile(below + q * (1 - below)))


def _normal_quantile(q: float) -> float:
    if q in (0, 1):
        return -math.inf if q == 0 else math.inf
    return _STANDARD.inv_cdf(q)


def _gamma_quantile(q: float, shape: float, scale: float) -> float:
    from scipy.special import gammaincinv

    return float(gammaincinv(shape, q)) * scale


def _bisect(reached: Callable[[float], bool], low: float, high: float) -> float:
    """Smallest number between `low` and `high` for which `reached` holds, to the last bit."""
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return high
        if reached(middle):
            high = middle
        else:
            low = middle
