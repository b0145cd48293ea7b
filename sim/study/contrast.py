"""All arms against each other: the paired difference of every two, and which are beyond chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from sim.metrics import lookup
from sim.stats.intervals import of_mean
from sim.stats.multiple import holm
from sim.stats.pareto import cheapest, front
from sim.study.compare import Group, Json, difference, number

#: Chance of even one false "differ" among all pairs at one point.
LEVEL = 0.05


def points(groups: Sequence[Group]) -> list[list[Group]]:
    """The groups that share a point of the axes, in the order of the points; groups without runs left out."""
    found: list[list[Group]] = []
    for group in groups:
        if not group.runs:
            continue
        rivals = next((each for each in found if each[0].point == group.point), None)
        if rivals is None:
            found.append([group])
        else:
            rivals.append(group)
    return found


def matrix(groups: Sequence[Group], metric: str) -> list[Json]:
    """Paired differences between every two arms, one entry a point of the axes with two arms or more.

    Each pair has `first`, `second`, the difference `first - second` as `sim.study.compare.difference`
    gives it (its interval is that of the pair alone), `holm`, its p-value adjusted over all pairs of
    the point, and whether they `differ` at the level of 5 %.
    """
    found = []
    for rivals in points(groups):
        if len(rivals) < 2:
            continue
        pairs: list[Json] = [
            {"first": one.arm, "second": two.arm, **difference(one, two, metric)}
            for one, two in itertools.combinations(rivals, 2)
        ]
        for pair, adjusted in zip(pairs, holm([pair["p"] for pair in pairs]), strict=True):
            pair["holm"] = adjusted
            pair["differ"] = adjusted is not None and adjusted <= LEVEL
        found.append({"metric": metric, "point": dict(rivals[0].point), "pairs": pairs})
    return found


def tradeoff(groups: Sequence[Group], metrics: Sequence[str]) -> list[Json]:
    """Arms by the means of two metrics, and which of them no other arm beats in both.

    An arm with an undefined mean is left out. A metric without a better direction counts as better low.
    Arms that are only bounds are on no front. Where both are better low, `prices` tells which arm is
    best at which price of one unit of the second metric in units of the first.
    """
    better = [lookup(name).better or "low" for name in metrics]
    found = []
    for rivals in points(groups):
        known: list[tuple[Group, list[float]]] = []
        for group in rivals:
            means = [of_mean(group.values(name)).mean for name in metrics]
            if all(map(math.isfinite, means)):
                known.append((group, means))
        if len(known) < 2:
            continue
        real = [(group.arm, means) for group, means in known if not group.bound]
        best = {real[index][0] for index in front([means for _, means in real], better)}
        arms = [
            {"arm": group.arm, "means": means, "front": group.arm in best, "bound": group.bound}
            for group, means in known
        ]
        entry = {"metrics": list(metrics), "point": dict(rivals[0].point), "arms": arms, "prices": []}
        if better == ["low", "low"]:
            hull = cheapest([(means[0], means[1]) for _, means in real])
            entry["prices"] = [
                {"arm": real[index][0], "from": low, "to": number(high)} for index, low, high in hull
            ]
        found.append(entry)
    return found
