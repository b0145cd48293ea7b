"""Quantities that jump: exact (time, value) changes, and exact integrals over them.

A step series holds its value from one change to the next, so utilisation, queue lengths, energy and
cost are integrals computed without sampling.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

#: Changes kept in the growing end of a series before they are sealed into a chunk.
SEAL = 4096


class Clock(Protocol):
    """Whatever tells the time; the kernel."""

    @property
    def now(self) -> float:
        """Simulated time in seconds."""


class Chunk(Protocol):
    """Sealed numbers, in memory or on disk."""

    def load(self) -> NDArray[np.generic]:
        """The numbers."""


class Kept:
    """A chunk in memory."""

    __slots__ = ("_column",)

    def __init__(self, column: NDArray[np.generic]) -> None:
        self._column = column

    def load(self) -> NDArray[np.generic]:
        """The numbers."""
        return self._column


class Store(Protocol):
    """Where sealed chunks go."""

    def keep(self, columns: Sequence[NDArray[np.generic]]) -> list[Chunk]:
        """Keep columns of equal length."""


class StepSeries:
    """A quantity that changes in steps.

    Several changes at one moment leave the last value; a change to the value it has already is not
    recorded. So times rise strictly and neighbouring values differ.

    Attributes:
        value: the value now.
    """

    __slots__ = ("_chunks", "_clock", "_last", "_store", "_times", "_values", "value")

    def __init__(self, clock: Clock, initial: float = 0.0, store: Store | None = None) -> None:
        self.value = float(initial)
        self._clock = clock
        self._store = store
        self._last = clock.now
        self._times = array("d", [self._last])
        self._values = array("d", [self.value])
        self._chunks: list[list[Chunk]] = []

    def set(self, value: float) -> None:
        """It has this value from now on."""
        if value != self.value:
            self.put(value, self._clock.now)

    def put(self, value: float, now: float) -> None:
        """It has this value, which is another, from now on; for callers who know the time."""
        self.value = value
        if now != self._last:
            self._last = now
            times = self._times
            times.append(now)
            self._values.append(value)
            if len(times) > SEAL:
                self._seal()
        else:
            self._replace(value)

    def add(self, change: float) -> None:
        """It is this much more from now on."""
        # Not by way of set(): a request changes several series, and a call costs as much as a change.
        if change == 0:
            return
        value = self.value = self.value + change
        now = self._clock.now
        if now != self._last:
            self._last = now
            times = self._times
            times.append(now)
            self._values.append(value)
            if len(times) > SEAL:
                self._seal()
        else:
            self._replace(value)

    def _replace(self, value: float) -> None:
        """Another change at the moment of the last one: replace that, or undo it."""
        values = self._values
        if len(values) > 1 and values[-2] == value:
            values.pop()
            self._times.pop()
            self._last = self._times[-1]
        else:
            values[-1] = value

    def _seal(self) -> None:
        # The last two changes stay: another one at the same moment may replace or undo the last.
        whole = len(self._times) - 2
        columns = [np.array(self._times[:whole]), np.array(self._values[:whole])]
        self._chunks.append(
            self._store.keep(columns) if self._store else [Kept(column) for column in columns]
        )
        del self._times[:whole], self._values[:whole]

    @property
    def times(self) -> Floats:
        """Times of the changes, the first being that of its creation (s)."""
        return self._joined(0, self._times)

    @property
    def values(self) -> Floats:
        """Value from each of `times` on."""
        return self._joined(1, self._values)

    def _joined(self, which: int, rest: array[float]) -> Floats:
        sealed = [np.asarray(chunk[which].load(), dtype=np.float64) for chunk in self._chunks]
        return np.concatenate([*sealed, np.array(rest)])


def integrate(times: Floats, values: Floats, start: float, end: float) -> float:
    """Integral of a step function from `start` to `end`; it is 0 before its first change."""
    if not end > start or len(times) == 0:
        return 0.0
    first = max(0, int(np.searchsorted(times, start, side="right")) - 1)
    last = int(np.searchsorted(times, end, side="left"))
    bounds = np.append(np.maximum(times[first:last], start), end)
    # Not a dot product: BLAS sums in another order with other numbers of threads.
    return float((values[first:last] * np.diff(bounds)).sum())


def mean(times: Floats, values: Floats, start: float, end: float) -> float:
    """Time average from `start` to `end`; NaN over no time."""
    return integrate(times, values, start, end) / (end - start) if end > start else float("nan")


def bin_means(times: Floats, values: Floats, edges: ArrayLike) -> Floats:
    """Time averages between neighbouring `edges`, which must rise strictly."""
    edges = np.asarray(edges, dtype=np.float64)
    widths = edges[1:] - edges[:-1]
    if len(edges) < 2 or not (widths > 0).all():
        raise ValueError("edges must be two or more rising times")
    if len(times) == 0:
        return np.zeros(len(widths))
    first, last = times.searchsorted(edges[0], "right"), times.searchsorted(edges[-1], "left")
    if first >= last:
        # Multiplied and divided as below, so that the bits are the same.
        return np.asarray(_at(times, values, edges[:-1]) * widths / widths, dtype=np.float64)
    cuts = np.concatenate((edges, times[first:last]))
    cuts.sort()
    keep = np.ones(len(cuts), dtype=bool)
    np.not_equal(cuts[1:], cuts[:-1], out=keep[1:])
    cuts = cuts[keep]
    areas = _at(times, values, cuts[:-1]) * (cuts[1:] - cuts[:-1])
    areas_per_bin = np.add.reduceat(areas, cuts.searchsorted(edges[:-1]))
    return np.asarray(areas_per_bin / widths, dtype=np.float64)


def quantile_over_time(times: Floats, values: Floats, q: float, start: float, end: float) -> float:
    """Smallest value that the step function does not exceed for a share `q` of the time.

    Before its first change it is 0. NaN over no time.
    """
    if not 0.0 <= q <= 1.0:
        raise ValueError(f"q must lie between 0 and 1, got {q!r}")
    if not end > start:
        return float("nan")
    inside = times[(times > start) & (times < end)]
    cuts = np.concatenate(([start], inside, [end]))
    levels = _at(times, values, cuts[:-1])
    order = np.argsort(levels, kind="stable")
    spent = np.cumsum(np.diff(cuts)[order])
    return float(levels[order][min(int(np.searchsorted(spent, q * spent[-1])), len(order) - 1)])


def _at(times: Floats, values: Floats, when: Floats) -> Floats:
    """The step function at rising moments."""
    index = times.searchsorted(when, "right") - 1
    return np.where(index >= 0, values[np.maximum(index, 0)], 0.0) if len(times) else np.zeros(len(when))
