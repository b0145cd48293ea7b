"""Charts of pools and links: their use, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sim.metrics import lookup
from sim.report import charts
from sim.report.charts import Chart
from sim.report.sections.scope import MOST, Scope, floats, zeros


def use(scope: Scope) -> Iterator[Chart]:
    """Use of pools, nodes and links over time."""
    pools = scope.all("pools")
    for pool in pools[:MOST]:
        lines = scope.over_time(lambda curves, pool=pool: curves["pools"].get(pool, {}).get("utilisation"))
        if lines and any(value > 0 for line in lines for value in line.y):
            yield charts.lines(
                f"use-{pool.replace('/', '-')}",
                f"Utilisation of {pool}",
                "Part of the powered accelerators (or cores) at work. Near 100 % a queue forms; near 0 "
                "% one pays for "
                "idle machines.",
                lines,
                xlabel="simulated time",
                ylabel="utilisation",
                xdimension="duration",
                ydimension="fraction",
                step=True,
            )
    index = scope.focus()
    for pool in pools[:MOST]:
        nodes = scope.curves[index]["pools"].get(pool, {}).get("nodes", {}) if index in scope.curves else {}
        if len(nodes) > 1:
            cell = scope.summary["cells"][index]
            yield charts.heat(
                f"nodes-{pool.replace('/', '-')}",
                f"Nodes of {pool} under {scope.label(cell)}",
                "One strip a node over time: bright is busy, blank is off. Stripes show uneven load.",
                {f"node {name}": floats(values) for name, values in nodes.items()},
                scope.curves[index]["edges"],
            )
    for link in scope.all("links")[:MOST]:
        lines = scope.over_time(lambda curves, link=link: _busier(curves["links"].get(link, {})))
        if lines and any(value >= 0.005 for line in lines for value in line.y):
            yield charts.lines(
                f"link-{link}",
                f"Traffic on {link}",
                "Part of the bandwidth in use, in the busier direction. At 100 % transfers slow each "
                "other down.",
                lines,
                xlabel="simulated time",
                ylabel="part of the bandwidth",
                xdimension="duration",
                ydimension="fraction",
                step=True,
            )


def bills(scope: Scope) -> Iterator[Chart]:
    """Cost, energy and carbon by pool and link."""
    arms = [scope.label(cell) for _, cell in scope.cells]
    for what, title, reading in (
        ("cost", "Cost", "US dollars of the measured window: nodes while they were on, and moved data."),
        (
            "energy",
            "Energy",
            "Energy of the nodes with the overhead of their site (PUE), and of moved data.",
        ),
        (
            "carbon",
            "Carbon",
            "CO2 equivalent of that energy, with the hourly intensity of each site's grid.",
        ),
    ):
        parts: dict[str, list[float]] = {}
        for kind in ("pools", "links"):
            for name in scope.all(kind):
                values = zeros([scope.mean(cell, f"{kind}.{name}.{what}") for _, cell in scope.cells])
                if any(value > 0 for value in values):
                    parts[name] = values
        if parts:
            dimension = lookup(f"total.{what}").dimension
            yield charts.stacked(what, title, reading, arms, parts, xlabel=what, dimension=dimension)


def _busier(directions: Mapping[str, Sequence[float | None]]) -> list[float]:
    ways = [zeros(floats(values)) for values in directions.values()]
    return [max(values) for values in zip(*ways, strict=True)] if ways else []
