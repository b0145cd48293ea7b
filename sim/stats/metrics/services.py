"""Metrics of services: how busy they are, how long calls wait, how they scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.stats.metrics import forecasts
from sim.stats.quantiles import quantile
from sim.stats.stability import Growth, growth
from sim.stats.steps import integral
from sim.stats.view import View, average, equals, ratio


def measure(view: View) -> dict[str, float]:
    """All metrics of `services.*`."""
    found: dict[str, float] = {}
    entered = view.inside("calls", "enter")
    column = view.text("calls", "service")
    for name in view.facts.get("services", {}):
        rows = np.flatnonzero(equals(column, name) & entered)
        numbers = _load(view, name) | _calls(view, rows) | _scaling(view, name)
        numbers |= forecasts.measure(view, name)
        numbers["unstable"] = float(_growth(view, name, len(rows)).unstable)
        found |= {f"services.{name}.{metric}": value for metric, value in numbers.items()}
    return found


def _load(view: View, name: str) -> dict[str, float]:
    path, start, end = f"paas/{name}", view.start, view.end
    busy = integral(view.steps(f"{path}/busy"), start, end)
    ready = integral(view.steps(f"{path}/ready"), start, end)
    inside = integral(view.steps(f"{path}/in_system"), start, end)
    return {
        "utilisation": ratio(busy, integral(view.steps(f"{path}/servers"), start, end)),
        "replicas": ratio(ready, view.length),
        "replica_hours": ready / 3600,
        "in_system": ratio(inside, view.length),
    }


def _calls(view: View, rows: NDArray[np.int64]) -> dict[str, float]:
    waits = view.numbers("calls", "start")[rows] - view.numbers("calls", "enter")[rows]
    served = ~np.isnan(waits)
    waits = waits[served]
    # A batch of b calls is seen b times: 1/b of a batch per call counts batches.
    batches = float(np.sum(1.0 / np.maximum(view.numbers("calls", "batch")[rows][served], 1)))
    return {
        "wait.mean": average(waits),
        "wait.p99": quantile(waits, 0.99),
        "batch": ratio(float(len(waits)), batches),
    }


def _scaling(view: View, name: str) -> dict[str, float]:
    mine = equals(view.text("units", "owner"), name) & equals(view.text("units", "kind"), "replica")
    ready = view.numbers("units", "ready")
    # Replicas that are there from the first moment were not started.
    fresh = mine & (ready > view.start) & (ready <= view.end)
    lead = ready[fresh] - view.numbers("units", "submitted")[fresh]
    looked = view.inside("scaling", "time") & equals(view.text("scaling", "service"), name)
    changed = view.numbers("scaling", "applied")[looked] != view.numbers("scaling", "current")[looked]
    return {
        "cold_starts": float(len(lead)),
        "lead_time": average(lead),
        "scalings": float(np.count_nonzero(changed)),
    }


def _growth(view: View, name: str, arrivals: int) -> Growth:
    return growth(view.steps(f"paas/{name}/in_system"), arrivals, view.start, view.end)
