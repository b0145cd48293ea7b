"""Metrics of services that scale: how supply followed demand, what it held, and who paid for starts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.stats.demand import BIN, CALLS, demand
from sim.stats.elasticity import NOTHING, elasticity
from sim.stats.view import View, equals, ratio


def measure(view: View) -> dict[str, float]:
    """The metrics of `services.<service>.elasticity.*` and of what replicas held and cost their users."""
    found: dict[str, float] = {}
    for name in view.facts.get("services", {}):
        rows = np.flatnonzero(equals(view.text("calls", "service"), name) & view.inside("calls", "enter"))
        numbers = _held(view, name) | {"cold_calls": _cold(view, rows), "reversals": _reversals(view, name)}
        found |= {f"services.{name}.{metric}": value for metric, value in numbers.items()}
        curve = demand(view, name)
        followed = NOTHING
        if curve is not None:
            # As many moments as the curve has bins, in their middles.
            bins = max(1, int(min(view.length / BIN, len(rows) / CALLS)))
            moments = view.start + (np.arange(bins) + 0.5) * view.length / bins
            followed = elasticity(view.steps(f"paas/{name}/ready"), curve, view.start, view.end, moments)
        found |= {f"services.{name}.elasticity.{key}": value for key, value in followed._asdict().items()}
    return found


def _held(view: View, name: str) -> dict[str, float]:
    """Hours in which replicas held their place, ready or not, and those hours times their accelerators."""
    mine = equals(view.text("units", "owner"), name) & equals(view.text("units", "kind"), "replica")
    begin, end = view.numbers("units", "bound")[mine], view.numbers("units", "ended")[mine]
    end = np.where(np.isnan(end), np.inf, end)
    seconds = np.minimum(end, view.end) - np.maximum(begin, view.start)
    seconds = np.where(np.isnan(seconds), 0.0, np.maximum(seconds, 0.0))
    accelerators = view.numbers("units", "accelerators")[mine]
    return {
        "held_hours": float(seconds.sum()) / 3600,
        "accelerator_hours": float((seconds * np.nan_to_num(accelerators)).sum()) / 3600,
    }


def _cold(view: View, rows: NDArray[np.int64]) -> float:
    """Share of the calls served that came before the replica which served them was ready."""
    replicas = view.numbers("calls", "replica")[rows].astype(np.int64)
    served = ~np.isnan(view.numbers("calls", "start")[rows]) & (replicas >= 0)
    ids = view.numbers("units", "id").astype(np.int64)
    ready = np.full(int(max(ids.max(initial=-1), replicas.max(initial=-1))) + 1, np.nan)
    ready[ids] = view.numbers("units", "ready")
    cold = ready[replicas[served]] > view.numbers("calls", "enter")[rows][served]
    return ratio(float(np.count_nonzero(cold)), float(np.count_nonzero(served)))


def _reversals(view: View, name: str) -> float:
    """Scalings in the other direction than the one before."""
    looked = view.inside("scaling", "time") & equals(view.text("scaling", "service"), name)
    changes = (view.numbers("scaling", "applied") - view.numbers("scaling", "current"))[looked]
    directions = np.sign(changes[changes != 0])
    return float(np.count_nonzero(np.diff(directions)))
