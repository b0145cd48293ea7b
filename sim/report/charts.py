"""The charts of a report, one function a figure: plain numbers in, a drawn chart out.

Every function takes named series in the order of the arms, so that an arm keeps its colour through
the whole report. A chart carries its own numbers as CSV text and a sentence on how to read it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.report import theme
from sim.units import show

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Steps of a time axis that people read easily, in seconds.
_ROUND_TIMES = (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)

_TIME_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart: `page` is SVG for the report's HTML, `file` the same as a file of its own.

    A `wide` one takes the whole width of the page.
    """

    key: str
    title: str
    reading: str
    page: str
    file: str
    data: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One named curve: x, y and, where known, the band between low and high.

    `hollow` are the positions of points that are drawn but do not count.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    style: str = "-"
    colour: int | None = None
    hollow: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One named bar with its interval, if it has one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """CSV text; numbers in their shortest exact form."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def finish(figure: Figure, key: str, title: str, reading: str, data: str, *, wide: bool = False) -> Chart:
    """The chart of a finished figure."""
    drawn = theme.svg(figure)
    return Chart(key, title, reading, theme.for_page(drawn, title), theme.for_file(drawn), data, wide)


def ticks(axes: Axes, which: str, dimension: str) -> None:
    """Tick labels in the quantity's own units; powers of ten as plain numbers."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    if axis.get_scale() == "log":
        axis.set_minor_formatter(lambda *_: "")
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    if not dimension:
        return
    axis.set_major_formatter(lambda value, _: show(value, dimension, 3))
    low, high = axis.get_view_interval()
    if dimension == "duration" and axis.get_scale() == "linear" and high - low > _ROUND_TIMES[0]:
        from matplotlib.ticker import MultipleLocator

        step = next((step for step in _ROUND_TIMES if (high - low) / step <= 7), _ROUND_TIMES[-1])
        unit, name = next((unit, name) for unit, name in _TIME_UNITS if step >= unit and step % unit == 0)
        axis.set_major_formatter(lambda value, _: f"{value / unit:g} {name}")
        if (high - low) / step <= 12:
            axis.set_major_locator(MultipleLocator(step))


def draw(axes: Axes, lines: Sequence[Line], *, step: bool) -> None:
    """Curves with their bands; `step` for values that hold until the next one."""
    for position, line in enumerate(lines):
        tint = theme.colour(position if line.colour is None else line.colour)
        where = "steps-post" if step else "default"
        axes.plot(line.x, line.y, line.style, label=line.name, color=tint, drawstyle=where)
        if line.low is not None and line.high is not None:
            axes.fill_between(
                line.x,
                line.low,
                line.high,
                color=tint,
                alpha=0.18,
                linewidth=0,
                step="post" if step else None,
            )


def lines(
    key: str,
    title: str,
    reading: str,
    series: Sequence[Line],
    *,
    xlabel: str,
    ylabel: str,
    xdimension: str = "",
    ydimension: str = "",
    limit: tuple[str, float] | None = None,
    log: str = "",
    step: bool = False,
    zero: bool = True,
    markers: bool = False,
) -> Chart:
    """Curves over a common axis.

    `limit` is a named horizontal line, for instance an SLO; `log` names the logarithmic axes ("", "x",
    "y", "xy"); `step` draws values that hold until the next one; `zero` lets the y axis begin at zero;
    `markers` marks each point, for a handful of measured ones.
    """
    with theme.drawing(key) as figure:
        axes = theme.panel(figure, ylabel, xlabel)
        draw(axes, series, step=step)
        if markers:
            for line, drawn in zip(series, axes.get_lines(), strict=True):
                drawn.set_marker("o")
                drawn.set_markersize(4)
                x, y = [line.x[i] for i in line.hollow], [line.y[i] for i in line.hollow]
                axes.plot(
                    x, y, "o", markersize=4, markeredgecolor=drawn.get_color(), color=theme.CARD, zorder=3
                )
        if limit is not None:
            axes.axhline(limit[1], color=theme.INK, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                limit[0], (1, limit[1]), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                color=theme.INK, fontsize=7.5, xytext=(0, 2), textcoords="offset points",
            )  # fmt: skip
        if "x" in log:
            axes.set_xscale("log")
        if "y" in log:
            axes.set_yscale("log")
        elif zero:
            axes.set_ylim(bottom=0)
            if ydimension == "fraction" and axes.get_ylim()[1] > 0.9:
                axes.set_ylim(0, max(1.02, axes.get_ylim()[1]))
        ticks(axes, "x", xdimension)
        ticks(axes, "y", ydimension)
        theme.legend(axes, len(series))
        rows = [[line.name, x, y] for line in series for x, y in zip(line.x, line.y, strict=True)]
        return finish(figure, key, title, reading, table(["series", xlabel or "x", ylabel or "y"], rows))


def cdf(
    key: str,
    title: str,
    reading: str,
    series: Sequence[Line],
    *,
    limit: tuple[str, float] | None = None,
    of: str = "requests",
    what: str = "latency",
) -> Chart:
    """Share of requests (or jobs) done within a time, on a logarithmic time axis."""
    with theme.drawing(key) as figure:
        axes = theme.panel(figure, f"share of {of}", what)
        draw(axes, series, step=True)
        axes.set_xscale("log")
        axes.set_ylim(0, 1.01)
        if limit is not None:
            axes.axvline(limit[1], color=theme.INK, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                limit[0], (limit[1], 0.03), xycoords=("data", "axes fraction"), rotation=90, ha="right",
                color=theme.INK, fontsize=7.5, xytext=(-3, 0), textcoords="offset points",
            )  # fmt: skip
        ticks(axes, "x", "duration")
        ticks(axes, "y", "fraction")
        theme.legend(axes, len(series))
        rows = [[line.name, x, y] for line in series for x, y in zip(line.x, line.y, strict=True)]
        return finish(
            figure, key, title, reading, table(["series", f"{what.replace(' ', '_')}_s", "share"], rows)
        )


def bars(
    key: str,
    title: str,
    reading: str,
    series: Sequence[Bar],
    *,
    xlabel: str,
    dimension: str = "",
    limit: tuple[str, float] | None = None,
    highlight: str | None = None,
) -> Chart:
    """One horizontal bar an arm, with its interval and its value written at the end."""
    with theme.drawing(key, height=0.85 + 0.38 * len(series)) as figure:
        axes = theme.panel(figure, "", xlabel)
        axes.grid(visible=False, axis="y")
        reach = max((bar.high if bar.high is not None else bar.value) for bar in series)
        for position, bar in enumerate(series):
            alpha = 1.0 if highlight in (None, bar.name) else 0.55
            axes.barh(position, bar.value, height=0.62, color=theme.colour(position), alpha=alpha)
            if bar.low is not None and bar.high is not None:
                axes.plot([bar.low, bar.high], [position, position], color=theme.INK, linewidth=1.2)
            end = max(bar.value, bar.high if bar.high is not None else bar.value)
            text = show(bar.value, dimension)
            axes.annotate(
                text, (end, position), xytext=(4, 0), textcoords="offset points", va="center", color=theme.INK
            )
        axes.set_yticks(range(len(series)), [bar.name for bar in series])
        axes.tick_params(axis="y", labelcolor=theme.INK)
        axes.invert_yaxis()
        axes.set_xlim(0, reach * 1.22 if reach > 0 else 1)
        if limit is not None and limit[1] <= reach * 1.22:
            axes.axvline(limit[1], color=theme.INK, linewidth=1, linestyle=(0, (4, 3)))
        ticks(axes, "x", dimension)
        rows = [[bar.name, bar.value, bar.low, bar.high] for bar in series]
        return finish(figure, key, title, reading, table(["arm", xlabel, "low", "high"], rows))


def stacked(
    key: str,
    title: str,
    reading: str,
    arms: Sequence[str],
    parts: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    dimension: str = "",
) -> Chart:
    """One horizontal bar an arm, made of named parts."""
    with theme.drawing(key, height=1.1 + 0.38 * len(arms)) as figure:
        axes = theme.panel(figure, "", xlabel)
        axes.grid(visible=False, axis="y")
        left = [0.0] * len(arms)
        for position, (name, values) in enumerate(parts.items()):
            axes.barh(
                range(len(arms)), values, left=left, height=0.62, label=name, color=theme.colour(position)
            )
            left = [a + b for a, b in zip(left, values, strict=True)]
        for position, total in enumerate(left):
            axes.annotate(
                show(total, dimension), (total, position), xytext=(4, 0), textcoords="offset points",
                va="center", color=theme.INK,
            )  # fmt: skip
        axes.set_yticks(range(len(arms)), arms)
        axes.tick_params(axis="y", labelcolor=theme.INK)
        axes.invert_yaxis()
        top = max(left, default=0.0)
        axes.set_xlim(0, top * 1.22 if top > 0 else 1)
        ticks(axes, "x", dimension)
        theme.legend(axes, len(parts), always=True)
        rows = [[arm, name, values[i]] for i, arm in enumerate(arms) for name, values in parts.items()]
        return finish(figure, key, title, reading, table(["arm", "part", xlabel], rows))


def heat(
    key: str, title: str, reading: str, rows: Mapping[str, Sequence[float]], edges: Sequence[float]
) -> Chart:
    """A strip a row (a node) over time, darker where it is busier; values are shares of one."""
    import numpy as np

    names = list(rows)
    with theme.drawing(key, height=min(1.0 + 0.2 * len(names), 4.2)) as figure:
        axes = theme.panel(figure, "", "simulated time")
        axes.grid(visible=False)
        grid = np.array([rows[name] for name in names])
        mesh = axes.pcolormesh(
            edges, np.arange(len(names) + 1), grid, cmap="viridis", vmin=0, vmax=1, rasterized=True
        )
        every = max(1, len(names) // 16)
        axes.set_yticks([i + 0.5 for i in range(0, len(names), every)], names[::every], fontsize=7)
        axes.invert_yaxis()
        ticks(axes, "x", "duration")
        bar = figure.colorbar(mesh, ax=axes, fraction=0.035, pad=0.02, format=lambda v, _: f"{v:.0%}")
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=7)
        data = [[name, edges[i], value] for name in names for i, value in enumerate(rows[name])]
        return finish(figure, key, title, reading, table(["node", "from_s", "utilisation"], data))
