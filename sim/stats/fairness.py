"""Measures of fairness between jobs and tenants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Finish-time fairness above which a job counts as treated unfairly (Shockwave, NSDI 2023).
UNFAIR = 1.05


def jain(values: Floats) -> float:
    """Jain's index (sum x)^2 / (n sum x^2): 1 when all are equal, 1/n when one has everything.

    NaN of nothing, or of nothing but zeros. Source: R. Jain, D. Chiu and W. Hawe, DEC-TR-301, 1984.
    """
    squares = float((values**2).sum())
    return float(values.sum()) ** 2 / (len(values) * squares) if squares > 0 else float("nan")


def contention(submitted: Floats, finished: Floats) -> Floats:
    """Mean number of unfinished jobs, itself included, while each job was in the system.

    A job that never finished (NaN) stays to the end of time for the others; its own value is NaN, as
    is that of a job that took no time.
    """
    ends = finished[~np.isnan(finished)]
    moments = np.concatenate([submitted, ends])
    order = np.argsort(moments, kind="stable")
    times = moments[order]
    inside = np.cumsum(np.concatenate([np.ones(len(submitted)), -np.ones(len(ends))])[order])
    # Integral of the number inside up to each moment; exact between them, as the number is constant.
    area = np.concatenate([np.zeros(1), np.cumsum(inside[:-1] * np.diff(times))]) if len(times) else times
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = (
            (np.interp(finished, times, area) - np.interp(submitted, times, area)) / (finished - submitted)
            if len(times)
            else np.zeros(0)
        )
    return np.where(finished > submitted, found, np.nan)


def finish_time_fairness(
    submitted: Floats, finished: Floats, work: Floats, demand: Floats, accelerators: float
) -> Floats:
    """Themis' rho of each job: its completion time over that on a 1/n share of the cluster of its own.

    n is the mean number of unfinished jobs during its stay (`contention`). With C accelerators in the
    cluster a job that asks for g of them has C/n to itself, so its work takes max(1, n g / C) times as
    long as in one piece: the static form that Shockwave reports. NaN where the job did not finish, had
    no work, or the cluster has no accelerators.

    Args:
        submitted: seconds.
        finished: seconds, NaN for a job that did not finish.
        work: seconds each takes with all it asks for.
        demand: accelerators each asks for.
        accelerators: of the cluster.

    Sources: K. Mahajan et al., Themis, NSDI 2020 (rho and its average contention); P. Zheng et al.,
    Shockwave, NSDI 2023 (the form).
    """
    if not accelerators > 0:
        return np.full(len(submitted), np.nan)
    alone = work * np.maximum(1.0, contention(submitted, finished) * demand / accelerators)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho: Floats = (finished - submitted) / alone
    return np.where(alone > 0, rho, np.nan)
