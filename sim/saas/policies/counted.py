"""Arrivals from traces that count: requests by step of time, and calls of functions by minute."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import inf
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le

from sim.registry import policy
from sim.saas import functions, ratetraces
from sim.saas.blocks import Block, Columns, Floats, varying_poisson
from sim.units import Fraction, PerSecond, PositiveSeconds, Seconds


@policy("arrivals", "rate-trace")
class RateTrace:
    """A recorded curve of requests by minute (or other steps), whatever the number of users.

    A Poisson process whose rate in each step is the recorded one, so `expected` is exact and
    replications differ by chance only.

    file: path of the trace; relative to the folder of the scenario, or else to the current one.
    format: worldcup98 (period,count), nab (timestamp,value), csv (time_s,count), or auto: told by the header.
    step: seconds that a count is of; the usual distance of two rows if nothing is said.
    start: second of the trace at which the replay begins.
    length: seconds of the trace to replay; to its end if nothing is said.
    speed: time-lapse: 12 makes a day of the trace two hours long, at the same requests per second.
    factor: on the recorded rate.
    mean: requests per second on average over the part replayed, instead of `factor`.
    most: requests per second above which the rate is cut off, after `factor` or `mean`.
    gaps: steps without a row: nobody asked (zero), or as before (hold).
    repeat: begin again when the trace ends, as long as the run lasts.
    """

    file: str
    format: ratetraces.Format = "auto"
    step: PositiveSeconds | None = None
    start: Seconds = 0.0
    length: PositiveSeconds | None = None
    speed: Annotated[float, Gt(0)] = 1.0
    factor: Annotated[float, Gt(0)] | None = None
    mean: PerSecond | None = None
    most: PerSecond | None = None
    gaps: Literal["zero", "hold"] = "zero"
    repeat: bool = False

    def __post_init__(self) -> None:
        if self.factor is not None and self.mean is not None:
            raise ValueError("factor and mean say the same thing: give one of them")

    def load(self) -> ratetraces.Counts:
        """The whole trace.

        Raises:
            ScenarioError: the file is wrong.
        """
        return ratetraces.read(self.file, self.format, self.step)

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals before `until`."""
        edges, rates = self._curve()
        if not users or not len(rates):
            return
        peak = float(rates.max())
        lap = float(edges[-1])

        def bound(first: float, last: float) -> float:
            if self.repeat:
                first, last = first % lap, first % lap + (last - first)
            # A step more on each side: rounding must not hide the one a time falls into.
            low, high = np.searchsorted(edges, (first, last))
            inside = rates[max(low - 2, 0) : high + 1]
            if self.repeat and last >= lap:
                inside = np.concatenate((inside, rates[: int(np.searchsorted(edges, last - lap)) + 1]))
            return float(inside.max(initial=0.0))

        def rate(times: Floats) -> Floats:
            return self._rate(edges, rates, times)

        end = until if self.repeat else min(until, lap)
        yield from varying_poisson(rng, rate, bound, peak, end)

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected arrivals per second at each time."""
        edges, rates = self._curve()
        moments = np.asarray(times, dtype=float)
        return self._rate(edges, rates, moments) if users and len(rates) else np.zeros(moments.shape)

    def _rate(self, edges: Floats, rates: Floats, moments: Floats) -> Floats:
        if self.repeat:
            moments = moments % edges[-1]
        index = np.searchsorted(edges, moments, side="right") - 1
        return np.where(index < len(rates), rates[np.minimum(index, len(rates) - 1)], 0.0)

    def _curve(self) -> tuple[Floats, Floats]:
        """Moments of the run at which the rate changes, the last being the end, and the rates."""
        trace = self.load()
        counts = trace.counts
        if self.gaps == "hold":
            counts = counts[np.maximum.accumulate(np.where(np.isnan(counts), 0, np.arange(len(counts))))]
        rates: Floats = (np.nan_to_num(counts) / trace.step).astype(np.float64)
        end = len(counts) * trace.step
        if self.length is not None:
            end = min(end, self.start + self.length)
        if end <= self.start:
            return np.zeros(1), np.zeros(0)
        first, last = int(self.start // trace.step), int(np.ceil(end / trace.step))
        edges = np.arange(first, last + 1) * trace.step - self.start
        edges[0], edges[-1] = 0.0, end - self.start
        rates = rates[first:last]
        usual = float(rates @ np.diff(edges)) / (end - self.start)
        if self.mean is not None and usual > 0:
            rates = rates * (self.mean / usual)
        elif self.factor is not None:
            rates = rates * self.factor
        moments = np.asarray(edges / self.speed, dtype=np.float64)
        return moments, np.minimum(rates, inf if self.most is None else self.most).astype(np.float64)


@policy("arrivals", "azure-functions")
class FunctionTrace:
    """Calls of serverless functions by minute, in the format of the Azure Functions trace of 2019.

    Each minute has exactly the recorded calls, at random moments in it. With `durations` each call
    brings its `work`: seconds drawn from the quantiles of its function, interpolated on a
    logarithmic scale, so a service with `time: {policy: constant, value: 1s}` takes that long.
    Functions without durations are then left out.

    file: the invocations; relative to the folder of the scenario, or else to the current one.
    durations: the durations of the same day.
    functions: how many functions are replayed, the busiest first.
    trigger: only functions of this trigger (http, queue, timer, ...).
    start: second of the trace at which the replay begins, counted in whole minutes.
    length: seconds of the trace to replay, in whole minutes; to its end if nothing is said.
    thin: share of the calls kept, each with this probability.
    repeat: begin again when the trace ends, as long as the run lasts.
    """

    file: str
    durations: str | None = None
    functions: Annotated[int, Ge(1), Le(50_000)] = 1000
    trigger: str | None = None
    start: Seconds = 0.0
    length: PositiveSeconds | None = None
    thin: Fraction = 1.0
    repeat: bool = False

    def load(self) -> tuple[npt.NDArray[np.int64], Floats | None]:
        """Calls by minute and function, and the logarithms of each function's quantiles of durations (s).

        Raises:
            ScenarioError: a file is wrong.
        """
        files = [self.file] if self.durations is None else [self.file, self.durations]
        states = tuple(ratetraces.state(file) for file in files)
        return _functions(self.file, self.durations, self.functions, self.trigger, states)

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the calls before `until`, each with its `work` if durations are known."""
        minutes, quantiles = self._part()
        lap = len(minutes)
        minute = 0
        while users and lap and minute * functions.MINUTE < until and (self.repeat or minute < lap):
            counts = minutes[minute % lap]
            which = np.repeat(np.arange(len(counts)), counts)
            # Drawn in one piece whatever `until` is, so that a longer run begins the same.
            times = (minute + rng.random(len(which))) * functions.MINUTE
            kept = rng.random(len(which)) < self.thin if self.thin < 1 else np.ones(len(which), dtype=bool)
            columns: Columns = {}
            if quantiles is not None:
                columns["work"] = np.exp(_drawn(quantiles, which, rng.random(len(which))))
            order = np.argsort(times, kind="stable")
            order = order[kept[order] & (times[order] < until)]
            if len(order):
                yield Block(times[order], {name: values[order] for name, values in columns.items()})
            minute += 1

    def expected(self, times: Floats, users: int) -> Floats:
        """Calls per second in the minute of each time."""
        minutes, _ = self._part()
        index = np.floor(np.asarray(times, dtype=float) / functions.MINUTE).astype(np.int64)
        if not len(minutes) or not users:
            return np.zeros(index.shape)
        rates = minutes.sum(axis=1) / functions.MINUTE * self.thin
        over = (index >= len(rates)) & (not self.repeat)
        return np.where(over, 0.0, rates[index % len(rates)])

    def _part(self) -> tuple[npt.NDArray[np.int64], Floats | None]:
        minutes, quantiles = self.load()
        first = int(self.start // functions.MINUTE)
        last = None if self.length is None else first + max(1, round(self.length / functions.MINUTE))
        return minutes[first:last], quantiles


@lru_cache(maxsize=8)
def _functions(
    file: str, durations: str | None, most: int, trigger: str | None, states: object
) -> tuple[npt.NDArray[np.int64], Floats | None]:
    found = functions.invocations(file, most)
    if trigger is not None:
        found = [function for function in found if function.trigger == trigger]
    quantiles = None
    if durations is not None:
        known = functions.durations(durations)
        found = [function for function in found if function.key in known]
        # A tenth of a millisecond instead of nothing: the logarithm of 0 is no number.
        quantiles = np.log(np.maximum(1e-4, [known[function.key] for function in found]))
    counts = np.array([function.counts for function in found], dtype=np.int64)
    return counts.reshape(len(found), -1).T, quantiles


def _drawn(quantiles: Floats, which: npt.NDArray[np.int64], chances: Floats) -> Floats:
    """Quantile of each row `which` at its own chance."""
    levels = np.array(functions.DURATIONS) / 100
    piece = np.minimum(np.searchsorted(levels, chances, side="right") - 1, len(levels) - 2)
    share = (chances - levels[piece]) / (levels[piece + 1] - levels[piece])
    below: Floats = quantiles[which, piece]
    drawn: Floats = below + share * (quantiles[which, piece + 1] - below)
    return drawn
