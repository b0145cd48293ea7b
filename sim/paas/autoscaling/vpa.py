"""The vertical pod autoscaler's recommender and updater: what a container should request.

Source: kubernetes/autoscaler vertical-pod-autoscaler/pkg/{recommender,updater}/, read mid-2026.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from sim.paas.autoscaling.vpa_histogram import CPU_BUCKETS, MEMORY_BUCKETS, DecayingHistogram

_DAY = 86400.0
HALF_LIFE = 86400.0
#: Least weight of a CPU sample.
LEAST_WEIGHT = 0.1
#: A memory peak is kept per window of so many seconds.
PEAK_WINDOW = 86400.0
#: Least request of a pod: cores and bytes, split over its containers.
LEAST_CPU = 0.025
LEAST_MEMORY = 250.0 * 2**20
#: After an out-of-memory kill the sample is raised by the larger of both.
OOM_STEP = 100.0 * 2**20
OOM_FACTOR = 1.2
MARGIN = 0.15


class Range(NamedTuple):
    """A recommendation: below `lower` or above `upper` a pod is evicted."""

    lower: float
    target: float
    upper: float


@dataclass
class Usage:
    """What was seen of one container, over all its pods.

    Attributes:
        cpu: cores.
        memory: peaks in bytes.
        first: moment of the first sample (s).
        last: moment of the last one.
        samples: CPU samples so far.
    """

    cpu: DecayingHistogram = field(default_factory=lambda: DecayingHistogram(CPU_BUCKETS, HALF_LIFE))
    memory: DecayingHistogram = field(default_factory=lambda: DecayingHistogram(MEMORY_BUCKETS, HALF_LIFE))
    first: float = inf
    last: float = -inf
    samples: int = 0
    _window_end: float = -inf
    _peak: float = 0.0
    _oom_peak: float = 0.0

    def add_cpu(self, cores: float, request: float, now: float) -> None:
        """A CPU sample, weighed by what was requested at the time; one from before the last is dropped."""
        if now < self.last:
            return
        self.cpu.add(cores, max(LEAST_WEIGHT, request), now)
        self.first, self.last = min(self.first, now), max(self.last, now)
        self.samples += 1

    def add_memory(self, used: float, now: float) -> None:
        """A memory sample: only the peak of each window counts."""
        if self._raise(used, now):
            self._peak = used

    def add_oom(self, request: float, now: float, most: float = inf) -> bool:
        """The container was killed for want of memory: it needs more than its request and its peak.

        Args:
            request: bytes it had.
            now: moment (s).
            most: bytes it could have at all.

        Returns:
            False if that was before the window of the present peak and does not count.
        """
        if now < self._window_end - PEAK_WINDOW:
            return False
        # What an earlier kill was raised to is no use that was seen, else the sample would run away.
        used = max(request, self._peak)
        needed = min(most, max(used + OOM_STEP, used * OOM_FACTOR))
        if self._raise(needed, now):
            self._oom_peak = needed
        return True

    def _raise(self, used: float, now: float) -> bool:
        """Put a sample in place of the window's peak; whether it is above that."""
        peak = max(self._peak, self._oom_peak)
        if now >= self._window_end:
            if self._window_end == -inf:
                self._window_end = now
            windows = int((now - self._window_end) / PEAK_WINDOW) + 1
            self._window_end += windows * PEAK_WINDOW
            self._peak = self._oom_peak = peak = 0.0
        if used <= peak:
            return False
        if peak > 0.0:
            self.memory.subtract(peak, 1.0, self._window_end)
        self.memory.add(used, 1.0, self._window_end)
        return True

    @property
    def confidence(self) -> float:
        """Days of history, by the clock or at a sample a minute, whichever is less."""
        return min((self.last - self.first) / _DAY, self.samples / 1440.0) if self.samples else 0.0


def recommend(usage: Usage, containers: int = 1) -> tuple[Range, Range]:
    """(cores, bytes) that one container of a pod should request.

    Percentiles 50, 90 and 95, a margin of 15 %, and wider bounds the shorter the history: the upper
    one x (1 + 1/c), the lower one x (1 + 0.001/c)^-2 with the confidence c.

    Args:
        usage: of the container.
        containers: that share the pod's least request.
    """
    return (
        _range(usage.cpu, usage.confidence, LEAST_CPU / containers),
        _range(usage.memory, usage.confidence, LEAST_MEMORY / containers),
    )


def doubt(confidence: float, multiplier: float, exponent: float) -> float:
    """Factor on an estimate for the length of its history: (1 + multiplier / confidence)^exponent."""
    if confidence > 0.0:
        return float((1.0 + multiplier / confidence) ** exponent)
    return inf if exponent > 0.0 else 0.0


def _range(seen: DecayingHistogram, confidence: float, least: float) -> Range:
    lower, target, upper = (seen.percentile(share) * (1.0 + MARGIN) for share in (0.5, 0.9, 0.95))
    lower *= doubt(confidence, 0.001, -2.0)
    upper = upper * doubt(confidence, 1.0, 1.0) if upper > 0.0 or confidence > 0.0 else inf
    return Range(max(least, lower), max(least, target), max(least, upper))


def should_evict(
    request: float,
    wished: Range,
    age: float,
    *,
    quick_oom: bool = False,
    least_age: float = 43200.0,
    least_change: float = 0.1,
) -> bool:
    """Whether a pod should be evicted to take the recommendation.

    Args:
        request: its present request of the resource.
        wished: the recommendation.
        age: seconds since its start.
        quick_oom: whether it was killed for want of memory within ten minutes of its start, and so is
            evicted for any other request.
        least_age: seconds before a request within bounds may be changed.
        least_change: share of the request by which target and request must differ then.
    """
    change = abs(wished.target - request) / request if request > 0 else inf
    if quick_oom:
        return change > 0.0
    if request < wished.lower or request > wished.upper:
        return True
    return age >= least_age and change >= least_change
