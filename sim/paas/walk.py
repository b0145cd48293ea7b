"""The walk through the queue: which waiting groups start now, and who has to make room for them."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING

from sim.paas.backfill import Reservation
from sim.paas.decisions import DecisionLog
from sim.paas.placement import Gate
from sim.paas.plan import Plan
from sim.paas.policies.discipline import Discipline
from sim.paas.policies.preemption import Preemption
from sim.paas.queue import Bucket, Entry
from sim.paas.units import Group

if TYPE_CHECKING:
    from sim.paas.scheduler import Scheduler


class Walk:
    """Tries waiting groups in order, each where discipline, quotas and those ahead of it let it.

    Args:
        scheduler: whose queue it is.
        discipline: what happens behind a group that does not fit.
        preemption: who has to make room.
        log: of decisions, if they are recorded.
    """

    def __init__(
        self, scheduler: Scheduler, discipline: Discipline, preemption: Preemption, log: DecisionLog | None
    ) -> None:
        self._scheduler = scheduler
        self._placer = scheduler.placer
        self._discipline = discipline
        self._preemption = preemption
        self._log = log

    def through(self, buckets: Iterable[Bucket], now: float) -> list[Group]:
        """Try the groups of these buckets in order; returns those that were bound."""
        started: list[Group] = []
        gate: Gate | None = None
        # (next entry of a bucket, its position there, the bucket): entries are unique.
        heads: list[tuple[Entry, int, Bucket]] = [(b.entries[0], 0, b) for b in buckets]
        heapify(heads)
        held: set[str] = set()
        quotas = self._scheduler.quotas
        while heads:
            (*_, group), at, bucket = heads[0]
            short = quotas is not None and quotas.short(group)
            if group.tenant in held:
                places = None
            elif short:
                places = self._reclaim(group, gate, now)
            else:
                places = None if bucket.blocked else self._try(group, bucket, gate, now)
            if places is None and (short or group.tenant in held):
                # Those behind it in the bucket ask for as much; in a strict queue all behind it wait.
                at = len(bucket.entries)
                if not self._discipline.overtaking:
                    held.add(group.tenant)
            elif places is not None:
                self._scheduler.bind(group, places, now)
                started.append(group)
                if self._scheduler.interrupted:
                    # Whoever made room may have a place elsewhere, before those behind it in the queue.
                    self._scheduler.look()
                    break
            elif bucket.blocked and gate is None:
                gate = self._discipline.hold(group, self._scheduler)
                at = len(bucket.entries) if gate is None else self._wait(group, at, bucket, gate)
                if self._log is not None:
                    self._log.holds(group, gate)
                if gate is None:
                    break
            elif gate is not None and (bucket.blocked or isinstance(gate, Plan)):
                at = self._wait(group, at, bucket, gate)
            else:
                assert isinstance(gate, Reservation)
                at = gate.next_short(bucket, at + 1, now)
            if at < len(bucket.entries):
                heapreplace(heads, (bucket.entries[at], at, bucket))
            else:
                heappop(heads)
        return started

    @staticmethod
    def _wait(group: Group, at: int, bucket: Bucket, gate: Gate) -> int:
        """A group cannot start now; the position in its bucket to go on at."""
        if isinstance(gate, Plan) and gate.promises:
            gate.promise(group)
            return at + 1
        # Those behind it in the bucket do not fit either.
        return len(bucket.entries)

    def _try(self, group: Group, bucket: Bucket, gate: Gate | None, now: float) -> list[int] | None:
        """Nodes for the group, or None; then `bucket.blocked` says whether room is what it lacks."""
        if self._log is not None:
            self._log.begin(group)
        places: list[int] | None
        if gate is not None and not gate.ends_by(group, now):
            places = self._behind(group, bucket, gate)
        else:
            places = self._placer.place(group)
            if places is None and (gate is None or gate.open):
                places = self._make_room(group, now)
            bucket.blocked = places is None
            if gate is not None and places is not None and not gate.keeps(group, places, now):
                places = self._behind(group, bucket, gate)
        if self._log is not None:
            self._log.end(places is not None)
        return places

    def _behind(self, group: Group, bucket: Bucket, gate: Gate) -> list[int] | None:
        """Nodes for a group that must leave what another waits for."""
        if self._log is not None:
            self._log.begin(group)
        places = self._placer.place(group, gate)
        bucket.blocked = places is None and not self._placer.enough(group)
        return places

    def _reclaim(self, group: Group, gate: Gate | None, now: float) -> list[int] | None:
        """Nodes for a group beyond its quota, if others have to give back what they borrowed, or None."""
        places = None
        if getattr(self._preemption, "reclaims", False) and (gate is None or gate.open):
            places = self._make_room(group, now)
        if places is None and self._log is not None:
            self._log.begin(group)
            self._log.over_quota(group.units[0])
            self._log.end(False)
        return places

    def _make_room(self, group: Group, now: float) -> list[int] | None:
        """Nodes for the group after others had to make room for it, or None."""
        while victims := self._preemption.victims(group, self._scheduler, now):
            for victim in victims:
                reason = f"preempted for {group.units[0].owner}"
                self._scheduler.preempt(victim, reason, graceful=self._preemption.graceful, for_group=group)
            if self._log is not None:
                self._log.begin(group)
            places = self._placer.place(group)
            if places is not None:
                return places
        return None
