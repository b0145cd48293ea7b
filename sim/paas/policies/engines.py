"""Serving engines: how many of a replica's waiting calls begin service together, and when.

An engine is a policy with two verbs, asked whenever one of its `servers` is free and a call waits:
`take(waiting, oldest, now)` says how many calls start now, as one batch (0: none yet), and
`look_again(oldest)` says at which moment the answer would change by itself. `oldest` is the moment
the longest-waiting call entered the service. Both work on absolute moments, so that a timer set for
`look_again` finds the wait complete whatever the rounding.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Protocol

from annotated_types import Ge

from sim.registry import policy
from sim.units import Seconds


class Engine(Protocol):
    """What a service needs of its engine."""

    @property
    def servers(self) -> int:
        """Batches a replica serves at the same time."""

    @property
    def largest(self) -> int:
        """Most calls in one batch."""

    @property
    def gathering(self) -> float:
        """Longest time a call is held back to gather a batch (s)."""

    def take(self, waiting: int, oldest: float, now: float) -> int:
        """Calls to start now as one batch; 0 for none yet."""

    def look_again(self, oldest: float) -> float:
        """Moment at which the answer 0 changes by itself."""


@policy("engine", "concurrent")
class Concurrent:
    """A number of equal servers, each busy with one call at a time, first come first served."""

    servers: Annotated[int, Ge(1)] = 1

    largest = 1
    gathering = 0.0

    def take(self, waiting: int, oldest: float, now: float) -> int:
        """Every call starts alone and at once."""
        return 1

    def look_again(self, oldest: float) -> float:
        """Never asked: a free server takes a waiting call at once."""
        return oldest


class Gathering:
    """What the engines share that gather a batch for a while, on several instances."""

    max_batch: int
    max_delay: float
    instances: int

    @property
    def servers(self) -> int:
        """The instances."""
        return self.instances

    @property
    def largest(self) -> int:
        """The full batch."""
        return self.max_batch

    @property
    def gathering(self) -> float:
        """The delay (s)."""
        return self.max_delay


@policy("engine", "dynamic-batch")
class DynamicBatch(Gathering):
    """Calls gather into batches: one starts at a preferred size, or when its oldest call has waited enough.

    While all instances are busy calls go on gathering, so batches grow with the load. The largest of the
    `preferred` sizes (the full batch unless given) that is there starts at once; after `max_delay` all
    that is there does. With `max_delay` 0 a free instance takes what is there if no preferred size is.
    The rule of the Triton inference server's dynamic batcher for calls of one item and equal shapes,
    without its priority levels. Source: triton-inference-server/core src/dynamic_batch_scheduler.cc.
    """

    max_batch: Annotated[int, Ge(1)] = 8
    max_delay: Seconds = 0.0
    instances: Annotated[int, Ge(1)] = 1
    preferred: list[Annotated[int, Ge(1)]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if any(size > self.max_batch for size in self.preferred):
            raise ValueError(f"no preferred size can be above max_batch, {self.max_batch}")
        self._sizes = sorted(self.preferred, reverse=True) or [self.max_batch]

    def take(self, waiting: int, oldest: float, now: float) -> int:
        """A batch of a preferred size, or all that waits once the oldest has waited `max_delay`."""
        pending = min(waiting, self.max_batch)
        late = now >= oldest + self.max_delay
        if not late or self.max_delay == 0.0:
            for size in self._sizes:
                if size <= pending:
                    return size
        return pending if late else 0

    def look_again(self, oldest: float) -> float:
        """The moment the oldest call will have waited `max_delay`."""
        return oldest + self.max_delay
