"""The integer arithmetic of Kubernetes' scorers, v1.30: plain functions over whole numbers.

Upstream counts cores in thousandths and bytes one by one, divides whole numbers and cuts off the
remainder at every step. All amounts here are arrays of whole numbers, one entry a node, kept as floats
(exact below 2^53, and faster to divide); `requested` includes the unit that is to be placed.

Source: pkg/scheduler/framework/plugins of Kubernetes v1.30, one function a plugin.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
#: (requested, capacity, weight) of one resource.
Resource = tuple[Floats, Floats, int]

#: Upstream's largest score of a scorer.
MOST = 100
#: What a unit counts for that asks for no cores (1/1000) or no memory (bytes).
NON_ZERO_CPU, NON_ZERO_MEMORY = 100, 200 * 2**20


#: Capacities up to which floats divide as whole numbers do: the nearest float of 100 x part / capacity
#: reaches the next whole number only if that is closer than 100 x 2^-53, but it is 1 / capacity away.
_EXACT = 2.0**46


def whole(amounts: Floats | float, scale: float) -> Floats:
    """Amounts in upstream's units, as whole numbers."""
    scaled = np.asarray(amounts if scale == 1.0 else amounts * scale, dtype=np.float64)
    return np.asarray(np.rint(scaled))


def _percent(part: Floats, capacity: Floats) -> Floats:
    """100 x part // capacity; of a capacity of 0 as of 1."""
    if capacity.max(initial=0.0) < _EXACT:
        return np.asarray(np.floor(part * float(MOST) / np.maximum(capacity, 1.0)))
    divisor = np.maximum(capacity, 1.0).astype(np.int64)
    return np.asarray((part.astype(np.int64) * MOST // divisor).astype(np.float64))


def least_allocated(resources: Sequence[Resource]) -> Floats:
    """Strategy LeastAllocated: weighted mean of the percentages that stay free."""
    return _mean(
        [
            (_percent(np.maximum(capacity - asked, 0.0), capacity), capacity, w)
            for asked, capacity, w in resources
        ]
    )


def most_allocated(resources: Sequence[Resource]) -> Floats:
    """Strategy MostAllocated: weighted mean of the percentages used."""
    return _mean(
        [(_percent(np.minimum(asked, capacity), capacity), capacity, w) for asked, capacity, w in resources]
    )


def requested_to_capacity_ratio(resources: Sequence[Resource], shape: Sequence[tuple[int, int]]) -> Floats:
    """Strategy RequestedToCapacityRatio: weighted mean of a curve over the percentage used.

    Args:
        resources: what counts.
        shape: (percentage used, score 0..10) by rising percentage.
    """
    points = [(x, y * 10) for x, y in shape]
    total = np.zeros(len(resources[0][0]), dtype=np.int64)
    weights = np.zeros_like(total)
    for requested, capacity, weight in resources:
        there = capacity > 0
        used = np.where(requested <= capacity, _percent(requested, capacity), MOST).astype(np.int64)
        score = broken_line(used, points) * there
        counts = (score > 0) & there
        total += np.where(counts, score * weight, 0)
        weights += np.where(counts, weight, 0)
    # math.Round of a ratio that is not negative: halves go up.
    return np.asarray(np.floor(total / np.maximum(weights, 1) + 0.5))


def broken_line(at: Ints, points: Sequence[tuple[int, int]]) -> Ints:
    """A piecewise linear function in whole numbers, constant outside of its points."""
    result = np.full(len(at), points[-1][1], dtype=np.int64)
    for (x0, y0), (x1, y1) in reversed(list(itertools.pairwise(points))):
        rise = (y1 - y0) * (at - x0)
        # Go divides towards zero.
        step = np.sign(rise) * (np.abs(rise) // (x1 - x0))
        result = np.where(at <= x1, y0 + step, result)
    return np.where(at <= points[0][0], points[0][1], result)


def balanced_allocation(resources: Sequence[tuple[Floats, Floats]]) -> Floats:
    """NodeResourcesBalancedAllocation: 100 x (1 - standard deviation of the shares used).

    Args:
        resources: (requested, capacity); shares count as 1 at most, resources a node has none of not at all.
    """
    parts = [np.minimum(requested / np.maximum(cap, 1.0), 1.0) for requested, cap in resources]
    if len(parts) == 2 and all(cap.min(initial=1.0) > 0.0 for _, cap in resources):
        return np.asarray(np.floor((1.0 - np.abs(parts[0] - parts[1]) / 2) * MOST))
    shares = np.array(parts)
    there = np.array([capacity > 0 for _, capacity in resources])
    count = there.sum(axis=0)
    mean = (shares * there).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(there, (shares - mean) ** 2, 0.0).sum(axis=0)
    deviation = np.sqrt(squares / np.maximum(count, 1))
    if len(resources) >= 2:
        # Upstream takes half the gap where there are two, which is the same but for rounding.
        two = count == 2
        high = np.where(there, shares, -np.inf).max(axis=0)
        low = np.where(there, shares, np.inf).min(axis=0)
        deviation = np.where(two, np.subtract(high, low, where=two, out=np.zeros(len(two))) / 2, deviation)
    return np.asarray(np.floor((1.0 - deviation) * MOST))


def default_normalised(scores: Ints, *, reverse: bool = False) -> Ints:
    """Upstream's DefaultNormalizeScore: 100 x score / highest; `reverse` turns it round."""
    highest = int(scores.max(initial=0))
    if highest == 0:
        return np.full_like(scores, MOST) if reverse else scores
    result = scores * MOST // highest
    return MOST - result if reverse else result


def span_normalised(scores: Ints) -> Ints:
    """InterPodAffinity: 100 x (score - lowest) / (highest - lowest), 0 where all are equal."""
    if not len(scores) or scores.max() == scores.min():
        return np.zeros_like(scores)
    low, high = int(scores.min()), int(scores.max())
    return (float(MOST) * ((scores - low) / float(high - low))).astype(np.int64)


def spread_normalised(scores: Ints) -> Ints:
    """PodTopologySpread: fewer is better, 100 x (highest + lowest - score) / highest."""
    if not len(scores) or scores.max() == 0:
        return np.full_like(scores, MOST)
    return MOST * (int(scores.max()) + int(scores.min()) - scores) // int(scores.max())


def image_locality(found: Ints, containers: int) -> Ints:
    """ImageLocality: bytes found, each image scaled by how many nodes have it, between two thresholds."""
    least, most = 23 * 2**20, 1000 * 2**20 * containers
    return MOST * (np.clip(found, least, most) - least) // (most - least)


def _mean(parts: Sequence[tuple[Floats, Floats, int]]) -> Floats:
    """Weighted mean over (score, capacity, weight) of what a node has, remainders cut off."""
    if all(capacity.min(initial=1.0) > 0.0 for _, capacity, _ in parts):
        weight = sum(w for *_, w in parts)
        return np.asarray(np.floor(sum(score * w for score, _, w in parts) / max(weight, 1)))
    total = sum(np.where(capacity > 0, score * w, 0.0) for score, capacity, w in parts)
    weights = sum(np.where(capacity > 0, w, 0.0) for _, capacity, w in parts)
    return np.asarray(np.floor(total / np.maximum(weights, 1.0)))
