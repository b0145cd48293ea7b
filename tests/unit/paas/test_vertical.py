"""The VPA in a run: what it recommends, and what is done with it."""

import pytest

from sim.errors import ScenarioError
from sim.scenario.load import loads
from tests.platforms import rows, simulate

TEXT = """
name: vertical
duration: {hours}h
infrastructure:
  instances: {{box: {{cpu: 8, memory: 64Gi}}}}
  sites: {{here: {{kind: cloud, pools: {{boxes: {{instance: box, nodes: {{initial: 4, min: 4, max: 4}}}}}}}}}}
platform:
  services:
    web:
      site: here
      time: {{policy: constant, value: 1s}}
      resources: {{cpu: 4}}
      replicas: 4
      vertical: {vertical}
applications:
  users:
    users: {{here: 1}}
    arrivals: {{process: periodic, period: {gap}s, phase: aligned}}
    calls: {{ask: {{to: web}}}}
"""


def seen(vertical, hours=2, gap=1):
    outcome = simulate(TEXT.format(vertical=vertical, hours=hours, gap=gap))
    calls = rows(outcome, "calls")
    assert {row["status"] for row in calls} <= {"completed", "in-flight"}
    return rows(outcome, "vertical"), rows(outcome, "units")


def test_off_only_recommends():
    looks, units = seen("{mode: Off}")
    assert len(looks) == 119
    assert len(units) == 4
    # One busy replica of four, 4 cores each: 1 core used. The bucket that ends above it, and 15 %.
    last = looks[-1]
    assert last["used"] == pytest.approx(1.0, rel=0.02)
    assert 1.15 <= last["target"] <= 1.15 * 1.06
    assert (last["request"], last["evicted"]) == (4.0, 0)
    # Two hours of history: the upper bound is wide, 1 + 24/2 times.
    assert last["upper"] == pytest.approx(last["target"] * (1 + 24 / 1.95), rel=0.1)


def test_initial_is_for_new_replicas_only():
    looks, units = seen("{mode: Initial, min: 2}")
    assert [unit["cpu"] for unit in units] == [4.0] * 4
    assert looks[-1]["request"] == 2.0


def test_recreate_evicts_half_at_a_time_and_loses_no_call():
    # Capped at 2 cores the upper bound is 2: replicas of 4 are out of bounds at once.
    looks, units = seen("{mode: Recreate, max: 2}")
    assert [look["evicted"] for look in looks[:3]] == [2, 2, 0]
    assert sorted(unit["cpu"] for unit in units)[-4:] == [4.0] * 4
    running = [unit["cpu"] for unit in units if unit["ended"] != unit["ended"]]
    assert len(running) == 4
    assert max(running) <= 2.0


def use(vertical, memory="1GB", gap=1, hours=1):
    text = TEXT.replace("resources: {{cpu: 4}}", f"resources: {{{{cpu: 4, memory: {memory}}}}}")
    outcome = simulate(text.format(vertical=vertical, hours=hours, gap=gap))
    return rows(outcome, "vertical"), rows(outcome, "units"), rows(outcome, "calls")


def test_memory_is_recommended_from_its_peaks():
    looks, _, calls = use("{memory: {base: 400MB, per_call: 200MB}}")
    # A call each second takes a second: one replica has one, at the moment of the look. The bucket that
    # ends above 600 MB, and 15 %.
    assert {look["memory"] for look in looks} == {6e8}
    assert 6e8 * 1.15 <= looks[-1]["memory_target"] <= 6e8 * 1.15 * 1.06
    assert (looks[-1]["memory_request"], looks[-1]["killed"]) == (1e9, 0)
    assert {call["status"] for call in calls} <= {"completed", "in-flight"}


def test_who_has_more_memory_than_it_asked_for_is_killed_and_asks_for_more():
    looks, units, calls = use("{mode: Initial, memory: {base: 400MB, per_call: 200MB}}", memory="500MB")
    killed = [look["killed"] for look in looks]
    assert sum(killed) == sum(unit["reason"] == "out-of-memory" for unit in units) > 0
    # Killed at 500 MB: the sample is 500 MB and 100 MiB, or 600 MB, whichever is more.
    new = [unit["memory"] for unit in units if unit["submitted"] > 0]
    assert new[0] >= (5e8 + 100 * 2**20) * 1.15
    assert killed[-30:] == [0] * 30
    lost = [call["reason"] for call in calls if call["status"] == "failed"]
    assert lost == ["out-of-memory"] * sum(killed)


def test_without_a_request_nobody_is_killed():
    looks, _, _ = use("{memory: {base: 400MB}}", memory="0B")
    assert sum(look["killed"] for look in looks) == 0


def test_recreate_moves_replicas_that_asked_for_too_much_memory():
    looks, units, _ = use("{mode: Recreate, min: 4, max: 4, memory: {base: 400MB, max: 600MB}}", "4GB")
    assert [look["evicted"] for look in looks[:3]] == [2, 2, 0]
    assert {u["memory"] for u in units if u["ended"] != u["ended"]} <= {
        look["memory_request"] for look in looks
    }


def test_bounds_are_in_order():
    with pytest.raises(ScenarioError, match="above max"):
        loads(TEXT.format(vertical="{min: 3, max: 2}", hours=1, gap=1))
