"""Integrals of recorded step series, the same to the last bit wherever they are computed.

Sums go through `bin_means`, which adds in one fixed order. A dot product would be split between the
threads of the linear algebra library, so its last bits would depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.kernel.series import bin_means

#: Moments of change, and the value from each of them on.
Steps = tuple[NDArray[np.float64], NDArray[np.float64]]


def amounts(steps: Steps, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integral of a step series over each piece between two edges; 0 over a window of no length."""
    if not edges[-1] > edges[0]:
        return np.zeros(len(edges) - 1)
    return bin_means(*steps, edges) * np.diff(edges)


def integral(steps: Steps, start: float, end: float) -> float:
    """Integral of a step series between two moments; it is 0 before its first change."""
    return float(amounts(steps, np.array([start, end]))[0])


def mean(steps: Steps, start: float, end: float) -> float:
    """Time average between two moments; NaN over no time."""
    return integral(steps, start, end) / (end - start) if end > start else float("nan")


def sampled(steps: Steps, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of a step series at given moments; 0 before its first."""
    times, values = steps
    positions = np.searchsorted(times, at, side="right") - 1
    result = np.zeros(len(at))
    known = positions >= 0
    result[known] = values[positions[known]]
    return result


def total(parts: Sequence[tuple[float, Steps]]) -> Steps:
    """The weighted sum of step series as one step series."""
    times = np.concatenate([np.zeros(0), *(times for _, (times, _) in parts)])
    jumps = np.concatenate(
        [np.zeros(0), *(weight * np.diff(values, prepend=0.0) for weight, (_, values) in parts)]
    )
    order = np.argsort(times, kind="stable")
    moments, first = np.unique(times[order], return_index=True)
    if len(moments) == 0:
        return np.zeros(1), np.zeros(1)
    return moments, np.cumsum(np.add.reduceat(jumps[order], first))
