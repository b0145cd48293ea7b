"""Charts of a schedule: which job held places when, and how many stood in line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.report import theme
from sim.report.charts import Chart, Line, finish, table, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Panels beside each other.
COLUMNS = 3

#: Stretches of one job that are closer than this part of the axis are drawn as one.
_JOIN = 1 / 700


@dataclass(frozen=True, slots=True)
class Stretch:
    """A job on its places from start to end, with a part of what it asked for."""

    start: float
    end: float
    part: float


@dataclass(frozen=True, slots=True)
class Track:
    """One job of a Gantt chart: from its submission to its end, with its stretches in order."""

    name: str
    submitted: float
    finished: float
    stretches: Sequence[Stretch]


def gantt(
    key: str, title: str, reading: str, tracks: Sequence[Track], end: float, *, colour: int = 0
) -> Chart:
    """One row a job: a thin line from submission to end, a bar wherever it held places."""
    from matplotlib.collections import LineCollection, PolyCollection

    with theme.drawing(key, height=0.75 + 0.118 * len(tracks)) as figure:
        axes = theme.panel(figure, "", "simulated time")
        axes.grid(visible=False, axis="y")
        waits = [
            [(track.submitted, row), (end if math.isnan(track.finished) else track.finished, row)]
            for row, track in enumerate(tracks)
        ]
        axes.add_collection(LineCollection(waits, colors=theme.MUTED, linewidths=0.8, alpha=0.75))
        bars = []
        for row, track in enumerate(tracks):
            for one in _joined(track.stretches, end):
                half = 0.42 * min(1.0, max(0.25, one.part))
                low, high = row - half, row + half
                # A job of minutes among days still gets a visible mark.
                right = max(one.end, one.start + end / 500)
                bars.append([(one.start, low), (right, low), (right, high), (one.start, high)])
        axes.add_collection(PolyCollection(bars, facecolors=theme.colour(colour), edgecolors="none"))
        axes.set_xlim(0, end)
        axes.set_ylim(len(tracks) - 0.4, -0.6)
        axes.set_yticks(range(len(tracks)), [track.name for track in tracks], fontsize=5.6)
        axes.spines["left"].set_visible(False)
        ticks(axes, "x", "duration")
        rows = [
            [track.name, track.submitted, one.start, one.end, one.part]
            for track in tracks
            for one in track.stretches
        ]
        return finish(
            figure, key, title, reading, table(["job", "submitted_s", "start_s", "end_s", "part"], rows)
        )


def _joined(stretches: Sequence[Stretch], end: float) -> list[Stretch]:
    """Stretches of equal size with gaps too small to see between them as one."""
    found: list[Stretch] = []
    for one in stretches:
        if found and one.part == found[-1].part and one.start - found[-1].end < _JOIN * end:
            found[-1] = Stretch(found[-1].start, one.end, one.part)
        else:
            found.append(one)
    return found


def queues(key: str, title: str, reading: str, arms: Sequence[Line], ylabel: str) -> Chart:
    """One small panel an arm, all on the same axes."""
    rows = math.ceil(len(arms) / COLUMNS)
    top = max((value for arm in arms for value in arm.y if value == value), default=0.0)
    with theme.drawing(key, width=8.8, height=0.5 + 1.18 * rows) as figure:
        first: Axes | None = None
        for position, arm in enumerate(arms):
            axes = figure.add_subplot(
                rows, COLUMNS, position + 1, facecolor="none", sharex=first, sharey=first
            )
            first = first or axes
            tint = theme.colour(position if arm.colour is None else arm.colour)
            axes.fill_between(arm.x, arm.y, color=tint, alpha=0.35, linewidth=0, step="post")
            axes.plot(arm.x, arm.y, color=tint, linewidth=1, drawstyle="steps-post")
            axes.set_title(arm.name, fontsize=8, loc="left", color=theme.INK, pad=3)
            axes.tick_params(length=0, labelsize=7)
            axes.tick_params(labelleft=position % COLUMNS == 0, labelbottom=position + COLUMNS >= len(arms))
            if position % COLUMNS == 0:
                axes.set_ylabel(ylabel, fontsize=7)
        if first is not None:
            first.set_ylim(0, top * 1.06 if top > 0 else 1)
            first.set_xlim(arms[0].x[0], arms[0].x[-1])
            ticks(first, "x", "duration")
        data = [[arm.name, x, y] for arm in arms for x, y in zip(arm.x, arm.y, strict=True)]
        return finish(figure, key, title, reading, table(["arm", "from_s", ylabel], data), wide=True)
