"""Why a group waited, moment by moment: its own attempts, those of its like, and who held up the queue.

A group is not tried while another of the same shape ahead of it does not fit, nor behind the first
of a strict queue; what is told of those then holds for it as well.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from math import inf

from sim.paas.decisions import OVER_QUOTA, WOULD_DELAY
from sim.report.explain.records import Records, Row, Stay

#: Reasons that no attempt gives.
BEHIND = "behind the first in line"
UNTOLD = "not recorded"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a wait with one reason.

    Attributes:
        start: moment it began.
        end: moment it ended, that of the run if the group still waits.
        reason: why it could not start.
        by: who held it up, empty for nobody in particular.
        until: moment from which that one had a reservation; infinite if it had none.
        row: the attempt that tells, if there is one.
    """

    start: float
    end: float
    reason: str
    by: str
    until: float
    row: Row | None


class Waits:
    """Answers why a group waited, from the rows of `decisions`."""

    def __init__(self, records: Records) -> None:
        self._records = records

    @cached_property
    def _told(self) -> dict[int, tuple[list[float], list[Row]]]:
        """By shape: attempts in vain, in order."""
        found: dict[int, tuple[list[float], list[Row]]] = {}
        for row in self._records.decisions:
            if row["outcome"] == "waiting":
                times, rows = found.setdefault(int(row["shape"]), ([], []))
                times.append(row["time"])
                rows.append(row)
        return found

    @cached_property
    def queued(self) -> dict[int, Row]:
        """Rows of recorded groups joining the queue, by their first unit."""
        return {int(row["unit"]): row for row in self._records.decisions if row["outcome"] == "queued"}

    @cached_property
    def _named(self) -> dict[tuple[str, float], Row]:
        return {(row["owner"], row["time"]): row for row in self.queued.values()}

    @cached_property
    def _hold_times(self) -> list[float]:
        return [row["time"] for row in self._records.holds]

    @cached_property
    def _left(self) -> dict[int, float]:
        """When each unit left the queue."""
        return {unit: stay.left for stay in self._records.stays for unit, _, _ in stay.units}

    def joined(self, stay: Stay) -> Row | None:
        """The row of the group joining the queue, if it was recorded."""
        # The units of an elastic gang are numbered anew when it changes its size in the queue.
        found = self.queued.get(stay.units[0][0])
        return found or (self._named.get((stay.owner, stay.submitted)) if stay.kind == "worker" else None)

    def spans(self, stay: Stay) -> list[Span]:
        """The wait in parts with one reason each, in order; none if it did not wait."""
        start, end = stay.submitted, min(stay.left, self._records.end)
        joined = self.joined(stay)
        if end <= start or joined is None:
            return []
        shape, mine = int(joined["shape"]), int(joined["group"])
        times, rows = self._told.get(shape, ([], []))
        if any(row["reason"] == OVER_QUOTA for row in rows):
            # What a queue lacks is nothing to the groups of another.
            tenant = self._tenant(stay.owner)
            rows = [
                row for row in rows if row["reason"] != OVER_QUOTA or self._tenant(row["owner"]) == tenant
            ]
            times = [row["time"] for row in rows]
        told = rows[bisect_right(times, start) : bisect_right(times, end)]
        told = [*self._before(times, rows, start), *told]
        first = max(0, bisect_right(self._hold_times, start) - 1)
        holds = self._records.holds[first : bisect_right(self._hold_times, end)]
        changes = sorted(
            [(max(row["time"], start), int(row["id"]), row) for row in told + holds],
            key=lambda change: change[:2],
        )
        spans: list[Span] = []
        hold: Row | None = None
        answer: Row | None = None
        for position, (time, _, row) in enumerate(changes):
            if row["outcome"] == "waiting":
                answer = row
            else:
                hold = row if row["outcome"] == "holds" else None
            until = changes[position + 1][0] if position + 1 < len(changes) else end
            if not spans and time > start:
                spans.append(Span(start, time, UNTOLD, "", inf, None))
            if until > time:
                _extend(spans, _span(time, until, hold, answer, mine))
        return spans or [Span(start, end, UNTOLD, "", inf, None)]

    def _tenant(self, owner: str) -> object:
        job = self._records.jobs.get(owner)
        return None if job is None else job["tenant"]

    def _before(self, times: list[float], rows: list[Row], start: float) -> list[Row]:
        """The last thing that one of its like was told that was still in line when it came."""
        for at in range(bisect_right(times, start) - 1, -1, -1):
            if times[at] == start or self._left[int(rows[at]["unit"])] > start:
                return [rows[at]]
        return []


def _span(start: float, end: float, hold: Row | None, answer: Row | None, mine: int) -> Span:
    if hold is not None and hold["group"] != mine and hold["until"] == inf:
        return Span(start, end, BEHIND, hold["owner"], inf, None)
    if answer is None:
        return Span(start, end, UNTOLD, "", inf, None)
    if answer["reason"] == WOULD_DELAY and hold is not None:
        # It is not tried again because another has become the first in line.
        return Span(start, end, WOULD_DELAY, hold["owner"], hold["until"], answer)
    return Span(start, end, answer["reason"], answer["by"], inf, answer)


def _extend(spans: list[Span], span: Span) -> None:
    """Append a span, or lengthen the last one if it says the same."""
    last = spans[-1] if spans else None
    if last is not None and (last.reason, last.by) == (span.reason, span.by):
        spans[-1] = Span(last.start, span.end, last.reason, last.by, last.until, last.row or span.row)
    else:
        spans.append(span)
