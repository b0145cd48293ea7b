"""Histograms with exponential buckets whose samples lose weight with age, as the VPA keeps them.

Source: kubernetes/autoscaler vertical-pod-autoscaler/pkg/recommender/util/, read mid-2026.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

#: Halvings after which the reference moment is moved, before numbers grow too large.
_MOST_HALVINGS = 100


@dataclass(frozen=True)
class Buckets:
    """Bucket n >= 1 starts at first x (ratio^n - 1) / (ratio - 1); at first x n for a ratio of 1.

    Attributes:
        largest: the last bucket starts here or above.
        first: size of the first bucket.
        ratio: growth of the sizes.
        epsilon: a bucket with less weight is empty.
    """

    largest: float
    first: float
    ratio: float = 1.05
    epsilon: float = 1e-4

    @property
    def count(self) -> int:
        """Number of buckets."""
        if self.ratio == 1.0:
            return math.ceil(self.largest / self.first) + 1
        return math.ceil(self._log(self.largest * (self.ratio - 1.0) / self.first + 1.0)) + 1

    def find(self, value: float) -> int:
        """Bucket of a value; the last one for all that are larger."""
        if value < self.first:
            return 0
        if self.ratio == 1.0:
            return min(int(value / self.first), self.count - 1)
        return min(int(self._log(value * (self.ratio - 1.0) / self.first + 1.0)), self.count - 1)

    def start(self, bucket: int) -> float:
        """Where a bucket begins."""
        if bucket == 0:
            return 0.0
        if self.ratio == 1.0:
            return self.first * bucket
        return float(self.first * (self.ratio**bucket - 1.0) / (self.ratio - 1.0))

    def _log(self, value: float) -> float:
        return math.log(value) / math.log(self.ratio)


#: Cores: 0.01 to 1000. Bytes: 10 MB to 1 TB.
CPU_BUCKETS = Buckets(1000.0, 0.01)
MEMORY_BUCKETS = Buckets(1e12, 1e7)


@dataclass
class DecayingHistogram:
    """Weights by bucket; a sample weighs 2^(its time / half-life), so older ones count less.

    Attributes:
        buckets: their bounds.
        half_life: seconds in which a sample loses half of its weight; None: never.
        reference: moment at which a sample weighs what it is given (s).
        weights: by bucket.
        total: sum of the weights.
    """

    buckets: Buckets
    half_life: float | None = None
    reference: float = 0.0
    weights: dict[int, float] = field(default_factory=dict)
    total: float = 0.0

    def add(self, value: float, weight: float, time: float) -> None:
        """Add a sample taken at `time` (s)."""
        bucket = self.buckets.find(value)
        weight *= self._factor(time)
        self.weights[bucket] = self.weights.get(bucket, 0.0) + weight
        self.total += weight

    def subtract(self, value: float, weight: float, time: float) -> None:
        """Take a sample back; a bucket never falls below zero."""
        bucket = self.buckets.find(value)
        weight *= self._factor(time)
        there = self.weights.get(bucket, 0.0)
        if weight > there - self.buckets.epsilon:
            weight = there
        self.weights[bucket] = there - weight
        self.total -= weight

    def merge(self, other: DecayingHistogram) -> None:
        """Add all samples of another histogram of the same kind."""
        if other.buckets != self.buckets or other.half_life != self.half_life:
            raise ValueError("histograms of different kinds cannot be merged")
        scale = 1.0
        if self.half_life is not None:
            if other.reference > self.reference:
                self._shift(other.reference)
            scale = 2.0 ** ((other.reference - self.reference) / self.half_life)
        for bucket, weight in other.weights.items():
            self.weights[bucket] = self.weights.get(bucket, 0.0) + weight * scale
        self.total += other.total * scale

    @property
    def empty(self) -> bool:
        """Whether no bucket has weight."""
        return all(weight < self.buckets.epsilon for weight in self.weights.values())

    def percentile(self, share: float) -> float:
        """End of the bucket in which the share (0 to 1) of the weight is reached; 0 when empty."""
        filled = [bucket for bucket in sorted(self.weights) if self.weights[bucket] >= self.buckets.epsilon]
        if not filled:
            return 0.0
        threshold, reached = share * self.total, 0.0
        bucket = filled[0]
        for bucket in range(filled[0], filled[-1] + 1):
            reached += self.weights.get(bucket, 0.0)
            if reached >= threshold:
                break
        return self.buckets.start(min(bucket + 1, self.buckets.count - 1))

    def _factor(self, time: float) -> float:
        if self.half_life is None:
            return 1.0
        if time > self.reference + self.half_life * _MOST_HALVINGS:
            self._shift(time)
        return float(2.0 ** ((time - self.reference) / self.half_life))

    def _shift(self, time: float) -> None:
        """Move the reference to a multiple of the half-life near `time`; nothing else changes."""
        assert self.half_life is not None
        reference = math.floor(time / self.half_life + 0.5) * self.half_life
        scale = 2.0 ** round((self.reference - reference) / self.half_life)
        self.weights = {bucket: weight * scale for bucket, weight in self.weights.items()}
        self.total *= scale
        self.reference = reference
