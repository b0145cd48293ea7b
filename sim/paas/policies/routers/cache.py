"""Routing to where the prompt's beginning is cached, as SGLang's router does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from sim.paas.policies.routers.base import R, Signals, cached, kv_use, least, load_of
from sim.registry import policy
from sim.units import Fraction, Seconds

if TYPE_CHECKING:
    from sim.kernel.streams import RandomStreams
    from sim.paas.calls import Call


@policy("router", "cache-aware")
class CacheAware:
    """Send a call where most of its prompt is cached, unless the replicas are out of balance.

    The rule of SGLang's router: out of balance (the largest load more than `balance_abs` above the
    smallest *and* more than `balance_rel` times it) the least loaded; else the replica with the longest
    cached prefix if that is more than `match` of the prompt; else the one with the least in its cache. Unlike
    there what is cached is known, not guessed from what was sent.
    """

    match: Fraction = 0.3
    balance_abs: Annotated[int, Ge(0)] = 64
    balance_rel: Annotated[float, Ge(1)] = 1.5
    staleness: Seconds = 0.0

    def start(self, streams: RandomStreams, name: str) -> None:
        """Know nothing yet."""
        self._loads = Signals(load_of, self.staleness)
        self._uses = Signals(kv_use, self.staleness)

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        loads = self._loads.of(replicas, now)
        low, high = min(loads), max(loads)
        if high - low > self.balance_abs and high > self.balance_rel * low:
            return replicas[least(loads)]
        found = [cached(replica, call) for replica in replicas]
        longest = max(found)
        if longest > self.match * max(1, call.tokens_in):
            return replicas[found.index(longest)]
        # Without engines that tell, the least loaded.
        uses = self._uses.of(replicas, now)
        return replicas[min(range(len(replicas)), key=lambda at: (uses[at], loads[at]))]
