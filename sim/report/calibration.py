"""The plot of a calibration: every measurement against what the fit says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.report import theme
from sim.report.charts import Chart, finish, table, ticks

if TYPE_CHECKING:
    from sim.stats.stepfit import Fit, Measured


def chart(measured: Measured, found: Fit) -> Chart:
    """Points on the diagonal are right; the band is 10 % to either side."""
    with theme.drawing("calibration") as figure:
        axes = theme.panel(figure, "predicted", "measured")
        seconds = measured.seconds
        ends = [float(seconds.min()) / 1.5, float(seconds.max()) * 1.5]
        axes.fill_between(
            ends,
            [0.9 * end for end in ends],
            [1.1 * end for end in ends],
            color=theme.INK,
            alpha=0.08,
            linewidth=0,
        )
        axes.plot(ends, ends, color=theme.INK, linewidth=1)
        series = {"fitted": found.errors, "held out": found.held_out}
        for place, (name, errors) in enumerate(series.items()):
            axes.plot(
                seconds,
                seconds * (1 + errors),
                "ox"[place],
                label=name,
                color=theme.colour(place),
                markersize=4,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        ticks(axes, "x", "duration")
        ticks(axes, "y", "duration")
        theme.legend(axes, 2)
        rows = [
            [line, at, at * (1 + a), at * (1 + b)]
            for line, at, a, b in zip(
                measured.lines, seconds.tolist(), found.errors.tolist(), found.held_out.tolist(), strict=True
            )
        ]
        return finish(
            figure,
            "calibration",
            "Measured and predicted durations",
            "Points on the line are right; the band is 10 % to either side.",
            table(["line", "measured_s", "fitted_s", "held_out_s"], rows),
        )
