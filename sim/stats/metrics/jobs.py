"""Metrics of training jobs: completion times, waits, use of the cluster, fairness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.stats.quantiles import of_sorted, quantile
from sim.stats.steps import integral
from sim.stats.view import View, average, equals, ratio
from sim.tables import COMPLETED


def measure(view: View) -> dict[str, float]:
    """All metrics of `jobs.*`; none when the platform runs no jobs."""
    if not view.facts.get("jobs") and not view.has("jobs"):
        return {}
    recent = view.inside("jobs", "submitted")
    done = recent & equals(view.text("jobs", "status"), COMPLETED)
    submitted, finished = view.numbers("jobs", "submitted"), view.numbers("jobs", "finished")
    times = np.sort(finished[done] - submitted[done])
    waits = view.numbers("jobs", "started")[recent] - submitted[recent]
    waits = waits[~np.isnan(waits)]
    p50, p90, p99 = of_sorted(times, [0.5, 0.9, 0.99]).tolist()
    whole = len(times) > 0 and int(np.count_nonzero(recent)) == len(times)
    numbers = {
        "submitted": float(np.count_nonzero(recent)),
        "completed": float(len(times)),
        "jct.mean": average(times),
        "jct.p50": p50,
        "jct.p90": p90,
        "jct.p99": p99,
        "wait.mean": average(waits),
        "wait.p99": quantile(waits, 0.99),
        "makespan": float(finished[done].max() - submitted[done].min()) if whole else float("nan"),
        "utilisation": _allocated(view),
        "fairness": _fairness(view, np.flatnonzero(done)),
    }
    return {f"jobs.{name}": value for name, value in numbers.items()}


def _allocated(view: View) -> float:
    """Reserved over powered time of the nodes in pools where workers ran, by accelerators."""
    nodes = view.text("units", "node")
    hosts = set(np.unique(nodes.codes[equals(view.text("units", "kind"), "worker")]).tolist())
    used = {"/".join(word.split("/")[1:3]) for code, word in enumerate(nodes.words) if code in hosts and word}
    reserved = powered = 0.0
    for name, pool in view.facts.get("pools", {}).items():
        if name not in used:
            continue
        weight = float(pool.get("accelerators") or pool.get("cpu") or 1)
        for node in view.nodes(name):
            reserved += weight * integral(view.steps(f"{node}/allocated"), view.start, view.end)
            powered += weight * integral(view.steps(f"{node}/on"), view.start, view.end)
    return ratio(reserved, powered)


def _fairness(view: View, done: NDArray[np.int64]) -> float:
    """Jain's index (R. Jain et al., DEC-TR-301, 1984) of the tenants' mean speeds."""
    tenants = view.text("jobs", "tenant").codes[done]
    taken = view.numbers("jobs", "finished")[done] - view.numbers("jobs", "submitted")[done]
    speed = view.numbers("jobs", "work")[done] / np.maximum(taken, 1e-12)
    means = np.array([speed[tenants == tenant].mean() for tenant in np.unique(tenants)])
    if len(means) < 2:
        return float("nan")
    return ratio(float(means.sum() ** 2), float(len(means) * (means**2).sum()))
