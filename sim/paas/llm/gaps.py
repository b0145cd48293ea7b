"""Gaps between tokens, kept as runs: so many sequences with gaps first, first + slope, ...

A run stands for `sequences` x `iterations` gaps, so that percentiles over hundreds of millions of
tokens are exact from some hundred thousand rows.
"""

from __future__ import annotations

from array import array

import numpy as np


class Gaps:
    """Runs of gaps between consecutive tokens (s)."""

    def __init__(self) -> None:
        self._first = array("d")
        self._slope = array("d")
        self._iterations = array("q")
        self._sequences = array("q")

    def add(self, first: float, slope: float, iterations: int, sequences: int) -> None:
        """So many sequences each had gaps first, first + slope, ..., one per iteration."""
        self._first.append(first)
        self._slope.append(slope)
        self._iterations.append(iterations)
        self._sequences.append(sequences)

    def __len__(self) -> int:
        """Number of runs."""
        return len(self._first)

    @property
    def count(self) -> int:
        """Number of gaps."""
        return int(np.dot(np.array(self._iterations), np.array(self._sequences))) if len(self) else 0

    def mean(self) -> float:
        """Mean gap (s), NaN without any."""
        n, weight = np.array(self._iterations, float), np.array(self._sequences, float)
        total = weight * (n * np.array(self._first) + np.array(self._slope) * n * (n - 1) / 2)
        return float(total.sum() / self.count) if self.count else float("nan")

    def quantile(self, share: float) -> float:
        """The smallest gap that at least this share of all gaps do not exceed (s); NaN without any.

        The number of gaps up to a value is counted in closed form, and the value found by
        bisection to the last bit; the answer is a gap that occurs (up to rounding of its sum).
        """
        total = self.count
        if not total:
            return float("nan")
        first, slope = np.array(self._first), np.array(self._slope)
        n, weight = np.array(self._iterations), np.array(self._sequences)
        wanted = max(1, int(np.ceil(share * total - 1e-9)))
        last = first + slope * (n - 1)
        flat = slope <= 0.0
        steep = np.where(flat, 1.0, slope)

        def upto(value: float) -> int:
            below = np.floor((value - first) / steep * (1 + 1e-15) + 1e-12).astype(np.int64) + 1
            inside = np.where(flat, np.where(first <= value, n, 0), np.clip(below, 0, n))
            inside = np.where(last <= value, n, np.where(first > value, 0, inside))
            return int(np.dot(inside, weight))

        low, high = float(np.nextafter(first.min(), -1.0)), float(last.max())
        while True:
            middle = (low + high) / 2
            if middle <= low or middle >= high:
                return high
            if upto(middle) >= wanted:
                high = middle
            else:
                low = middle
