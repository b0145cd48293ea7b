"""Pools that grow by the plan of a node autoscaler, from the YAML text to the nodes table."""

from itertools import pairwise

import pytest

from sim.errors import ScenarioError
from sim.scenario.load import loads
from tests.platforms import rows, simulate

TEXT = """
name: pools
duration: 10min
infrastructure:
  instances:
    small: {{cpu: 2, memory: 8GB, price: 1 USD/h}}
    large: {{cpu: 16, memory: 64GB, price: 6 USD/h}}
    exact: {{cpu: 4, memory: 4GB, price: 9 USD/h}}
  sites:
    here:
      kind: cloud
      pools:
        small: {{instance: small, nodes: {{initial: 0, min: 0, max: {most}}}, provisioning: 30s, boot: 20s}}
        large: {{instance: large, nodes: {{initial: 0, min: 0, max: 9}}, provisioning: 30s, boot: 20s}}
        exact: {{instance: exact, nodes: {{initial: 0, min: 0, max: 9}}, provisioning: 30s, boot: 20s}}
platform:
  {policy}
  services:
    web:
      site: here
      time: {{policy: constant, value: 1s}}
      resources: {{cpu: 1, memory: 1GB}}
      replicas: {replicas}
applications:
  users:
    users: {{here: 1}}
    arrivals: {{process: poisson, rate: 0.1/s}}
    calls: {{ask: {{to: web}}}}
"""


def nodes(policy, replicas=8, most=9):
    made = f"node_scaling: {policy}" if policy else ""
    outcome = simulate(TEXT.format(policy=made, replicas=replicas, most=most))
    found = [(row["pool"], row["requested"]) for row in rows(outcome, "nodes")]
    ready = [row["ready"] for row in rows(outcome, "units") if row["kind"] == "replica"]
    assert len(ready) == replicas
    assert all(moment == moment for moment in ready)
    return found


def count(found):
    pools = [pool.split("/")[-1] for pool, _ in found]
    return {pool: pools.count(pool) for pool in sorted(set(pools))}


def test_without_one_the_cheapest_pool_fills_first_and_at_once():
    found = nodes("")
    assert count(found) == {"small": 4}
    assert {moment for _, moment in found} == {0.0}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("cluster-autoscaler", {"exact": 2}),  # nothing of it is left over
        ("{policy: cluster-autoscaler, expanders: [least-nodes]}", {"large": 1}),
        ("{policy: cluster-autoscaler, expanders: [most-pods, least-nodes]}", {"large": 1}),
        (
            "{policy: cluster-autoscaler, expanders: [priority], priorities: {1: ['.*'], 50: [small$]}}",
            {"small": 4},
        ),
        ("karpenter", {"large": 1}),  # one node for the batch
    ],
)
def test_who_grows(policy, expected):
    assert count(nodes(policy)) == expected


def test_it_looks_every_scan_and_counts_nodes_that_are_coming():
    found = nodes("{policy: cluster-autoscaler, scan: 7s}")
    assert {moment for _, moment in found} == {7.0}


def test_what_one_pool_cannot_take_is_planned_at_the_next_scan():
    choose = "{policy: cluster-autoscaler, expanders: [priority], priorities: {50: [small], 1: [large]}}"
    found = nodes(choose, replicas=8, most=2)
    assert count(found) == {"large": 1, "small": 2}
    assert sorted({moment for _, moment in found}) == [10.0, 20.0]


def test_a_batch_is_closed_after_a_second():
    assert {moment for _, moment in nodes("karpenter")} == {1.0}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("{policy: cluster-autoscaler, expanders: [priority]}", "needs `priorities`"),
        ("{policy: cluster-autoscaler, priorities: {first: [a]}}", "whole numbers"),
        ("cluster-autoscaling", "did you mean"),
    ],
)
def test_wrong_settings(policy, message):
    with pytest.raises(ScenarioError, match=message):
        loads(TEXT.format(policy=f"node_scaling: {policy}", replicas=1, most=1))


DOWN = """
name: shrinking
duration: 3h
infrastructure:
  instances:
    small: {{cpu: 4, memory: 16GB, price: 1 USD/h}}
    large: {{cpu: 16, memory: 64GB, price: 5 USD/h}}
  sites:
    here:
      kind: cloud
      pools:
        small:
          {{instance: small, nodes: {{initial: {small}, min: 1, max: 9}}, provisioning: {boot}, boot: 20s}}
        large: {{instance: large, nodes: {{initial: {large}, min: 0, max: 2}}, provisioning: 30s, boot: 20s}}
platform:
  node_scaling: {policy}
  scheduler: {{scores: {{least-allocated: 1}}}}
  services:
    web:
      site: here
      time: {{policy: constant, value: 10s}}
      resources: {{cpu: 1, memory: 1GB}}
      replicas: {{initial: {replicas}, min: 0, max: 20}}
      autoscaler: {autoscaler}
      drain_timeout: 1min
      {budget}
{more}
applications:
  users:
    users: {{here: 1}}
    arrivals: {{process: poisson, rate: 0.05/s}}
    calls: {{ask: {{to: web}}}}
"""

#: Ten replicas at first, two from the first hour on.
FEWER = (
    "{policy: scheduled, windows: [{start: 0s, end: 1h, min: 10, max: 10}, "
    "{start: 1h, end: 24h, min: 2, max: 2}]}"
)
JOB = """
  jobs:
    long: {arrivals: {process: periodic, period: 10h, phase: aligned}, resources: {cpu: 1}, duration: 170min}
"""


def shrunk(policy, *, small=4, large=0, replicas=10, autoscaler=FEWER, more="", boot="30s", budget=""):
    text = DOWN.format(
        policy=policy,
        small=small,
        large=large,
        replicas=replicas,
        autoscaler=autoscaler,
        more=more,
        boot=boot,
        budget=f"disruption_budget: {budget}" if budget else "",
    )
    outcome = simulate(text)
    calls = rows(outcome, "calls")
    assert {row["status"] for row in calls} <= {"completed", "in-flight"}  # nobody's call was cut off
    return outcome


def removed(outcome):
    found = [row for row in rows(outcome, "nodes") if row["ended"] == row["ended"]]
    return sorted((row["ended"], row["name"].split("/", 2)[2], row["reason"]) for row in found)


def actions(outcome, action):
    return [row for row in rows(outcome, "node_scaling") if row["action"] == action]


def test_little_used_nodes_are_drained_one_by_one_after_being_unneeded():
    outcome = shrunk("cluster-autoscaler")
    gone = removed(outcome)
    # At 1 h the two oldest replicas stay, each on a node of its own: used 25 %, and one fits on the other.
    assert len(gone) == 3
    assert all(reason == "scaled-down: unneeded" for *_, reason in gone)
    empty, drained = gone[:2], gone[2]
    assert [moment for moment, *_ in empty] == [pytest.approx(3600 + 610, abs=20)] * 2
    assert drained[0] >= empty[0][0]
    drain = actions(outcome, "drain")
    assert len(drain) == 1
    assert drain[0]["utilisation"] == 0.25
    units = [row for row in rows(outcome, "units") if row["submitted"] > 3600]
    assert len(units) == 1  # the replica that started in the stead of the one that moved
    assert units[0]["ready"] == units[0]["ready"]


def test_why_nodes_are_kept_is_recorded_at_each_change():
    kept = [(row["time"], row["reason"]) for row in actions(shrunk("cluster-autoscaler"), "kept")]
    assert kept == [(10.0, "well used")] * 4 + [(3600.0, "its pods fit nowhere else"), (4220.0, "protected")]


@pytest.mark.parametrize(
    ("policy", "count"),
    [
        ("{policy: cluster-autoscaler, scale_down: false}", 2),  # by the pools' idle_timeout
        ("{policy: cluster-autoscaler, threshold: 20%}", 2),  # the empty ones only
        ("{policy: cluster-autoscaler, unneeded: 2h}", 0),
        ("{policy: karpenter, consolidation: WhenEmpty}", 2),
        ("karpenter", 3),
        ("{policy: karpenter, consolidation: 'off'}", 2),
    ],
)
def test_which_nodes_go(policy, count):
    assert len(removed(shrunk(policy))) == count


def test_workers_of_jobs_hold_their_node_unless_they_may_be_evicted():
    common = {"small": 1, "large": 1, "replicas": 0, "autoscaler": "fixed", "more": JOB}
    still = shrunk("{policy: cluster-autoscaler, scan: 10s}", **common)
    moved = shrunk("{policy: cluster-autoscaler, scan: 10s, evict_jobs: true}", **common)
    assert removed(still) == []
    assert [name for _, name, _ in removed(moved)] == ["large/0"]
    assert {row["reason"] for row in rows(moved, "runs")} >= {"node-scaled-down"}
    assert sum(row["lost"] for row in rows(moved, "jobs")) == 0  # it saved its state
    assert [row["reason"] for row in actions(still, "kept")].count("holds what cannot move") == 1


def test_consolidation_replaces_a_node_by_a_cheaper_one_and_moves_its_pods():
    outcome = shrunk("karpenter", small=1, large=1, replicas=6, autoscaler="fixed")
    grown = actions(outcome, "grow")
    assert [(row["pool"], row["reason"]) for row in grown] == [
        ("here/small", "cheaper than iaas/here/large/0")
    ]
    assert [name for _, name, _ in removed(outcome)] == ["large/0"]
    new = next(row for row in rows(outcome, "nodes") if row["requested"] > 0)
    # Found at 10 s, still true 15 s later; the old node goes when the new one is there.
    assert grown[0]["time"] == pytest.approx(25.0)
    assert removed(outcome)[0][0] >= new["ready"] == pytest.approx(75.0)


def test_a_pool_whose_nodes_do_not_come_is_given_up_and_left_alone():
    policy = "{policy: cluster-autoscaler, expanders: [price], pod_prices: {cpu: 0.05, memory: 0.005}}"
    outcome = shrunk(policy, small=1, large=0, replicas=8, autoscaler="fixed", boot="2h")
    failed = actions(outcome, "failed")
    grown = [(row["time"], row["pool"]) for row in actions(outcome, "grow")]
    # The small pool is asked first; 15 min later the large one, since the small one rests.
    assert grown[0] == (10.0, "here/small")
    assert [row["time"] for row in failed] == [910.0] * len(failed)
    assert grown[1] == (920.0, "here/large")
    reasons = [row["reason"] for row in rows(outcome, "nodes") if row["pool"] == "here/small"]
    assert "provisioning-timeout" in reasons


def test_a_scale_up_holds_removal_back_for_ten_minutes():
    outcome = shrunk("{policy: cluster-autoscaler, unneeded: 0s}", small=1, replicas=10)
    added = max(row["time"] for row in actions(outcome, "grow"))
    assert removed(outcome)[0][0] >= added + 600


@pytest.mark.parametrize(
    ("policy", "budget", "count"),
    [
        ("cluster-autoscaler", "{min_available: 1}", 3),
        ("cluster-autoscaler", "{max_unavailable: 10%}", 3),  # rounded up: one of two
        ("cluster-autoscaler", "{min_available: 100%}", 2),  # the empty nodes only
        ("cluster-autoscaler", "{max_unavailable: 0}", 2),
        ("karpenter", "{max_unavailable: 1}", 3),
        ("karpenter", "{min_available: 2}", 2),
    ],
)
def test_disruption_budgets_keep_nodes(policy, budget, count):
    outcome = shrunk(policy, budget=budget)
    assert len(removed(outcome)) == count
    if policy == "cluster-autoscaler" and count == 2:
        reasons = [row["reason"] for row in actions(outcome, "kept")]
        assert "a disruption budget holds its pods" in reasons


def test_a_node_is_drained_no_faster_than_its_budget_lets():
    # Three replicas on each large node; those of one go one at a time, when the last is ready anew.
    policy = "{policy: cluster-autoscaler, eviction_timeout: 1h}"
    budget = "{max_unavailable: 1}\n      warmup: 5min"
    outcome = shrunk(policy, small=1, large=2, replicas=6, autoscaler="fixed", budget=budget)
    began = actions(outcome, "drain")[0]["time"]
    starts = sorted(row["submitted"] for row in rows(outcome, "units") if row["submitted"] >= began)
    assert len(starts) >= 2
    assert starts[0] == began
    assert all(later - sooner >= 300 for sooner, later in pairwise(starts))
    assert actions(outcome, "failed") == []
    assert len(removed(outcome)) >= 1


def test_a_node_that_the_budget_holds_for_too_long_stays_and_nothing_goes_for_a_while():
    policy = (
        "{policy: cluster-autoscaler, eviction_timeout: 30s, delay_after_failure: 40min, unneeded: 1min, "
        "delay_after_add: 0s}"
    )
    budget = "{max_unavailable: 1}\n      warmup: 10min"
    outcome = shrunk(policy, small=1, large=2, replicas=6, autoscaler="fixed", budget=budget)
    failed = actions(outcome, "failed")
    assert {row["reason"] for row in failed} == {"disruption-budget"}
    began, ended = actions(outcome, "drain")[0]["time"], failed[0]["time"]
    assert ended == pytest.approx(began + 30.0)
    later = [row["time"] for row in actions(outcome, "drain") if row["time"] > ended]
    assert later
    assert later[0] >= ended + 2400


def test_no_more_nodes_are_on_their_way_out_than_allowed():
    outcome = shrunk("{policy: cluster-autoscaler, most_at_once: 1}")
    moments = [row["time"] for row in actions(outcome, "removed") + actions(outcome, "drain")]
    assert len(moments) == len(set(moments)) == 3
