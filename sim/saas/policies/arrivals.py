"""Arrival processes that have no clock of their own: steady, regular or bursty at random."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from annotated_types import Len

from sim.registry import policy
from sim.saas.blocks import BLOCK, Block, Floats, level, poisson
from sim.units import PerSecond, PositiveSeconds, Seconds

Mask: TypeAlias = npt.NDArray[np.bool_]
Users: TypeAlias = npt.NDArray[np.int64]


@policy("arrivals", "poisson")
class Poisson:
    """Independent users: requests come at random, at a constant mean rate.

    rate: requests per second of one user.
    """

    rate: PerSecond

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals of all users before `until`."""
        return poisson(rng, self.rate * users, until)

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected arrivals per second of all users together at each time."""
        return level(self.rate * users, times)


@policy("arrivals", "periodic")
class Periodic:
    """Machines on a timer: each user sends one request every period (a camera, a sensor).

    period: seconds between two requests of one user.
    jitter: each request is late by a random part of this, uniformly; at most one period.
    phase: how users' timers relate: spread evenly over the period, random, or aligned (all at once).
    """

    period: PositiveSeconds
    jitter: Seconds = 0.0
    phase: Literal["spread", "random", "aligned"] = "spread"

    def __post_init__(self) -> None:
        if self.jitter > self.period:
            raise ValueError("jitter must be at most one period")

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals of all users before `until`, each with its `user`."""
        if users == 0:
            return
        phases = np.zeros(users)
        if self.phase == "spread":
            phases = np.arange(users) * self.period / users
        elif self.phase == "random":
            phases = rng.random(users) * self.period
        rounds = max(1, BLOCK // users)
        ids = np.tile(np.arange(users), rounds)
        held, held_ids = np.empty(0), np.empty(0, dtype=np.int64)
        first = 0
        while first * self.period < until:
            # A product, not a running sum: the k-th request is at k periods to the last bit.
            times = ((first + np.arange(rounds)) * self.period)[:, None] + phases
            if self.jitter:
                times += self.jitter * rng.random(times.shape)
            first += rounds
            end = min(until, first * self.period)
            times, user = np.concatenate((held, times.ravel())), np.concatenate((held_ids, ids))
            order = np.argsort(times, kind="stable")
            times, user = times[order], user[order]
            ready = np.searchsorted(times, end)
            held, held_ids = times[ready:], user[ready:]
            if ready:
                yield Block(times[:ready], {"user": user[:ready]})

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected arrivals per second of all users together at each time."""
        return level(users / self.period, times)


@policy("arrivals", "mmpp")
class MarkovModulated:
    """Bursts common to all users: the rate jumps at random between levels.

    A Markov-modulated Poisson process: an exponential stay at each level, then any other level
    with equal probability; it begins in equilibrium.

    rates: requests per second of one user at each level.
    dwell: mean seconds spent at each level, in the same order.
    """

    rates: Annotated[list[PerSecond], Len(2)]
    dwell: Annotated[list[PositiveSeconds], Len(2)]

    def __post_init__(self) -> None:
        if len(self.rates) != len(self.dwell):
            raise ValueError("rates and dwell must be lists of the same length")

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals of all users before `until`."""
        return modulated(rng, np.array(self.rates) * users, np.array(self.dwell), until)

    def expected(self, times: Floats, users: int) -> Floats:
        """Mean arrivals per second of all users together; the level of the moment is unknown."""
        share = np.array(self.dwell) / np.sum(self.dwell)
        return level(users * float(share @ np.array(self.rates)), times)


@policy("arrivals", "random-jumps")
class RandomJumps:
    """A load that nobody can foresee: the rate jumps to a level that has nothing to do with the last.

    Levels are log-uniform between `low` and `high`, stays are exponential: neither what came before
    nor how long a level has lasted says anything about what comes next. The best forecast beyond the
    next jump is the mean, so who reacts to the present must win here.

    low: least requests per second of one user, above 0.
    high: most requests per second of one user.
    stay: mean seconds until the next jump.
    """

    low: PerSecond
    high: PerSecond
    stay: PositiveSeconds

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ValueError("need 0 < low < high")

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals of all users before `until`."""
        bottom, span = np.log(self.low), np.log(self.high / self.low)

        def stays() -> tuple[Floats, Floats]:
            levels = users * np.exp(bottom + span * rng.random(STAYS))
            return levels, rng.exponential(self.stay, STAYS)

        if users:
            yield from stepped(rng, stays, until)

    def expected(self, times: Floats, users: int) -> Floats:
        """Mean arrivals per second of all users together; the level of the moment is unknown."""
        mean = (self.high - self.low) / float(np.log(self.high / self.low))
        return level(users * mean, times)


#: Stays drawn at once.
STAYS = 1024


def modulated(rng: np.random.Generator, rates: Floats, dwell: Floats, until: float) -> Iterator[Block]:
    """A Markov-modulated Poisson process, begun in equilibrium.

    Args:
        rng: source of randomness.
        rates: arrivals per second at each level.
        dwell: mean seconds of a stay at each, then any other level with equal probability.
        until: arrivals at or after this moment are left out.
    """
    if rates.max() <= 0:
        return
    levels = len(rates)
    state = int(rng.choice(levels, p=dwell / dwell.sum()))

    def stays() -> tuple[Floats, Floats]:
        nonlocal state
        jumps = rng.integers(1, levels, STAYS)
        states = (state + np.concatenate(([0], np.cumsum(jumps)))) % levels
        state, states = int(states[-1]), states[:-1]
        return rates[states], rng.exponential(dwell[states])

    yield from stepped(rng, stays, until)


def stepped(
    rng: np.random.Generator, stays: Callable[[], tuple[Floats, Floats]], until: float
) -> Iterator[Block]:
    """A Poisson process whose rate is a random step function, exactly, by inverting its cumulative rate.

    A Poisson process of rate 1 on the axis "arrivals expected so far" is carried back to the time
    axis; that axis is built a stretch of stays at a time, and forgetting the last gap at the end of a
    stretch changes nothing because gaps are exponential.

    Args:
        rng: source of randomness.
        stays: draws rates and lengths (s) of the next stays.
        until: arrivals at or after this moment are left out.
    """
    start = 0.0
    while start < until:
        rates, lengths = stays()
        begins = start + np.concatenate(([0.0], np.cumsum(lengths)))
        due = np.concatenate(([0.0], np.cumsum(lengths * rates)))
        reached = 0.0
        while reached < due[-1] and start < until:
            marks = reached + np.cumsum(rng.exponential(1.0, BLOCK))
            reached = float(marks[-1])
            marks = marks[: np.searchsorted(marks, due[-1])]
            stay = np.searchsorted(due, marks, side="right") - 1
            times = begins[stay] + (marks - due[stay]) / rates[stay]
            if len(times) and times[-1] >= until:
                times, start = times[: np.searchsorted(times, until)], until
            if len(times):
                yield Block(times)
        start = max(start, float(begins[-1]))


@policy("arrivals", "on-off")
class OnOff:
    """Users who come and go: each is active for a while, then silent, independently of the others.

    Active and silent times are exponential; an active user makes Poisson requests.

    rate: requests per second of one user while active.
    on: mean seconds a user stays active.
    off: mean seconds a user stays silent.
    """

    rate: PerSecond
    on: PositiveSeconds
    off: PositiveSeconds

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals of all users before `until`, each with its `user`."""
        mean = self.rate * users * self.on / (self.on + self.off)
        if mean <= 0:
            return
        width = BLOCK / mean
        active = rng.random(users) < self.on / (self.on + self.off)
        start = 0.0
        while start < until:
            times, user = self._window(rng, active, start, start + width)
            start += width
            if start >= until:
                user, times = user[times < until], times[times < until]
            if len(times):
                order = np.argsort(times, kind="stable")
                yield Block(times[order], {"user": user[order]})

    def _window(
        self, rng: np.random.Generator, active: Mask, start: float, end: float
    ) -> tuple[Floats, Users]:
        """Arrivals of every user in a window; `active` is carried to its end.

        Stays are exponential, so a stay cut at the end of the window is drawn anew in the next.
        """
        moment = np.full(len(active), start)
        going = np.arange(len(active))
        all_times, all_users = [], []
        while len(going):
            begin = moment[going]
            finish = begin + rng.exponential(np.where(active[going], self.on, self.off))
            stop = np.minimum(finish, end)
            counts = rng.poisson(np.where(active[going], self.rate * (stop - begin), 0.0))
            spread = rng.random(counts.sum())
            all_times.append(np.repeat(begin, counts) + spread * np.repeat(stop - begin, counts))
            all_users.append(np.repeat(going, counts))
            switched = finish < end
            moment[going] = stop
            going = going[switched]
            active[going] = ~active[going]
        return np.concatenate(all_times), np.concatenate(all_users)

    def expected(self, times: Floats, users: int) -> Floats:
        """Mean arrivals per second of all users together at each time."""
        return level(self.rate * users * self.on / (self.on + self.off), times)
