"""How often and how long the objective of an application was missed."""

from __future__ import annotations

import numpy as np

from sim.stats.metrics import tokens
from sim.stats.view import View, equals, ratio
from sim.tables import COMPLETED, IN_FLIGHT

#: Seconds over which an objective is judged as a whole.
MINUTE = 60.0


def measure(view: View) -> dict[str, float]:
    """The metrics `apps.<app>.slo_violated` and `apps.<app>.slo_time`; NaN without an SLO or requests."""
    found: dict[str, float] = {}
    stop = float(view.facts.get("ended", {}).get("time", view.end))
    for app, facts in view.facts.get("apps", {}).items():
        slo = facts.get("slo")
        violated = kept = float("nan")
        if slo:
            rows = np.flatnonzero(
                equals(view.text("requests", "app"), app) & view.inside("requests", "arrival")
            )
            arrival = view.numbers("requests", "arrival")[rows]
            status = view.text("requests", "status")
            flying = equals(status, IN_FLIGHT)[rows]
            # The same hair of tolerance as `slo_met` has.
            bound = float(slo["latency"] or np.inf) * (1 + 1e-9)
            latency = np.where(flying, stop, view.numbers("requests", "done")[rows]) - arrival
            met = equals(status, COMPLETED)[rows] & (latency <= bound) & ~tokens.missed(view, app, rows, slo)
            decided = ~flying | (latency > bound)
            minute = ((arrival - view.start) / MINUTE).astype(np.int64)
            whole = np.bincount(minute[decided])
            good = np.bincount(minute[met], minlength=len(whole))
            busy = whole > 0
            violated = ratio(float(np.count_nonzero(decided & ~met)), float(np.count_nonzero(decided)))
            held = good[busy] >= float(slo["quantile"]) * whole[busy] * (1 - 1e-12)
            kept = ratio(float(np.count_nonzero(held)), float(np.count_nonzero(busy)))
        found |= {f"apps.{app}.slo_violated": violated, f"apps.{app}.slo_time": kept}
    return found
