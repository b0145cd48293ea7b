"""Arrivals of ServeGen's clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Annotated

import numpy as np
from annotated_types import Gt, Le

from sim.registry import policy
from sim.saas import retiming, servegen
from sim.saas.blocks import Block, Floats
from sim.units import PerSecond, PositiveSeconds, Seconds


@policy("arrivals", "servegen")
class ServeGen:
    """Requests of the clients that ServeGen (Alibaba, NSDI 2026) publishes, whatever the number of users.

    Per window of 600 s a client has a rate, and gaps of a family (gamma or Weibull) with a shape; prompts and
    answers are drawn from its measured lengths. The prompts of multimodal clients are text, images, audio
    and video together.

    file: a client's `NAME-trace.csv`, with its `NAME-dataset.json` (or `.json.gz`) beside it.
    folder: all clients of the file's folder together.
    start: second of the clients' time at which the replay begins.
    length: seconds to replay; to the last window if nothing is said.
    factor: on the published rates.
    mean: requests per second on average over the part replayed, instead of `factor`.
    repeat: begin again at the end, as long as the run lasts.
    """

    file: str
    folder: bool = False
    start: Seconds = 0.0
    length: PositiveSeconds | None = None
    factor: Annotated[float, Gt(0), Le(1e6)] | None = None
    mean: Annotated[PerSecond, Gt(0)] | None = None
    repeat: bool = False

    def __post_init__(self) -> None:
        if self.factor is not None and self.mean is not None:
            raise ValueError("factor and mean say the same thing: give one of them")

    def load(self) -> list[servegen.Client]:
        """The clients.

        Raises:
            ScenarioError: a file is wrong.
        """
        return servegen.clients(self.file, self.folder)

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the requests before `until`."""
        known = self.load()
        end = self._end(known)
        lap, offset = end - self.start, 0.0
        if not users or lap <= 0:
            return
        factor = self._factor(known, end)
        while offset < until:
            drawn = servegen.requests(known, rng, self.start, end, factor)
            part = retiming.clip(drawn, self.start, lap)
            moved = (retiming.shift(block, 1.0, offset) for block in part)
            yield from retiming.clip(moved, 0.0, until)
            offset += lap
            if not self.repeat:
                return

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected requests per second at each time."""
        known = self.load()
        end = self._end(known)
        moments = np.asarray(times, dtype=float)
        lap = end - self.start
        if not users or lap <= 0:
            return np.zeros(moments.shape)
        inside = moments < (inf if self.repeat else lap)
        rates = servegen.rate(known, self.start + moments % lap) * self._factor(known, end)
        return np.where(inside, rates, 0.0)

    def _end(self, known: Sequence[servegen.Client]) -> float:
        end = max(client.end for client in known)
        return end if self.length is None else min(end, self.start + self.length)

    def _factor(self, known: Sequence[servegen.Client], end: float) -> float:
        if self.mean is None:
            return self.factor or 1.0
        step = known[0].step
        edges = np.concatenate(
            [[self.start], np.arange(np.floor(self.start / step) + 1, end / step) * step, [end]]
        )
        usual = float(servegen.rate(known, edges[:-1]) @ np.diff(edges)) / (end - self.start)
        return self.mean / usual if usual > 0 else 1.0
