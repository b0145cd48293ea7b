"""Quantiles of observed values.

A quantile here is a value that was really observed: the smallest one with at least the share `q`
of all values at or below it (the inverse of the empirical distribution, nearest rank). So "p99 is
at most 100 ms" and "at least 99 % answered within 100 ms" are the same statement.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Shares at which a distribution is drawn: even in the bulk, finer and finer towards the end.
CURVE: tuple[float, ...] = (
    *(round(step / 200, 4) for step in range(200)),
    *(round(1 - 10 ** -(2.3 + step / 40), 7) for step in range(1, 109)),
    1.0,
)


def ranks(count: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Positions in `count` sorted values of the quantiles `shares`."""
    # The tiny subtraction keeps 0.07 * 100 = 7.000000000000001 on rank 7.
    positions = np.ceil(shares * count - 1e-9).astype(np.int64) - 1
    return np.clip(positions, 0, max(0, count - 1))


def of_sorted(ordered: NDArray[np.float64], shares: NDArray[np.float64] | list[float]) -> NDArray[np.float64]:
    """Quantiles of values already in ascending order; NaN when there is none."""
    wanted = np.asarray(shares, dtype=float)
    if len(ordered) == 0:
        return np.full(len(wanted), np.nan)
    picked: NDArray[np.float64] = ordered[ranks(len(ordered), wanted)]
    return picked


def quantile(values: NDArray[np.float64], share: float) -> float:
    """One quantile of values in any order; NaN when there is none."""
    if len(values) == 0:
        return float("nan")
    position = int(ranks(len(values), np.array([share]))[0])
    return float(np.partition(values, position)[position])


def by_bin(
    values: NDArray[np.float64], bins: NDArray[np.int64], count: int, shares: list[float]
) -> NDArray[np.float64]:
    """Quantiles of the values of each bin: an array of shape (len(shares), count).

    Args:
        values: observations.
        bins: bin of each, 0 to count - 1.
        count: number of bins; an empty one gives NaN.
        shares: quantiles wanted.
    """
    order = np.lexsort((values, bins))
    ordered = values[order]
    sizes = np.bincount(bins, minlength=count)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    result = np.full((len(shares), count), np.nan)
    filled = sizes > 0
    for row, share in enumerate(shares):
        offsets = np.clip(np.ceil(share * sizes - 1e-9).astype(np.int64) - 1, 0, np.maximum(sizes - 1, 0))
        result[row, filled] = ordered[(starts + offsets)[filled]]
    return result
