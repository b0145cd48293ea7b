"""Clients that do not give up at once: retries with backoff, hedged requests, circuit breakers.

A client makes attempts, each a whole request of its own on the way to the services; the user's request
ends once, with the first attempt that succeeds or when no more is made. An attempt that the client no longer
waits for is cancelled, unless the client just goes away: a service whose engine listens lets go of its call
(`sim.paas.service.Service.cancel`), any other works on for nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from sim.tables import COMPLETED, IN_FLIGHT, REJECTED, TIMEOUT

if TYPE_CHECKING:
    from sim.kernel.context import Context
    from sim.paas.calls import Call
    from sim.paas.service import Service
    from sim.saas.requests import Request


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds from a failed attempt to the next one.

    Attributes:
        base: after the first failure.
        factor: for each further one.
        most: the longest.
        jitter: "full" draws uniformly between 0 and that time, "none" takes it.
    """

    base: float = 0.1
    factor: float = 2.0
    most: float = 10.0
    jitter: Literal["full", "none"] = "full"

    def wait(self, failures: int, uniform: Callable[[], float]) -> float:
        """Seconds to wait after so many failures."""
        longest = min(self.most, self.base * self.factor ** (failures - 1))
        return longest * uniform() if self.jitter == "full" else longest


@dataclass(frozen=True, slots=True)
class Breaking:
    """When a circuit breaker opens: after so many failures in a row, for so many seconds."""

    failures: int = 5
    open: float = 10.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What clients of an application do.

    Attributes:
        retries: attempts after the first one, at most.
        backoff: between them.
        timeout: seconds after which an attempt is not waited for any longer.
        hedge: seconds after which a second attempt is made beside one that has not ended.
        budget: retries and hedges at most per first attempt, over all requests (and 10 on credit).
        breaker: opens when attempts fail one after the other; None: none.
        cancel: whether services are told of an attempt that is not waited for any longer.
    """

    retries: int = 0
    backoff: Backoff = Backoff()
    timeout: float = inf
    hedge: float = inf
    budget: float = inf
    breaker: Breaking | None = None
    cancel: bool = True


class Breaker:
    """Closed: attempts pass. Open: they fail at once. Half open: one passes, and decides.

    Source: M. Nygard, Release It!, 2007 (the pattern).
    """

    __slots__ = ("_failures", "_rules", "_trial", "_until")

    def __init__(self, rules: Breaking) -> None:
        self._rules = rules
        self._failures = 0
        self._until = -inf
        self._trial = False

    def passes(self, now: float) -> bool:
        """Whether an attempt may be made now; after the pause the first one is the trial."""
        if self._failures < self._rules.failures:
            return True
        if now < self._until or self._trial:
            return False
        self._trial = True
        return True

    def ended(self, good: bool, now: float) -> None:
        """An attempt that passed has ended."""
        self._trial = False
        if good:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= self._rules.failures:
            self._until = now + self._rules.open


#: Retries that a budget grants beyond its share, so that a quiet client can retry at all.
CREDIT = 10.0


class Client:
    """Makes the attempts of an application's requests.

    Args:
        ctx: clock, randomness, records.
        name: of the application.
        rules: what it does.
        attempt: makes a copy of a request.
        send: sends a copy on its way.
        ended: called with a request and its outcome when it has ended.
        cancel: called with an attempt that is not waited for any longer.
    """

    def __init__(
        self,
        ctx: Context,
        name: str,
        rules: Behaviour,
        attempt: Callable[[Request], Request],
        send: Callable[[Request], object],
        ended: Callable[[Request, str, str], object],
        cancel: Callable[[Request], object],
    ) -> None:
        self._kernel = ctx.kernel
        self._name = name
        self._rules = rules
        #: Seconds after which an attempt is not waited for any longer.
        self.timeout = rules.timeout
        self._new = attempt
        self._send = send
        self._ended = ended
        self._cancel = cancel
        self._rows = ctx.recorder.table("attempts")
        self._uniform = ctx.streams.uniforms(f"saas/{name}/client")
        self._breaker = Breaker(rules.breaker) if rules.breaker is not None else None
        self._tokens = CREDIT

    def begin(self, request: Request) -> None:
        """A user has made a request."""
        request.tries = Tries(self._rules.retries)
        if self._rules.budget < inf:
            self._tokens = min(CREDIT, self._tokens + self._rules.budget)
        self._try(request, "first")

    def _try(self, request: Request, kind: str) -> None:
        if request.status != IN_FLIGHT:
            return
        tries: Tries = request.tries
        now = self._kernel.now
        tries.made += 1
        attempt = self._new(request)
        attempt.owner = request
        attempt.tries = Attempt(tries.made - 1, kind, now)
        if self._breaker is not None and not self._breaker.passes(now):
            attempt.tries.passed = False
            self._over(attempt, REJECTED, "circuit-open")
            return
        tries.open.append(attempt)
        rules = self._rules
        if rules.timeout < inf:
            self._kernel.call_in(rules.timeout, self._late, attempt)
        if rules.hedge < inf and kind == "first":
            self._kernel.call_in(rules.hedge, self._hedge, request)
        self._send(attempt)

    def _late(self, attempt: Request) -> None:
        """The client no longer waits for an attempt."""
        if not attempt.tries.over and attempt.owner.status == IN_FLIGHT:
            self._over(attempt, TIMEOUT, "client-timeout")
            if self._rules.cancel:
                self._cancel(attempt)

    def _hedge(self, request: Request) -> None:
        if request.status == IN_FLIGHT and request.tries.open and self._affords():
            self._try(request, "hedge")

    def _affords(self) -> bool:
        if self._rules.budget == inf:
            return True
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def done(self, attempt: Request, status: str, reason: str) -> None:
        """An attempt has come back from the services."""
        if not attempt.tries.over:
            self._over(attempt, status, reason)

    def _over(self, attempt: Request, status: str, reason: str) -> None:
        """An attempt counts as ended; it is perhaps still on its way."""
        request, mine = attempt.owner, attempt.tries
        now = self._kernel.now
        mine.over = True
        tries: Tries = request.tries
        if attempt in tries.open:
            tries.open.remove(attempt)
        self._record(attempt, now, status, reason)
        if self._breaker is not None and mine.passed:
            self._breaker.ended(status == COMPLETED, now)
        if request.status != IN_FLIGHT:
            return
        tries.add(attempt)
        if status == COMPLETED:
            self._finish(request, attempt, status, reason)
        elif tries.open:
            pass
        elif tries.left and mine.passed and self._affords():
            tries.left -= 1
            tries.failures += 1
            wait = self._rules.backoff.wait(tries.failures, self._uniform)
            self._kernel.call_in(wait, self._try, request, "retry")
        else:
            self._finish(request, attempt, status, reason)

    def _finish(self, request: Request, attempt: Request, status: str, reason: str) -> None:
        tries: Tries = request.tries
        now = self._kernel.now
        others, tries.open = tries.open, []
        for other in others:
            other.tries.over = True
            tries.add(other)
            self._record(other, now, IN_FLIGHT, "not waited for")
        request.site = attempt.site
        request.network, request.queue, request.compute = attempt.network, attempt.queue, attempt.compute
        request.sent, request.received = tries.sent, tries.received
        self._ended(request, status, reason)
        if self._rules.cancel:
            for other in others:
                self._cancel(other)

    def close(self, request: Request) -> None:
        """The run has ended with the request on its way."""
        for attempt in request.tries.open:
            self._record(attempt, float("nan"), IN_FLIGHT, "")

    def _record(self, attempt: Request, done: float, status: str, reason: str) -> None:
        mine: Attempt = attempt.tries
        owner: Any = attempt.owner
        self._rows.add(
            (owner.id, self._name, mine.number, mine.kind, attempt.site, mine.began, done, status, reason)
        )


class Tries:
    """How far the attempts of a request are; `sent` and `received` are bytes of those that are over."""

    __slots__ = ("failures", "left", "made", "open", "received", "sent")

    def __init__(self, left: int) -> None:
        self.left = left
        self.made = 0
        self.failures = 0
        self.open: list[Request] = []
        self.sent = self.received = 0.0

    def add(self, attempt: Request) -> None:
        """Count the bytes of an attempt that is over."""
        self.sent += attempt.sent
        self.received += attempt.received


class Attempt:
    """One attempt: its number, why and when it was made, whether it still counts, and its calls."""

    __slots__ = ("began", "calls", "cancelled", "kind", "number", "over", "passed")

    def __init__(self, number: int, kind: str, began: float) -> None:
        self.number = number
        self.kind = kind
        self.began = began
        self.over = False
        self.cancelled = False
        self.calls: list[tuple[Service, Call]] = []
        #: Whether the circuit breaker let it through.
        self.passed = True
