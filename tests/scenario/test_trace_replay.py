"""A trace from the file to the finished jobs: against plain loops, and real traces whole."""

import os
from pathlib import Path

import numpy as np
import pytest

from sim.cli.main import main
from sim.saas.jobtraces.formats import Trace
from sim.scenario.build import build
from sim.scenario.load import load

STRATUS_DATA = os.environ.get("STRATUS_DATA")
published = pytest.mark.skipif(not STRATUS_DATA, reason="STRATUS_DATA names no folder of traces")

SCENARIO = """
name: replay
question: Which order is best for these jobs?
duration: 400d
drain: true
infrastructure:
  instances:
    box: {{cpu: {cpu}, memory: {memory}, device: v100-sxm2-16, accelerators: {size}, source: made up}}
  sites: {{dc: {{kind: cloud, pools: {{gpus: {{instance: box, nodes: {nodes}}}}}}}}}
platform:
  scheduler: {{order: {order}, discipline: {discipline}}}
  jobs:
    train:
      arrivals: {arrivals}
      resources: {{cpu: 0, accelerators: 1}}
"""


def replay(tmp_path, arrivals, order, discipline, size=64, nodes=1, cpu=8, memory="64Gi"):
    path = tmp_path / "s.yaml"
    choices = {"arrivals": arrivals, "order": order, "discipline": discipline}
    path.write_text(SCENARIO.format(**choices, size=size, nodes=nodes, cpu=cpu, memory=memory))
    outcome = build(load(path)).run()
    assert outcome.facts["ended"]["reason"] == "completed"
    return outcome


def times(outcome):
    jobs = outcome.tables["jobs"]
    order = np.argsort(jobs["job"] if "job" in jobs else jobs["id"])
    return {
        name: np.asarray(jobs[name])[order]
        for name in ("submitted", "started", "finished", "work", "workers")
    }


def naive(jobs, capacity, key, skip):
    """Starts of (arrival, work, workers) on `capacity` accelerators: each event walks the queue in order."""
    moments = sorted({job[0] for job in jobs})
    running, waiting, starts = [], [], {}
    coming = list(range(len(jobs)))
    while moments:
        now = moments.pop(0)
        running = [end for end in running if end[0] > now]
        while coming and jobs[coming[0]][0] == now:
            waiting.append(coming.pop(0))
        free = capacity - sum(workers for _, workers in running)
        for number in sorted(waiting, key=lambda n: (key(jobs[n]), n)):
            _, work, workers = jobs[number]
            if workers > free:
                if skip:
                    continue
                break
            free -= workers
            starts[number] = now
            waiting.remove(number)
            running.append((now + work, workers))
            if now + work not in moments:
                moments = sorted([*moments, now + work])
    return [starts[number] for number in range(len(jobs))]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "philly.csv"
    assert main(["trace", "generate", "philly", "--jobs", "300", "--seed", "5", "-o", str(path)]) == 0
    return path


@pytest.mark.parametrize(
    ("order", "key"),
    [("fifo", lambda job: job[0]), ("sjf", lambda job: job[1]), ("smallest-first", lambda job: job[2])],
)
@pytest.mark.parametrize("discipline", ["strict", "skip"])
def test_a_generated_trace_starts_its_jobs_when_plain_loops_do(tmp_path, generated, order, key, discipline):
    # Twenty times the load: most jobs wait.
    arrivals = f"{{process: job-trace, file: {generated}, scale: 20}}"
    found = times(replay(tmp_path, arrivals, order, discipline, size=32))
    given = list(Trace(generated).jobs())
    jobs = [
        (moment, job.work, job.workers)
        for moment, job in zip(found["submitted"].tolist(), given, strict=True)
    ]
    first = given[0].arrival
    assert found["submitted"] == pytest.approx([(job.arrival - first) / 20 for job in given], abs=1e-6)
    assert found["started"] == pytest.approx(naive(jobs, 32, key, discipline == "skip"), abs=1e-6)
    assert (found["started"] - found["submitted"] > 1).mean() > 0.3


def whole(outcome):
    """Every job ran once, whole, and not before it came."""
    found = times(outcome)
    assert set(outcome.tables["jobs"]["status"].texts()) == {"completed"}
    assert found["finished"] - found["started"] == pytest.approx(found["work"], rel=1e-9, abs=1e-6)
    assert (found["started"] >= found["submitted"]).all()
    return found


@published
@pytest.mark.parametrize(("order", "discipline"), [("fifo", "strict"), ("fifo", "easy"), ("sjf", "skip")])
def test_two_days_of_philly_run_to_their_end_under_every_policy(tmp_path, order, discipline):
    file = Path(STRATUS_DATA or "") / "philly" / "philly_jobs_all.csv.gz"
    arrivals = f"{{process: job-trace, file: {file}, start: 60d, length: 2d}}"
    found = whole(replay(tmp_path, arrivals, order, discipline, size=8, nodes=24))
    # Rows from 2017-11-03 10:30:41 on, for two days, counted and summed in the file by awk.
    assert len(found["work"]) == 804
    assert (found["work"] * found["workers"]).sum() == pytest.approx(71_162_612)
    waits = found["started"] - found["submitted"]
    if (order, discipline) == ("fifo", "strict"):
        assert (np.diff(found["started"]) >= 0).all()
        assert waits.max() > 3600


@published
@pytest.mark.parametrize("order", ["fifo", "sjf"])
def test_ten_days_of_openb_pods_share_accelerators_cores_and_memory(tmp_path, order):
    file = Path(STRATUS_DATA or "") / "alibaba_gpu_v2023" / "openb_pod_list_default.csv"
    arrivals = f"{{process: job-trace, file: {file}, start: 139d, length: 10d}}"
    outcome = replay(tmp_path, arrivals, order, "skip", size=8, nodes=40, cpu=128, memory="1024Gi")
    found = whole(outcome)
    # Scheduled pods created from second 12,009,600 on, for ten days, counted and summed by awk.
    assert len(found["work"]) == 2533
    assert found["work"].sum() == pytest.approx(11_427_700)
