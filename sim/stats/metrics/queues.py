"""Metrics of queues with quotas: what they used of their own and of others'."""

from __future__ import annotations

import numpy as np

from sim.stats.quantiles import quantile
from sim.stats.steps import mean
from sim.stats.view import View, average, equals, ratio
from sim.tables import COMPLETED


def measure(view: View) -> dict[str, float]:
    """All metrics of `queues.<queue>.*`; none where no tenant has a quota."""
    found: dict[str, float] = {}
    for name, nominal in view.facts.get("queues", {}).items():
        used, borrowed = (
            mean(view.steps(f"paas/queues/{name}/{kind}/accelerators"), view.start, view.end)
            for kind in ("used", "borrowed")
        )
        mine = view.inside("jobs", "submitted") & equals(view.text("jobs", "tenant"), name)
        done = mine & equals(view.text("jobs", "status"), COMPLETED)
        submitted = view.numbers("jobs", "submitted")
        waits = (view.numbers("jobs", "started") - submitted)[mine]
        waits = waits[~np.isnan(waits)]
        numbers = {
            "submitted": float(np.count_nonzero(mine)),
            "completed": float(np.count_nonzero(done)),
            "jct.mean": average((view.numbers("jobs", "finished") - submitted)[done]),
            "wait.mean": average(waits),
            "wait.p99": quantile(waits, 0.99),
            "used": used,
            "borrowed": borrowed,
            "of_nominal": ratio(used, nominal),
        }
        found |= {f"queues.{name}.{key}": value for key, value in numbers.items()}
    return found
