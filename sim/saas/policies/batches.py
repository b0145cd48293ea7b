"""Batch load on a timetable: all or (nearly) nothing, at moments that are known."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor

import numpy as np

from sim.registry import policy
from sim.saas.blocks import Block, Floats, varying_poisson
from sim.units import PerSecond, PositiveSeconds, Seconds


@policy("arrivals", "batches")
class Batches:
    """A job that runs by the clock: for some time of each period at one rate, else at another.

    A Poisson process of that rate. The steps are as steep as can be: who reacts is late each time by
    the time a replica takes to start, who knows the timetable is not.

    rate: requests per second of one user while a batch runs.
    on: seconds a batch lasts.
    period: seconds from the begin of a batch to that of the next.
    first: moment the first batch begins.
    idle: requests per second of one user between batches.
    """

    rate: PerSecond
    on: PositiveSeconds
    period: PositiveSeconds
    first: Seconds = 0.0
    idle: PerSecond = 0.0

    def __post_init__(self) -> None:
        if self.on > self.period:
            raise ValueError("a batch must not last longer than the period")

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals of all users before `until`."""
        low, high = sorted((self.rate * users, self.idle * users))

        def bound(start: float, end: float) -> float:
            lap = max(0, floor((start - self.first) / self.period))
            # Rounding must not hide a batch that begins at the end of one window or ends at the begin of
            # the next: windows that touch one count as inside.
            begin, after = self.first + lap * self.period, self.first + (lap + 1) * self.period
            batch = (start <= begin + self.on and end >= begin) or end >= after
            quiet = start < self.first or end >= begin + self.on
            return high if (batch and self.rate >= self.idle) or (quiet and self.idle > self.rate) else low

        yield from varying_poisson(rng, lambda t: self.expected(t, users), bound, high, until)

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected arrivals per second of all users together at each time."""
        since = np.asarray(times, dtype=float) - self.first
        running = (since >= 0) & (since % self.period < self.on)
        return users * np.where(running, self.rate, self.idle)
