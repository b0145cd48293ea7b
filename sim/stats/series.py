"""A run drawn over time and as distributions, small enough to keep for every run.

The answer is plain data for JSON: lists of at most `BINS` or `len(CURVE)` numbers with six
significant digits, None where nothing was observed. Time runs from 0 to the end of the run, so the
warm-up shows; distributions and reasons count the window of measurement only.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.kernel.outcome import Outcome
from sim.kernel.recorder import TextColumn
from sim.kernel.series import bin_means
from sim.stats import accounting
from sim.stats.metrics import tokens
from sim.stats.quantiles import CURVE, by_bin, of_sorted
from sim.stats.steps import Steps, total
from sim.stats.view import Mask, View, among, equals
from sim.stats.warmup import mser5
from sim.tables import COMPLETED, FAILED, REJECTED, TIMEOUT

#: Bins over the length of the run.
BINS = 120

#: Nodes of one pool that are drawn one by one.
NODES = 32

_PARTS = ("network", "queue", "compute")


def binned(outcome: Outcome, bins: int = BINS) -> dict[str, Any]:
    """The run's curves.

    Keys: `window`, `end`, `edges` (bins + 1 moments), `curve` (shares at which distributions are
    given), `apps`, `services`, `pools`, `links` by name, `scheduler.waiting` and `jobs`.
    """
    view = View(outcome)
    end = float(outcome.facts.get("ended", {}).get("time", view.end)) or view.end
    edges = np.linspace(0.0, end, bins + 1) if end > 0 else np.linspace(0.0, 1e-9, bins + 1)
    facts = view.facts
    return {
        "window": [view.start, view.end],
        "end": end,
        "edges": _plain(edges),
        "curve": list(CURVE),
        "apps": {name: _app(view, name, edges) for name in facts.get("apps", {})},
        "services": {name: _service(view, name, edges) for name in facts.get("services", {})},
        "pools": {name: _pool(view, name, pool, edges) for name, pool in facts.get("pools", {}).items()},
        "links": {name: _link(view, name, link, edges) for name, link in facts.get("links", {}).items()},
        "scheduler": {
            name: _means(view, f"paas/scheduler/{name}", edges)
            for name in ("waiting", "idle_devices", "fragmented_devices")
            if name == "waiting" or f"paas/scheduler/{name}" in outcome.steps
        },
        "jobs": _jobs(view, edges),
    }


def _app(view: View, name: str, edges: NDArray[np.float64]) -> dict[str, Any]:
    rows = np.flatnonzero(equals(view.text("requests", "app"), name))
    arrival, done = view.numbers("requests", "arrival")[rows], view.numbers("requests", "done")[rows]
    status = view.text("requests", "status")
    good = equals(status, COMPLETED)[rows]
    lost = among(status, (REJECTED, TIMEOUT, FAILED))[rows]
    latency = done - arrival
    slo = (view.facts["apps"][name] or {}).get("slo")
    recent = view.inside("requests", "arrival")[rows]
    p50, p99 = by_bin(latency[good], _bins(arrival[good], edges), len(edges) - 1, [0.5, 0.99])
    timing = tokens.of_requests(view, rows[good & recent]) if name in view.facts.get("chats", {}) else None
    parts = {part: view.numbers("requests", part)[rows] for part in _PARTS}
    return {
        "arrived": _counts(arrival, edges),
        "dropped": _counts(arrival[lost], edges),
        "p50": _plain(p50),
        "p99": _plain(p99),
        "latency": _curve(latency[good & recent]),
        "ttft": None if timing is None else _curve(_known(timing.ttft)),
        "tpot": None if timing is None else _curve(_known(timing.tpot)),
        "parts": {part: _curve(values[good & recent]) for part, values in parts.items()},
        "reasons": _reasons(view.text("requests", "reason"), status, rows[lost & recent]),
        "sites": _sites(view.text("requests", "site"), rows, arrival, edges),
        "slo": slo,
        "violations": _counts(arrival[_violating(view, name, rows, slo)], edges) if slo else None,
        "warmup": _warmup(arrival[good], latency[good]),
    }


def _service(view: View, name: str, edges: NDArray[np.float64]) -> dict[str, Any]:
    rows = np.flatnonzero(equals(view.text("calls", "service"), name))
    enter = view.numbers("calls", "enter")[rows]
    status = view.text("calls", "status")
    lost = among(status, (REJECTED, TIMEOUT, FAILED))[rows] & view.inside("calls", "enter")[rows]
    gaps = tokens.gaps(view, name) if name in view.facts.get("engines", {}) else None
    paths = ("wanted", "ready", "servers", "busy", "in_system")
    return {
        "arrived": _counts(enter, edges),
        "itl": None if gaps is None or not gaps.count else _plain(gaps.curve(np.array(CURVE))),
        "reasons": _reasons(view.text("calls", "reason"), status, rows[lost]),
        "forecast": _forecast(view, name, edges),
        **{path: _means(view, f"paas/{name}/{path}", edges) for path in paths},
    }


def _violating(view: View, name: str, rows: NDArray[np.int64], slo: dict[str, Any]) -> Mask:
    """Which requests were dropped, answered late, or are unanswered and late already."""
    status = view.text("requests", "status")
    stop = float(view.facts.get("ended", {}).get("time", view.end))
    done = view.numbers("requests", "done")[rows]
    age = np.where(np.isnan(done), stop, done) - view.numbers("requests", "arrival")[rows]
    late: Mask = age > float(slo["latency"] or np.inf) * (1 + 1e-9)
    late |= tokens.missed(view, name, rows, slo)
    return late | among(status, (REJECTED, TIMEOUT, FAILED))[rows]


def _forecast(view: View, name: str, edges: NDArray[np.float64]) -> dict[str, Any] | None:
    """What was foreseen, by the middle of the bin it is of; None where nothing was."""
    due = view.numbers("scaling", "due")
    rows = np.flatnonzero(equals(view.text("scaling", "service"), name) & ~np.isnan(due))
    middle = due[rows] - view.numbers("scaling", "bin")[rows] / 2
    rows = rows[middle < edges[-1]]
    if not len(rows):
        return None
    place = _bins(middle[middle < edges[-1]], edges)
    seen = np.bincount(place, minlength=len(edges) - 1)
    found: dict[str, Any] = {"level": float(view.numbers("scaling", "level")[rows[0]])}
    for column in ("expected", "low", "high"):
        total = np.bincount(place, view.numbers("scaling", column)[rows], minlength=len(edges) - 1)
        with np.errstate(invalid="ignore"):
            found[column] = _plain(np.where(seen > 0, total / seen, np.nan))
    return found


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[~np.isnan(values)]


def _pool(view: View, name: str, pool: dict[str, Any], edges: NDArray[np.float64]) -> dict[str, Any]:
    nodes = view.nodes(name)
    drawn: dict[str, Any] = {}
    on, busy, allocated, watts = (np.zeros(len(edges) - 1) for _ in range(4))
    for position, node in enumerate(nodes):
        powered, used = view.steps(f"{node}/on"), view.steps(f"{node}/busy")
        mine, here = bin_means(*used, edges), bin_means(*powered, edges)
        on += here
        busy += mine
        allocated += bin_means(*view.steps(f"{node}/allocated"), edges)
        watts += bin_means(*accounting.power(pool["power"], powered, used), edges)
        if position < NODES:
            drawn[node.rsplit("/", 1)[1]] = _plain(np.where(here > 0, mine, np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(on > 0, busy / on, np.nan), np.where(on > 0, allocated / on, np.nan)
    return {
        "on": _plain(on),
        "utilisation": _plain(shares[0]),
        "allocated": _plain(shares[1]),
        "watts": _plain(watts),
        "nodes": drawn,
        "nodes_total": len(nodes),
    }


def _link(view: View, name: str, link: dict[str, Any], edges: NDArray[np.float64]) -> dict[str, Any]:
    width = float(link["bandwidth"])
    return {way: _plain(bin_means(*rate, edges) / width) for way, rate in view.directions(name).items()}


def _jobs(view: View, edges: NDArray[np.float64]) -> dict[str, Any] | None:
    if not view.has("jobs"):
        return None
    submitted, finished = view.numbers("jobs", "submitted"), view.numbers("jobs", "finished")
    done = equals(view.text("jobs", "status"), COMPLETED) & view.inside("jobs", "submitted")
    waits = (view.numbers("jobs", "started") - submitted)[view.inside("jobs", "submitted")]
    present = total([(1.0, _step(submitted)), (-1.0, _step(finished[~np.isnan(finished)]))])
    running = bin_means(*view.steps("paas/jobs/running"), edges)
    return {
        "running": _plain(running),
        "waiting": _plain(np.maximum(bin_means(*present, edges) - running, 0.0)),
        "submitted": _counts(submitted, edges),
        "jct": _curve(finished[done] - submitted[done]),
        "wait": _curve(waits[~np.isnan(waits)]),
    }


def _step(moments: NDArray[np.float64]) -> Steps:
    """How many of the moments have passed."""
    times = np.sort(moments)
    return times, np.arange(1.0, len(times) + 1)


def _bins(times: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(edges) - 2)
    return found


def _counts(times: NDArray[np.float64], edges: NDArray[np.float64]) -> list[int]:
    counts: list[int] = np.bincount(_bins(times, edges), minlength=len(edges) - 1).tolist()
    return counts


def _means(view: View, path: str, edges: NDArray[np.float64]) -> list[float | None]:
    return _plain(bin_means(*view.steps(path), edges))


def _curve(values: NDArray[np.float64]) -> list[float | None]:
    """Quantiles at the shares of `CURVE`; an empty list when nothing was observed."""
    return _plain(of_sorted(np.sort(values), np.array(CURVE))) if len(values) else []


def _reasons(reason: TextColumn, status: TextColumn, rows: NDArray[np.int64]) -> dict[str, int]:
    """Dropped requests or calls by what was done to them and why, most frequent first."""
    width = len(reason.words)
    pairs = status.codes[rows].astype(np.int64) * width + reason.codes[rows]
    keys, counts = np.unique(pairs, return_counts=True)
    named = []
    for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
        why, what = reason.words[key % width], status.words[key // width]
        named.append((-count, f"{what}: {why}" if why and why != what else what))
    return {name: -count for count, name in sorted(named)}


def _sites(
    site: TextColumn, rows: NDArray[np.int64], arrival: NDArray[np.float64], edges: NDArray[np.float64]
) -> dict[str, list[int]]:
    """Requests placed at each site, by bin."""
    codes = site.codes[rows]
    found: dict[str, list[int]] = {}
    for code in np.unique(codes).tolist():
        mask: Mask = codes == code
        if site.words[code]:
            found[site.words[code]] = _counts(arrival[mask], edges)
    return dict(sorted(found.items()))


def _warmup(arrival: NDArray[np.float64], latency: NDArray[np.float64]) -> float | None:
    """Seconds of warm-up the MSER-5 rule suggests, None when the run is too short to tell."""
    order = np.argsort(arrival, kind="stable")
    cut = mser5(latency[order])
    return None if cut is None else (float(f"{arrival[order][cut]:.6g}") if cut else 0.0)


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values.tolist()]
