"""Gaps between tokens, kept as runs: so many sequences with gaps first, first + slope, ...

A run stands for `sequences` x `iterations` gaps, so that percentiles over hundreds of millions of
tokens are exact from some hundred thousand rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: A row of the table `steps`: replica, moment it began, first gap, slope, iterations, sequences, prompt
#: tokens, blocks in use.
Run = tuple[int, float, float, float, int, int, int, int]


class Log(list[Run]):
    """Keeps the runs of an engine that is used without a simulator."""

    def gaps(self) -> Gaps:
        """The gaps."""
        return gaps_of(self)


def gaps_of(runs: Sequence[Run]) -> Gaps:
    """The gaps of rows."""
    _, _, first, slope, iterations, sequences, _, _ = zip(*runs, strict=True) if runs else ((),) * 8
    return Gaps(
        np.array(first, float), np.array(slope, float), np.array(iterations, int), np.array(sequences, int)
    )


class Gaps:
    """Runs of gaps between consecutive tokens (s).

    Args:
        first: first gap of each run.
        slope: what each of its gaps is longer than the one before.
        iterations: gaps one after the other.
        sequences: sequences that had them.
    """

    def __init__(self, first: Floats, slope: Floats, iterations: Ints, sequences: Ints) -> None:
        self.first = first
        self.slope = slope
        self.iterations = iterations
        self.sequences = sequences

    def __len__(self) -> int:
        """Number of runs."""
        return len(self.first)

    @property
    def count(self) -> int:
        """Number of gaps."""
        return int(np.dot(self.iterations, self.sequences))

    def mean(self) -> float:
        """Mean gap (s), NaN without any."""
        n, weight = self.iterations.astype(float), self.sequences.astype(float)
        total = weight * (n * self.first + self.slope * n * (n - 1) / 2)
        return float(total.sum() / self.count) if self.count else float("nan")

    def quantile(self, share: float) -> float:
        """The smallest gap that at least this share of all gaps do not exceed (s); NaN without any.

        The number of gaps up to a value is counted in closed form, and the value found by
        bisection to the last bit; the answer is a gap that occurs (up to rounding of its sum).
        """
        total = self.count
        if not total:
            return float("nan")
        first, slope, n, weight = self.first, self.slope, self.iterations, self.sequences
        wanted = max(1, int(np.ceil(share * total - 1e-9)))
        last = first + slope * (n - 1)
        low, high = float(np.nextafter(first.min(), -1.0)), float(last.max())
        # Only runs that may lie on both sides are looked at; `below` counts the gaps of those under `low`.
        below = 0
        while True:
            middle = (low + high) / 2
            if middle <= low or middle >= high:
                return high
            if below + int(np.dot(_upto(middle, first, slope, n, last), weight)) >= wanted:
                high = middle
                keep = first <= high
            else:
                low = middle
                keep = last > low
                below += int(np.dot(n[~keep], weight[~keep]))
            first, slope, last = first[keep], slope[keep], last[keep]
            n, weight = n[keep], weight[keep]

    def curve(self, shares: Floats) -> Floats:
        """Many quantiles, for a drawing: as if all gaps of a run were its mean."""
        middle = self.first + self.slope * (self.iterations - 1) / 2
        order = np.argsort(middle, kind="stable")
        reached = np.cumsum((self.iterations * self.sequences)[order])
        place = np.searchsorted(reached, np.maximum(1.0, shares * reached[-1] - 1e-9))
        found: Floats = middle[order][place]
        return found


def _upto(value: float, first: Floats, slope: Floats, n: Ints, last: Floats) -> Ints:
    """Gaps of each run that are no longer than a value."""
    flat = slope <= 0.0
    steep = np.where(flat, 1.0, slope)
    under = np.floor((value - first) / steep * (1 + 1e-15) + 1e-12).astype(np.int64) + 1
    inside = np.where(flat, np.where(first <= value, n, 0), np.clip(under, 0, n))
    found: Ints = np.where(last <= value, n, np.where(first > value, 0, inside))
    return found
