"""Charts of training jobs: how long they take and wait, who stands in line, and who ran when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sim.errors import ResultsError
from sim.report import charts, charts_jobs
from sim.report.charts import Chart, Line
from sim.report.charts_jobs import Stretch, Track
from sim.report.sections.scope import Json, Scope, floats

#: Jobs in a Gantt chart, and arms that have one.
MOST_TRACKS, MOST_SCHEDULES = 40, 16


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
            yield charts.cdf(f"jobs-{key}", title, reading, curves, of="jobs", what=title.lower())


def queues(scope: Scope) -> Iterator[Chart]:
    """The number of waiting jobs over time, a panel an arm."""
    lines = []
    for position, (index, cell) in enumerate(scope.every[:MOST_SCHEDULES]):
        curves = scope.curves_of(index, cell)
        if curves["jobs"]:
            waiting = floats(curves["jobs"]["waiting"])
            lines.append(Line(scope.label(cell), curves["edges"][:-1], waiting, colour=position))
    if any(value > 0 for line in lines for value in line.y):
        yield charts_jobs.queues(
            "jobs-queue",
            "Jobs in the queue",
            "Jobs that wait for places, at first or again, over simulated time; one scale for all. The "
            "jobs are the same everywhere: what differs is whom the arm lets wait, and a low line may hide "
            "few large ones.",
            lines,
            "jobs waiting",
        )


def schedules(scope: Scope) -> Iterator[Chart]:
    """One Gantt chart an arm, of the same jobs everywhere."""
    chosen: list[int] | None = None
    for position, (index, cell) in enumerate(scope.every[:MOST_SCHEDULES]):
        replication = cell["replications"][0]
        try:
            jobs = scope.results.table("jobs", index, replication).to_pydict()
            runs = scope.results.table("runs", index, replication).to_pydict()
        except ResultsError:
            continue  # the tables were not kept
        if not runs["job"]:
            continue
        if chosen is None:
            chosen = _largest(jobs)
        end = float(scope.curves_of(index, cell)["end"])
        count = len(jobs["id"])
        which = (
            f"The {len(chosen)} of {count:,} jobs with the most work times accelerators, the same everywhere"
            if len(chosen) < count
            else f"All {count} jobs"
        )
        yield charts_jobs.gantt(
            f"gantt-{index}",
            f"Who ran when under {scope.label(cell)}",
            f"{which}, by submission, named by accelerators and class. Thin line: from submission to the "
            "end; bar: on its places. A bar that starts late has waited, a broken one was interrupted.",
            _tracks(jobs, runs, chosen, end),
            end,
            colour=position,
        )


def _largest(jobs: Json) -> list[int]:
    """Ids of the jobs that ask for most work times accelerators, in order of submission."""
    sizes = {
        number: (-work * demand, number)
        for number, work, demand in zip(jobs["id"], jobs["work"], jobs["demand"], strict=True)
    }
    return sorted(sorted(sizes, key=sizes.__getitem__)[:MOST_TRACKS])


def _tracks(jobs: Json, runs: Json, chosen: list[int], end: float) -> list[Track]:
    rows = {number: row for row, number in enumerate(jobs["id"])}
    stretches: dict[int, list[Stretch]] = {number: [] for number in chosen}
    columns: list[Any] = [runs[name] for name in ("job", "started", "ended", "workers")]
    for number, started, ended, workers in sorted(zip(*columns, strict=True), key=lambda run: run[:2]):
        if number in stretches and started == started:
            part = workers / jobs["workers"][rows[number]]
            stretches[number].append(Stretch(started, end if ended != ended else ended, part))
    return [
        Track(
            f"{jobs['demand'][rows[number]]:g} · {jobs['name'][rows[number]]}",
            jobs["submitted"][rows[number]],
            jobs["finished"][rows[number]],
            stretches[number],
        )
        for number in chosen
        if number in rows
    ]
