"""Why each unit went where it went, or waits: the tables `decisions`, `rejections` and `finalists`.

The scheduler and the placer tell what they do; policies know nothing of it, filters are asked again
only where that changes nothing, and no scorer is asked twice (a random one would answer otherwise).
An attempt that gets the same answer as the one before is counted and not written again, so that a
long wait costs a few rows, however often it was tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf, nan
from typing import TYPE_CHECKING, Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sim.iaas.nodes import Cluster
from sim.kernel.context import Context
from sim.paas.policies.filters import Filter, Mask, ResourcesFit
from sim.paas.policies.scores import Indices, Score
from sim.paas.units import Group, Shape, Unit

if TYPE_CHECKING:
    from sim.paas.placement import Gate
    from sim.paas.policies.discipline import Discipline
    from sim.paas.queue import WaitingQueue

#: With `sampled`, one name in so many is recorded.
SAMPLE = 50
#: So many of the best candidates are kept with their points.
FINALISTS = 3
#: Units of one gang whose rejections and finalists are kept; of the others only the node.
UNITS = 8
#: Stretches of node numbers kept for one reason; beyond them, nodes are only counted.
RANGES = 16

#: Reasons that no filter gives.
TOO_FEW = "too few places for the whole gang"
WOULD_DELAY = "would delay a job ahead of it"
OVER_QUOTA = "the quota of its queue is used up"

Reasons = list[tuple[str, Mask]]
#: A row of `decisions` without its last two columns.
Row = tuple[int, float, int, str, int, str, float, int, str, str, float, int, str, int, str]
GroupShape = tuple[tuple[Shape, int], ...]


class _Look:
    """What the placer saw when it looked for one unit."""

    __slots__ = ("at", "best", "candidates", "points", "reasons", "unit")

    def __init__(self, unit: Unit, reasons: Reasons, candidates: int, at: int) -> None:
        self.unit = unit
        self.reasons = reasons
        self.candidates = candidates
        self.at = at
        self.best: list[int] = []
        self.points: list[list[float]] = []


class _Wait:
    """The answer a waiting group got last, not written yet."""

    __slots__ = ("answer", "attempts", "last", "row")

    def __init__(self, answer: tuple[object, ...], row: Row, now: float) -> None:
        self.answer = answer
        self.row = row
        self.last = now
        self.attempts = 1


class DecisionLog:
    """Records what happens to the groups of a scheduler.

    With `sampled`, a job is recorded if the checksum of its name says so, whatever else runs; failed
    attempts of other groups of the same shape are recorded while such a job waits, since their answer
    is its answer as well.

    Args:
        ctx: clock and records.
        cluster: the nodes.
        queue: where groups wait.
        discipline: what happens behind a group that does not fit.
        scores: the scorers with their weights.
        mode: record one name in `SAMPLE`, or all.

    Attributes:
        active: whether the present attempt is recorded; the placer looks here first.
    """

    def __init__(
        self,
        ctx: Context,
        cluster: Cluster,
        queue: WaitingQueue,
        discipline: Discipline,
        scores: Sequence[tuple[Score, float]],
        mode: Literal["sampled", "all"],
    ) -> None:
        self.active = False
        self._kernel = ctx.kernel
        self._rows = ctx.recorder.table("decisions")
        self._rejections = ctx.recorder.table("rejections")
        self._finalists = ctx.recorder.table("finalists")
        self._shapes = ctx.recorder.table("shapes")
        self._cluster = cluster
        self._queue = queue
        self._order, self._discipline = _name(queue.order), _name(discipline)
        self._names = [_name(policy) for policy, _ in scores]
        self._weights = [weight for _, weight in scores]
        self._all = mode == "all"
        self._count = 0
        self._numbers: dict[GroupShape, int] = {}
        self._fixed: dict[Shape, dict[int, Mask]] = {}
        self._looks: list[_Look] = []
        self._group: Group | None = None
        #: Groups of each owner so far: the replicas of a service are told apart by it.
        self._of_owner: Counter[str] = Counter()
        self._recorded: set[int] = set()
        self._watched: Counter[GroupShape] = Counter()
        self._waits: dict[int, _Wait] = {}
        #: Who holds up the queue and when it can start: now, and as written last.
        self._hold: tuple[Group | None, float] = (None, nan)
        self._written: tuple[Group | None, float] = (None, nan)
        self._held = False

    # ---------------------------------------------------------------- what the scheduler tells

    def queued(self, group: Group) -> None:
        """A group has joined the queue."""
        unit = group.units[0]
        name = unit.owner
        if unit.kind == "replica":
            name = f"{name}#{self._of_owner[name]}"
            self._of_owner[unit.owner] += 1
        if not self._all:
            if not _sampled(name):
                return
            self._watched[group.shape] += 1
        self._recorded.add(group.id)
        self._write(self._row(group, "queued", unit=unit.id, reason=self._order), self._kernel.now, 1)
        self._write_hold()

    def begin(self, group: Group) -> None:
        """An attempt to place this group begins."""
        self._group = group
        self._looks.clear()
        self.active = self._all or group.id in self._recorded or (
            bool(self._watched) and group.shape in self._watched
        )  # fmt: skip

    def end(self, bound: bool) -> None:
        """The attempt is over: a row for each unit bound, or one for the unit that found no place."""
        group = self._group
        if not self.active or group is None:
            return
        self.active = False
        now = self._kernel.now
        if not bound:
            self._waiting(group, self._looks[-1], now)
        elif group.id in self._recorded:
            self._flush(group)
            for position, look in enumerate(self._looks):
                node = self._cluster.nodes[look.at].name
                row = self._row(group, "bound", unit=look.unit.id, node=node, candidates=look.candidates)
                number = self._write(row, now, 1)
                if position < UNITS:
                    self._details(number, look)

    def holds(self, head: Group, gate: Gate | None) -> None:
        """In this pass the group has to wait, and those behind it must pass the gate, if there is one."""
        until = inf if gate is None else gate.until
        if gate is None or until < inf:
            self._hold = (head, until)
            self._held = True

    def passed(self) -> None:
        """A pass over the queue is over."""
        if not self._held:
            self._hold = (None, nan)
        self._held = False
        if self._recorded:
            self._write_hold()

    def left(self, group: Group) -> None:
        """The group has left the queue, bound or withdrawn."""
        self._flush(group)
        if group.id in self._recorded:
            self._recorded.discard(group.id)
            if not self._all:
                self._watched[group.shape] -= 1
                if not self._watched[group.shape]:
                    del self._watched[group.shape]

    def preempted(self, victim: Group, for_group: Group | None, reason: str) -> None:
        """A running group is taken off its nodes, for the sake of another or by a rule."""
        by = "" if for_group is None else for_group.units[0].owner
        if not (self._all or _sampled(by) or _sampled(victim.units[0].owner)):
            return
        row = self._row(victim, "preempted", by=by, reason=reason, unit=victim.units[0].id)
        self._write(row, self._kernel.now, 1)

    def close(self) -> None:
        """Write what is still open; call it once, after the run."""
        for wait in self._waits.values():
            self._write(wait.row, wait.last, wait.attempts)
        self._waits.clear()

    # ---------------------------------------------------------------- what the placer tells

    def looked(
        self,
        unit: Unit,
        filters: Sequence[Filter],
        also: Mask | None,
        candidates: Indices,
        at: int,
        points: Sequence[NDArray[np.float64]],
    ) -> None:
        """The placer filtered and scored for one unit, and chose node `at` (-1 for none)."""
        full = len(self._looks) < UNITS or at < 0
        look = _Look(unit, self._reasons(unit, filters, also) if full else [], len(candidates), at)
        if full and points:
            total = sum(weight * part for weight, part in zip(self._weights, points, strict=True))
            first = np.argsort(-np.asarray(total), kind="stable")[:FINALISTS]
            look.best = candidates[first].tolist()
            look.points = [part[first].tolist() for part in points]
        self._looks.append(look)

    def short(self, unit: Unit, filters: Sequence[Filter]) -> None:
        """There are too few places for all units of the group; none was tried."""
        if self.active:
            reasons = self._reasons(unit, filters, None)
            left = ~np.logical_or.reduce([mask for _, mask in reasons]) if reasons else None
            if left is None:
                left = np.ones(len(self._cluster.nodes), dtype=np.bool_)
            if left.any():
                reasons.append((TOO_FEW, left))
            self._looks.append(_Look(unit, reasons, 0, -1))

    def over_quota(self, unit: Unit) -> None:
        """The queue of the group's tenant has too little left of its quota; no node was looked at."""
        if self.active:
            everywhere = np.ones(len(self._cluster.nodes), dtype=np.bool_)
            self._looks.append(_Look(unit, [(OVER_QUOTA, everywhere)], 0, -1))

    # ---------------------------------------------------------------- rows

    def _waiting(self, group: Group, look: _Look, now: float) -> None:
        reasons = tuple(reason for reason, _ in look.reasons)
        by = until = None
        if WOULD_DELAY in reasons and self._hold[0] is not None:
            by, until = self._hold[0].units[0].owner, self._hold[1]
        # The last filter to reject is the one that would have to change its mind. A gang may find
        # no place or too few of them from one moment to the next; that is one reason, not two.
        reason = reasons[-1] if reasons else ""
        if len(group.units) > 1 and reason == ResourcesFit.reason:
            reason = TOO_FEW
        answer = (reason, {*reasons, TOO_FEW} - {ResourcesFit.reason}, by)
        wait = self._waits.get(group.id)
        if wait is not None and wait.answer == answer:
            wait.attempts += 1
            wait.last = now
            return
        self._flush(group)
        row = self._row(
            group,
            "waiting",
            unit=look.unit.id,
            by=by or "",
            until=nan if until is None else until,
            reason=reason,
        )
        self._waits[group.id] = _Wait(answer, row, now)
        self._details(row[0], look)

    def _flush(self, group: Group) -> None:
        wait = self._waits.pop(group.id, None)
        if wait is not None:
            self._write(wait.row, wait.last, wait.attempts)

    def _write_hold(self) -> None:
        if self._hold == self._written:
            return
        self._written = self._hold
        head, until = self._hold
        row: Row = (self._next(), self._kernel.now, -1, "", -1, "open", nan, 0, "", "", nan, -1, "", 0, "")
        if head is not None:
            row = self._row(head, "holds", until=until, reason=self._discipline)
        self._write(row, self._kernel.now, 1)

    def _row(
        self,
        group: Group,
        outcome: str,
        *,
        unit: int = -1,
        node: str = "",
        candidates: int = 0,
        by: str = "",
        until: float = nan,
        reason: str = "",
    ) -> Row:
        key, ahead, head = nan, 0, ""
        if group in self._queue:
            key, ahead, first = self._queue.ahead(group)
            head = "" if first is None else first.units[0].owner
        shape = self._number(group)
        now = self._kernel.now
        owner = group.units[0].owner
        return (
            self._next(), now, group.id, owner, shape, outcome, key, ahead, head, by, until, unit, node,
            candidates, reason,
        )  # fmt: skip

    def _next(self) -> int:
        self._count += 1
        return self._count - 1

    def _write(self, row: Row, last: float, attempts: int) -> int:
        self._rows.add((*row, last, attempts))
        return row[0]

    def _number(self, group: Group) -> int:
        number = self._numbers.get(group.shape)
        if number is None:
            number = self._numbers[group.shape] = len(self._numbers)
            for shape, count in group.shape:
                resources, site, pools, device, memory = shape[:5]
                named = " ".join(sorted(pools)) if pools is not None else ""
                self._shapes.add((number, count, *resources, site or "", named, device or "", memory))
        return number

    def _details(self, number: int, look: _Look) -> None:
        for reason, mask in look.reasons:
            at = np.flatnonzero(mask)
            breaks = np.flatnonzero(np.diff(at) > 1)
            firsts = at[np.concatenate([[0], breaks + 1])][:RANGES].tolist()
            lasts = at[np.concatenate([breaks, [len(at) - 1]])][:RANGES].tolist()
            for first, last in zip(firsts, lasts, strict=True):
                self._rejections.add((number, reason, first, last, last - first + 1))
            rest = len(at) - sum(last - first + 1 for first, last in zip(firsts, lasts, strict=True))
            if rest:
                self._rejections.add((number, reason, -1, -1, rest))
        for rank, at_node in enumerate(look.best):
            for scorer, weight, points in zip(self._names, self._weights, look.points, strict=True):
                self._finalists.add((number, rank, at_node, scorer, points[rank], weight))

    def _reasons(self, unit: Unit, filters: Sequence[Filter], also: Mask | None) -> Reasons:
        """Nodes by the filter that was the first to reject them."""
        nodes = len(self._cluster.nodes)
        fixed = self._fixed.get(unit.shape)
        if fixed is None or any(len(mask) != nodes for mask in fixed.values()):
            fixed = {
                k: policy.reject(unit, self._cluster)
                for k, policy in enumerate(filters)
                if not policy.retry_on
            }
            self._fixed[unit.shape] = fixed
        ok: Mask = np.ones(nodes, dtype=np.bool_)
        found: Reasons = []
        for k, policy in enumerate(filters):
            out = (fixed[k] if k in fixed else policy.reject(unit, self._cluster)) & ok
            if out.any():
                found.append((policy.reason, out))
                ok &= ~out
        if also is not None:
            out = ok & ~also
            if out.any():
                found.append((WOULD_DELAY, out))
        return found


def _sampled(name: str) -> bool:
    return crc32(name.encode()) % SAMPLE == 0


def _name(policy: object) -> str:
    return str(getattr(policy, "policy", type(policy).__name__))
