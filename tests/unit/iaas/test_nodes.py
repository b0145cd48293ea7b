import math

import numpy as np
import pytest

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import InvariantError, Resources
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.series import integrate
from sim.kernel.streams import RandomStreams

GPU = NodeType("gpu", Resources(cpu=8, memory=32e9, accelerators=4, disk=1e12), price=0.001)
CPU = NodeType("cpu", Resources(cpu=4, memory=16e9))


class Unit:
    def __init__(self, number, resources):
        self.id = number
        self.resources = resources
        self.node = None
        self.evictions = []

    def on_evicted(self, unit, reason):
        assert unit is self
        assert self.node is None
        self.evictions.append(reason)


@pytest.fixture
def ctx():
    kernel = Kernel()
    return Context(kernel, RandomStreams(1), Recorder(kernel))


@pytest.fixture
def cluster(ctx):
    return Cluster(ctx)


def ready(cluster, node_type=GPU, site="s", pool="p"):
    node = cluster.add(node_type, site, pool)
    cluster.set_state(node, NodeState.READY)
    return node


def test_rows_and_names(cluster):
    nodes = [
        cluster.add(GPU, "s", "p"),
        cluster.add(CPU, "s", "q"),
        cluster.add(GPU, "t", "p"),
        ready(cluster),
    ]
    assert [node.name for node in nodes] == ["iaas/s/p/0", "iaas/s/q/0", "iaas/t/p/0", "iaas/s/p/1"]
    assert [node.index for node in cluster.nodes] == [0, 1, 2, 3]
    assert cluster.site_names == ["s", "t"]
    assert cluster.pool_names == ["s/p", "s/q", "t/p"]
    assert cluster.site_id.tolist() == [0, 0, 1, 0]
    assert cluster.pool_id.tolist() == [0, 1, 2, 0]
    assert cluster.device_id.tolist() == [-1] * 4
    assert cluster.ready.tolist() == [False, False, False, True]
    assert cluster.price.tolist() == [0.001, 0.0, 0.001, 0.001]
    assert tuple(cluster.total[1]) == CPU.capacity
    assert (nodes[0].main, nodes[1].main) == (2, 0)


def test_device_columns(cluster):
    from sim.catalog.cards import Device

    device = Device("t4", "gpu", {}, 16e9, 3e11, 10.0, 70.0, 0.5, 0.5, 0.0, "here")
    ready(cluster, CPU)
    ready(cluster, NodeType("g", Resources(cpu=4, accelerators=1), device))
    assert cluster.device_names == ["t4"]
    assert cluster.device_id.tolist() == [-1, 0]
    assert cluster.accelerator_memory.tolist() == [0.0, 16e9]


def test_columns_grow_and_keep_what_they_hold(cluster):
    first = ready(cluster)
    cluster.bind(Unit(0, Resources(cpu=3)), first)
    for _ in range(99):
        ready(cluster, CPU)
    assert cluster.free.shape == cluster.total.shape == (100, 4)
    assert cluster.free[0, 0] == 5
    assert cluster.ready.all()
    cluster.bind(Unit(1, Resources(cpu=1)), cluster.nodes[70])
    assert cluster.free[70].tolist() == [3, 16e9, 0, 0]


def test_bind_and_release_move_the_amounts(ctx, cluster):
    events = []
    node = ready(cluster)
    cluster.listen(lambda event, at: events.append((event, at)))
    unit = Unit(7, Resources(cpu=2, memory=1e9, accelerators=1))
    cluster.bind(unit, node)
    assert unit.node is node
    assert node.units == {7: unit}
    assert cluster.free[0].tolist() == [6, 31e9, 3, 1e12]
    assert node.allocated.value == 0.25
    cluster.release(unit)
    assert unit.node is None
    assert node.units == {}
    assert tuple(cluster.free[0]) == GPU.capacity
    assert node.allocated.value == 0.0
    assert events == [("released", node)]


@pytest.mark.parametrize(
    "resources",
    [Resources(cpu=9), Resources(memory=33e9), Resources(accelerators=4.001), Resources(disk=2e12)],
)
def test_more_than_there_is_is_refused_and_changes_nothing(cluster, resources):
    node = ready(cluster)
    unit = Unit(1, resources)
    assert not cluster.fits(resources)[0]
    with pytest.raises(InvariantError, match="unit 1 wants"):
        cluster.bind(unit, node)
    assert tuple(cluster.free[0]) == GPU.capacity
    assert unit.node is None
    assert not node.units


def test_tenths_fill_a_node_exactly(cluster):
    node = ready(cluster)
    units = [Unit(i, Resources(accelerators=0.1)) for i in range(41)]
    for unit in units[:40]:
        assert cluster.fits(unit.resources)[0]
        cluster.bind(unit, node)
    assert not cluster.fits(units[40].resources)[0]
    assert node.allocated.value == pytest.approx(1.0)
    for unit in units[:40]:
        cluster.release(unit)
    assert tuple(cluster.free[0]) == GPU.capacity
    assert node.allocated.value == 0.0


def test_a_unit_is_on_one_node_at_most(cluster):
    a, b = ready(cluster), ready(cluster)
    unit = Unit(1, Resources(cpu=1))
    cluster.bind(unit, a)
    with pytest.raises(InvariantError, match="is on iaas/s/p/0"):
        cluster.bind(unit, b)
    cluster.release(unit)
    with pytest.raises(InvariantError, match="no place"):
        cluster.release(unit)


def path_to(state):
    state = NodeState(state)
    if state is NodeState.PROVISIONING:
        return ()
    if state is NodeState.BOOTING:
        return (state,)
    return (NodeState.READY,) if state is NodeState.READY else (NodeState.READY, state)


@pytest.mark.parametrize("state", [s for s in NodeState if s is not NodeState.READY])
def test_only_a_ready_node_takes_units(cluster, state):
    node = cluster.add(GPU, "s", "p")
    for step in path_to(state):
        cluster.set_state(node, step)
    assert not cluster.fits(Resources(cpu=1))[0]
    with pytest.raises(InvariantError, match=state.name):
        cluster.bind(Unit(1, Resources(cpu=1)), node)


@pytest.mark.parametrize("state", [s for s in NodeState if s not in (NodeState.READY, NodeState.DRAINING)])
def test_a_node_that_is_not_on_runs_no_work(cluster, state):
    node = cluster.add(GPU, "s", "p")
    for step in path_to(state):
        cluster.set_state(node, step)
    with pytest.raises(InvariantError, match="cannot run work"):
        node.use(1.0)
    assert node.busy.value == 0.0


def test_allowed_life_cycles_only(cluster):
    node = cluster.add(GPU, "s", "p")
    with pytest.raises(InvariantError, match="from PROVISIONING to FAILED"):
        cluster.set_state(node, NodeState.FAILED)
    for state in (NodeState.BOOTING, NodeState.READY, NodeState.FAILED, NodeState.READY, NodeState.OFF):
        cluster.set_state(node, state)
    for state in NodeState:
        with pytest.raises(InvariantError, match="cannot go from OFF"):
            cluster.set_state(node, state)


def test_use_counts_the_main_resource(cluster):
    node = ready(cluster)
    node.use(1.0)
    node.use(2.0)
    assert node.busy.value == 0.75
    with pytest.raises(InvariantError, match=r"5\.0 of 4 accelerators"):
        node.use(2.0)
    with pytest.raises(InvariantError, match="of 4 accelerators"):
        node.use(-3.5)
    node.use(-3.0)
    assert node.busy.value == 0.0
    for _ in range(40):
        node.use(0.1)
    assert node.busy.value == pytest.approx(1.0)
    for _ in range(40):
        node.use(-0.1)
    assert node.busy.value == 0.0


def test_a_failure_evicts_units_and_their_work(ctx, cluster):
    log = []
    node, other = ready(cluster), ready(cluster)
    units = [Unit(i, Resources(accelerators=1)) for i in range(3)]
    for unit in units[:2]:
        cluster.bind(unit, node)
        node.use(1.0)
    cluster.bind(units[2], other)
    cluster.listen(lambda event, at: log.append((event, at.index, [len(unit.evictions) for unit in units])))
    ctx.kernel.call_in(10.0, cluster.set_state, node, NodeState.FAILED, "crash")
    ctx.kernel.run()
    assert [unit.evictions for unit in units] == [["crash"], ["crash"], []]
    assert log == [("gone", 0, [1, 1, 0])]
    assert (node.busy.value, node.allocated.value, node.on.value) == (0.0, 0.0, 0.0)
    assert node.failures == 1
    assert tuple(cluster.free[0]) == GPU.capacity
    # What an evicted unit still had at work went with the node.
    node.use(-1.0)
    assert node.busy.value == 0.0
    cluster.set_state(node, NodeState.READY)
    assert log[-1][:2] == ("ready", 0)
    assert node.on.value == 1.0
    node.use(4.0)


def test_nodes_that_go_together_take_no_units_of_each_other(cluster):
    nodes = [ready(cluster), ready(cluster)]
    unit = Unit(1, Resources(cpu=1))
    cluster.bind(unit, nodes[0])
    seen = []
    unit.on_evicted = lambda *_: seen.append(cluster.ready.any())
    cluster.set_states(nodes, NodeState.FAILED, "outage")
    assert seen == [False]


def test_draining_lets_work_go_on(cluster):
    events = []
    node = ready(cluster)
    unit = Unit(1, Resources(accelerators=2))
    cluster.bind(unit, node)
    cluster.listen(lambda event, at: events.append(event))
    cluster.set_state(node, NodeState.DRAINING)
    node.use(2.0)
    assert (node.busy.value, unit.evictions, node.on.value) == (0.5, [], 1.0)
    cluster.release(unit)
    cluster.set_state(node, NodeState.OFF, "drained")
    assert events == ["draining", "released", "gone"]


def test_series_hold_exact_integrals(ctx, cluster):
    kernel = ctx.kernel
    node = cluster.add(GPU, "s", "p")
    unit = Unit(1, Resources(accelerators=1))
    kernel.call_at(10.0, cluster.set_state, node, NodeState.READY)
    kernel.call_at(12.0, cluster.bind, unit, node)
    kernel.call_at(13.0, node.use, 1.0)
    kernel.call_at(20.0, node.use, -1.0)
    kernel.call_at(22.0, cluster.release, unit)
    kernel.call_at(30.0, cluster.set_state, node, NodeState.OFF)
    kernel.run(until=100.0)
    steps = ctx.recorder.finish(100.0).steps
    assert integrate(*steps["iaas/s/p/0/on"], 0.0, 100.0) == 30.0
    assert integrate(*steps["iaas/s/p/0/allocated"], 0.0, 100.0) == 0.25 * 10
    assert integrate(*steps["iaas/s/p/0/busy"], 0.0, 100.0) == 0.25 * 7


def test_the_table_has_each_node_once(ctx, cluster):
    kernel = ctx.kernel
    gone, stays = cluster.add(GPU, "s", "p"), cluster.add(CPU, "t", "q")
    kernel.call_at(5.0, cluster.set_state, gone, NodeState.READY)
    kernel.call_at(9.0, cluster.set_state, gone, NodeState.OFF, "idle")
    kernel.run(until=20.0)
    cluster.close()
    table = ctx.recorder.finish(20.0).tables["nodes"]
    assert table["id"].tolist() == [gone.index, stays.index]
    assert table["name"].texts() == ["iaas/s/p/0", "iaas/t/q/0"]
    assert table["instance"].texts() == ["gpu", "cpu"]
    assert table["reason"].texts() == ["idle", ""]
    assert table["ready"][0] == 5.0
    assert table["ended"][0] == 9.0
    assert np.isnan(table["ready"][1])
    assert math.isnan(table["ended"][1])


@pytest.mark.parametrize("capacity", [Resources(memory=1.0), Resources(cpu=2, disk=-1.0)])
def test_a_node_type_needs_something_to_run_on(capacity):
    with pytest.raises(ValueError, match="needs cores or accelerators"):
        NodeType("x", capacity)
