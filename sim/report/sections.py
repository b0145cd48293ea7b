"""Which charts a report has: chosen by what the study compares and what its platform consists of.

Curves over time show one replication (the first that finished) at one point of the axes, the focus;
everything else is a mean over replications.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sim.metrics import lookup
from sim.report import charts
from sim.report.charts import Bar, Chart, Line
from sim.study.results import Results
from sim.units import show

Json = Mapping[str, Any]

#: Charts of one kind in a report, so that a study of many arms stays readable and small.
MOST = 6
#: Arms drawn as curves of one chart.
MOST_CURVES = 8

_AT_ONE_REPLICATION = "First replication"


@dataclass(frozen=True, slots=True)
class Section:
    """Charts about one thing."""

    title: str
    text: str
    charts: Sequence[Chart]


class Charts:
    """Draws the charts of a study."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._summary = results.summary
        cells = list(enumerate(self._summary["cells"]))
        self._axes: Sequence[str] = list(self._summary["axes"])
        self._names = self._summary["axis_names"]
        self._by_point = len(self._summary["arms"]) == 1 and bool(self._axes)
        self.at = self._focus_point()
        if self._by_point:
            self._cells = cells[:MOST_CURVES]
        else:
            self._cells = [(i, cell) for i, cell in cells if cell["point"] == self.at][:MOST_CURVES]
        self._curves = {
            i: results.series(i, cell["replications"][0]) for i, cell in self._cells if cell["replications"]
        }
        self._cells = [(i, cell) for i, cell in self._cells if i in self._curves]

    # ---------------------------------------------------------------- what is looked at

    def _focus_point(self) -> Json:
        """The point whose curves are shown: just after the answer changes, else the last one."""
        cells = self._summary["cells"]
        found = self._summary["answer"]
        if found and found["crossovers"]:
            first = found["crossovers"][0]
            return {**first["fixed"], first["axis"]: first["high"]}
        return dict(cells[-1]["point"]) if cells else {}

    def focus(self) -> int:
        """The cell that the timeline shows: the winner at the focus, else the first there."""
        found = self._summary["answer"]
        for decision in found["decisions"] if found else ():
            if decision["winner"] and decision["point"] in (dict(self.at), {}):
                for index, cell in self._cells:
                    if cell["label"] == decision["winner"]["label"]:
                        return index
        return self._cells[0][0] if self._cells else 0

    def _where(self) -> str:
        if self._by_point or not self.at:
            return ""
        return " at " + ", ".join(f"{self._names[axis]} {value}" for axis, value in self.at.items())

    def _label(self, cell: Json) -> str:
        return str(cell["label"] if self._by_point else cell["arm"])

    def _mean(self, cell: Json, metric: str) -> float:
        found = cell["metrics"].get(metric, {}).get("mean")
        return math.nan if found is None else float(found)

    # ---------------------------------------------------------------- the chart beside the answer

    def lead(self) -> Chart | None:
        """The deciding metric by arm, or along the first axis of numbers."""
        found = self._summary["answer"]
        if not found or not self._cells:
            return None
        metric = lookup(found["metric"])
        numeric = [axis for axis in self._axes if all(_is_number(v) for v in self._summary["axes"][axis])]
        if numeric:
            return self._lead_along(numeric[0], found)
        candidates = next(
            (d for d in found["decisions"] if d["point"] in (dict(self.at), {})), found["decisions"][0]
        )
        bars = [
            Bar(each["label"], each["mean"], each["low"], each["high"])
            for each in candidates["candidates"]
            if each["mean"] is not None
        ]
        if not bars:
            return None
        winner = candidates["winner"]["label"] if candidates["winner"] else None
        reading = (
            f"Bar: mean over replications; line: 95 % interval{self._where()}. Faded arms are not chosen."
        )
        return charts.bars(
            "answer",
            metric.label,
            reading,
            bars,
            xlabel=metric.label,
            dimension=metric.dimension,
            highlight=winner,
        )

    def _lead_along(self, axis: str, found: Json) -> Chart:
        metric = lookup(found["metric"])
        ruled_out = {
            (each["arm"], each["point"].get(axis))
            for decision in found.get("decisions", ())
            for each in decision["candidates"]
            if not each["qualifies"]
        }
        others = {name: value for name, value in self.at.items() if name != axis}
        series = []
        for position, arm in enumerate(self._summary["arms"]):
            points = []
            for cell in self._summary["cells"]:
                rest = {name: value for name, value in cell["point"].items() if name != axis}
                row = cell["metrics"].get(found["metric"])
                if (
                    cell["arm"] == arm
                    and (rest == others or self._by_point)
                    and row
                    and row["mean"] is not None
                ):
                    points.append((cell["point"][axis], row))
            points.sort(key=lambda point: float(point[0]))
            out = [i for i, (x, _) in enumerate(points) if (arm, x) in ruled_out]
            banded = all(row["low"] is not None for _, row in points)
            series.append(
                Line(
                    arm,
                    [float(x) for x, _ in points],
                    [row["mean"] for _, row in points],
                    [row["low"] for _, row in points] if banded else None,
                    [row["high"] for _, row in points] if banded else None,
                    colour=position,
                    hollow=out,
                )
            )
        return charts.lines(
            "answer",
            f"{metric.label} along {self._names[axis]}",
            "Points: means over replications; band: 95 % interval."
            + (" Hollow points do not meet the conditions and cannot be chosen." if ruled_out else ""),
            series,
            xlabel=self._names[axis],
            ylabel=metric.label,
            ydimension=metric.dimension,
            markers=True,
        )

    # ---------------------------------------------------------------- sections

    def sections(self) -> list[Section]:
        """All sections that have something to show."""
        made = [
            Section("Latency", self._time_text(), [*self._latency()]),
            Section("What was dropped, and why", "", [*self._dropped()]),
            Section("Replicas against demand", self._time_text(), [*self._replicas()]),
            Section("Training jobs", self._time_text(), [*self._jobs()]),
            Section("Use of the infrastructure", self._time_text(), [*self._use()]),
            Section("Cost, energy, carbon", f"Means over replications{self._where()}.", [*self._bills()]),
            Section("Along the axes", "", [*self._along()]),
        ]
        return [section for section in made if section.charts]

    def _time_text(self) -> str:
        return f"{_AT_ONE_REPLICATION}{self._where()}." if self._cells else ""

    def _over_time(self, pick: Any) -> list[Line]:
        """One curve per arm over the bins; `pick` takes a run's curves and gives values or nothing."""
        lines = []
        for position, (index, cell) in enumerate(self._cells):
            values = pick(self._curves[index])
            if values and any(value is not None for value in values):
                edges = self._curves[index]["edges"]
                lines.append(Line(self._label(cell), edges[:-1], _floats(values), colour=position))
        return lines

    def _latency(self) -> Iterator[Chart]:
        for app in self._all("apps")[:MOST]:
            slo = next((c["apps"][app]["slo"] for c in self._curves.values() if app in c["apps"]), None)
            limit = (f"SLO {show(slo['latency'], 'duration')}", slo["latency"]) if slo else None
            shares = [
                Line(self._label(cell), _floats(curve["latency"]), self._curves[i]["curve"], colour=position)
                for position, (i, cell) in enumerate(self._cells)
                if (curve := self._curves[i]["apps"].get(app)) and curve["latency"]
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
            over_time = self._over_time(lambda curves, app=app: curves["apps"].get(app, {}).get("p99"))
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
                    log="y" if _spread(over_time) else "",
                )
            parts = {
                name: [self._mean(cell, f"apps.{app}.{part}.mean") for _, cell in self._cells]
                for part, name in (("network", "network"), ("queue", "waiting"), ("compute", "service"))
            }
            if any(value > 0 for values in parts.values() for value in values):
                yield charts.stacked(
                    f"parts-{app}",
                    f"Where the latency of {app} goes",
                    "Mean parts of the latency of completed requests. Long waiting asks for more servers, "
                    "long network "
                    "for a nearer site, long service for a faster model.",
                    [self._label(cell) for _, cell in self._cells],
                    {name: _zeros(values) for name, values in parts.items()},
                    xlabel="mean latency",
                    dimension="duration",
                )
            yield from self._placed(app)

    def _placed(self, app: str) -> Iterator[Chart]:
        prefix = f"apps.{app}.placed."
        sites = list(
            dict.fromkeys(
                name.removeprefix(prefix)
                for _, cell in self._cells
                for name in cell["metrics"]
                if name.startswith(prefix)
            )
        )
        if len(sites) > 1:
            yield charts.stacked(
                f"placed-{app}",
                f"Where {app} is answered",
                "Share of the requests whose first call was served at each site.",
                [self._label(cell) for _, cell in self._cells],
                {
                    site: _zeros([self._mean(cell, prefix + site) for _, cell in self._cells])
                    for site in sites
                },
                xlabel="share of requests",
                dimension="fraction",
            )

    def _dropped(self) -> Iterator[Chart]:
        for app in self._all("apps")[:MOST]:
            counts = [self._curves[i]["apps"].get(app, {}).get("reasons", {}) for i, _ in self._cells]
            reasons = list(dict.fromkeys(reason for count in counts for reason in count))[:MOST_CURVES]
            if not reasons:
                continue
            yield charts.stacked(
                f"dropped-{app}",
                f"Dropped requests of {app}",
                "Requests of the window that got no answer, by what was done to them and why.",
                [self._label(cell) for _, cell in self._cells],
                {reason: [float(count.get(reason, 0)) for count in counts] for reason in reasons},
                xlabel="requests",
            )
            lost = self._over_time(lambda curves, app=app: curves["apps"].get(app, {}).get("dropped"))
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

    def _replicas(self) -> Iterator[Chart]:
        drawn = 0
        for service in self._all("services"):
            for index, cell in self._cells:
                curves = self._curves[index]
                found = curves["services"].get(service)
                if found is None or drawn >= MOST or not _changes(found["wanted"]):
                    continue
                drawn += 1
                edges = curves["edges"]
                width = edges[1] - edges[0]
                calls = Line("calls", edges[:-1], [count / width for count in found["arrived"]])
                yield charts.demand(
                    f"replicas-{service}-{index}",
                    f"{service} under {self._label(cell)}",
                    "Above, calls per second. Below, replicas asked for and replicas ready: the gap between "
                    "them is the "
                    "time a cold start takes.",
                    calls,
                    [
                        Line("wanted", edges[:-1], _floats(found["wanted"]), style="--"),
                        Line("ready", edges[:-1], _floats(found["ready"])),
                    ],
                )

    def _jobs(self) -> Iterator[Chart]:
        found = [
            (position, i, cell) for position, (i, cell) in enumerate(self._cells) if self._curves[i]["jobs"]
        ]
        if not found:
            return
        for key, title, reading in (
            (
                "jct",
                "Job completion time",
                "Share of the jobs done within a time of their submission. Left is better.",
            ),
            (
                "wait",
                "Time in the queue",
                "Share of the jobs that started within a time of their submission.",
            ),
        ):
            curves = [
                Line(
                    self._label(cell),
                    [max(x, 1.0) for x in _floats(self._curves[i]["jobs"][key])],
                    self._curves[i]["curve"],
                    colour=position,
                )
                for position, i, cell in found
                if self._curves[i]["jobs"][key]
            ]
            if curves:
                yield charts.cdf(f"jobs-{key}", title, reading, curves)
        waiting = self._over_time(lambda curves: curves["scheduler"]["waiting"])
        if waiting:
            yield charts.lines(
                "jobs-waiting",
                "Workers in the queue",
                "Workers that wait for a place. A queue that one arm works off and another does not is the "
                "effect of "
                "the policy: the jobs are the same.",
                waiting,
                xlabel="simulated time",
                ylabel="workers waiting",
                xdimension="duration",
                step=True,
            )

    def _use(self) -> Iterator[Chart]:
        pools = self._all("pools")
        for pool in pools[:MOST]:
            lines = self._over_time(
                lambda curves, pool=pool: curves["pools"].get(pool, {}).get("utilisation")
            )
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
        index = self.focus()
        for pool in pools[:MOST]:
            nodes = (
                self._curves[index]["pools"].get(pool, {}).get("nodes", {}) if index in self._curves else {}
            )
            if len(nodes) > 1:
                cell = self._summary["cells"][index]
                yield charts.heat(
                    f"nodes-{pool.replace('/', '-')}",
                    f"Nodes of {pool} under {self._label(cell)}",
                    "One strip a node over time: bright is busy, blank is off. Stripes show uneven load.",
                    {f"node {name}": _floats(values) for name, values in nodes.items()},
                    self._curves[index]["edges"],
                )
        for link in self._all("links")[:MOST]:
            lines = self._over_time(lambda curves, link=link: _busier(curves["links"].get(link, {})))
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

    def _bills(self) -> Iterator[Chart]:
        arms = [self._label(cell) for _, cell in self._cells]
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
                for name in self._all(kind):
                    values = _zeros([self._mean(cell, f"{kind}.{name}.{what}") for _, cell in self._cells])
                    if any(value > 0 for value in values):
                        parts[name] = values
            if parts:
                dimension = lookup(f"total.{what}").dimension
                yield charts.stacked(what, title, reading, arms, parts, xlabel=what, dimension=dimension)

    def _along(self) -> Iterator[Chart]:
        """Every shown metric along the first axis of numbers, when there is one."""
        from sim.report.view import shown

        found = self._summary["answer"]
        numeric = [axis for axis in self._axes if all(_is_number(v) for v in self._summary["axes"][axis])]
        if not numeric:
            return
        for name in shown(self._summary):
            if found and name == found["metric"]:
                continue
            chart = self._lead_along(numeric[0], {"metric": name})
            scope = name.split(".")[1] if name.count(".") > 1 else ""
            title = f"{chart.title}" + (f" · {scope}" if scope and not name.startswith("jobs.") else "")
            key = f"along-{name.replace('.', '-').replace('/', '-')}"
            yield Chart(key, title, chart.reading, chart.page, chart.file, chart.data)

    def _all(self, kind: str) -> list[str]:
        """Names of applications, services, pools or links in any of the runs shown."""
        return list(dict.fromkeys(name for curves in self._curves.values() for name in curves[kind]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _floats(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


def _zeros(values: Sequence[float]) -> list[float]:
    return [0.0 if math.isnan(value) else value for value in values]


def _changes(values: Sequence[float | None]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and max(known) > min(known)


def _spread(lines: Sequence[Line]) -> bool:
    """Whether curves lie so far apart that only a logarithmic axis shows them all."""
    known = [value for line in lines for value in line.y if value == value and value > 0]
    return bool(known) and max(known) > 30 * min(known)


def _busier(directions: Mapping[str, Sequence[float | None]]) -> list[float]:
    ways = [_zeros(_floats(values)) for values in directions.values()]
    return [max(values) for values in zip(*ways, strict=True)] if ways else []
