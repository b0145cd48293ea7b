"""What a report says, as data: everything the page and the terminal show, ready to print."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sim.metrics import Metric, lookup
from sim.report import theme, words
from sim.report.charts import Chart
from sim.report.sections import Scope, Section, sections
from sim.report.sections.lead import lead
from sim.study.results import Results
from sim.units import show

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """A column's title and the colour its arm has in the charts."""

    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the table: its interval, and its difference to the baseline with its tone."""

    text: str
    interval: str = ""
    difference: str = ""
    tone: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One metric over the columns."""

    label: str
    meaning: str
    cells: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class Block:
    """A table, by arm: of metrics at one point of the axes, or of the deciding metric by point."""

    title: str
    corner: str
    heads: Sequence[Head]
    rows: Sequence[Row]
    open: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """A whole report."""

    name: str
    question: str
    figure: str
    answer: Sequence[str]
    lead: Chart | None
    compared: Sequence[str]
    warnings: Sequence[str]
    notice: Sequence[str]
    tries: Sequence[str]
    numbers: str
    choice: Block | None
    tables: Sequence[Block]
    sources: Sequence[str]
    method: Sequence[str]
    scenario: str
    version: str
    seed: int
    digest: str
    sections: Sequence[Section] = field(default=())


def view(results: Results, *, drawn: bool) -> View:
    """The report of a study.

    Args:
        results: stored results.
        drawn: with the charts; the terminal does without.
    """
    summary, manifest = results.summary, results.manifest
    scenario = summary["scenario"]
    figure, answer = words.answer(summary)
    scope = Scope(results) if drawn else None
    return View(
        name=scenario["name"],
        question=scenario["question"] or scenario["name"],
        figure=figure,
        answer=answer,
        lead=lead(scope) if scope is not None else None,
        compared=words.compared(summary),
        warnings=_warnings(summary),
        notice=scenario["notice"],
        tries=scenario["try"],
        numbers=_numbers(summary),
        choice=_choice(summary),
        tables=_tables(summary, scope.at if scope is not None else None),
        sources=scenario["sources"],
        method=_method(summary, manifest),
        scenario=results.scenario_text,
        version=manifest["stratus"],
        seed=manifest["seed"],
        digest=manifest["scenario"]["digest"][:8],
        sections=sections(scope) if scope is not None else (),
    )


def _warnings(summary: Json) -> list[str]:
    found = []
    if summary["scenario"]["quick"]:
        found.append(
            "A quick try-out: a fifth of the duration and two replications. Do not quote these numbers."
        )
    if summary["partial"]:
        found.append(f"Not complete: {summary['partial']['text']}.")
    found += [
        f"{cell['label']}: overloaded. The backlog of {', '.join(cell['unstable'])} grew until the end, "
        "so its latency depends on how long one looks; no mean is given."
        for cell in summary["cells"]
        if cell["unstable"]
    ]
    if summary["replications"] == 1:
        found.append("One replication: there are no intervals, and differences may be chance.")
    return found


def _numbers(summary: Json) -> str:
    counts = sorted({len(cell["replications"]) for cell in summary["cells"]})
    if counts == [1]:
        text = "Values of one replication"
    else:
        text = f"Means over {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} replications"
    if counts[-1] > 1:
        text += ", ± half the width of their 95 % intervals"
    if summary["baseline"] is not None:
        text += (
            f"; below them the difference to {summary['baseline']}, paired run by run (≈: could be chance)"
        )
    return text + "."


def _choice(summary: Json) -> Block | None:
    """Along the axes: the deciding metric of every arm at every point, and why an arm is out."""
    found = summary["answer"]
    if not found or len(found["decisions"]) < 2:
        return None
    metric = lookup(found["metric"])
    names = summary["axis_names"]
    axis = next(iter(names.values())) if len(names) == 1 else ""
    # With one axis its name stands once, above or beside the values.
    points = [
        _plain(next(iter(decision["point"].values()))) if axis else _point(decision["point"], names)
        for decision in found["decisions"]
    ]
    arms = list(summary["arms"])
    cells = []
    for decision in found["decisions"]:
        by_arm = {each["arm"]: each for each in decision["candidates"]}
        winner = decision["winner"]["arm"] if decision["winner"] else None
        cells.append(
            [_candidate(by_arm[arm], metric, arm == winner) if arm in by_arm else Figure("–") for arm in arms]
        )
    title = f"{metric.label[0].upper()}{metric.label[1:]}, by arm{f' and {axis}' if axis else ''}"
    if len(arms) > len(points):
        # Whatever there is more of goes down the page, which has more room than across.
        rows = [Row(arm, "", column) for arm, column in zip(arms, zip(*cells, strict=True), strict=True)]
        return Block(title, "", [Head(point) for point in points], rows)
    heads = [Head(arm, theme.colour(position)) for position, arm in enumerate(arms)]
    return Block(title, axis, heads, [Row(point, "", row) for point, row in zip(points, cells, strict=True)])


def _candidate(each: Json, metric: Metric, wins: bool) -> Figure:
    if each["qualifies"]:
        return Figure(
            words.value(each["mean"], metric), difference="chosen" if wins else "", tone="good", best=wins
        )
    return Figure(
        words.value(each["mean"], metric),
        difference="; ".join(map(words.reason, each["reasons"])),
        tone="bad",
    )


def _tables(summary: Json, focus: Json | None) -> list[Block]:
    cells = summary["cells"]
    names = summary["axis_names"]
    if len(summary["arms"]) == 1 and summary["axes"]:
        heads = [Head(_point(cell["point"], names), theme.colour(i)) for i, cell in enumerate(cells)]
        return [Block("", "metric", heads, _rows(summary, cells))]
    points: list[tuple[Json, list[Json]]] = []
    for cell in cells:
        group = next((found for point, found in points if point == cell["point"]), None)
        if group is None:
            points.append((cell["point"], [cell]))
        else:
            group.append(cell)
    colours = {arm: theme.colour(position) for position, arm in enumerate(summary["arms"])}
    return [
        Block(
            _point(point, names),
            "metric",
            [Head(cell["arm"], colours[cell["arm"]]) for cell in group],
            _rows(summary, group),
            len(points) == 1 or dict(point) == focus,
        )
        for point, group in points
    ]


def _point(point: Json, names: Json) -> str:
    return ", ".join(f"{names[axis]} {_plain(value)}" for axis, value in point.items())


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shown(summary: Json) -> list[str]:
    """Metrics of the table: those the scenario asks for, else a choice that fits what it has."""
    if summary["show"]:
        return list(summary["show"])
    names = list(dict.fromkeys(name for cell in summary["cells"] for name in cell["metrics"]))
    wanted = ("latency.p50", "latency.p99", "slo_met", "dropped", "throughput")
    found = [name for name in names if name.startswith("apps.") and name.split(".", 2)[2] in wanted]
    found += [
        name
        for name in names
        if name.startswith("services.")
        and name.endswith((".utilisation", ".replicas", ".batch_use", ".kv_use"))
    ]
    jobs = ("jct.mean", "jct.p99", "wait.mean", "makespan", "utilisation")
    found += [name for name in names if name.startswith("jobs.") and name.removeprefix("jobs.") in jobs]
    totals = ("total.cost", "total.energy", "total.carbon")
    found += [
        name for name in totals if any(cell["metrics"].get(name, {}).get("mean") for cell in summary["cells"])
    ]
    return [name for name in found if any(_has(cell, name) for cell in summary["cells"])]


def _has(cell: Json, name: str) -> bool:
    """Whether the metric is defined there."""
    return name in cell["metrics"] and cell["metrics"][name]["mean"] is not None


def _rows(summary: Json, cells: Sequence[Json]) -> list[Row]:
    rows = []
    for name in shown(summary):
        if not any(name in cell["metrics"] for cell in cells):
            continue
        metric = lookup(name)
        scope = name.split(".")[1] if name.startswith(("apps.", "services.", "pools.", "links.")) else ""
        label = f"{metric.label} · {_place(name) or scope}" if scope else metric.label
        rows.append(Row(label, metric.meaning, _figures(name, cells)))
    return rows


def _place(name: str) -> str:
    """The site in `apps.<app>.placed.<site>`."""
    _, _, site = name.partition(".placed.")
    return site and f"at {site}"


def _figures(name: str, cells: Sequence[Json]) -> list[Figure]:
    metric = lookup(name)
    usable = {
        index: cell["metrics"][name]["mean"]
        for index, cell in enumerate(cells)
        if name in cell["metrics"] and cell["metrics"][name]["mean"] is not None and not _growing(name, cell)
    }
    best: set[int] = set()
    if metric.better is not None and len(set(usable.values())) > 1:
        target = (min if metric.better == "low" else max)(usable.values())
        best = {index for index, mean in usable.items() if mean == target}
    figures = []
    for index, cell in enumerate(cells):
        row = cell["metrics"].get(name)
        if row is None or row["mean"] is None:
            figures.append(Figure("–"))
            continue
        if _growing(name, cell):
            figures.append(Figure("overloaded"))
            continue
        span = words.spread(row["low"], row["high"], metric)
        text, tone = "", ""
        if cell["versus"] is not None and name in cell["versus"]["metrics"]:
            text, tone = words.difference(cell["versus"]["metrics"][name], metric)
        figures.append(Figure(words.value(row["mean"], metric), span, text, tone, index in best))
    return figures


def _growing(name: str, cell: Json) -> bool:
    """Whether the metric describes a steady state that this overloaded cell does not have."""
    return bool(cell["unstable"]) and lookup(name).steady


def _method(summary: Json, manifest: Json) -> list[str]:
    scenario = summary["scenario"]
    runs, events = len(manifest["runs"]), sum(run["ended"]["events"] for run in manifest["runs"])
    found = [
        f"{runs} runs of {show(scenario['duration'], 'duration')} simulated time, the first "
        f"{show(scenario['warmup'], 'duration')} of each not counted; {events:,} events in all.",
        f"Seed {manifest['seed']}. Every arm sees the same arrivals, sizes and faults in the same "
        f"replication, so "
        "differences are between the arms and not between their luck.",
        "Intervals are 95 % Student-t intervals over replications; differences are paired.",
        "Utilisation, cost, energy and carbon are exact integrals of recorded changes, not samples.",
        f"Stratus {manifest['stratus']}, Python {manifest['python']}, numpy "
        f"{manifest['packages']['numpy']}. The same "
        "file and seed give the same tables on any number of processes.",
    ]
    return found + list(summary["caveats"])
