"""Every two arms against each other, and what one gives for the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sim.metrics import Metric, lookup
from sim.report import charts_compare
from sim.report.charts import Chart
from sim.report.charts_compare import Pair, Place
from sim.report.sections.scope import Json, Scope

#: Planes of two metrics: one for each of the workloads of a study.
MOST_PLANES = 8
#: Arms in the matrix; more would be too small to read.
MOST_ARMS = 24


def comparison(scope: Scope) -> Iterator[Chart]:
    """The matrix of paired differences at the focus, and the plane of two metrics at every point."""
    for found in scope.summary["differences"]:
        if found["point"] == dict(scope.at):
            yield from _matrix(scope, found)
    for index, found in enumerate(scope.summary["tradeoff"][:MOST_PLANES]):
        if len(found["arms"]) > 2:
            yield _plane(scope, found, index)


def _matrix(scope: Scope, found: Json) -> Iterator[Chart]:
    arms = [
        arm for arm in scope.summary["arms"] if any(arm in (p["first"], p["second"]) for p in found["pairs"])
    ]
    if not 2 < len(arms) <= MOST_ARMS or all(pair["p"] is None for pair in found["pairs"]):
        return
    metric = lookup(found["metric"])
    means = {cell["arm"]: scope.mean(cell, found["metric"]) for _, cell in scope.every}
    pairs: dict[tuple[str, str], Pair] = {}
    for each in found["pairs"]:
        for row, column, sign in ((each["first"], each["second"], 1), (each["second"], each["first"], -1)):
            pair = _pair(each, sign, 1.0 if metric.dimension == "fraction" else means[column])
            if pair is not None:
                pairs[row, column] = pair
    size = "points" if metric.dimension == "fraction" else "percent of the column's mean"
    yield charts_compare.matrix(
        "differences",
        f"{_capital(metric)}: every arm against every other",
        f"Row against column{scope.where()}, in {size}, over {found['pairs'][0]['n']} paired replications: "
        "green where the row is better, red where it is worse, ± half the 95 % interval of that pair. "
        "≈ could be chance, after Holm's correction for "
        f"{len(found['pairs'])} comparisons at 5 % in all.",
        arms,
        pairs,
        metric,
        charts_compare.differences(found["pairs"]),
    )


def _pair(each: Json, sign: int, base: float) -> Pair | None:
    if each["mean"] is None or not base:
        return None
    half = None if each["low"] is None else (each["high"] - each["low"]) / 2 / abs(base)
    return Pair(sign * each["mean"] / abs(base), half, bool(each["differ"]))


def _plane(scope: Scope, found: Json, index: int) -> Chart:
    first, second = metrics = (lookup(found["metrics"][0]), lookup(found["metrics"][1]))
    arms: list[Any] = list(scope.summary["arms"])
    places = [
        Place(arm["arm"], arm["means"][0], arm["means"][1], arm["front"], arms.index(arm["arm"]))
        for arm in found["arms"]
    ]
    bound = any(arm["bound"] for arm in found["arms"])
    where = ", ".join(f"{scope.names[axis]} {value}" for axis, value in found["point"].items())
    corner = f"{'left' if first.better != 'high' else 'right'} and {_side(second)}"
    return charts_compare.plane(
        f"tradeoff-{index}" if found["point"] else "tradeoff",
        f"{_capital(first)} against {second.label}" + (f" · {where}" if where else ""),
        f"One point an arm, means over replications; better is {corner}. Filled and joined: the Pareto "
        "front, arms that no other beats in both. Hollow: some other arm is at least as good in both."
        + (" An arm that knows the future is hollow too: it is a bound." if bound else ""),
        places,
        metrics,
    )


def _side(metric: Metric) -> str:
    return "up" if metric.better == "high" else "down"


def _capital(metric: Metric) -> str:
    return f"{metric.label[0].upper()}{metric.label[1:]}"
