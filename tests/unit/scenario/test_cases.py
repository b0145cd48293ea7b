"""Faults in the cases of a study point to the line that brought them."""

import pytest

from sim.errors import ScenarioError
from sim.scenario.load import loads

BASE = """
name: tiny
question: Which?
duration: 10s
seed: 1
infrastructure:
  instances:
    box: {cpu: 4, memory: 8Gi, price: 0.1 USD/h, power: {0%: 10W, 100%: 30W}}
  sites:
    plant: {kind: edge, pools: {boxes: {instance: box, nodes: 1}}}
study:
  arms: {strict first: {}}
"""


def faults(text):
    with pytest.raises(ScenarioError) as caught:
        loads(BASE + text)
    return [(fault.path, fault.message) for fault in caught.value.faults]


def test_a_path_that_does_not_exist():
    found = faults("  cases: {load: {light: {durration: 5s}}}\n")
    at = [message for path, message in found if path.startswith("study.cases.load.light")]
    assert len(at) == 1
    assert 'did you mean "duration"' in at[0]


def test_two_cases_may_not_set_the_same():
    found = faults("  cases: {load: {light: {duration: 5s}}, size: {small: {duration: 6s}}}\n")
    assert any("varies duration too" in message for _, message in found)


def test_an_arm_may_not_set_what_a_case_varies():
    text = BASE.replace("{strict first: {}}", "{strict first: {duration: 3s}}")
    with pytest.raises(ScenarioError, match="varies duration already"):
        loads(text + "  cases: {load: {light: {duration: 5s}}}\n")
