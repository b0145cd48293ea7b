"""A time-weighted mean over the last seconds, from means between looks."""

from __future__ import annotations

from collections import deque


class Trailing:
    """Mean of a signal over a window that ends now; over less where there is less."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._spans: deque[tuple[float, float, float]] = deque()
        self._last: float | None = None

    def add(self, now: float, value: float, default_span: float) -> float:
        """Add the mean since the last look and return that of the window.

        Args:
            now: moment of the look (s).
            value: mean of the signal since the last look.
            default_span: length of the first stretch (s).
        """
        span = default_span if self._last is None else now - self._last
        self._last = now
        spans = self._spans
        if span > 0.0:
            spans.append((now, span, value))
        begin = now - self._window
        while spans and spans[0][0] <= begin:
            spans.popleft()
        total = length = 0.0
        for end, stretch, mean in spans:
            part = min(stretch, end - begin)
            total += part * mean
            length += part
        return total / length if length > 0.0 else value
