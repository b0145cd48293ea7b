"""What a study's runs say together: means with intervals, differences under common random numbers.

`summarise` turns the metrics of single runs into the plain content of `summary.json`. Numbers that
are undefined are None there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sim.stats import intervals

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """The numbers of one finished run.

    Attributes:
        cell: position of its cell in the study.
        replication: number of the replication; equal numbers saw the same random world.
        metrics: value by full metric name, NaN where undefined.
        ended: how it ended, "completed" or the limit that stopped it.
        events: events it processed.
    """

    cell: int
    replication: int
    metrics: Mapping[str, float]
    ended: str = "completed"
    events: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """The finished runs of one cell, by replication.

    `bound`: it knows what nobody can know, and is shown as a bound but never chosen.
    """

    arm: str
    point: Mapping[str, Any]
    label: str
    runs: Sequence[Run] = field(default_factory=list)
    bound: bool = False

    def values(self, metric: str) -> list[float]:
        """The metric in every replication, NaN where undefined."""
        return [run.metrics.get(metric, math.nan) for run in self.runs]

    def names(self) -> list[str]:
        """Every metric of any of its runs, in order of appearance."""
        return list(dict.fromkeys(name for run in self.runs for name in run.metrics))

    def unstable(self) -> list[str]:
        """Services whose backlog kept growing in most replications."""
        found = []
        for name in self.names():
            if name.startswith("services.") and name.endswith(".unstable"):
                flags = [value for value in self.values(name) if not math.isnan(value)]
                if flags and sum(flags) > len(flags) / 2:
                    found.append(name.removeprefix("services.").removesuffix(".unstable"))
        return found


def number(value: float | None) -> float | None:
    """A number as JSON can hold it."""
    return None if value is None or not math.isfinite(value) else value


def pairs(group: Group, other: Group, metric: str) -> tuple[list[float], list[float]]:
    """Values of a metric in the replications both have."""
    theirs = {run.replication: run.metrics.get(metric, math.nan) for run in other.runs}
    both = [run for run in group.runs if run.replication in theirs]
    return [run.metrics.get(metric, math.nan) for run in both], [theirs[run.replication] for run in both]


def summarise(groups: Sequence[Group], baseline: str | None) -> list[Json]:
    """Per cell: every metric with its interval, and its difference to the baseline at the same point."""
    references = {_key(group.point): group for group in groups if group.arm == baseline}
    cells = []
    for group in groups:
        reference = references.get(_key(group.point))
        compared = reference is not None and reference is not group
        cells.append(
            {
                "arm": group.arm,
                "point": dict(group.point),
                "label": group.label,
                "bound": group.bound,
                "replications": [run.replication for run in group.runs],
                "ended": [run.ended for run in group.runs],
                "events": [run.events for run in group.runs],
                "unstable": group.unstable(),
                "metrics": {name: _metric(group, name) for name in group.names()},
                "versus": _versus(group, reference) if reference is not None and compared else None,
            }
        )
    return cells


def _key(point: Mapping[str, Any]) -> str:
    return repr(list(point.items()))


def _metric(group: Group, name: str) -> Json:
    values = group.values(name)
    interval = intervals.of_mean(values)
    return {
        "mean": number(interval.mean),
        "low": number(interval.low),
        "high": number(interval.high),
        "n": interval.n,
        "values": [number(value) for value in values],
    }


def _versus(group: Group, reference: Group) -> Json:
    return {
        "arm": reference.arm,
        "metrics": {name: difference(group, reference, name) for name in group.names()},
    }


def difference(group: Group, other: Group, metric: str) -> Json:
    """Paired difference `group - other` of a metric, as plain data.

    Keys: `mean`, `low`, `high`, `n`, `relative` (share of the other's mean) and `p`.
    """
    found = intervals.paired(*pairs(group, other, metric))
    return {
        "mean": number(found.difference.mean),
        "low": number(found.difference.low),
        "high": number(found.difference.high),
        "n": found.difference.n,
        "relative": number(found.relative),
        "p": number(found.p),
    }
