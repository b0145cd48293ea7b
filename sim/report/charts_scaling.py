"""The chart of a service that scales: what came, what was foreseen, what was there, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence

from sim.report import theme
from sim.report.charts import Chart, Line, draw, finish, table, ticks


def story(
    key: str,
    title: str,
    reading: str,
    arrivals: Line,
    replicas: Sequence[Line],
    *,
    forecast: Line | None = None,
    violations: Line | None = None,
    window: float = 0.0,
) -> Chart:
    """Demand and its forecast, replicas, and requests beyond the SLO, one above the other on one time axis.

    Args:
        key: of the chart.
        title: of it.
        reading: a sentence on how to read it.
        arrivals: calls per second by bin.
        replicas: curves of numbers of replicas.
        forecast: mean foreseen with its band, at the time it is of.
        violations: requests beyond the SLO by bin; None draws no panel for them.
        window: moment before which nothing counts (s); it is marked.
    """
    rows = 2 if violations is None else 3
    with theme.drawing(key, height=1.0 + 1.3 * rows) as figure:
        above = theme.panel(figure, "calls/s", rows=rows, row=1)
        grey = theme.colour(7)
        above.fill_between(arrivals.x, arrivals.y, color=grey, alpha=0.3, linewidth=0, step="post")
        above.plot(
            arrivals.x, arrivals.y, color=grey, drawstyle="steps-post", linewidth=1, label=arrivals.name
        )
        if forecast is not None:
            draw(above, [forecast], step=True)
            theme.legend(above, 2)
        middle = theme.panel(figure, "replicas", rows=rows, row=2)
        draw(middle, replicas, step=True)
        theme.legend(middle, len(replicas))
        panels = [above, middle]
        if violations is not None:
            below = theme.panel(figure, "late or lost", rows=rows, row=3)
            below.fill_between(
                violations.x, violations.y, color=theme.colour(1), alpha=0.8, linewidth=0, step="post"
            )
            panels.append(below)
        for axes in panels:
            axes.set_ylim(bottom=0)
            if axes is not above:
                axes.sharex(above)
            if axes is not panels[-1]:
                axes.tick_params(labelbottom=False)
            if window > 0:
                axes.axvline(window, color=theme.INK, linewidth=1, linestyle=(0, (4, 3)))
        panels[-1].set_xlabel("simulated time")
        ticks(panels[-1], "x", "duration")
        lines = [
            arrivals,
            *([forecast] if forecast else []),
            *replicas,
            *([violations] if violations else []),
        ]
        return finish(figure, key, title, reading, table(["series", "time_s", "value"], _rows(lines)))


def _rows(lines: Sequence[Line]) -> list[list[object]]:
    """Curves as rows; a band becomes two curves more."""
    rows: list[list[object]] = []
    for line in lines:
        for name, values in (
            (line.name, line.y),
            (f"{line.name} low", line.low),
            (f"{line.name} high", line.high),
        ):
            if values is not None:
                rows += [[name, x, y] for x, y in zip(line.x, values, strict=True)]
    return rows
