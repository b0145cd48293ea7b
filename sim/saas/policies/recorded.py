"""Arrivals that come from measurements: a trace file, or a preset fitted to one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from math import exp, inf, sqrt
from typing import Annotated

import numpy as np
from annotated_types import Gt

from sim import catalog
from sim.registry import policy
from sim.saas import retiming, traces
from sim.saas.blocks import Block, Columns, Floats, level, poisson, renewal, varying_poisson
from sim.saas.policies.arrivals import modulated
from sim.saas.presetrate import PresetRate
from sim.units import Fraction, PerSecond, PositiveSeconds, Seconds


@policy("arrivals", "trace")
class Trace:
    """Replay a file of requests, one a row, at their own times whatever the number of users.

    Without a file, requests drawn from `preset` stand in: an endless trace that begins anew at each
    lap, to which all other settings apply as to a file.

    file: path of the trace; relative to the folder of the scenario, or else to the current one.
    preset: preset of the catalog that stands in for a file (`stratus list presets`).
    format: azure-llm, burstgpt, vidur, mooncake, llmservingsim as published, csv (time_s and any of
        tokens_in, tokens_out, send, reply, work, session), or auto: told by the header.
    keep: columns of the file and the text that a row must have there, such as {Model: GPT-4}.
    spread: rows of one moment come at random moments of the so many seconds after it, for traces whose
        clock is coarse (3 s of Mooncake's conversations); as in the file if nothing is said.
    rate: requests per second, in place of the file's times: a Poisson process. Needed where a file has
        lengths only.
    start: second of the trace at which the replay begins.
    length: seconds of the trace to replay; to its end if nothing is said.
    scale: factor on the rate: 2 plays the trace twice as fast.
    thin: share of the requests kept, each with this probability.
    repeat: begin again when the trace ends, as long as the run lasts.
    """

    file: str | None = None
    preset: str | None = None
    format: traces.Format = "auto"
    start: Seconds = 0.0
    length: PositiveSeconds | None = None
    scale: Annotated[float, Gt(0)] = 1.0
    thin: Fraction = 1.0
    repeat: bool = False
    rate: Annotated[PerSecond, Gt(0)] | None = None
    keep: dict[str, str] = field(default_factory=dict)
    spread: Seconds = 0.0

    def __post_init__(self) -> None:
        if self.file is None and (self.keep or self.spread):
            raise ValueError("`keep` and `spread` are about a `file`")
        if self.rate is not None and self.spread:
            raise ValueError(
                "`rate` replaces the times of the file, which `spread` is about: give one of them"
            )
        if self.file is None and self.preset is None:
            raise ValueError("a trace needs a `file`, or a `preset` to stand in for one")

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the requests before `until`, with the columns the trace has."""
        offset = 0.0
        while users:
            rows, first, last = 0, 0.0, 0.0
            for block in retiming.clip(self._rows(rng), self.start, self.length):
                first = float(block.times[0]) if not rows else first
                last = float(block.times[-1])
                rows += len(block.times)
                moved = retiming.shift(block, 1 / self.scale, offset)
                for kept in retiming.clip(iter([moved]), 0.0, until):
                    yield from retiming.thin(iter([kept]), rng, self.thin) if self.thin < 1 else [kept]
                if moved.times[-1] >= until:
                    return
            # Without a stated length a lap lasts as long as its rows do, plus one mean gap.
            lap = self.length or (last + (last - first) / max(1, rows - 1))
            offset += lap / self.scale
            if not self.repeat or not rows or not lap or offset >= until:
                return

    def _rows(self, rng: np.random.Generator) -> Iterator[Block]:
        if self.file is not None:
            rows = traces.read(self.file, self.format, self.keep)
            if self.spread:
                rows = retiming.spread(rows, rng, self.spread)
            return rows if self.rate is None else retiming.timed(rows, rng, self.rate)
        return self._stand_in().blocks(rng, 1, inf)

    def _stand_in(self) -> Preset:
        assert self.preset is not None
        return Preset(self.preset, self.rate)

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected arrivals per second of a preset; NaN for a file, which is not read for this."""
        if self.file is not None:
            return level(float("nan"), times)
        moments = np.asarray(times, dtype=float) * self.scale
        over = np.zeros(moments.shape, dtype=bool)
        if self.length is not None:
            over = moments >= (inf if self.repeat else self.length)
            moments = moments % self.length
        rates = self._stand_in().expected(self.start + moments, min(users, 1))
        return np.where(over, 0.0, rates * self.scale * self.thin)


@policy("arrivals", "preset")
class Preset(PresetRate):
    """Arrivals and token counts fitted to a published trace of the catalog (`stratus list presets`).

    A preset with a daily curve gives a Poisson process that follows it. Otherwise its dispersion
    (variance over mean of the arrivals in a minute) decides: above 1 a Poisson process whose rate
    jumps between two levels so that the dispersion comes out the same, below 1 gamma-distributed
    gaps, 1 or unknown a Poisson process. Token counts are drawn from the preset's quantiles,
    interpolated on a logarithmic scale, input and output independently; below the lowest quantile
    known and above the highest the value stays.

    name: name of the preset.
    rate: requests per second of all users together; the preset's own if nothing is said.
    swing: time constant of the rate's jumps in seconds, where the dispersion is above 1.
    day: seconds that a day of the daily curve takes.
    """

    name: str
    rate: PerSecond | None = None
    swing: PositiveSeconds = 100.0
    day: PositiveSeconds = 86400.0

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals before `until`, each with the tokens the preset knows of."""
        if not users:
            return
        tables = catalog.preset(self.name).quantiles
        known = {name: _inverse(tables[name]) for name in ("tokens_in", "tokens_out") if name in tables}
        for block in self._arrivals(rng, until):
            columns: Columns = {}
            for name, (chances, logarithms) in known.items():
                values = np.exp(np.interp(rng.random(len(block.times)), chances, logarithms))
                columns[name] = np.maximum(1, np.rint(values)).astype(np.int64)
            yield Block(block.times, columns)

    def _arrivals(self, rng: np.random.Generator, until: float) -> Iterator[Block]:
        card, mean = catalog.preset(self.name), self.mean
        if card.curve:
            peak = mean * max(card.curve)
            return varying_poisson(rng, lambda t: self.expected(t, 1), lambda start, end: peak, peak, until)
        dispersion = 1.0 if card.dispersion is None else card.dispersion
        if dispersion < 1.0 and mean > 0:
            # Far from the origin the dispersion of counts is the squared variation of the gaps.
            shape = 1.0 / dispersion
            return renewal(lambda n: rng.gamma(shape, 1 / (mean * shape), n), until)
        if dispersion > 1.0 and mean > 0:
            rates, dwell = two_levels(mean, dispersion, self.swing)
            return modulated(rng, rates, dwell, until)
        return poisson(rng, mean, until)


def two_levels(mean: float, dispersion: float, swing: float, window: float = 60.0) -> tuple[Floats, Floats]:
    """Rates and mean stays of a two-level Poisson process with a given dispersion of counts.

    With time constant c the dispersion in a window w is 1 + a (1 - (1 - exp(-w/c)) c/w), where
    a = 2 c d^2 p (1 - p) / mean, d the distance of the two rates and p the share of time at the higher one
    (Fischer and Meier-Hellstern, "The Markov-modulated Poisson process cookbook", 1993). The levels last
    equally long, unless the lower rate would be negative: then it is 0 and the higher one is rarer.

    Args:
        mean: mean arrivals per second.
        dispersion: variance over mean of the counts in a window, above 1.
        swing: time constant of the jumps, seconds.
        window: seconds in which `dispersion` was counted.
    """
    limit = (dispersion - 1) / (1 - (1 - exp(-window / swing)) * swing / window)
    odds = min(1.0, 2 * mean * swing / limit)
    high = odds / (1 + odds)
    distance = sqrt(limit * mean / (2 * swing * high * (1 - high)))
    low = max(0.0, mean - high * distance)
    return np.array([low, low + distance]), np.array([swing / high, swing / (1 - high)])


def _inverse(quantiles: Mapping[str, float]) -> tuple[Floats, Floats]:
    """Probabilities and logarithms of a quantile table {p0: ..., p50: ..., p100: ...}."""
    points = sorted((float(name[1:]) / 100, value) for name, value in quantiles.items())
    chances, values = zip(*points, strict=True)
    return np.array(chances), np.log(np.maximum(1.0, values))
