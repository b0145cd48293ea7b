"""What the charts of a report look at: one point of the axes, its arms, and their curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sim.report.charts import Line
from sim.study.results import Results

Json = Mapping[str, Any]

#: Charts of one kind in a report, so that a study of many arms stays readable and small.
MOST = 6
#: Arms drawn as curves of one chart.
MOST_CURVES = 8


class Scope:
    """The runs a report draws.

    Curves over time show one replication (the first that finished) at one point of the axes, the
    focus; everything else is a mean over replications.

    Attributes:
        results: of the study.
        summary: content of `summary.json`.
        axes: paths of the axes.
        names: short name by axis.
        by_point: whether the points of the axes are compared, there being only one arm.
        at: the focus.
        every: position and content of all cells at the focus.
        cells: those of them that are drawn as curves.
        curves: curves of the first replication, by position of the cell.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.summary = results.summary
        cells = list(enumerate(self.summary["cells"]))
        self.axes: Sequence[str] = list(self.summary["axes"])
        self.names = self.summary["axis_names"]
        self.by_point = len(self.summary["arms"]) == 1 and bool(self.axes)
        self.at = self._focus_point()
        here = cells if self.by_point else [(i, cell) for i, cell in cells if cell["point"] == self.at]
        self.every = [(i, cell) for i, cell in here if cell["replications"]]
        self.cells = self.every[:MOST_CURVES]
        self.curves = {i: results.series(i, cell["replications"][0]) for i, cell in self.cells}

    def curves_of(self, index: int, cell: Json) -> Json:
        """Curves of a cell's first replication, also of one that is not drawn among the others."""
        return self.curves.get(index) or self.results.series(index, cell["replications"][0])

    def _focus_point(self) -> Json:
        """The point whose curves are shown: just after the answer changes, else the last one."""
        cells = self.summary["cells"]
        found = self.summary["answer"]
        if found and found["crossovers"]:
            first = found["crossovers"][0]
            return {**first["fixed"], first["axis"]: first["high"]}
        return dict(cells[-1]["point"]) if cells else {}

    def focus(self) -> int:
        """The cell that the timeline shows: the winner at the focus, else the first there."""
        found = self.summary["answer"]
        for decision in found["decisions"] if found else ():
            if decision["winner"] and decision["point"] in (dict(self.at), {}):
                for index, cell in self.cells:
                    if cell["label"] == decision["winner"]["label"]:
                        return index
        return self.cells[0][0] if self.cells else 0

    def where(self) -> str:
        """The focus in words, empty where there is but one point."""
        if self.by_point or not self.at:
            return ""
        return " at " + ", ".join(f"{self.names[axis]} {value}" for axis, value in self.at.items())

    def first_replication(self) -> str:
        """What curves over time are of."""
        return f"First replication{self.where()}." if self.cells else ""

    def label(self, cell: Json) -> str:
        """Name of a cell in a chart."""
        return str(cell["label"] if self.by_point else cell["arm"])

    def mean(self, cell: Json, metric: str) -> float:
        """Mean of a metric over the replications, NaN where undefined."""
        found = cell["metrics"].get(metric, {}).get("mean")
        return math.nan if found is None else float(found)

    def over_time(self, pick: Any) -> list[Line]:
        """One curve per arm over the bins; `pick` takes a run's curves and gives values or nothing."""
        lines = []
        for position, (index, cell) in enumerate(self.cells):
            values = pick(self.curves[index])
            if values and any(value is not None for value in values):
                edges = self.curves[index]["edges"]
                lines.append(Line(self.label(cell), edges[:-1], floats(values), colour=position))
        return lines

    def all(self, kind: str) -> list[str]:
        """Names of applications, services, pools or links in any of the runs shown."""
        return list(dict.fromkeys(name for curves in self.curves.values() for name in curves[kind]))

    def numeric_axis(self) -> str | None:
        """The first axis whose values are all numbers."""
        values = self.summary["axes"]
        return next((axis for axis in self.axes if all(is_number(v) for v in values[axis])), None)


def is_number(value: Any) -> bool:
    """Whether an axis can be drawn to scale with it."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def floats(values: Sequence[float | None]) -> list[float]:
    """Numbers of a JSON list, NaN for None."""
    return [math.nan if value is None else float(value) for value in values]


def zeros(values: Sequence[float]) -> list[float]:
    """The same with 0 for NaN."""
    return [0.0 if math.isnan(value) else value for value in values]


def spread(lines: Sequence[Line]) -> bool:
    """Whether curves lie so far apart that only a logarithmic axis shows them all."""
    known = [value for line in lines for value in line.y if value == value and value > 0]
    return bool(known) and max(known) > 30 * min(known)
