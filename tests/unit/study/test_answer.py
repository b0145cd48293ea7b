import math

import pytest

from sim.errors import UsageError
from sim.metrics import condition
from sim.study.answer import decide, question
from sim.study.compare import Group, Run


def group(arm, point=None, /, **metrics):
    """A cell whose keywords give a metric's value per replication; `_` stands for a dot."""
    names = {
        "cost": "total.cost",
        "slo": "apps.a.slo_met",
        "p99": "apps.a.latency.p99",
        "bad": "services.s.unstable",
    }
    count = max(map(len, metrics.values()), default=0)
    runs = [
        Run(0, r, {names[name]: float(values[r]) for name, values in metrics.items()}) for r in range(count)
    ]
    return Group(arm, point or {}, arm, runs)


CHEAP = question("total.cost", "min")


@pytest.mark.parametrize(("metric", "text", "bound", "shown"), [
    ("apps.a.slo_met", ">= 95%", 0.95, "apps.a.slo_met >= 95 %"),
    ("apps.a.slo_met", ">=0.95", 0.95, "apps.a.slo_met >= 95 %"),
    ("apps.a.latency.p99", "< 250ms", 0.25, "apps.a.latency.p99 < 250 ms"),
    ("apps.a.latency.p99", "< 0.25", 0.25, "apps.a.latency.p99 < 250 ms"),
    ("total.cost", "<= 12 USD", 12.0, "total.cost <= $12"),
    ("total.carbon", "<= 1e3", 1000.0, "total.carbon <= 1 kg"),
    ("total.dropped", "> 10k", 10_000.0, "total.dropped > 10,000"),
])  # fmt: skip
def test_conditions(metric, text, bound, shown):
    found = condition(metric, text)
    assert (found.bound, str(found)) == (bound, shown)


@pytest.mark.parametrize(("metric", "text"), [
    ("total.cost", "about 3"), ("total.cost", "< 3 apples"), ("apps.a.latency.p99", "< 3 USD"),
])  # fmt: skip
def test_wrong_conditions(metric, text):
    with pytest.raises(ValueError, match=r"condition|is not a"):
        condition(metric, text)


def test_unknown_metrics_and_goals():
    with pytest.raises(UsageError, match="did you mean"):
        question("total.csot", "min")
    with pytest.raises(ValueError, match="min or max"):
        question("total.cost", "least")


def test_a_clear_winner():
    found = decide([group("a", cost=[10, 20, 30]), group("b", cost=[8, 18.1, 27.9])], CHEAP)
    decision = found["decisions"][0]
    assert decision["winner"]["arm"] == "b"
    assert decision["runner_up"]["arm"] == "a"
    assert decision["verdict"] == "clear"
    assert decision["difference"]["mean"] == pytest.approx(-2.0)


def test_a_lead_within_the_noise():
    decision = decide([group("a", cost=[10, 20, 30]), group("b", cost=[20, 18, 19])], CHEAP)["decisions"][0]
    assert (decision["winner"]["arm"], decision["verdict"]) == ("b", "not distinguishable")


def test_equal_arms_are_not_distinguishable():
    decision = decide([group("a", cost=[5, 5]), group("b", cost=[5, 5])], CHEAP)["decisions"][0]
    assert decision["verdict"] == "not distinguishable"


def test_one_replication_proves_nothing():
    assert (
        decide([group("a", cost=[1]), group("b", cost=[9])], CHEAP)["decisions"][0]["verdict"]
        == "one replication"
    )


def test_the_largest_wins_when_asked_for():
    asked = question("total.cost", "max")
    assert (
        decide([group("a", cost=[1, 2]), group("b", cost=[9, 8])], asked)["decisions"][0]["winner"]["arm"]
        == "b"
    )


def test_conditions_rule_arms_out():
    asked = question("total.cost", "min", {"apps.a.slo_met": ">= 95%"})
    groups = [group("cheap", cost=[1, 1], slo=[0.99, 0.9]), group("dear", cost=[5, 5], slo=[0.95, 0.95])]
    decision = decide(groups, asked)["decisions"][0]
    assert (decision["winner"]["arm"], decision["verdict"]) == ("dear", "only candidate")
    assert decision["candidates"][0]["reasons"] == ["apps.a.slo_met >= 95 % not met: 94.5 %"]


def test_an_undefined_condition_is_not_met():
    asked = question("total.cost", "min", {"apps.a.slo_met": ">= 0%"})
    decision = decide([group("a", cost=[1, 1], slo=[math.nan, math.nan])], asked)["decisions"][0]
    assert (decision["winner"], decision["verdict"]) == (None, "none qualifies")


def test_an_overloaded_arm_has_no_latency_to_win_with():
    groups = [
        group("a", cost=[1, 1], p99=[0.1, 0.1], bad=[1, 1]),
        group("b", cost=[2, 2], p99=[0.5, 0.5], bad=[0, 0]),
    ]
    decision = decide(groups, question("apps.a.latency.p99", "min"))["decisions"][0]
    assert decision["winner"]["arm"] == "b"
    assert "overloaded" in decision["candidates"][0]["reasons"][0]
    # Its cost is a fact all the same.
    assert decide(groups, CHEAP)["decisions"][0]["winner"]["arm"] == "a"


def test_a_cell_without_runs_cannot_win():
    decision = decide([Group("a", {}, "a", []), group("b", cost=[1, 1])], CHEAP)["decisions"][0]
    assert decision["candidates"][0]["reasons"] == ["no replication finished"]
    assert decision["winner"]["arm"] == "b"


def test_crossover_between_two_points():
    costs = {"edge": {10: 1, 20: 2, 40: 6}, "cloud": {10: 3, 20: 3, 40: 3}}
    groups = [
        group(arm, {"n": n}, cost=[cost] * 2) for arm, line in costs.items() for n, cost in line.items()
    ]
    found = decide(groups, CHEAP)
    assert [decision["winner"]["arm"] for decision in found["decisions"]] == ["edge", "edge", "cloud"]
    # edge - cloud is -1 at 20 and 3 at 40: zero a quarter of the way.
    assert found["crossovers"] == [
        {
            "axis": "n",
            "fixed": {},
            "low": 20,
            "high": 40,
            "before": "edge",
            "after": "cloud",
            "estimate": 25.0,
        }
    ]


def test_crossover_by_a_condition_has_no_estimate():
    asked = question("total.cost", "min", {"apps.a.slo_met": ">= 90%"})
    groups = [
        group("a", {"n": 1}, cost=[1, 1], slo=[1, 1]), group("a", {"n": 2}, cost=[1, 1], slo=[0.5, 0.5]),
        group("b", {"n": 1}, cost=[2, 2], slo=[1, 1]), group("b", {"n": 2}, cost=[2, 2], slo=[1, 1]),
    ]  # fmt: skip
    (found,) = decide(groups, asked)["crossovers"]
    assert (found["before"], found["after"], found["estimate"]) == ("a", "b", None)


def test_crossovers_keep_the_other_axes_fixed():
    def costs(n, kind):
        return {"edge": n, "cloud": 3 if kind == "x" else 30}

    groups = [
        group(arm, {"n": n, "kind": kind}, cost=[costs(n, kind)[arm]] * 2)
        for arm in ("edge", "cloud") for n in (1, 5) for kind in ("x", "y")
    ]  # fmt: skip
    found = decide(groups, CHEAP)["crossovers"]
    along = [(cross["axis"], cross["fixed"], cross["estimate"]) for cross in found]
    assert along == [("n", {"kind": "x"}, 3.0), ("kind", {"n": 5}, None)]


def test_one_arm_alone_compares_its_points():
    asked = question("total.cost", "min", {"apps.a.slo_met": ">= 90%"})
    groups = [
        group("base", {"n": n}, cost=[n, n], slo=[share, share])
        for n, share in ((1, 0.5), (2, 0.95), (3, 0.99))
    ]
    found = decide(groups, asked)
    assert found["over"] == "points"
    assert len(found["decisions"]) == 1
    assert found["decisions"][0]["winner"]["point"] == {"n": 2}
    assert found["crossovers"] == []
