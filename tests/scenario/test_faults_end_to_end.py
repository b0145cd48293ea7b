"""Crashes and outages, and the ways a run can end, from the YAML text to what a study writes."""

import json

import numpy as np
import pytest

from sim.scenario.build import build
from sim.scenario.load import loads
from sim.stats.metrics import measure
from sim.study.execute import run_study
from tests.platforms import area, column, rows, simulate, station

OUTAGE = """
name: outage
duration: 100s
infrastructure:
  instances: {box: {cpu: 2, memory: 16Gi, price: 3.6 USD/h}}
  sites: {here: {kind: cloud, pools: {boxes: {instance: box, nodes: 2}}}}
  faults: {script: [{at: 40.5s, target: here/boxes/0, for: 20s}]}
platform:
  scheduler: {scores: {first-fit: 1}}
  services:
    station: {site: here, time: {policy: constant, value: 800ms}, resources: {cpu: 2}, warmup: 3s}
applications:
  users:
    users: {here: 1}
    arrivals: {process: periodic, period: 1s}
    calls: {ask: {to: station}}
"""


def test_a_crash_fails_what_was_in_service_and_the_replica_moves():
    outcome = simulate(OUTAGE)
    failed = [row for row in rows(outcome, "requests") if row["status"] == "failed"]
    assert [(row["arrival"], row["done"], row["reason"]) for row in failed] == [(40.0, 40.5, "node-failed")]
    first, second = sorted(rows(outcome, "units"), key=lambda row: row["id"])
    assert (first["node"], first["ended"], first["reason"]) == ("iaas/here/boxes/0", 40.5, "outage")
    # The other node is free: the replica is bound there at once and warm after 3 s.
    assert (second["node"], second["bound"], second["ready"]) == ("iaas/here/boxes/1", 40.5, 43.5)
    (fault,) = rows(outcome, "faults")
    assert (fault["time"], fault["until"], fault["kind"], fault["units"]) == (40.5, 60.5, "outage", 1)
    # Calls of 41, 42 and 43 s wait until 43.5 s; the backlog is worked off by 0.2 s a call.
    latency = {row["arrival"]: row["done"] - row["arrival"] for row in rows(outcome, "requests")}
    assert latency[41.0] == pytest.approx(2.5 + 0.8)
    assert latency[42.0] == pytest.approx(1.5 + 1.6)
    assert latency[39.0] == pytest.approx(0.8)
    metrics = measure(outcome)
    assert metrics["apps.users.failed"] == 1
    assert metrics["services.station.cold_starts"] == 1
    assert metrics["services.station.lead_time"] == pytest.approx(3.0)
    assert metrics["pools.here/boxes.cost"] == pytest.approx((200 - 20) * 0.001)


@pytest.mark.parametrize("target", ["here", "here/boxes"])
def test_an_outage_of_everything_holds_requests_until_it_is_over(target):
    outcome = simulate(OUTAGE, f"infrastructure.faults.script=[{{at: 40.5s, target: {target}, for: 20s}}]")
    for node in (0, 1):
        assert area(outcome, f"iaas/here/boxes/{node}/on") == pytest.approx(80)
    latency = {row["arrival"]: row["done"] - row["arrival"] for row in rows(outcome, "requests")}
    # Back at 60.5 s and warm at 63.5 s: the call of 41 s is the first.
    assert latency[41.0] == pytest.approx(22.5 + 0.8)
    assert area(outcome, "paas/station/ready") == pytest.approx(100 - 23)


def test_with_a_timeout_they_do_not_wait_for_the_end_of_an_outage():
    outcome = simulate(
        OUTAGE,
        "infrastructure.faults.script=[{at: 40.5s, target: here, for: 20s}]",
        "platform.services.station.timeout=5s",
    )
    late = [row for row in rows(outcome, "requests") if row["status"] == "timeout"]
    # Warm at 63.5 s: who came by 58 s has given up by then; some behind the rest of the line do later.
    assert {float(second) for second in range(41, 59)} <= {row["arrival"] for row in late}
    assert all(row["done"] - row["arrival"] == pytest.approx(5.0) for row in late)


CRASHING_JOB = """
name: crashing-job
duration: 200s
infrastructure:
  instances: {box: {cpu: 1, memory: 16Gi}}
  sites: {here: {kind: cloud, pools: {boxes: {instance: box, nodes: 2}}}}
  faults: {script: [{at: 35s, target: here/boxes/1, for: 10s}]}
platform:
  jobs:
    train: {arrivals: {process: periodic, period: 200s}, workers: 2, resources: {cpu: 1, accelerators: 0},
            duration: 100s}
"""


@pytest.mark.parametrize(("checkpoint", "lost"), [(None, 35), ("10s", 5), ("5s", 0)])
def test_a_gang_that_loses_a_node_starts_again_from_its_last_checkpoint(checkpoint, lost):
    sets = [] if checkpoint is None else [f"platform.jobs.train.checkpoint={checkpoint}"]
    outcome = simulate(CRASHING_JOB, *sets)
    (job,) = rows(outcome, "jobs")
    assert (job["status"], job["preemptions"], job["started"]) == ("completed", 1, 0.0)
    assert job["lost"] == pytest.approx(lost)
    # Both nodes are there again at 45 s; what was kept need not be done again.
    assert job["finished"] == pytest.approx(45 + 100 - (35 - lost))
    bound = sorted(row["bound"] for row in rows(outcome, "units"))
    assert bound == [0, 0, 45, 45]
    # The worker that was not struck does not go on alone.
    assert area(outcome, "iaas/here/boxes/0/busy") == pytest.approx(100 + lost)


# ---------------------------------------------------------------- how a run ends


def test_a_run_that_does_not_drain_leaves_requests_in_flight():
    outcome = simulate(station(20, duration=50, warmup=0))
    metrics = measure(outcome)
    assert outcome.facts["ended"]["time"] == 50
    assert metrics["apps.users.in_flight"] > 100
    assert metrics["apps.users.arrived"] == metrics["apps.users.in_flight"] + metrics["apps.users.completed"]


def test_a_run_that_drains_ends_when_the_last_request_is_done():
    outcome = simulate(station(20, duration=50, warmup=0), "drain=true")
    done = column(outcome, "requests", "done")
    ended = outcome.facts["ended"]
    assert ended["reason"] == "completed"
    assert set(column(outcome, "requests", "status")) == {"completed"}
    assert ended["time"] == done.max() > 90
    assert column(outcome, "requests", "arrival").max() < 50
    assert outcome.facts["window"] == [0, ended["time"]]


def test_an_idle_platform_that_drains_ends_on_time():
    outcome = simulate(OUTAGE, "drain=true", "duration=99.9s")
    assert outcome.facts["ended"]["time"] == pytest.approx(99.9)


def test_a_run_that_drains_waits_for_its_jobs():
    outcome = simulate(CRASHING_JOB, "drain=true", "duration=50s")
    assert outcome.facts["ended"]["time"] == pytest.approx(145)
    assert column(outcome, "jobs", "status").tolist() == ["completed"]


def test_a_limit_on_events_stops_the_run_and_the_metrics_know():
    outcome = simulate(station(8), "limits.events=5000")
    ended = outcome.facts["ended"]
    assert ended["reason"] == "events"
    assert ended["events"] == 5000
    assert 200 < ended["time"] < 400
    metrics = measure(outcome)
    # Two events a request and the window from 100 s on: rates count the time that was simulated.
    assert metrics["apps.users.throughput"] == pytest.approx(8, rel=0.1)
    assert metrics["services.station.replicas"] == pytest.approx(1.0)
    assert metrics["pools.here/boxes.node_hours"] == pytest.approx((ended["time"] - 100) / 3600)


def test_a_limit_on_events_makes_a_study_partial(tmp_path):
    limits = "study: {replications: 2, arms: {whole: {}, cut: {limits.events: 3000}}}\n"
    folder = run_study(loads(station(8, duration=300, warmup=0) + limits), out=tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["partial"]["stopped"] == {"events": 2}
    assert "2 of 4 runs ended early (limit on events)" in summary["partial"]["text"]
    assert [cell["ended"] for cell in summary["cells"]] == [["completed"] * 2, ["events"] * 2]
    whole = run_study(loads(station(8, duration=300, warmup=0)), out=tmp_path)
    assert json.loads((whole / "summary.json").read_text())["partial"] is None


def interrupt(kernel):
    if kernel.events > 3000:
        raise KeyboardInterrupt


def test_ctrl_c_ends_a_run_with_what_there_is():
    outcome = build(loads(station(8)), 0).run(progress=interrupt)
    ended = outcome.facts["ended"]
    assert ended["reason"] == "interrupted"
    assert 100 < ended["time"] < 2000
    arrivals = column(outcome, "requests", "arrival")
    assert arrivals.max() <= ended["time"]
    assert np.count_nonzero(column(outcome, "requests", "status") == "completed") > 1000
    assert measure(outcome)["apps.users.throughput"] == pytest.approx(8, rel=0.15)


def test_ctrl_c_ends_a_study_with_the_runs_there_are(tmp_path):
    runs = []

    def runner(scenario, replication):
        runs.append(replication)
        return build(scenario, replication).run(progress=interrupt if len(runs) == 2 else None)

    folder = run_study(
        loads(station(8, duration=400, warmup=0) + "study: {replications: 3}\n"), out=tmp_path, runner=runner
    )
    partial = json.loads((folder / "summary.json").read_text())["partial"]
    assert partial["interrupted"]
    assert partial["planned"] == 3
    assert runs == [0, 1]
