"""The chart beside the answer, and every shown metric along the axes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from sim.metrics import lookup
from sim.report import charts
from sim.report.charts import Bar, Chart, Line
from sim.report.sections.scope import Json, Scope


def lead(scope: Scope) -> Chart | None:
    """The deciding metric by arm, or along the first axis of numbers."""
    found = scope.summary["answer"]
    if not found or not scope.cells:
        return None
    metric = lookup(found["metric"])
    axis = scope.numeric_axis()
    if axis is not None:
        return _along_axis(scope, axis, found)
    candidates = next(
        (d for d in found["decisions"] if d["point"] in (dict(scope.at), {})), found["decisions"][0]
    )
    name = "label" if scope.by_point else "arm"
    bars = [
        Bar(each[name], each["mean"], each["low"], each["high"])
        for each in candidates["candidates"]
        if each["mean"] is not None
    ]
    if not bars:
        return None
    winner = candidates["winner"][name] if candidates["winner"] else None
    reading = f"Bar: mean over replications; line: 95 % interval{scope.where()}. Faded arms are not chosen."
    return charts.bars(
        "answer",
        metric.label,
        reading,
        bars,
        xlabel=metric.label,
        dimension=metric.dimension,
        highlight=winner,
    )


def _along_axis(scope: Scope, axis: str, found: Json) -> Chart:
    metric = lookup(found["metric"])
    ruled_out = {
        (each["arm"], each["point"].get(axis))
        for decision in found.get("decisions", ())
        for each in decision["candidates"]
        if not each["qualifies"]
    }
    others = {name: value for name, value in scope.at.items() if name != axis}
    series = []
    for position, arm in enumerate(scope.summary["arms"]):
        points = []
        for cell in scope.summary["cells"]:
            rest = {name: value for name, value in cell["point"].items() if name != axis}
            row = cell["metrics"].get(found["metric"])
            if cell["arm"] == arm and (rest == others or scope.by_point) and row and row["mean"] is not None:
                points.append((cell["point"][axis], row))
        points.sort(key=lambda point: float(point[0]))
        out = [i for i, (x, _) in enumerate(points) if (arm, x) in ruled_out]
        banded = all(row["low"] is not None for _, row in points)
        series.append(
            Line(
                arm,
                [float(x) for x, _ in points],
                [row["mean"] for _, row in points],
                [row["low"] for _, row in points] if banded else None,
                [row["high"] for _, row in points] if banded else None,
                colour=position,
                hollow=out,
            )
        )
    return charts.lines(
        "answer",
        f"{metric.label} along {scope.names[axis]}",
        "Points: means over replications; band: 95 % interval."
        + (" Hollow points do not meet the conditions and cannot be chosen." if ruled_out else ""),
        series,
        xlabel=scope.names[axis],
        ylabel=metric.label,
        ydimension=metric.dimension,
        markers=True,
    )


def along(scope: Scope) -> Iterator[Chart]:
    """Every shown metric along the first axis of numbers, when there is one."""
    from sim.report.view import shown

    found = scope.summary["answer"]
    axis = scope.numeric_axis()
    if axis is None:
        return
    for name in shown(scope.summary):
        if found and name == found["metric"]:
            continue
        chart = _along_axis(scope, axis, {"metric": name})
        part = name.split(".")[1] if name.count(".") > 1 and not name.startswith("jobs.") else ""
        title = f"{chart.title} · {part}" if part else chart.title
        yield dataclasses.replace(chart, key=f"along-{name.replace('.', '-').replace('/', '-')}", title=title)
