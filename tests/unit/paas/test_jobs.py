from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Choice, Constant, Exponential, LogNormal
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.series import integrate
from sim.kernel.streams import RandomStreams
from sim.paas.jobs import JobClass, Jobs
from sim.paas.policies.discipline import Skip
from sim.paas.policies.filters import NodeReady, ResourcesFit
from sim.paas.policies.order import Fifo
from sim.paas.policies.scores import FirstFit
from sim.paas.scheduler import Scheduler

GPU = NodeType("gpu", Resources(cpu=16, memory=64e9, accelerators=4))


@dataclass
class Block:
    times: np.ndarray
    columns: dict[str, np.ndarray] = field(default_factory=dict)


def block(*times, **columns):
    return Block(np.array(times, dtype=float), {name: np.array(value) for name, value in columns.items()})


def job_class(name="train", **about):
    given_ = {"workers": Constant(1.0), "duration": Constant(10.0), **about}
    return JobClass(name, resources=Resources(cpu=1, accelerators=1), **given_)


class World:
    def __init__(self, nodes=1, seed=1):
        self.kernel = Kernel()
        self.ctx = Context(self.kernel, RandomStreams(seed), Recorder(self.kernel))
        self.cluster = Cluster(self.ctx)
        for _ in range(nodes):
            self.cluster.set_state(self.cluster.add(GPU, "s", "p"), NodeState.READY)
        self.scheduler = Scheduler(
            self.ctx,
            self.cluster,
            order=Fifo(),
            discipline=Skip(),
            filters=[NodeReady(), ResourcesFit()],
            scores=[(FirstFit(), 1.0)],
        )
        self.idle = []
        self.jobs = Jobs(self.ctx, self.scheduler, lambda: self.idle.append(self.kernel.now))

    def crash(self, node, at, repaired):
        target = self.cluster.nodes[node]
        self.kernel.call_at(at, self.cluster.set_state, target, NodeState.FAILED, "crash")
        self.kernel.call_at(repaired, self.cluster.set_state, target, NodeState.READY)

    def run(self, until=None):
        self.kernel.run(until)
        self.jobs.close()
        return self.ctx.recorder.finish(self.kernel.now)


def rows(recorded, table="jobs"):
    columns = recorded.tables[table]
    texts = {name: column.texts() for name, column in columns.items() if hasattr(column, "texts")}
    return [
        {name: texts[name][i] if name in texts else column[i].item() for name, column in columns.items()}
        for i in range(len(columns["id"]))
    ]


def test_a_job_waits_runs_and_leaves_its_rows():
    world = World()
    world.jobs.add(job_class(tenant="team", workers=Constant(4.0)), iter([block(0.0, 3.0)]))
    recorded = world.run()
    first, second = rows(recorded)
    assert (first["started"], first["finished"], first["status"]) == (0.0, 10.0, "completed")
    assert (second["submitted"], second["started"], second["finished"]) == (3.0, 10.0, 20.0)
    assert (second["name"], second["tenant"], second["workers"], second["work"]) == ("train", "team", 4, 10.0)
    units = rows(recorded, "units")
    assert [unit["id"] for unit in units] == list(range(8))
    worker = units[7]
    assert (worker["kind"], worker["owner"], worker["node"]) == ("worker", "train/1", "iaas/s/p/0")
    assert [worker[name] for name in ("submitted", "bound", "ready", "ended")] == [3.0, 10.0, 10.0, 20.0]
    assert worker["reason"] == "completed"
    assert isnan(worker["pulled"]) and isnan(worker["loaded"])


def test_nodes_are_busy_while_workers_work():
    world = World()
    world.jobs.add(job_class(workers=Constant(2.0)), iter([block(5.0)]))
    recorded = world.run(until=100.0)
    for name, expected in (
        ("iaas/s/p/0/busy", 0.5 * 10),
        ("iaas/s/p/0/allocated", 0.5 * 10),
        ("paas/jobs/running", 10),
    ):
        assert integrate(*recorded.steps[name], 0.0, 100.0) == pytest.approx(expected)


def test_all_done_is_told_once_with_every_source_exhausted():
    world = World()
    world.jobs.add(job_class("empty"), iter([]))
    world.jobs.add(job_class("a"), iter([block(0.0), block(), block(50.0)]))
    world.jobs.add(job_class("b"), iter([block(20.0)]))
    assert not world.jobs.exhausted
    world.run()
    assert world.idle == [60.0]
    assert world.jobs.exhausted and not world.jobs.unfinished


def test_what_is_not_done_at_the_end_is_recorded_as_such():
    world = World()
    world.jobs.add(job_class(workers=Constant(3.0)), iter([block(0.0, 1.0)]))
    recorded = world.run(until=5.0)
    assert [row["status"] for row in rows(recorded)] == ["running", "queued"]
    assert all(isnan(row["finished"]) for row in rows(recorded))
    units = rows(recorded, "units")
    assert [unit["bound"] for unit in units[:3]] == [0.0] * 3
    assert all(isnan(unit["bound"]) and unit["node"] == "" for unit in units[3:])
    assert all(isnan(unit["ended"]) for unit in units)


def test_a_job_too_large_for_the_cluster_fails_and_blocks_nobody():
    world = World(2)
    trace = block(0.0, 0.0, 1.0, workers=[9, 8, 1])
    world.crash(0, at=0.5, repaired=2.0)
    world.jobs.add(job_class(), iter([trace]))
    by_id = sorted(rows(world.run()), key=lambda row: row["id"])
    assert [row["status"] for row in by_id] == ["failed", "completed", "completed"]
    assert isnan(by_id[0]["started"])
    assert len(world.idle) == 1


def test_columns_of_a_trace_replace_the_draws():
    world = World()
    trace = block(0.0, 0.0, workers=[1, 3], work=[7.0, 2.0], estimate=[5.0, 9.0])
    world.jobs.add(job_class(), iter([trace]))
    seen = [
        (row["workers"], row["work"], row["estimate"])
        for row in sorted(rows(world.run()), key=lambda r: r["id"])
    ]
    assert seen == [(1, 7.0, 5.0), (3, 2.0, 9.0)]


def test_draws_depend_on_the_class_and_the_seed_alone():
    kind = job_class(
        workers=Choice(values=[1.0, 2.0, 4.0], weights=[1.0, 1.0, 1.0]),
        duration=LogNormal(mean=30.0, cv=2.0),
        estimate_error=Exponential(mean=1.0),
    )

    def drawn(seed, *blocks, other=False):
        world = World(2, seed)
        if other:
            world.jobs.add(job_class("other"), iter([block(0.0, 0.5)]))
        world.jobs.add(kind, iter(blocks))
        table = sorted(rows(world.run()), key=lambda row: row["submitted"])
        return [(r["workers"], r["work"], r["estimate"]) for r in table if r["name"] == "train"]

    times = [float(i + 1) for i in range(20)]
    first = drawn(1, block(*times))
    assert first == drawn(1, block(*times[:7]), block(*times[7:]), other=True)
    assert first != drawn(2, block(*times))
    assert len({row[2] / row[1] for row in first}) == 20


def test_a_crash_without_checkpoints_loses_everything():
    world = World()
    world.jobs.add(job_class(duration=Constant(100.0)), iter([block(0.0)]))
    world.crash(0, at=70.0, repaired=80.0)
    recorded = world.run()
    (row,) = rows(recorded)
    assert (row["started"], row["finished"], row["lost"], row["preemptions"]) == (0.0, 180.0, 70.0, 1)
    assert [(u["bound"], u["ended"], u["reason"]) for u in rows(recorded, "units")] == [
        (0.0, 70.0, "crash"),
        (80.0, 180.0, "completed"),
    ]


@pytest.mark.parametrize(("crashed_at", "lost"), [(70.0, 10.0), (60.0, 0.0), (19.5, 19.5), (20.0, 0.0)])
def test_a_crash_loses_what_came_after_the_last_checkpoint(crashed_at, lost):
    world = World()
    world.jobs.add(job_class(duration=Constant(100.0), checkpoint=20.0), iter([block(0.0)]))
    world.crash(0, at=crashed_at, repaired=200.0)
    (row,) = rows(world.run())
    assert row["lost"] == pytest.approx(lost)
    assert row["finished"] == pytest.approx(200.0 + 100.0 - (crashed_at - lost))


def test_a_crash_of_one_node_takes_the_whole_gang_back():
    world = World(3)
    world.jobs.add(job_class(workers=Constant(8.0), duration=Constant(10.0)), iter([block(0.0)]))
    world.crash(0, at=4.0, repaired=50.0)
    recorded = world.run()
    (row,) = rows(recorded)
    # The gang moves to the two nodes that are left, at once.
    assert (row["finished"], row["preemptions"], row["lost"]) == (14.0, 1, 4.0)
    for node in range(3):
        assert recorded.steps[f"iaas/s/p/{node}/busy"][1][-1] == 0.0
    assert integrate(*recorded.steps["paas/jobs/running"], 0.0, 20.0) == pytest.approx(14.0)


def test_a_requeued_job_keeps_its_place_in_the_order():
    world = World()
    world.jobs.add(job_class(workers=Constant(4.0)), iter([block(0.0, 1.0)]))
    world.crash(0, at=5.0, repaired=6.0)
    first, second = sorted(rows(world.run()), key=lambda row: row["id"])
    assert (first["finished"], second["started"]) == (16.0, 16.0)


def test_the_estimate_of_a_requeued_job_is_that_of_what_is_left():
    world = World()
    trace = block(0.0, work=[100.0], estimate=[70.0])
    world.jobs.add(job_class(checkpoint=20.0), iter([trace]))
    world.crash(0, at=50.0, repaired=60.0)
    world.kernel.run(until=55.0)
    group = world.jobs.unfinished[0].group
    assert (group.estimate, group.work) == (30.0, 60.0)


@given(
    crashes=st.lists(st.tuples(st.integers(0, 2), st.floats(0.5, 60.0), st.floats(0.1, 9.0)), max_size=8),
    checkpoint=st.sampled_from([nan, 1.0, 3.3]),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=8),
)
def test_work_is_conserved_whatever_crashes(crashes, checkpoint, sizes):
    """Every second a gang ran was work that counts or work that was lost."""
    world = World(3)
    kind = job_class(checkpoint=None if isnan(checkpoint) else checkpoint, duration=Constant(7.3))
    world.jobs.add(kind, iter([block(*range(len(sizes)), workers=sizes)]))
    down = [0.0] * 3
    for node, at, length in sorted(crashes, key=lambda crash: crash[1]):
        if at > down[node]:
            down[node] = at + length
            world.crash(node, at, at + length)
    recorded = world.run()
    jobs = rows(recorded)
    assert [row["status"] for row in jobs] == ["completed"] * len(sizes)
    ran = dict.fromkeys((f"train/{row['id']}" for row in jobs), 0.0)
    gangs = {}
    for unit in rows(recorded, "units"):
        if not isnan(unit["ready"]):
            ran[unit["owner"]] += unit["ended"] - unit["ready"]
            gangs.setdefault((unit["owner"], unit["bound"]), []).append(unit["ended"])
    for row in jobs:
        assert ran[f"train/{row['id']}"] / row["workers"] == pytest.approx(
            row["work"] + row["lost"], abs=1e-9
        )
        assert sum(owner == f"train/{row['id']}" for owner, _ in gangs) == row["preemptions"] + 1
    for (owner, _), ends in gangs.items():  # a gang starts and ends as one
        assert len(ends) == sizes[int(owner.split("/")[1])]
        assert len(set(ends)) == 1
