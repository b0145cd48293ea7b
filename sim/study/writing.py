"""The files of a study as a whole: summary, manifest, and the two CSV files people open first."""

from __future__ import annotations

import csv
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sim
from sim.metrics import lookup
from sim.scenario.facts import caveats
from sim.scenario.load import digest, inputs, resolved
from sim.scenario.spec import Scenario
from sim.study import answer, cells, contrast
from sim.study.cells import Cell
from sim.study.compare import Group, Json, Run, summarise
from sim.study.pool import Done
from sim.study.results import VERSION, dump, series_path

_UTILIZATION = (
    "utilisation",
    "allocated",
    "node_hours",
    "accelerator_hours",
    "replicas",
    "replica_hours",
    "batch",
)
_LATENCY = ("latency", "network", "queue", "compute", "wait", "jct", "slo_met", "dropped", "throughput")

#: Unit of a value in the CSV files, by the metric's dimension.
_UNITS = {
    "duration": "s",
    "fraction": "share",
    "money": "USD",
    "energy": "J",
    "carbon": "g",
    "bytes": "B",
    "rate": "1/s",
}


#: What is weighed in a study of jobs, unless it says otherwise.
_TRADEOFF = ("jobs.jct.mean", "jobs.finish_time_fairness.mean")

#: Text that begins like a formula and is no number.
_FORMULA = re.compile(r"(?![-+]?[\d.]+(?:[eE][-+]?\d+)?$)[=+\-@\t\r]")


@dataclass(slots=True)
class Study:
    """A study on its way: what was planned, and the runs that have finished."""

    scenario: Scenario
    cells: Sequence[Cell]
    replications: int
    quick: bool
    keep: str
    done: list[Done] = field(default_factory=list)
    interrupted: bool = False

    @property
    def planned(self) -> int:
        """Runs in all."""
        return len(self.cells) * self.replications

    def groups(self) -> list[Group]:
        """Finished runs by cell."""
        return [
            Group(
                cell.arm,
                cell.point,
                cell.label,
                [
                    Run(cell.index, d.task.replication, d.metrics, d.ended["reason"], int(d.ended["events"]))
                    for d in self.done
                    if d.task.cell == cell.index
                ],
                _bound(cell.scenario),
            )
            for cell in self.cells
        ]


def _bound(scenario: Scenario) -> bool:
    """Whether an autoscaler of it knows the future."""
    return any(getattr(each.autoscaler, "bound", False) for each in scenario.platform.services.values())


def run_name(scenario: Scenario, *, quick: bool) -> str:
    """Name of the results folder: the same for the same scenario and seed."""
    return f"{digest(scenario)[:8]}-seed{scenario.seed}" + ("-quick" if quick else "")


def question(scenario: Scenario) -> answer.Question | None:
    """What decides the study, if its author said so.

    Raises:
        UsageError: a metric that does not exist.
        ValueError: a condition that cannot be read.
    """
    asked = scenario.study.answer
    return answer.question(asked.metric, asked.goal, asked.subject_to) if asked else None


def write(folder: Path, study: Study, timing: Mapping[str, Any]) -> None:
    """Write everything but the files of the single runs."""
    groups = study.groups()
    (folder / "scenario.resolved.yaml").write_text(resolved(study.scenario), encoding="utf-8")
    content = summary(study, groups)
    dump(folder / "summary.json", content)
    dump(folder / "manifest.json", _manifest(study, timing))
    _tidy(folder / "utilization.csv", content, _UTILIZATION)
    _tidy(folder / "latency.csv", content, _LATENCY)


def summary(study: Study, groups: Sequence[Group]) -> Json:
    """Content of `summary.json`."""
    scenario = study.scenario
    base = cells.baseline(scenario)
    asked = question(scenario)
    return {
        "results_version": VERSION,
        "scenario": {
            "name": scenario.name,
            "question": scenario.question,
            "notice": list(scenario.notice),
            "try": list(scenario.attempts),
            "sources": list(scenario.sources),
            "seed": scenario.seed,
            "duration": study.cells[0].scenario.duration,
            "warmup": study.cells[0].scenario.warmup,
            "quick": study.quick,
        },
        "replications": study.replications,
        "partial": _partial(study),
        "baseline": base,
        "arms": list(dict.fromkeys(cell.arm for cell in study.cells)),
        "axes": {axis: [one.value for one in found] for axis, found in scenario.study.choices().items()},
        "axis_names": cells.short_names(list(scenario.study.choices())),
        "show": list(scenario.study.show),
        "cells": summarise(groups, base),
        "answer": answer.decide(groups, asked) if asked else None,
        "differences": contrast.matrix(groups, asked.metric) if asked else [],
        "tradeoff": contrast.tradeoff(groups, scenario.study.tradeoff or _TRADEOFF)
        if scenario.study.tradeoff or scenario.platform.jobs
        else [],
        "caveats": _caveats(study),
    }


def _caveats(study: Study) -> list[str]:
    """What the figures of any cell leave out, each once."""
    return list(dict.fromkeys(text for cell in study.cells for text in caveats(cell.scenario)))


def _partial(study: Study) -> Json | None:
    """Why the study is not whole; None when it is."""
    limits: dict[str, int] = {}
    for done in study.done:
        reason = done.ended["reason"]
        if reason != "completed":
            limits[reason] = limits.get(reason, 0) + 1
    if not study.interrupted and not limits and len(study.done) == study.planned:
        return None
    parts = []
    if len(study.done) < study.planned:
        parts.append(f"interrupted: {len(study.done)} of {study.planned} runs finished")
    parts += [
        f"{count} of {len(study.done)} runs ended early ({_WHY.get(reason, reason)})"
        for reason, count in limits.items()
    ]
    return {
        "text": "; ".join(parts),
        "interrupted": study.interrupted,
        "finished": len(study.done),
        "planned": study.planned,
        "stopped": limits,
    }


_WHY = {
    "events": "limit on events",
    "time": "limit on simulated time",
    "wall": "limit on real time",
    "memory": "limit on memory",
    "interrupted": "interrupted",
}


def _manifest(study: Study, timing: Mapping[str, Any]) -> Json:
    scenario = study.scenario
    by_index = {cell.index: cell for cell in study.cells}
    return {
        "results_version": VERSION,
        "stratus": sim.__version__,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", "simpy", "scipy", "pyarrow")},
        "scenario": {"name": scenario.name, "digest": digest(scenario), "inputs": inputs(scenario)},
        "seed": scenario.seed,
        "quick": study.quick,
        "keep": study.keep,
        "partial": _partial(study),
        "cells": [
            {"arm": cell.arm, "point": dict(cell.point), "label": cell.label, "folder": cell.folder}
            for cell in study.cells
        ],
        "runs": [
            {
                "cell": done.task.cell,
                "arm": by_index[done.task.cell].arm,
                "replication": done.task.replication,
                "folder": done.task.folder,
                "series": series_path(done.task.folder, done.task.replication),
                "kept": done.task.keep,
                "ended": dict(done.ended),
                "rows": done.tables["rows"],
                "sha256": done.tables["sha256"],
            }
            for done in study.done
        ],
        "timing": dict(timing),
    }


def _tidy(path: Path, content: Json, wanted: tuple[str, ...]) -> None:
    """One row a cell and metric: its mean, interval and the value of every replication."""
    replications = range(content["replications"])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        runs = [f"r{number}" for number in replications]
        writer.writerow(
            ["arm", *content["axes"], "scope", "metric", "unit", "n", "mean", "low", "high", *runs]
        )
        for cell in content["cells"]:
            where = [cell["arm"], *(_inert(cells.text(value)) for value in cell["point"].values())]
            for name, row in cell["metrics"].items():
                scope, metric = _split(name)
                if metric.split(".")[0] not in wanted:
                    continue
                values = dict(zip(cell["replications"], row["values"], strict=True))
                # csv writes None as an empty field.
                numbers = [row["mean"], row["low"], row["high"], *map(values.get, replications)]
                unit = _UNITS.get(lookup(name).dimension, "")
                writer.writerow([*where, scope, metric, unit, row["n"], *numbers])


def _inert(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe before what would make it one."""
    return f"'{text}" if _FORMULA.match(text) else text


def _split(name: str) -> tuple[str, str]:
    """`apps.a.latency.p99` is `latency.p99` of `apps.a`; jobs and totals have no name of their own."""
    parts = name.split(".")
    size = 1 if parts[0] in ("jobs", "total") else 2
    return ".".join(parts[:size]), ".".join(parts[size:])
