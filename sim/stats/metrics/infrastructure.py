"""Metrics of pools and links: use, cost, energy, carbon, traffic."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.stats import accounting
from sim.stats.steps import amounts, integral, mean
from sim.stats.view import View, ratio


def measure(view: View) -> dict[str, float]:
    """All metrics of `pools.*` and `links.*`, and the parts of `total.*` they add up to."""
    found: dict[str, float] = {}
    total = dict.fromkeys(("cost", "energy", "carbon", "accelerator_hours", "wan_bytes"), 0.0)
    edges, hours = accounting.hours(view.start, view.end, float(view.facts.get("start_hour", 0)))
    for name, pool in view.facts.get("pools", {}).items():
        numbers = _pool(view, name, pool, edges, hours)
        found |= {f"pools.{name}.{metric}": value for metric, value in numbers.items()}
        for part in ("cost", "energy", "carbon", "accelerator_hours"):
            total[part] += numbers[part]
    for name, link in view.facts.get("links", {}).items():
        numbers = _link(view, name, link, edges, hours)
        found |= {f"links.{name}.{metric}": value for metric, value in numbers.items()}
        for part in ("cost", "energy", "carbon"):
            total[part] += numbers[part]
        if "cloud" in (_site(view, link["a"]).get("kind"), _site(view, link["b"]).get("kind")):
            total["wan_bytes"] += numbers["bytes"]
    return found | {f"total.{name}": value for name, value in total.items()}


def _pool(
    view: View,
    name: str,
    pool: dict[str, Any],
    edges: NDArray[np.float64],
    hours: NDArray[np.int64],
) -> dict[str, float]:
    site = _site(view, pool["site"])
    joules = np.zeros(len(hours))
    seconds = busy = allocated = 0.0
    for node in view.nodes(name):
        on, used = view.steps(f"{node}/on"), view.steps(f"{node}/busy")
        seconds += integral(on, view.start, view.end)
        busy += integral(used, view.start, view.end)
        allocated += integral(view.steps(f"{node}/allocated"), view.start, view.end)
        joules += amounts(accounting.power(pool["power"], on, used), edges)
    joules *= float(site.get("pue", 1.0))
    return {
        "utilisation": ratio(busy, seconds),
        "allocated": ratio(allocated, seconds),
        "node_hours": seconds / 3600,
        "accelerator_hours": seconds / 3600 * float(pool.get("accelerators", 0)),
        "cost": seconds * float(pool["price"] or 0),
        "energy": float(joules.sum()),
        "carbon": accounting.carbon(joules, hours, _hourly(site)),
    }


def _link(
    view: View,
    name: str,
    link: dict[str, Any],
    edges: NDArray[np.float64],
    hours: NDArray[np.int64],
) -> dict[str, float]:
    rates = list(view.directions(name).values())
    sent = accounting.traffic(rates, view.start, view.end)
    pieces = sum((amounts(rate, edges) for rate in rates), np.zeros(len(hours)))
    grids = [np.asarray(_hourly(_site(view, link[end]))) for end in ("a", "b")]
    known = [grid for grid in grids if grid.any()]
    intensity = np.mean(known, axis=0) if known else np.zeros(24)
    per_byte = float(link.get("energy") or 0)
    busier = max((mean(rate, view.start, view.end) for rate in rates), default=0.0)
    return {
        "bytes": sent,
        "utilisation": ratio(busier, float(link["bandwidth"])),
        "cost": sent * float(link.get("price") or 0),
        "energy": sent * per_byte,
        "carbon": accounting.carbon(pieces * per_byte, hours, intensity.tolist()),
    }


def _site(view: View, name: str) -> dict[str, Any]:
    site: dict[str, Any] = view.facts.get("sites", {}).get(name, {})
    return site


def _hourly(site: dict[str, Any]) -> list[float]:
    """A site without a grid (a camera in the field) emits nothing that is known."""
    return list(site.get("hourly") or [0.0] * 24)
