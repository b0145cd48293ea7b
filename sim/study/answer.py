"""Which arm answers the scenario's question, at every point of the axes, and where that changes.

An arm qualifies when it meets every condition on the mean over its replications. Of those the best
mean wins; whether it is better beyond chance is a matter of the paired difference to the next one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sim import units
from sim.metrics import Condition, condition, lookup
from sim.stats import intervals
from sim.study.compare import Group, Json, difference, number


@dataclass(frozen=True, slots=True)
class Question:
    """What decides: the metric to make small ("min") or large ("max"), under conditions."""

    metric: str
    goal: str
    conditions: Sequence[Condition] = ()


def question(metric: str, goal: str, subject_to: Mapping[str, str] | None = None) -> Question:
    """Read a study's question, checking every metric's name.

    Raises:
        UsageError: a metric that does not exist.
        ValueError: a condition that cannot be read.
    """
    lookup(metric)
    if goal not in ("min", "max"):
        raise ValueError(f"goal is min or max, not {goal!r}")
    return Question(metric, goal, tuple(condition(name, text) for name, text in (subject_to or {}).items()))


def decide(groups: Sequence[Group], asked: Question) -> Json:
    """The answer as plain data: `decisions` (one a point), `crossovers`, and the question itself.

    With a single arm the points themselves are the candidates, and there is one decision.
    """
    arms = list(dict.fromkeys(group.arm for group in groups))
    contests: list[tuple[Mapping[str, Any], list[Group]]] = []
    if len(arms) > 1:
        for group in groups:
            rivals = next((found for point, found in contests if point == group.point), None)
            if rivals is None:
                contests.append((group.point, [group]))
            else:
                rivals.append(group)
    elif groups:
        contests.append(({}, list(groups)))
    decisions = [_contest(point, rivals, asked) for point, rivals in contests]
    return {
        "metric": asked.metric,
        "goal": asked.goal,
        "subject_to": [str(each) for each in asked.conditions],
        "over": "arms" if len(arms) > 1 else "points",
        "decisions": decisions,
        "crossovers": _crossovers(decisions) if len(arms) > 1 else [],
    }


def _contest(point: Mapping[str, Any], groups: Sequence[Group], asked: Question) -> Json:
    entries = [(_candidate(group, asked), group) for group in groups]
    better = 1 if asked.goal == "min" else -1
    ranked = sorted(
        (entry for entry in entries if entry[0]["qualifies"]), key=lambda entry: better * entry[0]["mean"]
    )
    result: Json = {"point": dict(point), "candidates": [candidate for candidate, _ in entries]}
    if not ranked:
        return result | {"winner": None, "runner_up": None, "difference": None, "verdict": "none qualifies"}
    (first, best), *others = ranked
    result["winner"] = {
        "arm": best.arm,
        "point": dict(best.point),
        "label": first["label"],
        "mean": first["mean"],
    }
    if not others:
        return result | {"runner_up": None, "difference": None, "verdict": "only candidate"}
    second, rival = others[0]
    gap = difference(best, rival, asked.metric)
    result["runner_up"] = {
        "arm": rival.arm,
        "point": dict(rival.point),
        "label": second["label"],
        "mean": second["mean"],
    }
    return result | {"difference": gap, "verdict": _verdict(gap)}


def _candidate(group: Group, asked: Question) -> Json:
    """One arm in the contest and, where it cannot win, why."""
    interval = intervals.of_mean(group.values(asked.metric))
    reasons = []
    if group.bound:
        reasons.append("knows the future: a bound, not a choice")
    if not group.runs:
        reasons.append("no replication finished")
    elif number(interval.mean) is None:
        reasons.append(f"{asked.metric} is undefined")
    overloaded = group.unstable()
    if overloaded and lookup(asked.metric).steady:
        reasons.append(f"overloaded: the backlog of {', '.join(overloaded)} kept growing")
    for each in asked.conditions:
        mean = intervals.of_mean(group.values(each.metric)).mean
        if not each.holds(mean):
            reasons.append(f"{each} not met: {units.show(mean, lookup(each.metric).dimension)}")
    return {
        "arm": group.arm,
        "point": dict(group.point),
        "label": group.label,
        "mean": number(interval.mean),
        "low": number(interval.low),
        "high": number(interval.high),
        "n": interval.n,
        "qualifies": not reasons,
        "reasons": reasons,
    }


def _verdict(gap: Json) -> str:
    if gap["n"] < 2:
        return "one replication"
    clear = gap["low"] is not None and (gap["low"] > 0 or gap["high"] < 0)
    return "clear" if clear else "not distinguishable"


def _crossovers(decisions: Sequence[Json]) -> list[Json]:
    """Where the winner changes between neighbouring values of an axis, the others being equal."""
    found: list[Json] = []
    axes = list(decisions[0]["point"]) if decisions else []
    for axis in axes:
        lines: dict[str, list[Json]] = {}
        for decision in decisions:
            others = {name: value for name, value in decision["point"].items() if name != axis}
            lines.setdefault(repr(others), []).append(decision)
        for line in lines.values():
            for left, right in itertools.pairwise(line):
                before, after = left["winner"], right["winner"]
                if before and after and before["arm"] != after["arm"]:
                    found.append(
                        {
                            "axis": axis,
                            "fixed": {name: value for name, value in left["point"].items() if name != axis},
                            "low": left["point"][axis],
                            "high": right["point"][axis],
                            "before": before["arm"],
                            "after": after["arm"],
                            "estimate": _crossing(left, right, axis),
                        }
                    )
    return found


def _crossing(left: Json, right: Json, axis: str) -> float | None:
    """Axis value at which the two winners' means meet on straight lines between the points.

    None when the axis is not of numbers, or when not the metric but a condition changed the winner.
    """
    ends = left["point"][axis], right["point"][axis]
    if any(isinstance(end, bool) or not isinstance(end, int | float) for end in ends):
        return None
    gaps = []
    for decision in (left, right):
        means = {candidate["arm"]: candidate["mean"] for candidate in decision["candidates"]}
        before, after = means.get(left["winner"]["arm"]), means.get(right["winner"]["arm"])
        if before is None or after is None:
            return None
        gaps.append(before - after)
    if gaps[0] * gaps[1] > 0 or gaps[0] == gaps[1]:
        return None
    share = gaps[0] / (gaps[0] - gaps[1])
    return float(ends[0] + share * (ends[1] - ends[0]))
