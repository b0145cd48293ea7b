"""Distributions given by data: measured quantiles, or a list of values with weights."""
# ruff: noqa: D102 - what mean, cv, sample and quantile do is said once, in Distribution.

from __future__ import annotations

import math
from dataclasses import field

import numpy as np

from sim.kernel.distribution import Distribution, Floats, Value, Weight, check_q, need
from sim.registry import policy


@policy("distribution", "empirical")
class Empirical(Distribution):
    """Measured quantiles, `{p50: 1.2, p99: 5}`, joined by straight lines.

    Below the lowest and above the highest one given the value stays; give p0 and p100 to say
    where it ends.
    """

    quantiles: dict[str, Value]

    def __post_init__(self) -> None:
        need(bool(self.quantiles), "quantiles must name at least one, e.g. {p50: 1.2}")
        self._points()

    def _points(self) -> tuple[list[float], list[float]]:
        pairs = sorted((_share(name), value) for name, value in self.quantiles.items())
        shares, values = [share for share, _ in pairs], [float(value) for _, value in pairs]
        for (share, value), before in zip(pairs, [0.0, *values[:-1]], strict=True):
            need(math.isfinite(value) and value >= 0, f"p{100 * share:g} must be 0 or more, got {value!r}")
            need(value >= before, f"p{100 * share:g} ({value!r}) is below a smaller quantile ({before!r})")
        need(len(set(shares)) == len(shares), "one quantile is given twice")
        return [0.0, *shares, 1.0], [values[0], *values, values[-1]]

    def _moment(self, power: int) -> float:
        """Mean or mean square: the integral of the quantile function, piece by piece."""
        shares, values = self._points()
        total = 0.0
        for i in range(len(shares) - 1):
            a, b = values[i], values[i + 1]
            piece = (a + b) / 2 if power == 1 else (a * a + a * b + b * b) / 3
            total += (shares[i + 1] - shares[i]) * piece
        return total

    @property
    def mean(self) -> float:
        return self._moment(1)

    @property
    def cv(self) -> float:
        return _cv(self._moment(1), self._moment(2))

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return np.interp(rng.random(n), *self._points())

    def quantile(self, q: float) -> float:
        check_q(q)
        return float(np.interp(q, *self._points()))


@policy("distribution", "choice")
class Choice(Distribution):
    """One of a few values, each with its weight; equal weights if none are given."""

    values: list[Value]
    weights: list[Weight] = field(default_factory=list)

    def __post_init__(self) -> None:
        need(bool(self.values), "values must hold at least one number")
        need(
            not self.weights or len(self.weights) == len(self.values),
            f"{len(self.weights)} weights for {len(self.values)} values: give one each, or none",
        )
        for value in (*self.values, *self.weights):
            need(math.isfinite(value) and value >= 0, f"values and weights must be 0 or more, got {value!r}")
        need(not self.weights or math.fsum(self.weights) > 0, "at least one weight must be more than 0")

    def _probabilities(self) -> Floats:
        weights = np.array(self.weights or [1.0] * len(self.values), dtype=np.float64)
        shares: Floats = weights / weights.sum()
        return shares

    @property
    def mean(self) -> float:
        return float(np.dot(self._probabilities(), self.values))

    @property
    def cv(self) -> float:
        return _cv(self.mean, float(np.dot(self._probabilities(), np.square(self.values))))

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        index = rng.choice(len(self.values), size=n, p=self._probabilities())
        drawn: Floats = np.array(self.values, dtype=np.float64)[index]
        return drawn

    def quantile(self, q: float) -> float:
        check_q(q)
        order = np.argsort(self.values, kind="stable")
        reached = np.cumsum(self._probabilities()[order])
        # Rounding of the sum must not push q past the value it belongs to.
        index = int(np.searchsorted(reached, q - 1e-12))
        return float(self.values[order[min(index, len(order) - 1)]])


def _share(name: str) -> float:
    """`p99.9` as 0.999."""
    try:
        share = float(name.removeprefix("p")) / 100 if name.startswith("p") else math.nan
    except ValueError:
        share = math.nan
    need(0 <= share <= 1, f"{name!r} is not a quantile; write p50 or p99.9")
    return share


def _cv(mean: float, mean_square: float) -> float:
    return math.sqrt(max(0.0, mean_square - mean**2)) / mean if mean else 0.0
