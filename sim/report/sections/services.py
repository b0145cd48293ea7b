"""Charts of services: demand, forecast, replicas and violations on one time axis."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from sim.report import charts_scaling
from sim.report.charts import Chart, Line
from sim.report.sections.scope import MOST, Json, Scope, floats


def replicas(scope: Scope) -> Iterator[Chart]:
    """Services that scaled: the arms at the focus, then who wins at the other points of the axes."""
    at_focus = itertools.islice(_at_focus(scope), MOST)
    yield from itertools.chain(at_focus, itertools.islice(_winners(scope), MOST))


def _at_focus(scope: Scope) -> Iterator[Chart]:
    for index, cell in scope.cells:
        yield from _story(scope.curves[index], index, scope.label(cell))


def _winners(scope: Scope) -> Iterator[Chart]:
    """Who is chosen elsewhere, or the first arm where nobody is."""
    drawn = {index for index, _ in scope.cells}
    answer = scope.summary["answer"]
    for decision in answer["decisions"] if answer and not scope.by_point else ():
        chosen = decision["winner"] or decision["candidates"][0]
        for index, cell in enumerate(scope.summary["cells"]):
            if cell["label"] == chosen["label"] and cell["replications"] and index not in drawn:
                yield from _story(scope.curves_of(index, cell), index, str(cell["label"]))


def _story(curves: Json, index: int, label: str) -> Iterator[Chart]:
    for service, found in curves["services"].items():
        if not _changes(found["wanted"]):
            continue
        edges = curves["edges"]
        width = edges[1] - edges[0]
        forecast, violations = _forecast(found, edges), _violations(curves)
        parts = ["Above, calls per second"]
        if forecast is not None:
            parts.append(
                " and what was foreseen of them when the replicas were asked for, with its band "
                f"({_share(found['forecast']['level'])} quantile and its mirror)"
            )
        parts.append(
            ". Then replicas asked for and replicas ready: between them lies the time a cold start takes."
        )
        if violations is not None:
            parts.append(" Below, requests beyond the SLO, by the moment they came.")
        if curves["window"][0] > 0:
            parts.append(" What lies before the dashed line does not count.")
        yield charts_scaling.story(
            f"replicas-{service}-{index}",
            f"{service} under {label}",
            "".join(parts),
            Line("calls", edges[:-1], [count / width for count in found["arrived"]]),
            [
                Line("wanted", edges[:-1], floats(found["wanted"]), style="--"),
                Line("ready", edges[:-1], floats(found["ready"])),
            ],
            forecast=forecast,
            violations=violations,
            window=curves["window"][0],
        )


def _forecast(found: Json, edges: Sequence[float]) -> Line | None:
    foreseen = found.get("forecast")
    if foreseen is None:
        return None
    mean, low, high = (floats(foreseen[name]) for name in ("expected", "low", "high"))
    return Line("forecast", edges[:-1], mean, low, high, colour=0)


def _violations(curves: Json) -> Line | None:
    """Requests beyond their SLO, of all applications that have one."""
    found = [app["violations"] for app in curves["apps"].values() if app.get("violations") is not None]
    if not found:
        return None
    return Line(
        "late or lost", curves["edges"][:-1], [float(sum(counts)) for counts in zip(*found, strict=True)]
    )


def _share(level: float | None) -> str:
    return "the" if level is None else f"{level:.0%}"


def _changes(values: Sequence[float | None]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and max(known) > min(known)
