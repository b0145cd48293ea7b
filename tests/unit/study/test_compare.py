import math

import pytest

from sim.stats.intervals import of_mean, paired
from sim.study.compare import Group, Run, summarise


def group(arm, metric, values, point=None, unstable=None):
    runs = [
        Run(
            0,
            replication,
            {metric: value} | ({"services.s.unstable": unstable[replication]} if unstable else {}),
        )
        for replication, value in enumerate(values)
    ]
    return Group(arm, point or {}, arm, runs)


def test_means_and_paired_differences():
    cells = summarise(
        [group("a", "total.cost", [1.0, 2.0, 4.0]), group("b", "total.cost", [2.0, 4.0, 5.0])], "a"
    )
    alone = of_mean([2.0, 4.0, 5.0])
    assert cells[1]["metrics"]["total.cost"] == {
        "mean": alone.mean, "low": alone.low, "high": alone.high, "n": 3, "values": [2.0, 4.0, 5.0],
    }  # fmt: skip
    pair = paired([2.0, 4.0, 5.0], [1.0, 2.0, 4.0])
    assert cells[0]["versus"] is None
    assert cells[1]["versus"]["arm"] == "a"
    found = cells[1]["versus"]["metrics"]["total.cost"]
    assert (found["mean"], found["low"], found["p"]) == (pair.difference.mean, pair.difference.low, pair.p)
    assert found["relative"] == pytest.approx(4 / 7)


def test_an_undefined_value_is_none():
    cells = summarise(
        [group("a", "total.cost", [math.nan, 3.0]), group("b", "total.cost", [math.inf, 1.0])], None
    )
    assert cells[0]["metrics"]["total.cost"]["values"] == [None, 3.0]
    assert cells[0]["metrics"]["total.cost"]["low"] is None
    assert cells[1]["metrics"]["total.cost"]["mean"] is None
    assert cells[1]["versus"] is None


def test_only_replications_that_both_have_are_paired():
    short = Group("b", {}, "b", [Run(0, 1, {"total.cost": 5.0})])
    cells = summarise([group("a", "total.cost", [1.0, 2.0]), short], "a")
    assert cells[1]["versus"]["metrics"]["total.cost"]["mean"] == 3.0
    assert cells[1]["versus"]["metrics"]["total.cost"]["low"] is None


def test_the_baseline_is_that_of_the_same_point():
    groups = [
        group("a", "total.cost", [1.0], {"n": 1}), group("a", "total.cost", [10.0], {"n": 2}),
        group("b", "total.cost", [2.0], {"n": 1}), group("b", "total.cost", [30.0], {"n": 2}),
    ]  # fmt: skip
    cells = summarise(groups, "a")
    assert [cell["versus"]["metrics"]["total.cost"]["mean"] for cell in cells[2:]] == [1.0, 20.0]


def test_overload_is_what_most_replications_say():
    assert group("a", "total.cost", [1, 1, 1], unstable=[1, 1, 0]).unstable() == ["s"]
    assert group("a", "total.cost", [1, 1, 1], unstable=[1, 0, 0]).unstable() == []
    assert Group("a", {}, "a", []).unstable() == []
