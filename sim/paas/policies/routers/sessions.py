"""A session stays where it began."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sim.paas.policies.routers.base import R, Signals, least, load_of, session_of
from sim.registry import policy
from sim.units import Seconds

if TYPE_CHECKING:
    from sim.kernel.streams import RandomStreams
    from sim.paas.calls import Call

#: Sessions remembered; beyond that the one not heard of for longest is forgotten.
MOST_SESSIONS = 100_000


@policy("router", "session-affinity")
class SessionAffinity:
    """Send all calls of a session to the replica of its first one; a new session to the least loaded.

    A session whose replica is gone begins anew elsewhere. Calls without a session are new sessions.
    """

    staleness: Seconds = 0.0

    def start(self, streams: RandomStreams, name: str) -> None:
        """Know no session yet."""
        self._loads = Signals(load_of, self.staleness)
        self._home: OrderedDict[str, Any] = OrderedDict()

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        session = session_of(call)
        home: R | None = self._home.get(session)
        if home is None or home not in replicas:
            home = replicas[least(self._loads.of(replicas, now))]
        self._home[session] = home
        self._home.move_to_end(session)
        if len(self._home) > MOST_SESSIONS:
            self._home.popitem(last=False)
        return home
