"""Stratus: a simulator of cloud AI platforms in three layers.

    import sim

    scenario = sim.load("scenarios/edge_vs_cloud.yaml", ["study.replications=2"])
    folder = sim.run_study(scenario, out=Path("reports"), jobs=2)    # everything, as `stratus run` does
    outcome = sim.build(scenario).run()                              # one run, as plain arrays
    numbers = sim.measure(outcome)

Everything is loaded when it is first asked for, so `import sim` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Results": "sim.study.results",
    "build": "sim.scenario.build",
    "load": "sim.scenario.load",
    "loads": "sim.scenario.load",
    "measure": "sim.stats.metrics",
    "policy": "sim.registry",
    "render": "sim.report",
    "run_study": "sim.study.execute",
}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
