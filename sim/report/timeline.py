"""A run as a timeline that Perfetto and chrome://tracing open (Trace Event Format, JSON).

A node is a process and each unit on it a track with its phases; each application is a process
whose requests are asynchronous slices; replicas wanted and ready are counters; faults are instants.
Times are microseconds, as the format demands.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

#: Requests beyond this many are left out, and the trace says so: viewers choke on millions.
MAX_REQUESTS = 20_000

Rows = Sequence[Mapping[str, Any]]
Event = dict[str, Any]

_PHASES = (
    ("bound", "pulled", "pull image"),
    ("pulled", "loaded", "load weights"),
    ("loaded", "ready", "warm up"),
)


def write(
    path: Path,
    tables: Mapping[str, Rows],
    counters: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    end: float,
) -> None:
    """Write the gzipped trace of one run.

    Args:
        path: the file to write.
        tables: rows of `nodes`, `units`, `requests` and `faults`, as mappings.
        counters: name -> (times, values) of step series to show as counters.
        end: end of the run in seconds; what is still open is closed there.
    """
    events = list(_events(tables, counters, end))
    events.sort(key=lambda event: (event["ph"] != "M", event["ts"]))
    body: dict[str, Any] = {"displayTimeUnit": "ms", "traceEvents": events}
    if (left_out := len(tables.get("requests", ())) - MAX_REQUESTS) > 0:
        body["otherData"] = {"note": f"{left_out} later requests are left out"}
    text = json.dumps(body, separators=(",", ":"), sort_keys=True)
    # mtime=0: the same run gives the same bytes.
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def _events(
    tables: Mapping[str, Rows], counters: Mapping[str, tuple[Sequence[float], Sequence[float]]], end: float
) -> Iterable[Event]:
    pids: dict[str, int] = {}

    def process(name: str) -> Iterable[Event]:
        if name not in pids:
            pids[name] = len(pids) + 1
            yield {
                "ph": "M",
                "name": "process_name",
                "pid": pids[name],
                "tid": 0,
                "ts": 0,
                "args": {"name": name},
            }

    for node in tables.get("nodes", ()):
        yield from process(node["name"])
    for unit in tables.get("units", ()):
        if math.isnan(unit["bound"]):
            continue
        yield from process(unit["node"])
        yield from _unit(unit, pids[unit["node"]], end)
    for request in tables.get("requests", ())[:MAX_REQUESTS]:
        yield from process(f"application {request['app']}")
        yield from _request(request, pids[f"application {request['app']}"], end)
    for fault in tables.get("faults", ()):
        yield from process("faults")
        name = f"{fault['kind']} {fault['target']}"
        yield {"ph": "i", "s": "g", "name": name, "pid": pids["faults"], "tid": 0, "ts": fault["time"] * 1e6}
    for name, (times, values) in counters.items():
        yield from process("platform")
        for time, value in zip(times, values, strict=True):
            yield {
                "ph": "C", "name": name, "pid": pids["platform"], "tid": 0, "ts": float(time) * 1e6,
                "args": {"value": float(value)},
            }  # fmt: skip


def _unit(unit: Mapping[str, Any], pid: int, end: float) -> Iterable[Event]:
    tid = int(unit["id"]) + 1
    name = f"{unit['owner']} #{unit['id']}"
    yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "ts": 0, "args": {"name": name}}
    closed = end if math.isnan(unit["ended"]) else unit["ended"]
    spans = [(unit[a], unit[b], label) for a, b, label in _PHASES]
    spans.append((unit["ready"], closed, "serve" if unit["kind"] == "replica" else "work"))
    for start, finish, label in spans:
        if not math.isnan(start):
            finish = closed if math.isnan(finish) else finish
            if finish > start:
                yield {
                    "ph": "X", "name": label, "cat": unit["kind"], "pid": pid, "tid": tid,
                    "ts": start * 1e6, "dur": (finish - start) * 1e6,
                }  # fmt: skip


def _request(request: Mapping[str, Any], pid: int, end: float) -> Iterable[Event]:
    common = {"cat": "request", "id": int(request["id"]), "name": request["status"], "pid": pid, "tid": 0}
    done = end if math.isnan(request["done"]) else request["done"]
    arguments = {key: request[key] for key in ("origin", "site", "reason", "network", "queue", "compute")}
    arguments = {k: v for k, v in arguments.items() if v not in ("", None) and v == v}
    yield {**common, "ph": "b", "ts": request["arrival"] * 1e6, "args": arguments}
    yield {**common, "ph": "e", "ts": done * 1e6}
