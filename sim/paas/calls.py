"""A call: one piece of work asked of a service, and the batch it is served in.

A request of an application makes one call per service it needs. The service fills in the moments
and the outcome, then hands the call back exactly once through `on_done`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from sim.tables import IN_FLIGHT

if TYPE_CHECKING:
    from sim.catalog import Device

NAN = float("nan")


class Numbered(Protocol):
    """Whatever a call belongs to; only its number is recorded."""

    id: int


class Call:
    """One piece of work for a service, from the moment it enters until it leaves.

    Attributes:
        id: number of the call in the run.
        request: what it belongs to; any object with an integer `id`.
        on_done: called once with the call, when it has left the service.
        work: factor on the service time (mean 1 over an application's calls).
        tokens_in: prompt tokens, for language models.
        tokens_out: tokens to generate, for language models.
        priority: larger is more important, where admission or the engine look at it.
        service: name of the service asked.
        enter: moment it reached the service (s).
        start: moment its service began (s), NaN if never.
        finish: moment it left, served or not (s).
        replica: unit that served it, -1 for none.
        batch: size of the batch it was served in, 0 for none.
        status: one of the outcomes in `sim.tables`.
        reason: why it did not complete.
        entry: its place in a waiting line, while it waits.
        model: which of the models that its service hosts, "" where it hosts none.
        cache: of its prompt, where one replica processes it and another one generates (`sim.paas.handover`).
        moved: seconds between start and finish that the cache was on its way.
        timeout: how long its client waits for it (s); infinite for as long as it takes.
    """

    __slots__ = (
        "batch",
        "cache",
        "enter",
        "entry",
        "finish",
        "id",
        "model",
        "moved",
        "on_done",
        "priority",
        "reason",
        "replica",
        "request",
        "service",
        "start",
        "status",
        "timeout",
        "tokens_in",
        "tokens_out",
        "work",
    )

    def __init__(
        self,
        id: int,
        request: Numbered,
        on_done: Callable[[Call], None],
        work: float = 1.0,
        tokens_in: int = 0,
        tokens_out: int = 0,
        priority: int = 0,
    ) -> None:
        self.id = id
        self.request = request
        self.on_done = on_done
        self.work = work
        self.tokens_in = tokens_in
        self.tokens_out = tokens_out
        self.priority = priority
        self.service = ""
        self.enter = NAN
        self.start = NAN
        self.finish = NAN
        self.replica = -1
        self.batch = 0
        self.status = IN_FLIGHT
        self.reason = ""
        self.entry: Any = None
        self.cache: Any = None
        self.moved = 0.0
        self.timeout = inf
        self.model = ""


class Batch:
    """What a time model sees of the calls that are served together.

    Attributes:
        count: calls in the batch.
        work: sum of their work factors.
        tokens_in: sum of their prompt tokens.
        tokens_out: sum of the tokens they generate.
        longest_out: tokens the longest of them generates.
        device: accelerator or processor it runs on, None if the node names none.
    """

    __slots__ = ("count", "device", "longest_out", "tokens_in", "tokens_out", "work")

    def __init__(
        self,
        count: int = 1,
        work: float | None = None,
        tokens_in: int = 0,
        tokens_out: int = 0,
        longest_out: int | None = None,
        device: Device | None = None,
    ) -> None:
        self.count = count
        self.work = float(count) if work is None else work
        self.tokens_in = tokens_in
        self.tokens_out = tokens_out
        self.longest_out = tokens_out if longest_out is None else longest_out
        self.device = device

    def fill(self, calls: Sequence[Call]) -> None:
        """Describe these calls; a replica reuses one Batch, so nothing is allocated per batch."""
        if len(calls) == 1:
            call = calls[0]
            self.count = 1
            self.work = call.work
            self.tokens_in = call.tokens_in
            self.tokens_out = self.longest_out = call.tokens_out
            return
        work, tokens_in, tokens_out, longest = 0.0, 0, 0, 0
        for call in calls:
            work += call.work
            tokens_in += call.tokens_in
            tokens_out += call.tokens_out
            if call.tokens_out > longest:
                longest = call.tokens_out
        self.count = len(calls)
        self.work = work
        self.tokens_in = tokens_in
        self.tokens_out = tokens_out
        self.longest_out = longest
