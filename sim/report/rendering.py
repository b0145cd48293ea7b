"""From a results folder to its report: page, plots and timeline, all of it again at any time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sim.report import timeline
from sim.report.html import page
from sim.report.sections import Scope
from sim.report.view import view
from sim.study.results import STEPS, Results

#: Step series that the timeline shows as counters.
_COUNTERS = ("/wanted", "/ready", "/in_system", "scheduler/waiting")


def render(folder: Path) -> None:
    """Write `report.html`, `plots/` and `timeline.json.gz` of a results folder.

    Raises:
        ResultsError: the folder holds no results, or those of another version.
    """
    results = Results(folder)
    shown = view(results, drawn=True)
    plots = folder / "plots"
    shutil.rmtree(plots, ignore_errors=True)
    plots.mkdir()
    drawn = [chart for section in shown.sections for chart in section.charts]
    for chart in [*([shown.lead] if shown.lead is not None else []), *drawn]:
        (plots / f"{chart.key}.svg").write_text(chart.file, encoding="utf-8")
        (plots / f"{chart.key}.csv").write_text(chart.data, encoding="utf-8")
    (folder / "report.html").write_text(page(shown), encoding="utf-8")
    _timeline(results, folder)


def _timeline(results: Results, folder: Path) -> None:
    """The timeline of the first kept run of the arm that answers the question."""
    cell = Scope(results).focus()
    kept = next((run for run in results.runs(cell) if run["kept"]), None)
    if kept is None:
        return
    replication = kept["replication"]
    tables: dict[str, list[dict[str, Any]]] = {}
    for name in ("nodes", "units", "requests", "faults"):
        rows = results.table(name, cell, replication)
        most = timeline.MAX_REQUESTS + 1 if name == "requests" else rows.num_rows
        tables[name] = rows.slice(0, most).to_pylist()
    steps = results.table(STEPS, cell, replication).to_pydict()
    counters: dict[str, tuple[list[float], list[float]]] = {}
    for name, time, value in zip(steps["name"], steps["time"], steps["value"], strict=True):
        if name.startswith("paas/") and name.endswith(_COUNTERS):
            times, values = counters.setdefault(name, ([], []))
            if len(times) < timeline.MAX_REQUESTS:
                times.append(time)
                values.append(value)
    timeline.write(folder / "timeline.json.gz", tables, counters, float(kept["ended"]["time"]))
