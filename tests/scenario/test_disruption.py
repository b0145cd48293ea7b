"""Preemption and disruption budgets: they are kept as long as there is another way."""

import pytest

from tests.platforms import rows, simulate

TEXT = """
name: preempted
duration: 10min
infrastructure:
  instances: {{box: {{cpu: 4, memory: 16GB}}}}
  sites: {{here: {{kind: cloud, pools: {{a: {{instance: box, nodes: 1}}, b: {{instance: box, nodes: 1}}}}}}}}
platform:
  scheduler: {{preemption: priority}}
  services:
    first: {{site: here, pool: a, time: {{policy: constant, value: 1s}}, resources: {{cpu: 4}}, {first}}}
    second: {{site: here, pool: b, time: {{policy: constant, value: 1s}}, resources: {{cpu: 4}}, {second}}}
  jobs:
    urgent:
      {{arrivals: {{process: poisson, rate: 0.01/s}}, resources: {{cpu: 4}}, duration: 30s, priority: 5}}
applications:
  users:
    users: {{here: 1}}
    arrivals: {{process: poisson, rate: 0.01/s}}
    calls: {{ask: {{to: first}}, tell: {{to: second}}}}
"""
HELD = "disruption_budget: {min_available: 100%}"
FREE = "disruption_budget: {max_unavailable: 1}"


@pytest.mark.parametrize(
    ("first", "second", "victim"),
    [
        ("replicas: 1", "replicas: 1", "first"),  # the first node of equal ones
        (HELD, "replicas: 1", "second"),
        (HELD, FREE, "second"),
        (FREE, HELD, "first"),
        (HELD, HELD, "first"),  # there is no other way: a budget does not stop preemption
    ],
)
def test_who_is_preempted(first, second, victim):
    units = rows(simulate(TEXT.format(first=first, second=second)), "units")
    gone = [unit["owner"] for unit in units if unit["kind"] == "replica" and unit["ended"] == unit["ended"]]
    assert gone
    assert gone[0] == victim
