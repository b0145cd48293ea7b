"""Arrivals with the rhythm of a week, steady or bursty: weights of the hours times weights of the days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from math import inf
from typing import Annotated

import numpy as np
from annotated_types import Len

from sim import catalog
from sim.registry import policy
from sim.saas.blocks import Block, Floats, varying_poisson
from sim.saas.policies.arrivals import modulated
from sim.saas.policies.recorded import two_levels
from sim.saas.policies.varying import Crowd, Factor, crowded, highest
from sim.units import PerSecond, PositiveSeconds, Quantity, Seconds

DAYS = 7


@policy("arrivals", "weekly")
class Weekly:
    """A rhythm of days and weeks: a weight for each part of the day, times one for each day of the week.

    Between the middles of the parts of a day the rate runs in straight lines; the weight of the day
    changes at midnight. Weights are relative: the mean of a week without crowds is `rate`, exactly.
    A Poisson process, unless `dispersion` says that the rate also jumps at random (a chat whose
    users come in bursts).

    rate: requests per second of one user, averaged over a week; with a preset its own if nothing is
        said, of all users together.
    preset: take weights (and the rate) from a preset of the catalog with a daily curve; one that
        states no days has equal ones.
    hours: relative weights of equal parts of a day, from midnight; two at least.
    days: relative weights of the seven days, Monday first; equal if nothing is said.
    day: seconds a day takes; shorter ones are a time-lapse.
    begins: second of the week at which the run begins.
    dispersion: variance over mean of the arrivals in a minute while the rate is the mean one, above 1
        by jumps between two levels that last equally long (or a rarer high one above 0).
    swing: time constant of those jumps in seconds.
    crowds: flash crowds on top, each {at, factor, ramp, hold, decay}.
    """

    rate: PerSecond | None = None
    preset: str | None = None
    hours: Annotated[list[Factor], Len(2)] | None = None
    days: Annotated[list[Factor], Len(DAYS, DAYS)] | None = None
    day: PositiveSeconds = 86400.0
    begins: Seconds = 0.0
    dispersion: Annotated[float, Quantity("count", ge=1, le=1e6)] = 1.0
    swing: PositiveSeconds = 100.0
    crowds: list[Crowd] = field(default_factory=list)

    def __post_init__(self) -> None:
        if (self.preset is None) == (self.hours is None):
            raise ValueError("give either the weights of the `hours` or a `preset` that has them")
        if self.preset is None and self.rate is None:
            raise ValueError("`rate` is missing; only a preset has one of its own")
        for name, weights in (("hours", self.hours), ("days", self.days)):
            if weights is not None and not sum(weights) > 0:
                raise ValueError(f"{name}: at least one weight must be above 0")

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals of all users before `until`."""
        if not users:
            return
        mean = self._mean(users)
        usual = mean * float(self._hours().max() * self._days().max())
        peak = highest(self.crowds, usual, 0.0, inf)
        if self.dispersion == 1.0 or mean <= 0:

            def bound(start: float, end: float) -> float:
                return highest(self.crowds, mean * self._highest(start, end), start, end)

            yield from varying_poisson(rng, lambda t: self.expected(t, users), bound, peak, until)
            return
        # Kept with the probability rate / peak, what varies beyond Poisson shrinks by that factor.
        spread = 1.0 + (self.dispersion - 1.0) * peak / mean
        rates, dwell = two_levels(peak, spread, self.swing)
        for block in modulated(rng, rates, dwell, until):
            drawn = rng.random(len(block.times))
            kept = block.times[drawn * peak < self.expected(block.times, users)]
            if len(kept):
                yield Block(kept)

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected arrivals per second of all users together at each time."""
        moments = np.asarray(times, dtype=float)
        hours, days = self._hours(), self._days()
        since = (self.begins + moments) / self.day
        part = since % 1.0 * len(hours) - 0.5
        shape = np.interp(part, np.arange(-1, len(hours) + 1), np.concatenate((hours[-1:], hours, hours[:1])))
        weight = days[np.floor(since).astype(np.int64) % DAYS]
        return crowded(self.crowds, self._mean(users) * shape * weight, moments)

    def _mean(self, users: int) -> float:
        if self.rate is not None:
            return self.rate * users
        assert self.preset is not None
        own = catalog.preset(self.preset).rate
        if own is None:
            raise ValueError(f"preset {self.preset!r} has no rate of its own: give one")
        return own if users else 0.0

    def _hours(self) -> Floats:
        weights = np.array(self.hours or (catalog.preset(self.preset).curve if self.preset else ()))
        if not len(weights):
            raise ValueError(f"preset {self.preset!r} has no daily curve")
        found: Floats = weights / weights.mean()
        return found

    def _days(self) -> Floats:
        weights = np.array(self.days or (catalog.preset(self.preset).week if self.preset else ()) or [1.0])
        found: Floats = np.resize(weights, DAYS) / weights.mean()
        return found

    def _highest(self, start: float, end: float) -> float:
        """A bound of the shape between two times: its corners in between and next to them."""
        hours, days = self._hours(), self._days()
        first, last = (self.begins + start) / self.day, (self.begins + end) / self.day
        whole = np.arange(int(first), min(int(last), int(first) + DAYS - 1) + 1) % DAYS
        corner = int(first * len(hours) - 0.5) - 1
        end_corner = min(int(last * len(hours) - 0.5) + 2, corner + len(hours))
        corners = np.arange(corner, end_corner) % len(hours)
        return float(days[whole].max() * hours[corners].max())
