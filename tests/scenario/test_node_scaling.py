"""Pools that grow by the plan of a node autoscaler, from the YAML text to the nodes table."""

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
