"""A step series with a running integral, for whoever looks at it again and again during the run."""

from __future__ import annotations

from sim.kernel.series import StepSeries


class Gauge:
    """A number that jumps: every change goes to its series, and its area since the last look is kept.

    The area from the look until now is the value now times that span, less each change times the
    time before it: one addition per change.

    Attributes:
        value: the number now.
    """

    __slots__ = ("_before", "_looked", "_missing", "_put", "value")

    def __init__(self, series: StepSeries, now: float) -> None:
        self.value = 0
        self._put = series.put
        self._looked = now
        self._missing = 0.0
        self._before = 0.0

    def change(self, now: float, by: int) -> None:
        """It is this much more from now on."""
        self._missing += by * (now - self._looked)
        self.value = value = self.value + by
        if by:
            self._put(value, now)

    def mean(self, now: float) -> float:
        """Exact time average since the last look, which ends now; the value itself over no time."""
        span = now - self._looked
        area = self.value * span - self._missing
        self._looked = now
        self._missing = 0.0
        self._before += area
        # Rounding must not make an empty station's mean a hair less than nothing.
        return max(0.0, area / span) if span > 0.0 else float(self.value)

    def area(self, now: float) -> float:
        """Integral from the beginning until now; not a look."""
        return self._before + self.value * (now - self._looked) - self._missing
