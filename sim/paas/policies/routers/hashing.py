"""Consistent hashing with bounded loads."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from hashlib import blake2b
from math import ceil, inf
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt

from sim.paas.policies.routers.base import R, session_of
from sim.registry import policy

if TYPE_CHECKING:
    from sim.kernel.streams import RandomStreams
    from sim.paas.calls import Call


@policy("router", "consistent-hash")
class ConsistentHash:
    """Hash each session onto a ring of replicas; one that comes or goes moves few sessions.

    Each replica stands on the ring at `points` places. With `bound` no replica takes more than `bound`
    times the mean load, this call included: a call goes on to the next replica that may take it
    (Mirrokni, Thorup, Zadimoghaddam, SODA 2018).
    """

    points: Annotated[int, Ge(1)] = 100
    bound: Annotated[float, Gt(1)] | None = 1.25

    def start(self, streams: RandomStreams, name: str) -> None:
        """Begin without a ring."""
        self._known: list[Any] = []
        self._ring: list[tuple[int, int]] = []

    def pick(self, call: Call, replicas: Sequence[R], now: float) -> R:
        """Choose a replica."""
        if self._known != list(replicas):
            self._known = list(replicas)
            places = enumerate(_number(replica, at) for at, replica in enumerate(replicas))
            self._ring = sorted(
                (_hash(f"replica-{number}/{point}"), at)
                for at, number in places
                for point in range(self.points)
            )
        ring = self._ring
        total = sum(replica.load for replica in replicas)
        most = inf if self.bound is None else ceil(self.bound * (total + 1) / len(replicas))
        first = bisect_left(ring, (_hash(session_of(call)), -1))
        for step in range(len(ring)):
            replica = replicas[ring[(first + step) % len(ring)][1]]
            if replica.load + 1 <= most:
                return replica
        raise AssertionError("the mean load is below the bound, so one replica has room")


def _number(replica: Any, at: int) -> int:
    unit = getattr(replica, "unit", None)
    return at if unit is None else int(unit.id)


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
