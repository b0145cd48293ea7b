"""All metrics of one run."""

from __future__ import annotations

from sim.kernel.outcome import Outcome
from sim.stats.metrics import (
    elasticity,
    hosts,
    infrastructure,
    jobs,
    objectives,
    queues,
    requests,
    services,
    tokens,
)
from sim.stats.view import View, ratio


def measure(outcome: Outcome) -> dict[str, float]:
    """Every metric of the run over its window, by full name; NaN where one is undefined.

    Requests, calls and jobs belong to the window by the moment they came; what became of them is
    followed to the end of the run. Everything else is integrated over the window.
    """
    view = View(outcome)
    found: dict[str, float] = {}
    for part in (requests, objectives, services, hosts, tokens, elasticity, infrastructure, jobs, queues):
        found |= part.measure(view)
    for name in ("completed", "dropped", "slo_violations"):
        found.setdefault(f"total.{name}", 0.0)
    thousands = found["total.completed"] / 1000
    for name in ("cost", "energy", "carbon"):
        found[f"total.{name}_per_1000"] = ratio(found[f"total.{name}"], thousands)
    if view.facts.get("engines"):
        tokens_out, tokens_in = found.get("total.tokens_out", 0.0), found.get("total.tokens_in", 0.0)
        for name, count in (("", tokens_out), ("_in", tokens_in), ("_all", tokens_in + tokens_out)):
            found[f"total.cost_per_million_tokens{name}"] = ratio(found["total.cost"], count / 1e6)
        accelerators = found["total.accelerator_hours"] * 3600 / view.length if view.length else 0.0
        for app in view.facts.get("chats", {}):
            goodput = found.get(f"apps.{app}.goodput", float("nan"))
            found[f"apps.{app}.goodput_per_accelerator"] = ratio(goodput, accelerators)
        found["total.energy_per_token"] = ratio(found["total.energy"], tokens_out)
    return found
