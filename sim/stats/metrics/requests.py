"""Metrics of applications: what became of their requests and how long they took."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.stats.metrics import tokens
from sim.stats.quantiles import of_sorted
from sim.stats.view import Mask, View, average, equals, ratio
from sim.tables import COMPLETED, FAILED, IN_FLIGHT, REJECTED, TIMEOUT

_SHARES = [0.5, 0.9, 0.95, 0.99, 1.0]


def measure(view: View) -> dict[str, float]:
    """All metrics of `apps.*`, and the parts of `total.*` that count requests."""
    found: dict[str, float] = {}
    completed = dropped = violations = 0.0
    recent = view.inside("requests", "arrival")
    app_column = view.text("requests", "app")
    for app, facts in view.facts.get("apps", {}).items():
        rows = np.flatnonzero(equals(app_column, app))
        numbers, missed = _app(view, app, rows, recent[rows], facts.get("slo"))
        found |= {f"apps.{app}.{name}": value for name, value in numbers.items()}
        completed += numbers["completed"]
        dropped += numbers["rejected"] + numbers["timeout"] + numbers["failed"]
        violations += missed
    if view.facts.get("apps"):
        found |= {"total.completed": completed, "total.dropped": dropped, "total.slo_violations": violations}
    return found


def _app(
    view: View, app: str, rows: NDArray[np.int64], recent: Mask, slo: dict[str, Any] | None
) -> tuple[dict[str, float], int]:
    status = view.text("requests", "status")
    codes = status.codes[rows]
    code = {word: position for position, word in enumerate(status.words)}
    done = view.numbers("requests", "done")[rows]
    answered = codes == code.get(COMPLETED, -1)
    replies = answered & (done >= view.start) & (done < view.end)
    mine = rows[recent]
    counts = np.bincount(codes[recent], minlength=len(code)) if len(code) else np.zeros(0)
    count = {word: float(counts[position]) for word, position in code.items()}
    good = mine[answered[recent]]
    latency = np.sort(view.numbers("requests", "done")[good] - view.numbers("requests", "arrival")[good])
    arrived = float(len(mine))
    lost = sum(count.get(word, 0.0) for word in (REJECTED, TIMEOUT, FAILED))
    p50, p90, p95, p99, longest = of_sorted(latency, _SHARES).tolist()
    numbers = {
        "arrived": arrived,
        "completed": count.get(COMPLETED, 0.0),
        "rejected": count.get(REJECTED, 0.0),
        "timeout": count.get(TIMEOUT, 0.0),
        "failed": count.get(FAILED, 0.0),
        "in_flight": count.get(IN_FLIGHT, 0.0),
        "dropped": ratio(lost, arrived),
        "throughput": ratio(float(np.count_nonzero(replies)), view.length),
        "latency.mean": average(latency),
        "latency.p50": p50,
        "latency.p90": p90,
        "latency.p95": p95,
        "latency.p99": p99,
        "latency.max": longest,
    }
    if app in view.facts.get("chats", {}):
        numbers |= tokens.times(tokens.of_requests(view, good))
    numbers["goodput"] = _goodput(view, app, rows[replies], slo)
    numbers["attempts"] = _attempts(view, mine, app)
    met, missed = _slo(view, app, mine, good, lost, slo)
    numbers["slo_met"] = ratio(met, met + missed) if slo else float("nan")
    for part in ("network", "queue", "compute"):
        numbers[f"{part}.mean"] = average(view.numbers("requests", part)[good])
    site = view.text("requests", "site")
    for name in dict.fromkeys(service["site"] for service in view.facts.get("services", {}).values()):
        placed = np.count_nonzero(site.codes[mine] == _code(site.words, name))
        numbers[f"placed.{name}"] = ratio(float(placed), arrived)
    return numbers, missed


def _goodput(view: View, app: str, mine: NDArray[np.int64], slo: dict[str, Any] | None) -> float:
    """Replies of the window that were in time, per second of it."""
    if not slo:
        return float("nan")
    latency = view.numbers("requests", "done")[mine] - view.numbers("requests", "arrival")[mine]
    kept = latency <= float(slo.get("latency") or np.inf) * (1 + 1e-9)
    good = np.count_nonzero(kept & ~tokens.missed(view, app, mine, slo))
    return ratio(float(good), view.length)


def _attempts(view: View, mine: NDArray[np.int64], app: str) -> float:
    """Attempts per request of the window."""
    made = view.numbers("attempts", "request")[equals(view.text("attempts", "app"), app)]
    if not len(made):
        return float("nan")
    return ratio(float(np.isin(made, view.numbers("requests", "id")[mine]).sum()), float(len(mine)))


def _slo(
    view: View,
    app: str,
    mine: NDArray[np.int64],
    good: NDArray[np.int64],
    lost: float,
    slo: dict[str, Any] | None,
) -> tuple[int, int]:
    """Requests that met all objectives, and those that missed one: dropped, late, or late and unanswered."""
    if not slo:
        return 0, 0
    latency = view.numbers("requests", "done")[good] - view.numbers("requests", "arrival")[good]
    bound = float(slo.get("latency") or np.inf)
    # A hair of tolerance: arrival + 0.1 - arrival is not always at most 0.1 in floating point.
    kept = (latency <= bound * (1 + 1e-9)) & ~tokens.missed(view, app, good, slo)
    met = int(np.count_nonzero(kept))
    waiting = mine[equals(view.text("requests", "status"), IN_FLIGHT)[mine]]
    age = _stop(view) - view.numbers("requests", "arrival")[waiting]
    late = int(np.count_nonzero(age > bound * (1 + 1e-9)))
    return met, len(good) - met + int(lost) + late


def _stop(view: View) -> float:
    return float(view.facts.get("ended", {}).get("time", view.end))


def _code(words: list[str], word: str) -> int:
    return words.index(word) if word in words else -1
