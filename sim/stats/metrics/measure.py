"""All metrics of one run."""

from __future__ import annotations

from sim.kernel.outcome import Outcome
from sim.stats.metrics import elasticity, infrastructure, jobs, objectives, queues, requests, services
from sim.stats.view import View, ratio


def measure(outcome: Outcome) -> dict[str, float]:
    """Every metric of the run over its window, by full name; NaN where one is undefined.

    Requests, calls and jobs belong to the window by the moment they came; what became of them is
    followed to the end of the run. Everything else is integrated over the window.
    """
    view = View(outcome)
    found: dict[str, float] = {}
    for part in (requests, objectives, services, elasticity, infrastructure, jobs, queues):
        found |= part.measure(view)
    for name in ("completed", "dropped", "slo_violations"):
        found.setdefault(f"total.{name}", 0.0)
    thousands = found["total.completed"] / 1000
    for name in ("cost", "energy", "carbon"):
        found[f"total.{name}_per_1000"] = ratio(found[f"total.{name}"], thousands)
    return found
