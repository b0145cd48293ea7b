"""Why a job waited, and why it went where it went, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

from sim.errors import ResultsError
from sim.iaas import room
from sim.iaas.resources import RESOURCE_NAMES
from sim.paas.decisions import OVER_QUOTA
from sim.report.explain.records import Records, Row, Stay, grouped, short
from sim.report.explain.state import Request, State
from sim.report.explain.waits import Waits
from sim.report.explain.whatif import sooner

Json = dict[str, Any]

#: Groups ahead and groups that overtook that are named.
NAMED = 4


def explain_job(records: Records, owner: str) -> Json:
    """All that is known of why a job started when and where it did.

    Args:
        records: the run.
        owner: full name of the job, see `Records.job`.

    Raises:
        ResultsError: no decisions about it were recorded.
    """
    stays = records.by_owner.get(owner, [])
    waits = Waits(records)
    job = records.jobs.get(owner, {})
    if not stays:
        return {"kind": "job", "job": owner, "status": job.get("status"), "request": None, "waits": []}
    if all(waits.joined(stay) is None for stay in stays):
        raise ResultsError(_unrecorded(records, owner))
    recorded = [stay for stay in stays if waits.joined(stay) is not None]
    request = Request(records, records.shapes[int(_joined(waits, recorded[0])["shape"])])
    return {
        "kind": "job",
        "job": owner,
        **{name: job[name] for name in ("tenant", "status", "workers") if name in job},
        "submitted": stays[0].submitted,
        "started": _finite(job.get("started", stays[0].bound)),
        "finished": _finite(job.get("finished", inf)),
        "request": _request(request),
        "waits": [_wait(records, waits, stay) for stay in recorded],
    }


def _unrecorded(records: Records, owner: str) -> str:
    if not records.decisions:
        return (
            "this run recorded no decisions; run it again with --set record.decisions=all "
            "(or sampled, for one job in 50)"
        )
    known = sorted({row["owner"] for row in records.decisions if row["outcome"] == "queued"})
    return (
        f"{owner} is not among the {len(known)} jobs and services that were sampled "
        f"({', '.join(known[:5])}{', ...' if len(known) > 5 else ''}); "
        "run it again with --set record.decisions=all"
    )


def _joined(waits: Waits, stay: Stay) -> Row:
    row = waits.joined(stay)
    assert row is not None
    return row


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) < inf else None


def _request(request: Request) -> list[Json]:
    return [
        {
            "units": int(row["units"]),
            **{name: row[name] for name in RESOURCE_NAMES if row[name] > 0},
            **{name: row[name] for name in ("site", "pools", "device", "accelerator_memory") if row[name]},
        }
        for row in request.rows
    ]


def _wait(records: Records, waits: Waits, stay: Stay) -> Json:
    joined = _joined(waits, stay)
    request = Request(records, records.shapes[int(joined["shape"])])
    spans = waits.spans(stay)
    mine = int(joined["group"])
    attempts = [row for row in records.decisions if row["group"] == mine and row["outcome"] == "waiting"]
    first = next((span.row for span in spans if span.row is not None), None)
    left = min(stay.left, records.end)
    return {
        "submitted": stay.submitted,
        "left": _finite(stay.left),
        "waited": left - stay.submitted,
        "order": joined["reason"],
        "key": _finite(joined["key"]),
        "ahead": _ahead(records, waits, stay, joined),
        "spans": [
            {
                "start": span.start,
                "end": span.end,
                "reason": span.reason,
                "by": span.by,
                "until": _finite(span.until),
                "discipline": _discipline(records, span.start),
            }
            for span in spans
        ],
        "reservations": [
            {"time": row["time"], "until": row["until"]}
            for row in records.holds
            if row["group"] == mine and row["until"] < inf
        ],
        "attempts": sum(int(row["attempts"]) for row in attempts) + (stay.bound < inf),
        "rejected": rejected(records, first, request) if first is not None else [],
        "overtaken_by": _overtaken(records, stay),
        # What was tried knows nodes, not quotas.
        "sooner": []
        if any(span.reason == OVER_QUOTA for span in spans)
        else [each.plain() for each in sooner(records, stay, request)],
        "preempted_for_it": _preempted(records, "by", stay.owner, stay.submitted, stay.left),
        "placed": _placed(records, mine),
        "ended": _finite(stay.ended),
        "end_reason": stay.reason,
        "preempted": _preempted(records, "group", mine, stay.bound, stay.ended),
    }


def _discipline(records: Records, time: float) -> str:
    hold = records.hold_at(time)
    return "" if hold is None else str(hold["reason"])


def _ahead(records: Records, waits: Waits, stay: Stay, joined: Row) -> Json:
    """How many were before it in the queue when it came, and the first of them."""
    mine = (joined["key"], joined["time"], int(joined["group"]))
    before = []
    for other in records.stays:
        if other is not stay and other.submitted <= stay.submitted < other.left:
            row = waits.joined(other)
            if row is not None and (key := (row["key"], row["time"], int(row["group"]))) < mine:
                before.append((key, other.owner))
    named = [{"job": owner, "key": _finite(key[0])} for key, owner in sorted(before)[:NAMED]]
    return {"count": int(joined["ahead"]), "first": joined["head"], "named": named}


def _overtaken(records: Records, stay: Stay) -> Json:
    """Who came later and started sooner."""
    end = min(stay.left, records.end)
    rivals = [
        other.owner
        for other in records.stays
        if other.submitted > stay.submitted and other.bound < end and other.kind == stay.kind
    ]
    return {"count": len(rivals), "named": list(dict.fromkeys(rivals))[:NAMED]}


def _preempted(records: Records, side: str, who: str | int, start: float, end: float) -> list[Json]:
    return [
        {"time": row["time"], "victim": row["owner"], "by": row["by"], "reason": row["reason"]}
        for row in records.decisions
        if row["outcome"] == "preempted" and row[side] == who and start <= row["time"] <= end
    ]


def rejected(records: Records, attempt: Row, request: Request) -> list[Json]:
    """The nodes that an attempt found impossible, by reason."""
    found: dict[str, Json] = {}
    for row in records.rejections.get(int(attempt["id"]), ()):
        entry = found.setdefault(row["reason"], {"reason": row["reason"], "nodes": 0, "numbers": []})
        entry["nodes"] += int(row["nodes"])
        if row["first"] >= 0:
            entry["numbers"] += range(int(row["first"]), int(row["last"]) + 1)
    for entry in found.values():
        numbers = entry.pop("numbers")
        entry["names"] = grouped(records.nodes[at]["name"] for at in numbers)
        if entry["reason"] == "too little free" and len(request.kinds) == 1:
            entry["short_of"] = _short_of(records, attempt["time"], request, numbers)
    return list(found.values())


def _short_of(records: Records, time: float, request: Request, numbers: Sequence[int]) -> Json:
    """By resource: on how many of the nodes it is short, and the most that is free on one of them."""
    state = State(records, time)
    found: Json = {}
    for column, least in room.needed(request.kinds[0][1]):
        name = RESOURCE_NAMES[column if column < room.WHOLE else room.ACCELERATORS]
        free = state.room[list(numbers), column]
        lacking = int((free < least * (1 - 1e-9)).sum())
        if lacking:
            found[name] = {"nodes": lacking, "needed": least, "most_free": float(free.max(initial=0.0))}
    return found


def _placed(records: Records, group: int) -> list[Json]:
    """Where its units went, and against which other nodes."""
    return [
        {
            "unit": int(row["unit"]),
            "node": short(row["node"]),
            "time": row["time"],
            "candidates": int(row["candidates"]),
            "rejected": [
                {"reason": reason, "nodes": count}
                for reason, count in _counts(records.rejections.get(int(row["id"]), ())).items()
            ],
            **_contest(records, records.finalists.get(int(row["id"]), ())),
        }
        for row in records.decisions
        if row["group"] == group and row["outcome"] == "bound"
    ]


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row["reason"]] = found.get(row["reason"], 0) + int(row["nodes"])
    return found


def _contest(records: Records, rows: Iterable[Row]) -> Json:
    """The finalists with their points, and what decided between the first two."""
    ranks: dict[int, Json] = {}
    for row in rows:
        entry = ranks.setdefault(
            int(row["rank"]),
            {"node": short(records.nodes[int(row["node"])]["name"]), "points": {}, "sum": 0.0},
        )
        entry["points"][row["scorer"]] = {"points": row["points"], "weight": row["weight"]}
        entry["sum"] += row["points"] * row["weight"]
    finalists = [ranks[rank] for rank in sorted(ranks)]
    if len(finalists) < 2:
        return {"finalists": finalists, "decided_by": "the only node left" if not finalists else ""}
    one, two = finalists[:2]
    leads = {
        scorer: part["weight"] * (part["points"] - two["points"][scorer]["points"])
        for scorer, part in one["points"].items()
    }
    if abs(one["sum"] - two["sum"]) <= 1e-9 * max(1.0, abs(one["sum"])):
        return {"finalists": finalists, "decided_by": "tie"}
    best = max(leads, key=lambda scorer: leads[scorer])
    return {"finalists": finalists, "decided_by": best, "lead": one["sum"] - two["sum"]}
