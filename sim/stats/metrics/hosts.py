"""Metrics of services that host several models: how often one is in memory, what its loads cost."""

from __future__ import annotations

import numpy as np

from sim.stats.view import View, average, equals


def measure(view: View) -> dict[str, float]:
    """Metrics `services.<host>.*`; calls belong to the window by the moment they came."""
    found: dict[str, float] = {}
    inside = np.isin(
        view.numbers("hosted", "call"), view.numbers("calls", "id")[view.inside("calls", "enter")]
    )
    for name in view.facts.get("hosts", ()):
        mine = inside & equals(view.text("hosted", "service"), name)
        loads = view.inside("swaps", "time") & equals(view.text("swaps", "service"), name)
        found |= {
            f"services.{name}.hit_rate": average(view.numbers("hosted", "hit")[mine]),
            f"services.{name}.swaps": float(np.count_nonzero(loads)),
            f"services.{name}.swap_seconds": float(np.sum(view.numbers("swaps", "seconds")[loads])),
        }
    return found
