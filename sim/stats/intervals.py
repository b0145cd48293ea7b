"""Confidence intervals: over replications, over paired differences, and inside one run.

Every interval rests on Student's t for independent, roughly normal values. One value has no
interval, and none is made up: its bounds are None.
Source: A. M. Law, Simulation Modeling and Analysis, 5th ed. (2015), sect. 9.4, 9.5 and 10.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the bounds around it.

    Attributes:
        mean: NaN when there is no value at all.
        low: lower bound, None with fewer than two values.
        high: upper bound, None with fewer than two values.
        n: values that went in; undefined ones (NaN) are left out.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    def excludes_zero(self) -> bool:
        """Whether zero lies outside the bounds; False when there are none."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean difference between two arms over replications that saw the same world.

    Attributes:
        difference: interval around mean(values - baseline).
        relative: mean difference as a share of the baseline's mean; NaN when that is zero.
        p: two-sided p-value of the paired t test; None with fewer than two pairs.
    """

    difference: Interval
    relative: float
    p: float | None


def of_mean(values: Sequence[float] | NDArray[np.float64], level: float = 0.95) -> Interval:
    """Interval around the mean of independent values, such as one per replication."""
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    n = len(known)
    if n == 0:
        return Interval(math.nan, None, None, 0)
    mean = float(np.mean(known))
    if n == 1:
        return Interval(mean, None, None, 1)
    if not np.all(np.isfinite(known)):
        return Interval(mean, None, None, n)
    half = _t(n - 1, level) * float(np.std(known, ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def paired(values: Sequence[float], baseline: Sequence[float], level: float = 0.95) -> Paired:
    """Difference between two arms, replication by replication.

    Common random numbers make the two values of a pair move together, so their difference varies
    less than either (Law 2015, sect. 11.2). Pairs with an undefined value are left out.

    Raises:
        ValueError: the two have different numbers of replications.
    """
    if len(values) != len(baseline):
        raise ValueError(f"{len(values)} values cannot be paired with {len(baseline)}")
    ours, theirs = np.asarray(values, dtype=float), np.asarray(baseline, dtype=float)
    both = np.isfinite(ours) & np.isfinite(theirs)
    differences = ours[both] - theirs[both]
    interval = of_mean(differences, level)
    reference = float(np.mean(theirs[both])) if both.any() else math.nan
    relative = interval.mean / reference if reference else math.nan
    return Paired(interval, relative, _p(differences))


def batch_means(
    values: Sequence[float] | NDArray[np.float64], batches: int = 20, level: float = 0.95
) -> Interval:
    """Interval around the mean of one run's observations, in the order they were made.

    Neighbouring observations resemble each other, so the interval is taken over the means of
    `batches` long stretches, which hardly do (Law 2015, sect. 9.5.3). Observations that do not
    fill the last stretch are left out. With fewer than two observations a stretch there is none.
    """
    series = np.asarray(values, dtype=float)
    length = len(series) // batches
    if length < 2:
        mean = float(np.mean(series)) if len(series) else math.nan
        return Interval(mean, None, None, len(series))
    means = series[: length * batches].reshape(batches, length).mean(axis=1)
    return of_mean(means, level)


def _t(freedom: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2))


def _p(differences: NDArray[np.float64]) -> float | None:
    n = len(differences)
    if n < 2:
        return None
    spread = float(np.std(differences, ddof=1))
    mean = float(np.mean(differences))
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(n - 1, -abs(mean) / (spread / math.sqrt(n))))
