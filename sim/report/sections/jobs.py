"""Charts of training jobs: how long they take and wait, and who stands in line."""

from __future__ import annotations

from collections.abc import Iterator

from sim.report import charts
from sim.report.charts import Chart, Line
from sim.report.sections.scope import Scope, floats


def jobs(scope: Scope) -> Iterator[Chart]:
    """Distributions of completion time and wait, and the queue over time."""
    found = [(position, i, cell) for position, (i, cell) in enumerate(scope.cells) if scope.curves[i]["jobs"]]
    if not found:
        return
    for key, title, reading in (
        (
            "jct",
            "Job completion time",
            "Share of the jobs done within a time of their submission. Left is better.",
        ),
        (
            "wait",
            "Time in the queue",
            "Share of the jobs that started within a time of their submission.",
        ),
    ):
        curves = [
            Line(
                scope.label(cell),
                [max(x, 1.0) for x in floats(scope.curves[i]["jobs"][key])],
                scope.curves[i]["curve"],
                colour=position,
            )
            for position, i, cell in found
            if scope.curves[i]["jobs"][key]
        ]
        if curves:
            yield charts.cdf(f"jobs-{key}", title, reading, curves)
    waiting = scope.over_time(lambda curves: curves["scheduler"]["waiting"])
    if waiting:
        yield charts.lines(
            "jobs-waiting",
            "Workers in the queue",
            "Workers that wait for a place. A queue that one arm works off and another does not is the "
            "effect of "
            "the policy: the jobs are the same.",
            waiting,
            xlabel="simulated time",
            ylabel="workers waiting",
            xdimension="duration",
            step=True,
        )
