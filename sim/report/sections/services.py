"""Charts of services: replicas against demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sim.report import charts
from sim.report.charts import Chart, Line
from sim.report.sections.scope import MOST, Scope, floats


def replicas(scope: Scope) -> Iterator[Chart]:
    """Replicas asked for and ready under the demand, for services that scaled."""
    drawn = 0
    for service in scope.all("services"):
        for index, cell in scope.cells:
            curves = scope.curves[index]
            found = curves["services"].get(service)
            if found is None or drawn >= MOST or not _changes(found["wanted"]):
                continue
            drawn += 1
            edges = curves["edges"]
            width = edges[1] - edges[0]
            calls = Line("calls", edges[:-1], [count / width for count in found["arrived"]])
            yield charts.demand(
                f"replicas-{service}-{index}",
                f"{service} under {scope.label(cell)}",
                "Above, calls per second. Below, replicas asked for and replicas ready: the gap between "
                "them is the "
                "time a cold start takes.",
                calls,
                [
                    Line("wanted", edges[:-1], floats(found["wanted"]), style="--"),
                    Line("ready", edges[:-1], floats(found["ready"])),
                ],
            )


def _changes(values: Sequence[float | None]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and max(known) > min(known)
