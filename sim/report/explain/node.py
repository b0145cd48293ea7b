"""What ran on a node over time, whom it turned away, and the state of everything at one moment."""

from __future__ import annotations

from math import inf
from typing import Any

from sim.iaas.resources import RESOURCE_NAMES
from sim.report.explain.records import Records, Row, short
from sim.report.explain.state import State
from sim.report.explain.waits import Waits

Json = dict[str, Any]


def explain_node(records: Records, node: Row, time: float | None = None) -> Json:
    """Who was on a node and when, and who was rejected there and why.

    Args:
        records: the run.
        node: row of the node.
        time: only what was there at that second; all of the run unless given.
    """
    number, name = int(node["id"]), node["name"]
    guests = [
        (stay, sum(where == name for _, where, _ in stay.units))
        for stay in records.stays
        if stay.bound < inf and any(where == name for _, where, _ in stay.units)
    ]
    if time is not None:
        guests = [(stay, units) for stay, units in guests if stay.bound <= time < stay.ended]
    made: dict[tuple[str, str], Json] = {}
    owners = {int(row["id"]): row for row in records.decisions if row["outcome"] in ("waiting", "bound")}
    for key, rows in records.rejections.items():
        attempt = owners[key]
        if time is not None and not attempt["time"] <= time <= attempt["last"]:
            continue
        for row in rows:
            if row["first"] <= number <= row["last"]:
                entry = made.setdefault(
                    (attempt["owner"], row["reason"]),
                    {
                        "job": attempt["owner"],
                        "reason": row["reason"],
                        "attempts": 0,
                        "from": attempt["time"],
                    },
                )
                entry["attempts"] += int(attempt["attempts"])
                entry["to"] = attempt["last"]
    return {
        "kind": "node",
        "node": short(name),
        "instance": node["instance"],
        "has": {resource: node[resource] for resource in RESOURCE_NAMES if node[resource] > 0},
        "ready": None if node["ready"] != node["ready"] else node["ready"],
        "ended": None if node["ended"] != node["ended"] else node["ended"],
        "down": [{"from": a, "to": None if b == inf else b} for a, b, down in records.downs if down == name],
        "at": time,
        "busy": _share(records, name, guests),
        "ran": [
            {
                "job": stay.owner,
                "units": units,
                "from": stay.bound,
                "to": None if stay.ended == inf else stay.ended,
                "reason": stay.reason,
            }
            for stay, units in guests
        ],
        "recorded": bool(records.decisions),
        "rejected": list(made.values()),
    }


def _share(records: Records, name: str, guests: list[tuple[Any, int]]) -> float | None:
    """Mean share of its accelerators (or cores) that was promised, from when it was ready."""
    node = next(row for row in records.nodes if row["name"] == name)
    column = RESOURCE_NAMES.index("accelerators") if node["accelerators"] > 0 else 0
    end = records.end if node["ended"] != node["ended"] else node["ended"]
    if node["ready"] != node["ready"] or end <= node["ready"]:
        return None
    held = sum(
        asked[column] * (min(stay.ended, end) - stay.bound)
        for stay, _ in guests
        for _, where, asked in stay.units
        if where == name
    )
    return float(held / (node[RESOURCE_NAMES[column]] * (end - node["ready"])))


def explain_moment(records: Records, time: float) -> Json:
    """The queue, who held it up, and the nodes, at the end of one moment.

    Keys are those last recorded; an order whose keys drift may have sorted a little differently.
    """
    state = State(records, time)
    waits = Waits(records)
    waiting = [stay for stay in records.stays if stay.submitted <= time < stay.left]
    keys: dict[int, float] = {}
    for row in records.decisions:
        if row["time"] <= time and row["outcome"] in ("queued", "waiting"):
            keys[int(row["group"])] = row["key"]
    queue = []
    for stay in waiting:
        joined = waits.joined(stay)
        key = None if joined is None else keys[int(joined["group"])]
        span = next((span for span in waits.spans(stay) if span.start <= time < span.end), None)
        queue.append(
            {
                "job": stay.owner,
                "units": len(stay.units),
                "key": None if key is None or key in (inf, -inf) else key,
                "since": stay.submitted,
                "reason": None if span is None else span.reason,
                "by": "" if span is None else span.by,
            }
        )
    queue.sort(key=lambda entry: (entry["key"] is None, entry["key"] or 0.0, entry["since"]))
    hold = records.hold_at(time)
    if hold is not None and not any(stay.owner == hold["owner"] for stay in waiting):
        hold = None
    return {
        "kind": "moment",
        "time": time,
        "queue": queue,
        "held_up_by": None
        if hold is None
        else {
            "job": hold["owner"],
            "discipline": hold["reason"],
            "until": None if hold["until"] == inf else hold["until"],
        },
        "pools": _pools(records, state),
        "nodes": [
            {
                "node": short(row["name"]),
                "ready": bool(state.ready[at]),
                "free": {
                    name: float(state.room[at, k]) for k, name in enumerate(RESOURCE_NAMES) if row[name] > 0
                },
                "jobs": sorted({stay.owner for stay in state.on(at)}),
            }
            for at, row in enumerate(records.nodes)
            if state.ready[at] or state.on(at)
        ],
        "recorded": bool(records.decisions),
    }


def _pools(records: Records, state: State) -> list[Json]:
    """What is free in each pool, and the most on one node."""
    pools: dict[str, list[int]] = {}
    for at, row in enumerate(records.nodes):
        if state.ready[at]:
            pools.setdefault(row["pool"], []).append(at)
    found = []
    for pool, numbers in pools.items():
        row = records.nodes[numbers[0]]
        column = RESOURCE_NAMES.index("accelerators") if row["accelerators"] > 0 else 0
        free = state.room[numbers, column]
        found.append(
            {
                "pool": pool,
                "nodes": len(numbers),
                "resource": RESOURCE_NAMES[column],
                "total": float(state.total[numbers, column].sum()),
                "free": float(free.sum()),
                "most_on_one_node": float(free.max()),
                "empty_nodes": int((free >= state.total[numbers, column]).sum()),
            }
        )
    return found
