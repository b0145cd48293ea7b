import dataclasses
import math

import pytest

from sim.stats.intervals import paired
from sim.stats.multiple import holm
from sim.study.answer import decide, question
from sim.study.compare import Group, Run
from sim.study.contrast import matrix, tradeoff


def group(arm, point=None, **metrics):
    count = max(map(len, metrics.values()), default=0)
    named = {name.replace("__", "."): values for name, values in metrics.items()}
    runs = [Run(0, r, {name: values[r] for name, values in named.items()}) for r in range(count)]
    return Group(arm, point or {}, arm, runs)


A = [1.0, 2.0, 4.0, 3.0]
B = [2.0, 3.1, 5.0, 4.1]
C = [1.1, 1.9, 4.1, 2.9]


def test_every_pair_stands_once_with_its_adjusted_p_value():
    groups = [group(arm, total__cost=values) for arm, values in (("a", A), ("b", B), ("c", C))]
    (found,) = matrix(groups, "total.cost")
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    tests = [paired(x, y) for x, y in ((A, B), (A, C), (B, C))]
    assert [pair["mean"] for pair in found["pairs"]] == [test.difference.mean for test in tests]
    assert [pair["low"] for pair in found["pairs"]] == [test.difference.low for test in tests]
    assert [pair["holm"] for pair in found["pairs"]] == holm([test.p for test in tests])
    assert [pair["differ"] for pair in found["pairs"]] == [True, False, True]


def test_points_are_families_of_their_own():
    groups = [
        group(arm, {"load": load}, total__cost=values)
        for load in (1, 2)
        for arm, values in (("a", A), ("b", B))
    ]
    groups.append(group("late", {"load": 2}))  # nothing of it has finished
    found = matrix(groups, "total.cost")
    assert [each["point"] for each in found] == [{"load": 1}, {"load": 2}]
    # One comparison a family: nothing to correct.
    assert all(pair["holm"] == pair["p"] for each in found for pair in each["pairs"])


def test_one_replication_proves_nothing():
    (found,) = matrix([group("a", total__cost=[1.0]), group("b", total__cost=[9.0])], "total.cost")
    assert [(pair["p"], pair["holm"], pair["differ"]) for pair in found["pairs"]] == [(None, None, False)]


def test_the_front_goes_by_the_better_direction_of_each_metric():
    groups = [
        group("slow", total__cost=[1.0], total__completed=[1.0]),
        group("fast", total__cost=[3.0], total__completed=[9.0]),
        group("poor", total__cost=[4.0], total__completed=[8.0]),
        group("gone", total__cost=[math.nan], total__completed=[8.0]),
    ]
    (found,) = tradeoff(groups, ["total.cost", "total.completed"])
    assert found["arms"] == [
        {"arm": "slow", "means": [1.0, 1.0], "front": True, "bound": False},
        {"arm": "fast", "means": [3.0, 9.0], "front": True, "bound": False},
        {"arm": "poor", "means": [4.0, 8.0], "front": False, "bound": False},
    ]
    assert tradeoff(groups[:1], ["total.cost", "total.completed"]) == []


def test_a_bound_is_on_no_front_and_at_no_price():
    groups = [
        group("cheap", total__cost=[1.0], total__energy=[10.0]),
        group("safe", total__cost=[6.0], total__energy=[0.0]),
        group("between", total__cost=[3.0], total__energy=[2.0]),
        group("hollow", total__cost=[4.9], total__energy=[1.9]),
        dataclasses.replace(group("knows", total__cost=[0.5], total__energy=[0.0]), bound=True),
    ]
    (found,) = tradeoff(groups, ["total.cost", "total.energy"])
    assert [arm["arm"] for arm in found["arms"] if arm["front"]] == ["cheap", "safe", "between", "hollow"]
    assert found["arms"][-1]["bound"]
    assert found["prices"] == [
        {"arm": "cheap", "from": 0.0, "to": 0.25},
        {"arm": "between", "from": 0.25, "to": 1.5},
        {"arm": "safe", "from": 1.5, "to": None},
    ]


def test_a_bound_never_wins():
    groups = [group("mine", total__cost=[3.0]), group("knows", total__cost=[1.0])]
    groups[1] = dataclasses.replace(groups[1], bound=True)
    (decision,) = decide(groups, question("total.cost", "min"))["decisions"]
    assert decision["winner"]["arm"] == "mine"
    assert decision["candidates"][1]["reasons"] == ["knows the future: a bound, not a choice"]


def test_an_unknown_metric_is_told():
    with pytest.raises(Exception, match="unknown metric"):
        tradeoff([], ["total.cots", "total.cost"])
