"""Charts of applications: how long their requests take, and which are lost."""

from __future__ import annotations

from collections.abc import Iterator

from sim.report import charts
from sim.report.charts import Chart, Line
from sim.report.sections.scope import MOST, MOST_CURVES, Scope, floats, spread, zeros
from sim.units import show


def latency(scope: Scope) -> Iterator[Chart]:
    """Distribution, course and parts of the latency of every application."""
    for app in scope.all("apps")[:MOST]:
        slo = next((c["apps"][app]["slo"] for c in scope.curves.values() if app in c["apps"]), None)
        limit = (
            (f"SLO {show(slo['latency'], 'duration')}", slo["latency"]) if slo and slo["latency"] else None
        )
        shares = [
            Line(scope.label(cell), floats(curve["latency"]), scope.curves[i]["curve"], colour=position)
            for position, (i, cell) in enumerate(scope.cells)
            if (curve := scope.curves[i]["apps"].get(app)) and curve["latency"]
        ]
        if not shares:
            continue
        yield charts.cdf(
            f"latency-{app}",
            f"Latency of {app}",
            "Read upwards from a latency: the share of completed requests answered within it. Left is "
            "faster, "
            "a long flat top is a slow tail.",
            shares,
            limit=limit,
        )
        over_time = scope.over_time(lambda curves, app=app: curves["apps"].get(app, {}).get("p99"))
        if over_time:
            yield charts.lines(
                f"p99-{app}",
                f"p99 latency of {app} over time",
                "The slowest hundredth of the requests made in each interval. A line that keeps rising "
                "is a queue "
                "that cannot be worked off.",
                over_time,
                xlabel="simulated time",
                ylabel="p99 latency",
                xdimension="duration",
                ydimension="duration",
                limit=limit,
                log="y" if spread(over_time) else "",
            )
        parts = {
            name: [scope.mean(cell, f"apps.{app}.{part}.mean") for _, cell in scope.cells]
            for part, name in (("network", "network"), ("queue", "waiting"), ("compute", "service"))
        }
        if any(value > 0 for values in parts.values() for value in values):
            yield charts.stacked(
                f"parts-{app}",
                f"Where the latency of {app} goes",
                "Mean parts of the latency of completed requests. Long waiting asks for more servers, "
                "long network "
                "for a nearer site, long service for a faster model.",
                [scope.label(cell) for _, cell in scope.cells],
                {name: zeros(values) for name, values in parts.items()},
                xlabel="mean latency",
                dimension="duration",
            )
        yield from _placed(scope, app)


def _placed(scope: Scope, app: str) -> Iterator[Chart]:
    prefix = f"apps.{app}.placed."
    sites = list(
        dict.fromkeys(
            name.removeprefix(prefix)
            for _, cell in scope.cells
            for name in cell["metrics"]
            if name.startswith(prefix)
        )
    )
    if len(sites) > 1:
        yield charts.stacked(
            f"placed-{app}",
            f"Where {app} is answered",
            "Share of the requests whose first call was served at each site.",
            [scope.label(cell) for _, cell in scope.cells],
            {site: zeros([scope.mean(cell, prefix + site) for _, cell in scope.cells]) for site in sites},
            xlabel="share of requests",
            dimension="fraction",
        )


def dropped(scope: Scope) -> Iterator[Chart]:
    """What was done to the requests that were lost, and when."""
    for app in scope.all("apps")[:MOST]:
        counts = [scope.curves[i]["apps"].get(app, {}).get("reasons", {}) for i, _ in scope.cells]
        reasons = list(dict.fromkeys(reason for count in counts for reason in count))[:MOST_CURVES]
        if not reasons:
            continue
        yield charts.stacked(
            f"dropped-{app}",
            f"Dropped requests of {app}",
            "Requests of the window that got no answer, by what was done to them and why.",
            [scope.label(cell) for _, cell in scope.cells],
            {reason: [float(count.get(reason, 0)) for count in counts] for reason in reasons},
            xlabel="requests",
        )
        lost = scope.over_time(lambda curves, app=app: curves["apps"].get(app, {}).get("dropped"))
        yield charts.lines(
            f"drops-{app}",
            f"When {app} lost requests",
            "Dropped requests by the moment they were made.",
            lost,
            xlabel="simulated time",
            ylabel="dropped",
            xdimension="duration",
            step=True,
        )
