"""How well supply follows demand: the elasticity metrics of SPEC's cloud group, exactly from step series.

Definitions follow N. Herbst et al., "Ready for Rain? A View from SPEC Research on the Future of Cloud
Metrics" (SPEC-RG-2016-01), and their use in Chameleon (Bauer et al., IEEE TPDS 30(4), 2019). Demand d(t)
and supply s(t) are step functions over a window of length T:

- accuracy: the mean of max(d - s, 0) / d (too few) and of max(s - d, 0) / d (too many); where nothing is
  needed, over 1 instead of d.
- timeshare: the share of T with s < d, and with s > d.
- instability: the share of steps from one moment to the next over which the curves do not move in the
  same direction.
- jitter: moves of the supply (sum of |changes|) less those of the demand, per minute.
- deviation: Euclidean distance of the two accuracies, the two timeshares and the instability from 0.
"""

from __future__ import annotations

from math import fsum, nan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.stats.steps import Steps, sampled

Floats = NDArray[np.float64]


class Elasticity(NamedTuple):
    """All of them; NaN over no time. Shares are 0 to 1, accuracies relative to the demand."""

    demand: float
    under: float
    over: float
    under_time: float
    over_time: float
    instability: float
    jitter: float
    deviation: float


NOTHING = Elasticity(*[nan] * 8)


def elasticity(supply: Steps, demand: Steps, start: float, end: float, moments: Floats) -> Elasticity:
    """The metrics of a supply against a demand.

    Args:
        supply: replicas that are ready.
        demand: replicas that are needed.
        start: begin of the window (s).
        end: its end (s).
        moments: where the directions of the curves are compared (s).
    """
    if not end > start:
        return NOTHING
    inside = np.concatenate((supply[0], demand[0]))
    edges = np.unique(np.concatenate(([start, end], inside[(inside > start) & (inside < end)])))
    lengths = np.diff(edges) / (end - start)
    there, needed = sampled(supply, edges[:-1]), sampled(demand, edges[:-1])
    part = np.maximum(needed, 1.0)
    accuracy_under = fsum(lengths * np.maximum(needed - there, 0.0) / part)
    accuracy_over = fsum(lengths * np.maximum(there - needed, 0.0) / part)
    under, over = fsum(lengths[there < needed]), fsum(lengths[there > needed])
    unlike = np.sign(np.diff(sampled(supply, moments))) != np.sign(np.diff(sampled(demand, moments)))
    unstable = float(unlike.mean()) if len(unlike) else 0.0
    moves = fsum(np.abs(np.diff(there))) - fsum(np.abs(np.diff(needed)))
    parts = (accuracy_under, accuracy_over, under, over, unstable)
    return Elasticity(
        fsum(lengths * needed), *parts, moves / (end - start) * 60, sqrt(fsum(each**2 for each in parts))
    )
