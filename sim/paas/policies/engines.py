"""Serving engines: how many of a replica's waiting calls begin service together, and when.

An engine is a policy with two verbs, asked whenever one of its `servers` is free and a call waits:
`take(waiting, oldest, now)` says how many calls start now, as one batch (0: none yet), and
`look_again(oldest)` says at which moment the answer would change by itself. `oldest` is the moment
the longest-waiting call entered the service. Both work on absolute moments, so that a timer set for
`look_again` finds the wait complete whatever the rounding. `cancels` says what becomes of a call that
nobody waits for any more: it leaves while it is `waiting`, even `running`, or `never` ("never" where an
engine does not say).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol

from annotated_types import Ge, Le

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


@dataclass
class QueuePolicy:
    """How long, and how many, calls of one priority level may wait; Triton's ModelQueuePolicy.

    timeout: longest wait; 0 for any.
    timeout_action: a call that has waited so long is rejected, or served after the others of its level.
    allow_override: a call whose client has a shorter timeout waits no longer than that. As upstream,
        this only shortens: where `timeout` is 0 it changes nothing.
    max_size: calls that may wait; a further one is turned away. 0 for any number.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    timeout: Seconds = 0.0
    timeout_action: Literal["reject", "delay"] = "reject"
    allow_override: bool = False
    max_size: Annotated[int, Ge(0)] = 0


@policy("engine", "dynamic-batch")
class DynamicBatch(Gathering):
    """Calls gather into batches: one starts at a preferred size, or when its oldest call has waited enough.

    While all instances are busy calls go on gathering, so batches grow with the load. The largest of the
    `preferred` sizes (the full batch unless given) that is there starts at once; after `max_delay` all
    that is there does. With `max_delay` 0 a free instance takes what is there if no preferred size is.
    The rules of the Triton inference server's dynamic batcher for calls of one item and equal shapes.
    Source: triton-inference-server/core src/dynamic_batch_scheduler.cc and src/scheduler_utils.cc.
    A call that its client cancels is dropped while it waits; a batch is not interrupted (user guide, "Request
    Cancellation").

    max_batch: most calls in one batch.
    max_delay: longest time a call is held back to gather a batch.
    instances: batches a replica serves at the same time.
    preferred: sizes that start at once.
    priority_levels: number of levels; 0 for one line. All calls of a level go before those of the next.
        Level 1 is the first; an application with `priority` p has level `priority_levels` + 1 - p, one
        with a priority outside of 1 to `priority_levels` has the `default_level`.
    default_level: level of calls without a priority.
    queue: bounds of the line, or of each level's line.
    level_queues: bounds of single levels, in place of `queue`.
    preserve_ordering: replies leave in the order in which calls were taken into batches.
    """

    cancels = "waiting"

    max_batch: Annotated[int, Ge(1)] = 8
    max_delay: Seconds = 0.0
    instances: Annotated[int, Ge(1)] = 1
    preferred: list[Annotated[int, Ge(1)]] = field(default_factory=list)
    priority_levels: Annotated[int, Ge(0), Le(1000)] = 0
    default_level: Annotated[int, Ge(0)] = 0
    queue: QueuePolicy | None = None
    level_queues: dict[int, QueuePolicy] = field(default_factory=dict)
    preserve_ordering: bool = False

    def __post_init__(self) -> None:
        if any(size > self.max_batch for size in self.preferred):
            raise ValueError(f"no preferred size can be above max_batch, {self.max_batch}")
        levels = self.priority_levels
        if levels and not 1 <= self.default_level <= levels:
            raise ValueError(
                f"default_level must be one of the levels 1 to {levels}, got {self.default_level}"
            )
        if not levels and self.default_level:
            raise ValueError("default_level needs priority_levels")
        unknown = [level for level in self.level_queues if not 1 <= level <= levels]
        if unknown:
            known = f"levels are 1 to {levels}" if levels else "there are no priority_levels"
            raise ValueError(f"level_queues names level {unknown[0]}, but {known}")
        self._sizes = sorted(self.preferred, reverse=True) or [self.max_batch]

    @property
    def levelled(self) -> bool:
        """Whether a replica needs more than one plain line."""
        return bool(self.priority_levels or self.queue is not None or self.preserve_ordering)

    def level(self, priority: int) -> int:
        """The level of a call of an application with this priority."""
        levels = self.priority_levels
        return levels + 1 - priority if 1 <= priority <= levels else self.default_level

    def rules(self, level: int) -> QueuePolicy:
        """The bounds of a level's line."""
        return self.level_queues.get(level) or self.queue or QueuePolicy()

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
