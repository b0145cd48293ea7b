import json
import math

import numpy as np
import pytest

from sim.stats.quantiles import CURVE
from sim.stats.series import NODES, binned


@pytest.fixture
def run(outcome):
    facts = {
        "apps": {"cams": {"slo": {"latency": 1.0, "quantile": 0.9}}},
        "services": {"s": {"site": "plant"}},
        "pools": {"plant/gpu": {"site": "plant", "power": [[0, 10], [1, 30]]}},
        "links": {"wan": {"a": "plant", "b": "cloud", "bandwidth": 100.0}},
    }
    rows = [
        {"app": "cams", "site": "plant", "arrival": 0.5, "done": 1.5, "status": "completed"},
        {"app": "cams", "site": "cloud", "arrival": 2.5, "done": 4.5, "status": "completed", "network": 0.5},
        {"app": "cams", "site": "plant", "arrival": 2.6, "done": 6.6, "status": "completed", "network": 1.5},
        {"app": "cams", "arrival": 7.0, "done": 7.0, "status": "rejected", "reason": "queue full"},
        {"app": "cams", "arrival": 9.9, "done": math.nan, "status": "in-flight"},
    ]
    steps = {
        "paas/s/ready": [(0, 1), (3, 2)],
        "paas/s/wanted": [(0, 1), (2, 2)],
        "iaas/plant/gpu/0/on": [(0, 1)],
        "iaas/plant/gpu/0/busy": [(0, 0), (5, 1)],
        "iaas/plant/gpu/0/allocated": [(0, 1)],
        "iaas/plant/gpu/1/on": [(0, 0), (8, 1)],
        "iaas/plant/gpu/1/busy": [(0, 0)],
        "iaas/links/wan/plant->cloud/rate": [(0, 50), (1, 0)],
    }
    return outcome(window=(2.0, 10.0), requests=rows, steps=steps, facts=facts)


def test_curves_by_hand(run):
    found = binned(run, bins=5)
    app = found["apps"]["cams"]
    assert found["edges"] == [0, 2, 4, 6, 8, 10]
    assert app["arrived"] == [1, 2, 0, 1, 1]
    assert app["dropped"] == [0, 0, 0, 1, 0]
    assert app["p50"] == [1, 2, None, None, None]
    assert app["p99"] == [1, 4, None, None, None]
    assert app["sites"] == {"cloud": [0, 1, 0, 0, 0], "plant": [1, 1, 0, 0, 0]}
    assert app["reasons"] == {"rejected: queue full": 1}
    # The request before the window is not in the distribution.
    assert (app["latency"][0], app["latency"][-1]) == (2, 4)
    assert app["parts"]["network"][-1] == 1.5
    assert len(app["latency"]) == len(found["curve"]) == len(CURVE)
    service = found["services"]["s"]
    assert service["ready"] == [1, 1.5, 2, 2, 2]
    assert service["wanted"] == [1, 2, 2, 2, 2]
    pool = found["pools"]["plant/gpu"]
    assert pool["utilisation"] == [0, 0, 0.5, 1, 0.5]
    assert pool["on"] == [1, 1, 1, 1, 2]
    assert pool["allocated"] == [1, 1, 1, 1, 0.5]
    assert pool["watts"] == [10, 10, 20, 30, 40]
    assert pool["nodes"] == {"0": [0, 0, 0.5, 1, 1], "1": [None, None, None, None, 0]}
    assert found["links"]["wan"] == {"plant->cloud": [0.25, 0, 0, 0, 0], "cloud->plant": [0, 0, 0, 0, 0]}
    assert found["jobs"] is None


def test_curves_are_json(run):
    assert json.loads(json.dumps(binned(run), allow_nan=False)) == binned(run)


def test_large_pools_are_cut(outcome):
    steps = {f"iaas/dc/gpu/{k}/{what}": [(0, 1)] for k in range(100) for what in ("on", "busy")}
    pool = binned(outcome(steps=steps, facts={"pools": {"dc/gpu": {"site": "dc", "power": [[0, 1]]}}}))[
        "pools"
    ]["dc/gpu"]
    assert pool["nodes_total"] == 100
    assert list(pool["nodes"]) == [str(k) for k in range(NODES)]
    assert set(pool["on"]) == {100}


def test_jobs_have_curves(outcome):
    jobs = [{"submitted": 1.0, "started": 2.0, "finished": 5.0, "status": "completed"}]
    found = binned(outcome(jobs=jobs, steps={"paas/jobs/running": [(0, 0), (2, 1), (5, 0)]}), bins=2)["jobs"]
    assert found["running"] == [0.6, 0]
    assert (found["jct"][0], found["wait"][-1]) == (4, 1)


def test_a_run_of_no_length(outcome):
    found = binned(outcome(window=(0.0, 0.0), facts={"apps": {"cams": {}}}))
    assert np.all(np.diff(found["edges"]) > 0)
    assert found["apps"]["cams"]["latency"] == []


def test_the_size_is_bounded(outcome):
    rng = np.random.default_rng(1)
    rows = [
        {"app": "cams", "arrival": t, "done": t + rng.exponential(), "status": "completed"}
        for t in rng.uniform(0, 10, 3000)
    ]
    text = json.dumps(binned(outcome(requests=rows, facts={"apps": {"cams": {}}})))
    assert len(text) < 40_000


def test_forecasts_and_violations_by_hand(outcome, run):
    row = {"service": "s", "bin": 2.0, "level": 0.9}
    scaling = [
        row | {"time": 1.0, "due": 4.0, "expected": 2.0, "low": 1.0, "high": 4.0},
        row | {"time": 1.5, "due": 4.0, "expected": 4.0, "low": 2.0, "high": 5.0},
        row | {"time": 2.0, "due": 8.0, "expected": 1.0, "low": 1.0, "high": 1.0},
        row | {"time": 9.0, "due": 14.0, "expected": 7.0, "low": 7.0, "high": 7.0},  # beyond the end
        {"service": "s", "time": 9.5, "due": math.nan},
        {"service": "t", "time": 1.0, "due": 4.0, "bin": 2.0, "expected": 99.0},
    ]
    facts = {"services": {"s": {"site": "plant"}, "u": {"site": "plant"}}}
    found = binned(outcome(scaling=scaling, facts=facts), bins=5)["services"]
    assert found["s"]["forecast"] == {
        "level": 0.9,
        "expected": [None, 3.0, None, 1.0, None],
        "low": [None, 1.5, None, 1.0, None],
        "high": [None, 4.5, None, 1.0, None],
    }
    assert found["u"]["forecast"] is None
    # Answered in exactly 1 s; two late; one rejected; one not answered, but not late yet.
    assert binned(run, bins=5)["apps"]["cams"]["violations"] == [0, 2, 0, 1, 0]
