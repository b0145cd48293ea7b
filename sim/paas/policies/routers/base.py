"""What a router may know of calls and replicas, and how old its knowledge may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from sim.kernel.streams import RandomStreams
    from sim.paas.calls import Call
    from sim.paas.replica import Replica


class Loaded(Protocol):
    """What every replica has: calls waiting or served there."""

    load: int


R = TypeVar("R", bound=Loaded)


class Router(Protocol):
    """What a service needs of its router."""

    def start(self, streams: RandomStreams, name: str) -> None:
        """Acquire what it needs for a run of the service of that name."""

    def pick(self, call: Call, replicas: Sequence[Replica], now: float) -> Replica:
        """The replica that gets the call."""


def load_of(replica: Any) -> float:
    """Calls waiting or in service at a replica."""
    return float(replica.load)


def waiting_of(replica: Any) -> float:
    """Calls waiting at a replica; 0 where its engine does not tell."""
    return float(getattr(replica, "waiting", 0))


def kv_use(replica: Any) -> float:
    """Share of a replica's key-value cache in use, 0 to 1; 0 for engines without one."""
    return float(getattr(replica, "kv_use", 0.0))


def pending_tokens(replica: Any) -> float:
    """Prompt tokens of the calls that wait for a place at a replica; 0 where its engine does not tell."""
    return float(getattr(replica, "pending", 0))


def cached(replica: Any, call: Call) -> int:
    """Tokens of the call's prompt that a replica has in its prefix cache; 0 for engines without one."""
    look = getattr(replica, "cached", None)
    return 0 if look is None else int(look(call))


def session_of(call: Call) -> str:
    """What calls of one session have in common: the session of the call or its request, else the request."""
    for owner in (call, call.request):
        session = getattr(owner, "session", None)
        if session is not None:
            return f"session-{session}"
    return f"request-{call.request.id}"


class Signals:
    """A signal of all replicas as it was at the last look, which is at most `staleness` seconds old.

    The first call that comes `staleness` after the last look makes the router look again, at all
    replicas at once. A replica that is new since then is looked at once.

    Args:
        read: of one replica.
        staleness: seconds; 0: always the present value.

    Attributes:
        taken: moment of the last look (s).
    """

    __slots__ = ("_read", "_seen", "_staleness", "taken")

    def __init__(self, read: Callable[[Any], float], staleness: float) -> None:
        self._read = read
        self._staleness = staleness
        self.taken = -inf
        self._seen: dict[Any, float] = {}

    def of(self, replicas: Sequence[Any], now: float) -> list[float]:
        """The signal of each of the replicas."""
        read = self._read
        if self._staleness == 0.0:
            return [read(replica) for replica in replicas]
        if now >= self.taken + self._staleness:
            self.taken = now
            self._seen = {replica: read(replica) for replica in replicas}
        seen = self._seen
        return [seen[r] if r in seen else seen.setdefault(r, read(r)) for r in replicas]


def least(values: Sequence[float]) -> int:
    """Place of the smallest value, the first of equal ones."""
    return min(range(len(values)), key=values.__getitem__)
