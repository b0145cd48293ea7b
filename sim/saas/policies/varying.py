"""Arrival processes whose rate follows the clock: days, crowds, ramps.

All are Poisson processes of a known rate function, so `expected` is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import cos, exp, floor, inf, pi
from typing import Annotated

import numpy as np
from annotated_types import Ge, Lt

from sim.registry import policy
from sim.saas.blocks import Block, Floats, varying_poisson
from sim.units import PerSecond, PositiveSeconds, Quantity, Seconds

#: How many times the usual rate; a larger one would be finer than the clock.
Factor = Annotated[float, Quantity("count", ge=0, le=1e6)]


@dataclass
class Crowd:
    """A flash crowd: the rate rises to `factor` times, stays, and dies away.

    at: moment it begins, in seconds.
    factor: how many times the usual rate it reaches (below 1: a lull).
    ramp: seconds it takes to rise, linearly.
    hold: seconds it stays at its height.
    decay: time constant of the exponential return, in seconds; 0 ends it at once.
    """

    at: Seconds
    factor: Factor
    ramp: Seconds = 0.0
    hold: Seconds = 0.0
    decay: Seconds = 0.0

    def share(self, times: Floats) -> Floats:
        """How much of its height the crowd has at each time, 0 to 1."""
        since = times - self.at
        rise = since / self.ramp if self.ramp else (since >= 0).astype(float)
        past = np.maximum(0.0, since - self.ramp - self.hold)
        fall = np.exp(-past / self.decay) if self.decay else (past <= 0).astype(float)
        share: Floats = np.clip(rise, 0.0, 1.0) * fall
        return share

    def shape(self, times: Floats) -> Floats:
        """Factor on the usual rate at each time."""
        return 1.0 + (self.factor - 1.0) * self.share(times)

    def bound(self, start: float, end: float) -> float:
        """A factor that is not exceeded between two times."""
        if self.factor <= 1.0:
            return 1.0
        since, until = start - self.at, end - self.at
        if until < 0:
            return 1.0
        # The share rises, then falls: its maximum is at the point of the plateau nearest to the window.
        rise = min(1.0, until / self.ramp) if self.ramp else 1.0
        past = since - self.ramp - self.hold
        fall = 1.0
        if past > 0:
            fall = exp(-past / self.decay) if self.decay else 0.0
        return 1.0 + (self.factor - 1.0) * rise * fall


def crowded(crowds: list[Crowd], rate: Floats, times: Floats) -> Floats:
    """A usual rate with crowds on top; the factors of crowds that overlap multiply."""
    for crowd in crowds:
        rate = rate * crowd.shape(times)
    return rate


def highest(crowds: list[Crowd], usual: float, start: float, end: float) -> float:
    """A bound of `crowded` between two times, given a bound of the usual rate."""
    for crowd in crowds:
        usual *= crowd.bound(start, end)
    return usual


@policy("arrivals", "diurnal")
class Diurnal:
    """A day's rhythm, a sine wave, with flash crowds on top.

    rate: requests per second of one user, averaged over a period without crowds.
    amplitude: height of the wave as a share of the mean, below 1; half the mean if nothing is said.
    peak_to_mean: the same, said as the peak over the mean, from 1 to below 2; instead of `amplitude`.
    period: seconds of one wave.
    peak_at: moment of its peak, in seconds.
    crowds: flash crowds, each {at, factor, ramp, hold, decay}; factors of crowds that overlap multiply.
    """

    rate: PerSecond
    amplitude: Annotated[float, Ge(0), Lt(1)] | None = None
    peak_to_mean: Annotated[float, Ge(1), Lt(2)] | None = None
    period: PositiveSeconds = 86400.0
    peak_at: Seconds = 0.0
    crowds: list[Crowd] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.amplitude is not None and self.peak_to_mean is not None:
            raise ValueError("amplitude and peak_to_mean say the same thing: give one of them")

    @property
    def swing(self) -> float:
        """Height of the wave as a share of the mean."""
        if self.amplitude is not None:
            return self.amplitude
        return 0.5 if self.peak_to_mean is None else self.peak_to_mean - 1.0

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals of all users before `until`."""
        top = self.rate * users * (1 + self.swing)

        def bound(start: float, end: float) -> float:
            return highest(self.crowds, self._wave_bound(start, end) * self.rate * users, start, end)

        peak = highest(self.crowds, top, 0.0, inf)
        return varying_poisson(rng, lambda t: self.expected(t, users), bound, peak, until)

    def _wave_bound(self, start: float, end: float) -> float:
        """Maximum of the wave between two times, as a factor on the mean."""
        first, last = (start - self.peak_at) / self.period, (end - self.peak_at) / self.period
        if floor(last) > floor(first):
            return 1 + self.swing
        return 1 + self.swing * max(cos(2 * pi * first), cos(2 * pi * last))

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected arrivals per second of all users together at each time."""
        times = np.asarray(times, dtype=float)
        wave = 1 + self.swing * np.cos(2 * np.pi * (times - self.peak_at) / self.period)
        return crowded(self.crowds, self.rate * users * wave, times)


@policy("arrivals", "flash-crowd")
class FlashCrowd:
    """A constant rate with one flash crowd.

    rate: usual requests per second of one user.
    at: moment the crowd begins, in seconds.
    factor: how many times the usual rate it reaches.
    ramp: seconds it takes to rise, linearly.
    hold: seconds it stays at its height.
    decay: time constant of the exponential return, in seconds; 0 ends it at once.
    """

    rate: PerSecond
    at: Seconds
    factor: Factor
    ramp: Seconds = 0.0
    hold: Seconds = 0.0
    decay: Seconds = 0.0

    @property
    def crowd(self) -> Crowd:
        """The crowd by itself."""
        return Crowd(self.at, self.factor, self.ramp, self.hold, self.decay)

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals of all users before `until`."""
        usual, crowd = self.rate * users, self.crowd
        return varying_poisson(
            rng,
            lambda times: usual * crowd.shape(times),
            lambda start, end: usual * crowd.bound(start, end),
            usual * max(1.0, self.factor),
            until,
        )

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected arrivals per second of all users together at each time."""
        return self.rate * users * self.crowd.shape(np.asarray(times, dtype=float))


@policy("arrivals", "ramp")
class Ramp:
    """A rate that climbs or falls in a straight line, then stays: for finding where a system breaks.

    start: requests per second of one user before the ramp.
    end: requests per second of one user after it.
    over: seconds the change takes.
    begin: moment it begins, in seconds.
    """

    start: PerSecond
    end: PerSecond
    over: PositiveSeconds
    begin: Seconds = 0.0

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals of all users before `until`."""

        def bound(first: float, last: float) -> float:
            return float(self.expected(np.array([first, last]), users).max())

        peak = users * max(self.start, self.end)
        return varying_poisson(rng, lambda times: self.expected(times, users), bound, peak, until)

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected arrivals per second of all users together at each time."""
        done = np.clip((np.asarray(times, dtype=float) - self.begin) / self.over, 0.0, 1.0)
        return users * (self.start + (self.end - self.start) * done)
