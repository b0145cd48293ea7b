"""Metrics of training jobs: completion times, waits, use of the cluster, fairness, lost work."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.stats.fairness import UNFAIR, finish_time_fairness, jain
from sim.stats.quantiles import of_sorted, quantile
from sim.stats.steps import Steps, amounts, integral, sampled, total
from sim.stats.view import View, average, equals, ratio
from sim.tables import COMPLETED

Floats = NDArray[np.float64]

#: Shortest time that counts in a slowdown, in seconds (Feitelson et al., JSSPP 1997).
BOUND = 10.0


def measure(view: View) -> dict[str, float]:
    """All metrics of `jobs.*`; none when the platform runs no jobs."""
    if not view.facts.get("jobs") and not view.has("jobs"):
        return {}
    recent = view.inside("jobs", "submitted")
    done = recent & equals(view.text("jobs", "status"), COMPLETED)
    submitted, finished = view.numbers("jobs", "submitted"), view.numbers("jobs", "finished")
    demand = _demand(view)
    times = finished[done] - submitted[done]
    work = view.numbers("jobs", "work")[done]
    p50, p90, p99 = of_sorted(np.sort(times), [0.5, 0.9, 0.99]).tolist()
    waits = view.numbers("jobs", "started")[recent] - submitted[recent]
    waits = waits[~np.isnan(waits)]
    # Rounding must not make a job that never waited wait for less than nothing.
    delays = np.maximum(times - view.numbers("jobs", "attained")[done], 0.0)
    slowdowns = np.maximum(times, BOUND) / np.maximum(work, BOUND)
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
        "delay.mean": average(delays),
        "delay.p99": quantile(delays, 0.99),
        "slowdown.mean": average(slowdowns),
        "slowdown.p99": quantile(slowdowns, 0.99),
        "makespan": float(finished[done].max() - submitted[done].min()) if whole else float("nan"),
        "useful": ratio(float((work * demand[done]).sum()), float(_service(view, demand)[done].sum())),
        "preemptions": float(view.numbers("jobs", "preemptions")[recent].sum()),
        "lost": float((view.numbers("jobs", "lost") * demand)[recent].sum()) / 3600,
        "missed": _missed(view, np.flatnonzero(recent)),
    }
    numbers |= _cluster(view) | _fairness(view, np.flatnonzero(done), demand)
    return {f"jobs.{name}": value for name, value in numbers.items()}


def _demand(view: View) -> Floats:
    """Accelerators each job asked for; workers where it needs none."""
    demand = view.numbers("jobs", "demand")
    return np.where(demand > 0, demand, view.numbers("jobs", "workers").astype(float))


def _service(view: View, demand: Floats) -> Floats:
    """Accelerator-seconds each job held, over all its runs until they or the whole ended."""
    ids = view.numbers("jobs", "id").astype(np.int64)
    row = np.zeros(int(ids.max()) + 1 if len(ids) else 1, dtype=np.int64)
    row[ids] = np.arange(len(ids))
    mine = row[view.numbers("runs", "job").astype(np.int64)]
    ended = view.numbers("runs", "ended")
    stop = float(view.facts.get("ended", {}).get("time", view.end))
    seconds = np.where(np.isnan(ended), stop, ended) - view.numbers("runs", "started")
    part = view.numbers("runs", "workers") / np.maximum(view.numbers("jobs", "workers"), 1)[mine]
    found: Floats = np.bincount(mine, seconds * part * demand[mine], minlength=len(ids)).astype(np.float64)
    return found


def _missed(view: View, rows: NDArray[np.int64]) -> float:
    """Of the jobs with a deadline about which the run decided: share that was not done by it."""
    deadline, finished = view.numbers("jobs", "deadline")[rows], view.numbers("jobs", "finished")[rows]
    stop = float(view.facts.get("ended", {}).get("time", view.end))
    over = np.isnan(finished)
    decided = np.isfinite(deadline) & (~over | (deadline < stop))
    late = decided & (over | (finished > deadline * (1 + 1e-12)))
    return ratio(float(np.count_nonzero(late)), float(np.count_nonzero(decided)))


def _hosts(view: View) -> dict[str, tuple[list[str], float]]:
    """Nodes of the pools where workers ran, and the main resource of one: accelerators, else cores."""
    nodes = view.text("units", "node")
    codes = set(np.unique(nodes.codes[equals(view.text("units", "kind"), "worker")]).tolist())
    used = {"/".join(word.split("/")[1:3]) for code, word in enumerate(nodes.words) if code in codes and word}
    return {
        name: (
            view.nodes(name),
            float(pool.get("accelerators", 0) * pool.get("slices", 1) or pool.get("cpu") or 1),
        )
        for name, pool in view.facts.get("pools", {}).items()
        if name in used
    }


def _cluster(view: View) -> dict[str, float]:
    """Reserved, and idle while workers queued, over powered time of the pools where workers ran."""
    reserved = powered = 0.0
    free: list[tuple[float, Steps]] = []
    for nodes, weight in _hosts(view).values():
        for node in nodes:
            on, taken = view.steps(f"{node}/on"), view.steps(f"{node}/allocated")
            reserved += weight * integral(taken, view.start, view.end)
            powered += weight * integral(on, view.start, view.end)
            free += [(weight, on), (-weight, taken)]
    idle = _while_waiting(view, total(free))
    # Both are 0 over the whole run where nobody asked for the record.
    unused, fragments = (
        integral(view.steps(f"paas/scheduler/{name}"), view.start, view.end)
        for name in ("idle_devices", "fragmented_devices")
    )
    return {
        "utilisation": ratio(reserved, powered),
        "stranded": ratio(max(0.0, idle), powered),
        "fragmentation": ratio(fragments, unused),
    }


def _while_waiting(view: View, steps: Steps) -> float:
    """Integral of a step series over the parts of the window in which workers stood in the queue."""
    moments, queued = view.steps("paas/scheduler/waiting")
    inside = moments[(moments > view.start) & (moments < view.end)]
    edges = np.concatenate([[view.start], inside, [view.end]])
    if not view.end > view.start:
        return 0.0
    waiting = sampled((moments, queued), edges[:-1]) > 0
    return float(amounts(steps, edges)[waiting].sum())


def _fairness(view: View, done: NDArray[np.int64], demand: Floats) -> dict[str, float]:
    submitted, finished = view.numbers("jobs", "submitted"), view.numbers("jobs", "finished")
    tenants = view.text("jobs", "tenant").codes[done]
    work = view.numbers("jobs", "work")
    speed = work[done] / np.maximum(finished[done] - submitted[done], 1e-12)
    means = np.array([speed[tenants == tenant].mean() for tenant in np.unique(tenants)])
    accelerators = sum(
        weight * integral(view.steps(f"{node}/on"), view.start, view.end)
        for name, (nodes, weight) in _hosts(view).items()
        if view.facts["pools"][name].get("accelerators")
        for node in nodes
    )
    rho = finish_time_fairness(submitted, finished, work, demand, ratio(accelerators, view.length))[done]
    rho = rho[~np.isnan(rho)]
    return {
        "fairness": jain(means) if len(means) > 1 else float("nan"),
        "fairness_jobs": jain(speed),
        "finish_time_fairness.mean": average(rho),
        "finish_time_fairness.max": float(rho.max()) if len(rho) else float("nan"),
        "unfair": ratio(float(np.count_nonzero(rho > UNFAIR)), float(len(rho))),
    }
