import math

import numpy as np
import pytest

from sim.errors import UsageError
from sim.metrics import METRICS, lookup, names_of
from sim.stats.metrics import measure


def request(arrival, done, status="completed", **more):
    return {"app": "cams", "arrival": arrival, "done": done, "status": status} | more


def test_requests_by_hand(outcome):
    services = {"a": {"site": "plant"}, "b": {"site": "cloud"}}
    facts = {
        "apps": {"cams": {"slo": {"latency": 2.0, "quantile": 0.9}}, "idle": {"slo": None}},
        "services": services,
    }
    rows = [
        request(1.0, 3.0),  # before the window, answered inside it
        request(5.0, 6.0, site="plant", network=0.1, queue=0.2, compute=0.7),
        request(6.0, 8.0, site="cloud", network=0.3, queue=0.4, compute=1.3),  # just within the SLO
        request(7.0, 11.0, site="plant", network=0.5, queue=0.6, compute=2.9),  # late, after the window
        request(7.5, 8.5, "rejected"),
        request(8.0, 8.5, "timeout"),
        request(8.5, 8.6, "failed"),
        request(8.0, math.nan, "in-flight"),  # already late at the end, 11
        request(9.5, math.nan, "in-flight"),  # may still be in time
        request(10.0, 10.5),  # after the window
        {"app": "other", "arrival": 5.0, "done": 5.1, "status": "completed"},
    ]
    found = measure(
        outcome(
            window=(2.0, 10.0), requests=rows, facts=facts | {"ended": {"reason": "completed", "time": 11.0}}
        )
    )
    mine = {
        name.removeprefix("apps.cams."): value
        for name, value in found.items()
        if name.startswith("apps.cams.")
    }
    assert math.isnan(mine.pop("attempts"))
    assert mine == {
        "arrived": 8, "completed": 3, "rejected": 1, "timeout": 1, "failed": 1, "in_flight": 2,
        "dropped": 3 / 8, "throughput": 3 / 8, "goodput": 3 / 8,
        "latency.mean": pytest.approx(7 / 3), "latency.p50": 2, "latency.p90": 4, "latency.p95": 4,
        "latency.p99": 4, "latency.max": 4,
        "slo_met": 2 / 7, "slo_violated": 5 / 7, "slo_time": 0,
        "network.mean": pytest.approx(0.3), "queue.mean": pytest.approx(0.4),
        "compute.mean": pytest.approx(4.9 / 3),
        "placed.plant": 2 / 8, "placed.cloud": 1 / 8,
    }  # fmt: skip
    assert found["total.slo_violations"] == 5
    assert (found["total.completed"], found["total.dropped"]) == (3, 3)
    assert found["apps.idle.arrived"] == 0
    assert math.isnan(found["apps.idle.latency.p99"])
    assert math.isnan(found["apps.idle.slo_met"])


def test_every_request_is_somewhere(outcome):
    rng = np.random.default_rng(1)
    states = ["completed", "rejected", "timeout", "failed", "in-flight"]
    rows = [request(t, t + 1, states[rng.integers(5)]) for t in rng.uniform(0, 10, 300)]
    found = measure(outcome(window=(3.0, 9.0), requests=rows, facts={"apps": {"cams": {}}}))
    parts = [
        found[f"apps.cams.{part}"] for part in ("completed", "rejected", "timeout", "failed", "in_flight")
    ]
    assert sum(parts) == found["apps.cams.arrived"] == sum(3 <= row["arrival"] < 9 for row in rows)


def test_services_by_hand(outcome):
    steps = {
        "paas/s/busy": [(0, 0), (2, 2), (6, 1)],
        "paas/s/servers": [(0, 2), (5, 4)],
        "paas/s/ready": [(0, 1), (5, 2)],
        "paas/s/in_system": [(0, 0), (2, 3), (6, 1)],
    }
    calls = [
        {"service": "s", "enter": 1.0, "start": 1.5, "batch": 2, "status": "completed"},
        {"service": "s", "enter": 1.2, "start": 1.5, "batch": 2, "status": "completed"},
        {"service": "s", "enter": 3.0, "start": 5.0, "batch": 1, "status": "completed"},
        {"service": "s", "enter": 4.0, "start": math.nan, "status": "rejected"},
        {"service": "t", "enter": 4.0, "start": 9.0, "batch": 9, "status": "completed"},
    ]
    units = [
        {"id": 0, "kind": "replica", "owner": "s", "submitted": 0.0, "ready": 0.0},
        {"id": 1, "kind": "replica", "owner": "s", "submitted": 2.0, "ready": 5.0},
        {"id": 2, "kind": "replica", "owner": "s", "submitted": 8.0, "ready": math.nan},
        {"id": 3, "kind": "worker", "owner": "s", "submitted": 1.0, "ready": 2.0},
    ]
    scaling = [
        {"time": 1.0, "service": "s", "current": 1, "applied": 1},
        {"time": 2.0, "service": "s", "current": 1, "applied": 2},
        {"time": 3.0, "service": "t", "current": 1, "applied": 2},
    ]
    facts = {"services": {"s": {"site": "x"}}}
    found = measure(outcome(steps=steps, calls=calls, units=units, scaling=scaling, facts=facts))
    mine = {
        name.removeprefix("services.s."): value
        for name, value in found.items()
        if name.startswith("services.s.") and ".forecast." not in name and ".elasticity." not in name
    }
    assert mine == {
        "utilisation": 12 / 30, "replicas": 1.5, "replica_hours": 15 / 3600, "in_system": 1.6,
        "wait.mean": pytest.approx(2.8 / 3), "wait.p99": 2.0, "batch": 1.5,
        "cold_starts": 1, "lead_time": 3.0, "scalings": 1, "unstable": 0,
        "held_hours": 0, "accelerator_hours": 0, "cold_calls": 0, "reversals": 0,
    }  # fmt: skip


def test_an_overloaded_service_is_flagged(outcome):
    calls = [
        {"service": "s", "enter": t / 100, "start": math.nan, "status": "in-flight"} for t in range(1000)
    ]
    steps = {"paas/s/in_system": [(t / 100, t) for t in range(1000)]}
    found = measure(outcome(steps=steps, calls=calls, facts={"services": {"s": {"site": "x"}}}))
    assert found["services.s.unstable"] == 1


@pytest.fixture
def platform():
    pool = {"site": "plant", "price": 0.01, "power": [[0, 100], [1, 300]], "accelerators": 2}
    hourly = [0.001] + [0.002] * 23
    return {
        "apps": {"cams": {"slo": None}},
        "pools": {"plant/gpu": pool},
        "sites": {
            "plant": {"kind": "edge", "pue": 1.5, "hourly": hourly},
            "frankfurt": {"kind": "cloud", "pue": 1.1, "hourly": [0.004] * 24},
            "yard": {"kind": "device", "pue": 1.0, "hourly": None},
        },
        "links": {
            "wan": {"a": "plant", "b": "frankfurt", "bandwidth": 100.0, "price": 0.5, "energy": 0.1},
            "lan": {"a": "yard", "b": "plant", "bandwidth": 100.0, "price": None, "energy": None},
        },
    }


def test_pools_and_links_by_hand(outcome, platform):
    steps = {
        "iaas/plant/gpu/0/on": [(0, 1)],
        "iaas/plant/gpu/0/busy": [(0, 0), (3600, 0.5)],
        "iaas/plant/gpu/0/allocated": [(0, 1)],
        "iaas/plant/gpu/1/on": [(0, 0), (5400, 1)],
        "iaas/plant/gpu/1/busy": [(0, 0)],
        "iaas/plant/gpu/1/allocated": [(0, 0)],
        "iaas/links/wan/plant->frankfurt/rate": [(0, 10), (100, 0)],
        "iaas/links/wan/frankfurt->plant/rate": [(0, 0), (3600, 4), (3700, 0)],
        "iaas/links/lan/yard->plant/rate": [(0, 2)],
    }
    rows = [request(t, t + 1) for t in range(500)]
    found = measure(outcome(window=(0.0, 7200.0), steps=steps, requests=rows, facts=platform))
    hour0, hour1 = 3600 * 100 * 1.5, (3600 * 200 + 1800 * 100) * 1.5
    expected = {
        "utilisation": 1800 / 9000, "allocated": 7200 / 9000, "node_hours": 2.5, "accelerator_hours": 5.0,
        "cost": 90.0, "energy": hour0 + hour1, "carbon": hour0 * 0.001 + hour1 * 0.002,
    }  # fmt: skip
    assert {name: found[f"pools.plant/gpu.{name}"] for name in expected} == pytest.approx(expected)
    # The carbon of a link is that of the mean of the grids at its ends, hour by hour.
    wan = {
        "bytes": 1400.0, "utilisation": 1000 / 7200 / 100, "cost": 700.0, "energy": 140.0,
        "carbon": 100 * (0.001 + 0.004) / 2 + 40 * (0.002 + 0.004) / 2,
    }  # fmt: skip
    assert {name: found[f"links.wan.{name}"] for name in wan} == pytest.approx(wan)
    assert found["links.lan.bytes"] == 14_400
    assert found["links.lan.cost"] == found["links.lan.carbon"] == 0
    total = {
        "cost": 790.0, "energy": hour0 + hour1 + 140,
        "carbon": expected["carbon"] + wan["carbon"],
        "accelerator_hours": 5.0, "wan_bytes": 1400.0, "cost_per_1000": 1580.0,
        "energy_per_1000": 2 * (hour0 + hour1 + 140),
        "carbon_per_1000": 2 * (expected["carbon"] + wan["carbon"]),
    }  # fmt: skip
    assert {name: found[f"total.{name}"] for name in total} == pytest.approx(total)


def test_the_start_hour_moves_the_grid(outcome, platform):
    steps = {"iaas/plant/gpu/0/on": [(0, 1)], "iaas/plant/gpu/0/busy": [(0, 0)]}
    at_night = measure(outcome(window=(0, 3600), steps=steps, facts=platform))
    at_noon = measure(outcome(window=(0, 3600), steps=steps, facts=platform | {"start_hour": 12}))
    assert at_noon["total.carbon"] == pytest.approx(2 * at_night["total.carbon"])


def test_without_requests_a_cost_per_request_is_undefined(outcome, platform):
    assert math.isnan(measure(outcome(facts=platform))["total.cost_per_1000"])


def test_jobs_by_hand(outcome):
    done = {"status": "completed", "workers": 2, "demand": 4, "deadline": math.inf}
    jobs = [
        done | {"id": 0, "tenant": "red", "submitted": 1, "started": 1, "finished": 5, "work": 4, "lost": 0,
                "attained": 4},
        done | {"id": 1, "tenant": "red", "submitted": 2, "started": 4, "finished": 10, "work": 4,
                "lost": 0.9, "preemptions": 2, "attained": 5, "deadline": 9},
        done | {"id": 2, "tenant": "blue", "submitted": 3, "started": 5, "finished": 7, "work": 1, "lost": 0,
                "attained": 2, "deadline": 7},
    ]  # fmt: skip
    # Job 1 runs twice, 4..6 and 7..10.
    runs = [
        {"job": job, "started": started, "ended": ended, "workers": 2}
        for job, started, ended in ((0, 1, 5), (1, 4, 6), (1, 7, 10), (2, 5, 7))
    ]
    units = [{"kind": "worker", "node": "iaas/dc/gpu/0"}, {"kind": "replica", "node": "iaas/dc/cpu/0"}]
    steps = {
        "iaas/dc/gpu/0/on": [(0, 1)], "iaas/dc/gpu/0/allocated": [(0, 0), (5, 1)],
        "iaas/dc/cpu/0/on": [(0, 1)], "iaas/dc/cpu/0/allocated": [(0, 1)],
        "paas/scheduler/waiting": [(0, 0), (2, 3), (6, 0)],
        "paas/scheduler/idle_devices": [(0, 8), (5, 0)],
        "paas/scheduler/fragmented_devices": [(0, 0), (3, 4), (5, 0)],
    }  # fmt: skip
    pool = {"site": "dc", "price": 0, "power": [[0, 0]], "accelerators": 8}
    facts = {"pools": {"dc/gpu": pool, "dc/cpu": pool | {"accelerators": 0}}}
    found = measure(outcome(jobs=jobs, runs=runs, units=units, steps=steps, facts=facts))
    mine = {name.removeprefix("jobs."): value for name, value in found.items() if name.startswith("jobs.")}
    red, blue = (1 + 0.5) / 2, 0.25
    # Unfinished jobs: 1 from 1, 2 from 2, 3 from 3, 2 from 5, 1 from 7 to 10. So n = 9/4, 15/8 and 5/2:
    # with 4 of 8 accelerators each, the shares of the first and the last are less than they ask for.
    rho = [4 / (4 * 9 / 8), 8 / 4, 4 / (1 * 5 / 4)]
    assert mine == {
        "submitted": 3, "completed": 3, "jct.mean": pytest.approx(16 / 3),
        "jct.p50": 4, "jct.p90": 8, "jct.p99": 8,
        "wait.mean": pytest.approx(4 / 3), "wait.p99": 2,
        "delay.mean": pytest.approx((0 + 3 + 2) / 3), "delay.p99": 3,
        "slowdown.mean": 1, "slowdown.p99": 1,  # all below 10 s
        "makespan": 9, "utilisation": 0.5,
        "stranded": pytest.approx(3 / 10),  # waiting from 2 to 6, free until 5
        "fragmentation": pytest.approx(4 * 2 / (8 * 5)),
        "useful": pytest.approx(4 * (4 + 4 + 1) / 44),
        "fairness": pytest.approx((red + blue) ** 2 / (2 * (red**2 + blue**2))),
        "fairness_jobs": pytest.approx(1.75**2 / (3 * (1 + 0.25 + 0.0625))),
        "finish_time_fairness.mean": pytest.approx(sum(rho) / 3),
        "finish_time_fairness.max": pytest.approx(max(rho)), "unfair": pytest.approx(2 / 3),
        "preemptions": 2, "lost": pytest.approx(0.9 * 4 / 3600), "missed": 0.5,
    }  # fmt: skip


def test_slowdowns_are_bounded_at_ten_seconds(outcome):
    # 1 s of work that took 40 s: 40 / 10, not 40; 20 s that took 40 s: 2.
    jobs = [
        {"submitted": 0, "started": 9, "finished": 40, "work": work, "status": "completed"}
        for work in (1.0, 20.0)
    ]
    found = measure(outcome(jobs=jobs, window=(0.0, 100.0)))
    assert found["jobs.slowdown.mean"] == 3
    assert found["jobs.slowdown.p99"] == 4


def test_a_deadline_counts_once_it_has_passed_or_the_job_is_done(outcome):
    jobs = [
        {"submitted": 0, "started": 0, "finished": 5, "deadline": 50, "status": "completed"},
        {"submitted": 0, "started": 0, "finished": math.nan, "deadline": 8, "status": "running"},
        {"submitted": 0, "started": 0, "finished": math.nan, "deadline": 50, "status": "running"},
        {"submitted": 0, "started": 0, "finished": math.nan, "deadline": math.inf, "status": "running"},
    ]
    assert measure(outcome(jobs=jobs))["jobs.missed"] == 0.5


def test_an_unfinished_job_leaves_no_makespan(outcome):
    jobs = [
        {"tenant": "red", "submitted": 1, "started": 1, "finished": 5, "work": 4, "status": "completed"},
        {
            "tenant": "red",
            "submitted": 2,
            "started": math.nan,
            "finished": math.nan,
            "work": 4,
            "status": "queued",
        },
    ]
    found = measure(outcome(jobs=jobs))
    assert (found["jobs.submitted"], found["jobs.completed"], found["jobs.wait.mean"]) == (2, 1, 0)
    assert math.isnan(found["jobs.makespan"])
    assert math.isnan(found["jobs.fairness"])


def test_a_stopped_run_is_measured_to_its_end(outcome):
    ended = {"reason": "events", "time": 4.0, "events": 10}
    steps = {"paas/s/ready": [(0, 2)], "paas/s/in_system": [(0, 1)]}
    facts = {"services": {"s": {"site": "x"}}, "ended": ended}
    found = measure(outcome(steps=steps, facts=facts))
    assert found["services.s.replica_hours"] == 8 / 3600
    assert found["services.s.replicas"] == 2
    early = measure(outcome(window=(5.0, 10.0), steps=steps, facts=facts))
    assert early["services.s.replica_hours"] == 0
    assert math.isnan(early["services.s.replicas"])


def test_names_are_exactly_what_is_measured(outcome, platform):
    facts = platform | {
        "services": {"s": {"site": "plant"}, "t": {"site": "frankfurt"}},
        "jobs": ["training"],
    }
    assert sorted(names_of(facts)) == sorted(measure(outcome(facts=facts)))
    assert all(lookup(name).pattern in METRICS for name in names_of(facts))


def test_metrics_know_what_they_are():
    metric = lookup("apps.cams.latency.p99")
    assert (metric.dimension, metric.better, metric.steady) == ("duration", "low", True)
    assert lookup("pools.plant/gpu.energy").pattern == "pools.<pool>.energy"
    assert lookup("total.cost").steady is False
    assert all(metric.meaning and metric.label for metric in METRICS.values())


def test_an_unknown_metric_gets_a_hint():
    with pytest.raises(UsageError, match=r"did you mean .total\.cost"):
        lookup("total.costs")
