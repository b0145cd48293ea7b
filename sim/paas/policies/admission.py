"""Admission: whether a service lets a call in, or turns it away at the door.

A policy has `admit(call, service, now)`, which returns "" for yes, or the reason for no. What it may look
at of the service: `in_system`, `queued`, `ready` (replicas), `expected_wait()`, `expected_seconds(...)`.
It is asked once for each call, before any replica is; queue limits hold besides.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from annotated_types import Ge, Gt

from sim.registry import policy
from sim.units import PerSecond, PositiveSeconds, Seconds

if TYPE_CHECKING:
    from sim.paas.calls import Call


class Guarded(Protocol):
    """What a policy may know of its service."""

    @property
    def in_system(self) -> int:
        """Calls that wait or are served."""

    @property
    def queued(self) -> int:
        """Calls that wait."""

    @property
    def ready(self) -> int:
        """Replicas that take calls."""

    def expected_wait(self) -> float:
        """Estimate of the wait of a call that comes now (s)."""

    def expected_seconds(
        self, work: float = 1.0, tokens_in: float | None = None, tokens_out: float | None = None
    ) -> float:
        """Service time of a call alone in its batch (s)."""


class Admission(Protocol):
    """What a service asks."""

    def admit(self, call: Call, service: Guarded, now: float) -> str:
        """Nothing for yes, or why not."""


@policy("admission", "token-bucket")
class TokenBucket:
    """Let calls in at `rate`, and `burst` of them at once after a pause.

    The bucket holds `burst` tokens and is filled at `rate`. A call takes one token, or with `cost: tokens`
    as many as its prompt has (the Gateway API's default is 10,000 tokens filled at 1000/s).
    """

    rate: PerSecond = 100.0
    burst: Annotated[float, Ge(1), Gt(0)] = 100.0
    cost: Literal["calls", "tokens"] = "calls"

    def start(self) -> None:
        """Begin with a full bucket."""
        self._left = self.burst
        self._at = 0.0

    def admit(self, call: Call, service: Guarded, now: float) -> str:
        """Nothing for yes, or why not."""
        self._left = min(self.burst, self._left + self.rate * (now - self._at))
        self._at = now
        price = 1.0 if self.cost == "calls" else float(max(1, call.tokens_in))
        # Rounding must not turn away who comes just when the last piece of a token has.
        if self._left < price * (1.0 - 1e-12):
            return "rate-limit"
        self._left -= price
        return ""


@policy("admission", "concurrency")
class ConcurrencyLimit:
    """Let a call in while fewer than `limit` are inside, per ready replica (one at least) or in all."""

    limit: Annotated[int, Ge(1)] = 16
    per: Literal["replica", "service"] = "replica"

    def admit(self, call: Call, service: Guarded, now: float) -> str:
        """Nothing for yes, or why not."""
        most = self.limit * (max(1, service.ready) if self.per == "replica" else 1)
        return "concurrency-limit" if service.in_system >= most else ""


@policy("admission", "priority")
class PriorityShedding:
    """Turn away the less important first: a class may enter while fewer than its number wait per replica.

    `classes` are calls waiting per ready replica by the lowest priority that the number is for:
    `{0: 20, -1: 5}` sheds calls of priority -1 (down to any lower one) from 5 on, the others from 20 on.
    """

    classes: dict[str, Annotated[float, Ge(0)]] = field(default_factory=lambda: {"0": 20.0, "-1": 5.0})

    def __post_init__(self) -> None:
        if not self.classes or not all(key.removeprefix("-").isdecimal() for key in self.classes):
            raise ValueError("classes are whole numbers, such as {0: 20, -1: 5}")
        self._limits = sorted(((int(key), most) for key, most in self.classes.items()), reverse=True)

    def admit(self, call: Call, service: Guarded, now: float) -> str:
        """Nothing for yes, or why not."""
        most = next((limit for lowest, limit in self._limits if call.priority >= lowest), self._limits[-1][1])
        return "shed" if service.queued >= most * max(1, service.ready) else ""


@policy("admission", "deadline")
class DeadlineAware:
    """Turn away what would be late: the time since the request was made, and the wait and service expected.

    `deadline` counts from the moment the user made the request; `margin` is kept for the way back.
    """

    deadline: PositiveSeconds = 1.0
    margin: Seconds = 0.0

    def admit(self, call: Call, service: Guarded, now: float) -> str:
        """Nothing for yes, or why not."""
        spent = now - getattr(call.request, "arrival", now)
        left = self.deadline - self.margin - spent
        need = service.expected_wait() + service.expected_seconds(call.work, call.tokens_in, call.tokens_out)
        return "would-be-late" if need > left else ""
