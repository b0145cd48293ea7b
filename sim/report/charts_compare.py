"""Charts that set arms against each other: every pair in a matrix, two metrics in a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.metrics import Metric
from sim.report import theme
from sim.report.charts import Chart, finish, table, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Fill of a cell whose row is better, and of one whose row is worse than its column.
_BETTER, _WORSE = "#009e73", "#d55e00"


@dataclass(frozen=True, slots=True)
class Pair:
    """Row minus column: mean and half interval as shares of the column's mean, and if it is beyond chance."""

    mean: float
    half: float | None
    differs: bool


@dataclass(frozen=True, slots=True)
class Place:
    """An arm in the plane of two metrics."""

    name: str
    x: float
    y: float
    front: bool
    colour: int


def matrix(
    key: str,
    title: str,
    reading: str,
    arms: Sequence[str],
    pairs: Mapping[tuple[str, str], Pair],
    metric: Metric,
    data: str,
) -> Chart:
    """A square of cells, one for every two arms; only differences beyond chance are filled."""
    count = len(arms)
    with theme.drawing(key, width=8.8, height=1.25 + 0.37 * count) as figure:
        axes = theme.panel(figure, "")
        axes.grid(visible=False)
        worst = max((abs(pair.mean) for pair in pairs.values()), default=0.0) or 1.0
        for (row, column), pair in pairs.items():
            y, x = arms.index(row), arms.index(column)
            if pair.differs:
                good = (pair.mean < 0) == (metric.better != "high")
                depth = 0.16 + 0.5 * min(1.0, abs(pair.mean) / min(worst, 1.0))
                axes.fill(
                    [x, x + 1, x + 1, x],
                    [y, y, y + 1, y + 1],
                    color=_BETTER if good else _WORSE,
                    alpha=depth,
                    linewidth=0,
                )
            ink = theme.INK if pair.differs else theme.MUTED
            sign = "≈" if not pair.differs else ("+" if pair.mean > 0 else "−")
            text = sign if not pair.differs else f"{sign}{_percent(abs(pair.mean))}"
            axes.text(x + 0.5, y + 0.42, text, ha="center", va="center", color=ink, fontsize=7)
            if pair.half is not None and pair.differs:
                axes.text(
                    x + 0.5, y + 0.78, f"±{_percent(pair.half)}", ha="center", va="center",
                    color=theme.MUTED, fontsize=5.2,
                )  # fmt: skip
        axes.set_xlim(0, count)
        axes.set_ylim(count, 0)
        middle = [position + 0.5 for position in range(count)]
        axes.set_xticks(middle, arms, rotation=35, ha="left", rotation_mode="anchor", fontsize=7)
        axes.set_yticks(middle, arms, fontsize=7.5)
        axes.xaxis.tick_top()
        axes.tick_params(labelcolor=theme.INK)
        for edge in ("left", "bottom"):
            axes.spines[edge].set_visible(False)
        return finish(figure, key, title, reading, data, wide=True)


def _percent(share: float) -> str:
    """A share as a whole number of percent, or as a multiple where that is long."""
    percent = 100 * share
    if percent >= 1000:
        return f"{1 + share:.0f}×"
    return f"{percent:.0f}" if percent >= 9.5 else f"{percent:.2g}"


def plane(
    key: str, title: str, reading: str, places: Sequence[Place], metrics: tuple[Metric, Metric]
) -> Chart:
    """Arms by two metrics; those that none beats in both are filled and joined by a line."""
    with theme.drawing(key, height=max(3.0, 0.9 + 0.165 * len(places))) as figure:
        axes = theme.panel(figure, metrics[1].label, metrics[0].label)
        best = sorted((place for place in places if place.front), key=lambda place: place.x)
        axes.plot(
            [place.x for place in best],
            [place.y for place in best],
            color=theme.MUTED,
            linewidth=1,
            linestyle=(0, (4, 3)),
            zorder=1,
        )
        for place in places:
            tint = theme.colour(place.colour)
            axes.plot(
                place.x,
                place.y,
                "o",
                markersize=6,
                markeredgecolor=tint,
                color=tint if place.front else theme.CARD,
                zorder=3,
            )
        for which, values in (("x", [p.x for p in places]), ("y", [p.y for p in places])):
            if min(values) > 0 and max(values) > 20 * min(values):
                (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        axes.margins(0.08)
        axes.autoscale_view()
        _names(axes, places)
        for which, metric in zip("xy", metrics, strict=True):
            ticks(axes, which, metric.dimension)
        rows = [[place.name, place.x, place.y, int(place.front)] for place in places]
        header = ["arm", metrics[0].pattern, metrics[1].pattern, "front"]
        return finish(figure, key, title, reading, table(header, rows))


def _names(axes: Axes, places: Sequence[Place]) -> None:
    """Names in a column beside the plane, in the order of height, each tied to its point."""
    order = sorted(places, key=lambda place: place.y)
    heights = [axes.transLimits.transform(axes.transScale.transform((p.x, p.y)))[1] for p in order]
    gap = min(0.11, 1.06 / len(order))
    for index in range(len(order)):
        floor = heights[index - 1] + gap if index else -0.03
        heights[index] = max(heights[index], floor)
    over = heights[-1] - 1.03
    for index in reversed(range(len(order))):
        ceiling = heights[index + 1] - gap if index + 1 < len(order) else heights[index] - max(0.0, over)
        heights[index] = min(heights[index], ceiling)
    for place, height in zip(order, heights, strict=True):
        axes.annotate(
            place.name,
            (place.x, place.y),
            xytext=(1.03, height),
            textcoords="axes fraction",
            va="center",
            fontsize=7,
            color=theme.INK if place.front else theme.MUTED,
            fontweight="bold" if place.front else "normal",
            arrowprops={"arrowstyle": "-", "color": theme.GRID, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 3},
            annotation_clip=False,
        )


def differences(rows: Sequence[Mapping[str, object]]) -> str:
    """CSV of the pairs, with everything known of each."""
    names = ("first", "second", "mean", "low", "high", "relative", "n", "p", "holm", "differ")
    return table(names, [[row[name] for name in names] for row in rows])
