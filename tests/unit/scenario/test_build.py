import pytest

from sim.scenario.build import build
from sim.scenario.facts import caveats
from sim.scenario.load import loads

JOBS = """
name: drain
duration: 100s
drain: true
infrastructure:
  sites:
    here: {kind: cloud, pools: {nodes: {instance: m5.large, nodes: 1}}}
platform:
  jobs: {train: {arrivals: {process: periodic, period: 10s}, duration: 60s, resources: {cpu: 2}}}
"""


def test_a_draining_run_ends_with_its_last_job():
    outcome = build(loads(JOBS)).run()
    finished = outcome.tables["jobs"]["finished"]
    # Ten jobs of 60 s one after the other; the first arrives in the middle of a period or before.
    assert len(finished) == 10
    assert outcome.facts["ended"]["reason"] == "completed"
    assert outcome.facts["ended"]["time"] == finished.max()
    assert finished.max() - outcome.tables["jobs"]["started"].min() == pytest.approx(600)


def test_a_draining_run_that_takes_too_long_is_ended_and_says_so():
    outcome = build(loads(JOBS, ["limits.time=200s"])).run()
    assert outcome.facts["ended"]["reason"] == "time"
    assert outcome.facts["ended"]["time"] == 200
    assert "queued" in outcome.tables["jobs"]["status"].texts()


def test_what_no_figure_is_known_for_is_said():
    scenario = loads(
        JOBS.replace("m5.large", "box").replace(
            "infrastructure:", "infrastructure:\n  instances: {box: {cpu: 4, memory: 8GB}}"
        )
    )
    assert caveats(scenario) == [
        "here names no grid: its energy is counted, its carbon is not.",
        "here/nodes: box has no price here and is counted as free.",
        "here/nodes: no power figures for box; its energy is not counted.",
    ]
