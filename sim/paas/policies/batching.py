"""Engines with batches of a fixed size, or of a size that adapts to what it costs."""

from __future__ import annotations

from math import inf
from typing import Annotated

from annotated_types import Ge, Gt

from sim.paas.policies.engines import Gathering
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds


@policy("engine", "static-batch")
class StaticBatch:
    """Every batch has exactly `size` calls: it waits until they are there, however long that takes.

    With `max_wait` a smaller one starts once its oldest call has waited so long. The oldest way of
    batching, and the reason for the others: at low load calls wait for company.
    """

    size: Annotated[int, Ge(1)] = 8
    max_wait: PositiveSeconds | None = None
    instances: Annotated[int, Ge(1)] = 1

    @property
    def servers(self) -> int:
        """The instances."""
        return self.instances

    @property
    def largest(self) -> int:
        """The batch."""
        return self.size

    @property
    def gathering(self) -> float:
        """The longest wait for company; 0 where there is no bound, since nothing is known then."""
        return self.max_wait or 0.0

    def take(self, waiting: int, oldest: float, now: float) -> int:
        """A full batch, or what is there after `max_wait`."""
        if waiting >= self.size:
            return self.size
        return waiting if now >= self.look_again(oldest) else 0

    def look_again(self, oldest: float) -> float:
        """When the oldest call has waited long enough; infinite for never."""
        return inf if self.max_wait is None else oldest + self.max_wait


@policy("engine", "adaptive-batch")
class AdaptiveBatch(Gathering):
    """Clipper's batching: batches grow step by step until they take longer than aimed at, then shrink.

    The largest batch grows by `step` after one of that size that took at most `target`, and shrinks by the
    share `backoff` after any that took longer. Each replica finds its own. A free instance takes what is
    there, up to that size; with `max_delay` it waits so long for more. Source: Crankshaw et al., NSDI 2017,
    section 4.3 (additive increase, decrease by 10 %).
    """

    target: PositiveSeconds = 0.1
    step: Annotated[int, Ge(1)] = 1
    backoff: Annotated[Fraction, Gt(0)] = 0.1
    max_batch: Annotated[int, Ge(1)] = 256
    max_delay: Seconds = 0.0
    instances: Annotated[int, Ge(1)] = 1

    def start(self) -> None:
        """Begin with single calls."""
        self.size = 1.0

    def take(self, waiting: int, oldest: float, now: float) -> int:
        """As much as is there, up to the present size; less than that only after the delay."""
        size = int(self.size)
        if waiting >= size:
            return size
        return waiting if now >= oldest + self.max_delay else 0

    def look_again(self, oldest: float) -> float:
        """The moment the oldest call will have waited `max_delay`."""
        return oldest + self.max_delay

    def learn(self, count: int, seconds: float) -> None:
        """A batch of `count` calls took so long.

        Only a batch of the present size says that a larger one may be tried.
        """
        if seconds > self.target:
            self.size = max(1.0, self.size * (1.0 - self.backoff))
        elif count >= int(self.size):
            self.size = min(float(self.max_batch), self.size + self.step)
