"""The log of decisions: what it holds, how little it repeats, and that it changes nothing."""

from __future__ import annotations

from zlib import crc32

import pytest

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.decisions import RANGES, SAMPLE, TOO_FEW, UNITS, WOULD_DELAY
from sim.paas.policies.discipline import Easy, Skip, Strict
from sim.paas.policies.filters import DEFAULT
from sim.paas.policies.order import Fifo, ShortestFirst
from sim.paas.policies.scores import FirstFit, LeastAllocated, RandomNode
from sim.paas.scheduler import Scheduler
from sim.paas.units import Group, Unit
from sim.registry import load_builtin, lookup

load_builtin()
GPU = NodeType("gpu", Resources(cpu=16, memory=64e9, accelerators=4), price=2.0)


class World:
    """A cluster of equal nodes and a scheduler that tells why."""

    def __init__(self, nodes, *, discipline=None, order=None, scores=None, decisions="all"):
        self.kernel = Kernel()
        self.ctx = Context(self.kernel, RandomStreams(3), Recorder(self.kernel))
        self.cluster = Cluster(self.ctx)
        for _ in range(nodes):
            self.cluster.set_state(self.cluster.add(GPU, "s", "p"), NodeState.READY)
        self.scheduler = Scheduler(
            self.ctx,
            self.cluster,
            order=order or Fifo(),
            discipline=discipline or Skip(),
            filters=[lookup("filter", name)() for name in DEFAULT],
            scores=scores or [(FirstFit(), 1.0)],
            decisions=decisions,
        )
        self.groups = 0

    def submit(self, workers, each=1, estimate=None, **about):
        name = f"job/{self.groups}"
        self.groups += 1
        asked = Resources(cpu=1, accelerators=each)
        units = [Unit("worker", name, asked, **about) for _ in range(workers)]
        group = Group(units, estimate=estimate)
        self.scheduler.submit(group)
        self.kernel.run()
        return group

    def end(self, group):
        for unit in group.units:
            self.scheduler.done(unit)
        self.kernel.run()

    def tables(self):
        self.scheduler.close()
        finished = self.ctx.recorder.finish(self.kernel.now).tables
        return {name: self._rows(finished[name]) for name in ("decisions", "rejections", "finalists")}

    @staticmethod
    def _rows(table):
        columns = {k: v.texts() if hasattr(v, "texts") else v.tolist() for k, v in table.items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def rows(tables, *outcomes):
    found = [row for row in tables["decisions"] if row["outcome"] in outcomes]
    return sorted(found, key=lambda row: row["id"])


def rejected(tables, row):
    """Number of nodes by reason."""
    found = {}
    for each in tables["rejections"]:
        if each["decision"] == row["id"]:
            found[each["reason"]] = found.get(each["reason"], 0) + each["nodes"]
    return found


def test_a_bound_unit_says_where_and_with_how_many_points():
    world = World(3, scores=[(LeastAllocated(), 2.0)])
    world.cluster.set_state(world.cluster.nodes[2], NodeState.DRAINING)
    world.submit(1)
    world.submit(1)
    tables = world.tables()
    row = rows(tables, "bound")[1]
    assert (row["owner"], row["candidates"], row["node"]) == ("job/1", 2, "iaas/s/p/1")
    assert rejected(tables, row) == {"not ready": 1}
    finalists = [each for each in tables["finalists"] if each["decision"] == row["id"]]
    assert [(f["rank"], f["node"], f["points"], f["weight"]) for f in finalists] == [
        (0, 1, 100.0, 2.0),
        (1, 0, 0.0, 2.0),
    ]


def test_a_waiting_unit_says_what_removed_each_node():
    world = World(3)
    world.submit(4)
    world.submit(1, each=5)
    world.submit(20)
    world.submit(1, device="T4")
    tables = world.tables()
    waiting = rows(tables, "waiting")
    assert [rejected(tables, row) for row in waiting] == [
        {"too little free": 3},
        {"too little free": 1, TOO_FEW: 2},
        {"has another accelerator": 3},
    ]
    assert [row["reason"] for row in waiting] == ["too little free", TOO_FEW, "has another accelerator"]


def test_rejected_nodes_are_kept_as_stretches_and_the_rest_as_a_number():
    world = World(2 * RANGES + 4)
    for at in range(0, len(world.cluster.nodes), 2):
        world.cluster.set_state(world.cluster.nodes[at], NodeState.DRAINING)
    world.submit(1, each=5)
    stretches = [row for row in world.tables()["rejections"] if row["reason"] == "not ready"]
    assert [(row["first"], row["last"]) for row in stretches[:2]] == [(0, 0), (2, 2)]
    assert len(stretches) == RANGES + 1
    assert (stretches[-1]["first"], stretches[-1]["nodes"]) == (-1, 2)


def test_a_group_held_back_by_easy_says_by_whom_and_until_when():
    world = World(1, discipline=Easy())
    world.submit(3, estimate=10.0)
    world.submit(4, estimate=5.0)
    world.submit(1, estimate=99.0)
    tables = world.tables()
    last = rows(tables, "waiting")[-1]
    assert rejected(tables, last) == {WOULD_DELAY: 1}
    assert (last["owner"], last["by"], last["until"]) == ("job/2", "job/1", 10.0)
    (held,) = rows(tables, "holds")
    assert (held["owner"], held["until"], held["reason"]) == ("job/1", 10.0, "easy")


def test_the_place_in_the_queue_and_its_key():
    world = World(1, order=ShortestFirst(), discipline=Strict())
    world.submit(4, estimate=50.0)
    for estimate in (30.0, 10.0, 20.0):
        world.submit(4, estimate=estimate)
    queued = rows(world.tables(), "queued")
    assert [(row["key"], row["ahead"], row["head"]) for row in queued[1:]] == [
        (30.0, 0, ""),
        (10.0, 0, ""),
        (20.0, 1, "job/2"),
    ]


def test_equal_answers_are_counted_and_not_repeated():
    world = World(3)
    held = [world.submit(4) for _ in range(3)]
    world.submit(12)
    for group in held[:2]:
        world.end(group)  # every release may help, so each is an attempt in vain
    tables = world.tables()
    (row,) = rows(tables, "waiting")
    assert (row["owner"], row["reason"], row["attempts"]) == ("job/3", TOO_FEW, 3)
    assert rejected(tables, row) == {"too little free": 3}


def test_another_answer_is_another_row():
    world = World(2)
    first = world.submit(8)
    world.submit(8)
    world.cluster.set_state(world.cluster.nodes[1], NodeState.DRAINING)
    world.end(first)
    waiting = rows(world.tables(), "waiting")
    assert [row["attempts"] for row in waiting] == [1, 1]


def test_a_hold_is_written_when_it_changes():
    world = World(1, discipline=Strict())
    first = world.submit(4)
    for workers in (3, 2, 2):
        world.submit(workers)
    world.end(first)
    told = [(row["owner"], row["until"]) for row in rows(world.tables(), "holds")]
    assert told == [("job/1", float("inf")), ("job/2", float("inf"))]


def test_a_gang_has_a_row_a_unit_but_details_of_the_first_only():
    world = World(10)
    world.submit(UNITS + 4)
    tables = world.tables()
    assert len(rows(tables, "bound")) == UNITS + 4
    assert len({row["decision"] for row in tables["finalists"]}) == UNITS


def test_preemption_names_both_sides():
    world = World(1)
    low, high = world.submit(4), world.submit(4)
    world.scheduler._log.preempted(low, high, "lower priority")
    (row,) = rows(world.tables(), "preempted")
    assert (row["owner"], row["by"], row["reason"]) == ("job/0", "job/1", "lower priority")


@pytest.mark.parametrize("nodes", [1, 5])
def test_recording_changes_no_decision(nodes):
    # One node: a random scorer must not draw more numbers because somebody watches.
    def run(decisions):
        world = World(nodes, decisions=decisions, scores=[(RandomNode(), 1.0)])
        groups = [world.submit(1) for _ in range(3)]
        world.cluster.set_state(world.cluster.add(GPU, "s", "p"), NodeState.READY)
        groups += [world.submit(2) for _ in range(4)]
        return [[unit.where for unit in group.units] for group in groups]

    assert run("all") == run("sampled") == run("off")


def test_sampling_goes_by_name_and_not_by_order():
    def names(count, first):
        world = World(100, decisions="sampled")
        world.groups = first
        for _ in range(count):
            world.submit(1)
        return {row["owner"] for row in rows(world.tables(), "bound")}

    whole = names(300, 0)
    assert 0 < len(whole) < 30
    assert names(150, 150) == {name for name in whole if int(name.split("/")[1]) >= 150}


def test_a_sampled_job_is_explained_by_its_like_ahead_of_it():
    number = next(k for k in range(10, 1000) if crc32(f"job/{k}".encode()) % SAMPLE == 0)
    world = World(2, decisions="sampled")
    first, _ = world.submit(4), world.submit(4)
    world.submit(8)
    world.groups = number
    world.submit(8)
    world.end(first)
    told = [
        (row["outcome"], row["owner"], row["reason"]) for row in rows(world.tables(), "queued", "waiting")
    ]
    assert told == [("queued", f"job/{number}", "fifo"), ("waiting", "job/2", TOO_FEW)]
