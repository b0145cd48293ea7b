"""What an arrival process yields: blocks of sorted times, drawn a few thousand at once.

Every process draws its randomness in an order that depends on nothing but its own parameters, never
on `until`: a longer run sees the same arrivals first, and two policies under comparison see the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Columns: TypeAlias = dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64] | npt.NDArray[np.object_]]

#: Arrivals a block aims at: enough to hide the cost of a NumPy call, small enough to stay in cache.
BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Block:
    """Some consecutive arrivals of a process.

    Attributes:
        times: seconds since the start of the run, sorted, one an arrival.
        columns: what the process knows about each arrival besides its time. `user` is the index of
            the user who made it; `tokens_in`, `tokens_out`, `send`, `reply` (bytes) and `work`
            replace what the application would draw. Of training jobs `workers`, `work` (s),
            `estimate` (s), `accelerators`, `cpu`, `memory` (bytes, each of one worker), `deadline` (s after
            the submission), `priority`, `tenant` and `device` replace what the class of jobs would draw
            or says; NaN and "" leave it to the class.
    """

    times: Floats
    columns: Columns = field(default_factory=dict)


class ArrivalProcess(Protocol):
    """A policy of kind "arrivals"."""

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the arrivals of all users before `until`, in time order."""
        ...

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected arrivals per second of all users together at each time; NaN where unknown."""
        ...


def level(rate: float, times: Floats) -> Floats:
    """A constant rate, one value a time."""
    return np.full(np.shape(times), rate)


def renewal(gaps: Callable[[int], Floats], until: float) -> Iterator[Block]:
    """Arrivals whose gaps are independent: `gaps(n)` draws n of them."""
    last = 0.0
    while last < until:
        times = last + np.cumsum(gaps(BLOCK))
        last = float(times[-1])
        times = times[: np.searchsorted(times, until)] if last >= until else times
        if len(times):
            yield Block(times)


def poisson(rng: np.random.Generator, rate: float, until: float) -> Iterator[Block]:
    """A Poisson process of `rate` arrivals per second."""
    if rate > 0:
        yield from renewal(lambda n: rng.exponential(1 / rate, n), until)


def varying_poisson(
    rng: np.random.Generator,
    rate: Callable[[Floats], Floats],
    bound: Callable[[float, float], float],
    peak: float,
    until: float,
) -> Iterator[Block]:
    """A Poisson process whose rate varies, exactly, by thinning (Lewis and Shedler 1979).

    Args:
        rng: source of randomness.
        rate: arrivals per second at each of an array of times.
        bound: a rate that `rate` does not exceed anywhere between two times.
        peak: a rate that `rate` never exceeds.
        until: arrivals at or after this moment are left out.
    """
    if peak <= 0:
        return
    start = 0.0
    while start < until:
        # Windows widen where the rate is low; where it is zero, at most to a thousand times the shortest
        # or an hour. None of this looks at `until`: a longer run sees the same arrivals first.
        width = BLOCK / peak
        most = bound(start, start + width)
        longest = max(1024 * width, 3600.0)
        while width < longest:
            wider = bound(start, start + 2 * width)
            if wider * 2 * width > BLOCK:
                break
            width, most = 2 * width, wider
        count = int(rng.poisson(most * width))
        times = start + width * np.sort(rng.random(count))
        kept = times[rng.random(count) * most < rate(times)]
        start += width
        kept = kept[: np.searchsorted(kept, until)] if start >= until else kept
        if len(kept):
            yield Block(kept)
