"""Knative's windows: values by the second, averaged over those seconds that can be known.

Source: knative/serving pkg/autoscaler/aggregation/bucketing.go, read mid-2026.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


def window_average(buckets: Sequence[float], length: int) -> float:
    """Mean over the last `length` seconds, or over those there are; rounded down to six digits.

    Args:
        buckets: one value a second since the first record, oldest first; 0 where none was recorded.
        length: of the window (s).
    """
    recent = buckets[-length:]
    return math.floor(math.fsum(recent) / len(recent) * 1e6) / 1e6 if recent else 0.0


def weighted_average(buckets: Sequence[float], length: int, age: int = 0) -> float:
    """The exponentially weighted variant: the newest second weighs most.

    Args:
        buckets: as above.
        length: of the window (s).
        age: seconds since the last record.
    """
    weight = max(0.2, 1.0 - (1.0 - 0.9999) ** (1.0 / length))
    recent = reversed(buckets[-length:])
    return math.fsum(value * weight * (1.0 - weight) ** back for back, value in enumerate(recent, age))


@dataclass
class Window:
    """Values of the last seconds, in buckets; those of one bucket add up.

    Attributes:
        length: of the window (s).
        granularity: seconds of a bucket.
    """

    length: float
    granularity: float = 1.0
    _values: dict[int, float] = field(default_factory=dict)
    _first: int = 0
    _last: int | None = None

    @property
    def buckets(self) -> int:
        """Buckets of the window."""
        return math.ceil(self.length / self.granularity)

    def record(self, time: float, value: float) -> None:
        """Add a value; one that is a window older than the newest is dropped."""
        at = self._bucket(time)
        if self._last is None or (at - self._last) * self.granularity >= self.length:
            self._values.clear()  # nothing for a window: as if it were the first
            self._first = self._last = at
        elif (self._last - at) * self.granularity >= self.length:
            return
        self._first, self._last = min(self._first, at), max(self._last, at)
        self._values[at] = self._values.get(at, 0.0) + value
        self._forget(self._last)

    def empty(self, now: float) -> bool:
        """Whether nothing was recorded for a window."""
        return self._last is None or (self._bucket(now) - self._last) * self.granularity > self.length

    def recent(self, now: float) -> list[float]:
        """The buckets of the window up to the last record, oldest first.

        Buckets since the last record are not known yet, those between two records are 0.
        """
        if self._last is None or self.empty(now):
            return []
        begin = max(self._first, max(self._last, self._bucket(now)) - self.buckets + 1)
        return [self._values.get(at, 0.0) for at in range(begin, self._last + 1)]

    def average(self, now: float) -> float:
        """Mean of the buckets."""
        return window_average(self.recent(now), self.buckets)

    def weighted(self, now: float) -> float:
        """Their mean of exponential weights."""
        age = 0 if self._last is None else max(0, self._bucket(now) - self._last)
        return weighted_average(self.recent(now), self.buckets, age)

    def resize(self, length: float, now: float) -> None:
        """Another length; what is within both remains, and counts as a whole window of the old length."""
        if length == self.length:
            return
        if self._last is None or self.empty(now):
            self._last = None
        else:
            self._first = self._last - self.buckets + 1
        self.length = length
        self._forget(self._last or 0)

    def _forget(self, last: int) -> None:
        oldest = last - self.buckets + 1
        self._values = {at: value for at, value in self._values.items() if at >= oldest}

    def _bucket(self, time: float) -> int:
        return math.floor(time / self.granularity + 1e-9)
