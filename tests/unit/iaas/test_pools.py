import math

import pytest

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.pools import NodePool
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Constant, Exponential
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.series import integrate
from sim.kernel.streams import RandomStreams

SMALL = NodeType("small", Resources(cpu=2))


class Unit:
    def __init__(self, number=1):
        self.id = number
        self.resources = Resources(cpu=2)
        self.node = None

    def on_evicted(self, unit, reason):
        pass


class World:
    def __init__(self, seed=1):
        self.kernel = Kernel()
        self.ctx = Context(self.kernel, RandomStreams(seed), Recorder(self.kernel))
        self.cluster = Cluster(self.ctx)
        self.log = []
        self.cluster.listen(lambda event, node: self.log.append((event, node.index, self.kernel.now)))

    def pool(self, initial=0, minimum=0, maximum=5, idle=math.inf, provisioning=60.0, boot=30.0, name="p"):
        waits = {"provisioning": Constant(provisioning), "boot": Constant(boot), "idle_timeout": idle}
        bounds = {"initial": initial, "minimum": minimum, "maximum": maximum}
        return NodePool(self.ctx, self.cluster, name, "s", SMALL, **bounds, **waits)


def test_initial_nodes_are_ready_at_once():
    world = World()
    pool = world.pool(initial=3)
    assert world.cluster.ready.tolist() == [True] * 3
    assert (pool.path, len(pool.nodes), pool.pending) == ("s/p", 3, 0)
    assert world.kernel.peek() == math.inf


def test_a_pool_without_nodes_is_known():
    world = World()
    world.pool()
    assert (world.cluster.site_names, world.cluster.pool_names) == (["s"], ["s/p"])


def test_provisioning_then_boot_then_ready_billed_from_the_request():
    world = World()
    pool = world.pool()
    world.kernel.call_at(10.0, pool.request, 1)
    world.kernel.run(until=69.0)
    (node,) = pool.nodes.values()
    assert (node.state, pool.pending) == (NodeState.PROVISIONING, 1)
    world.kernel.run(until=71.0)
    assert (node.state, pool.pending) == (NodeState.BOOTING, 1)
    world.kernel.run(until=200.0)
    assert (node.state, pool.pending) == (NodeState.READY, 0)
    assert world.log == [("ready", 0, 100.0)]
    world.cluster.close()
    recorded = world.ctx.recorder.finish(200.0)
    assert recorded.tables["nodes"]["requested"].tolist() == [10.0]
    assert recorded.tables["nodes"]["ready"].tolist() == [100.0]
    assert integrate(*recorded.steps["iaas/s/p/0/on"], 0.0, 200.0) == 190.0


def test_the_quota_bounds_what_is_accepted():
    pool = World().pool(initial=1, maximum=4)
    assert pool.request(2) == 2
    assert pool.request(5) == 1
    assert pool.request(1) == 0
    assert pool.request(-3) == 0
    assert (len(pool.nodes), pool.pending) == (4, 3)


def test_idle_nodes_are_given_back_down_to_the_minimum():
    world = World()
    pool = world.pool(initial=3, minimum=1, idle=100.0)
    world.kernel.run(until=1000.0)
    assert [entry[0] for entry in world.log] == ["ready"] * 3 + ["gone"] * 2
    assert [entry[2] for entry in world.log[3:]] == [100.0, 100.0]
    assert len(pool.nodes) == 1
    world.cluster.close()
    assert sorted(world.ctx.recorder.finish(1000.0).tables["nodes"]["reason"].texts()) == ["", "idle", "idle"]


def test_work_puts_the_end_off_until_a_whole_timeout_after_it():
    world = World()
    pool = world.pool(initial=1, idle=100.0)
    unit, node = Unit(), pool.nodes[0]
    for start, end in ((50.0, 60.0), (150.0, 170.0)):
        world.kernel.call_at(start, world.cluster.bind, unit, node)
        world.kernel.call_at(end, world.cluster.release, unit)
    world.kernel.run()
    assert world.log[-1] == ("gone", 0, 270.0)
    assert node.state is NodeState.OFF


def test_a_node_that_works_at_the_moment_of_the_look_stays():
    world = World()
    pool = world.pool(initial=1, idle=100.0)
    world.kernel.call_at(99.0, world.cluster.bind, Unit(), pool.nodes[0])
    world.kernel.run(until=5000.0)
    assert pool.nodes[0].state is NodeState.READY


def test_an_idle_node_kept_at_the_minimum_goes_when_another_comes():
    world = World()
    pool = world.pool(initial=1, minimum=1, idle=100.0)
    world.kernel.call_at(500.0, pool.request, 1)
    world.kernel.run(until=595.0)
    assert [node.index for node in pool.nodes.values()] == [1]
    assert world.log[-1] == ("gone", 0, 590.0)


def test_looks_do_not_pile_up():
    world = World()
    pool = world.pool(initial=1, minimum=1, idle=100.0)
    unit = Unit()

    def cycle():
        world.cluster.bind(unit, pool.nodes[0])
        world.cluster.release(unit)

    for i in range(1000):
        world.kernel.call_at(i * 0.01, cycle)
    world.kernel.run()
    assert world.kernel.events <= 1003


@pytest.mark.parametrize("early", [False, True])
def test_a_lost_node_is_replaced_up_to_the_minimum(early):
    world = World()
    pool = world.pool(initial=0 if early else 2, minimum=0 if early else 2)
    if early:
        pool.request(1)
    state = NodeState.RECLAIMED
    world.kernel.call_at(5.0, world.cluster.set_state, world.cluster.nodes[0], state, "reclaim")
    world.kernel.run(until=50.0)
    assert (len(pool.nodes), pool.pending) == ((0, 0) if early else (2, 1))
    world.kernel.run(until=500.0)
    assert pool.pending == 0
    assert ("ready", 2, 95.0) in world.log or early


def test_a_node_under_repair_counts_against_the_quota():
    world = World()
    pool = world.pool(initial=1, maximum=1)
    world.cluster.set_state(pool.nodes[0], NodeState.FAILED)
    assert pool.request(1) == 0


def test_delays_are_drawn_from_streams_of_the_pool():
    def times(others):
        world = World(seed=3)
        for i in range(others):
            world.pool(name=f"other{i}").request(2)
        wait = Exponential(10.0)
        pool = NodePool(
            world.ctx, world.cluster, "p", "s", SMALL,
            initial=0, minimum=0, maximum=9, provisioning=wait, boot=wait,
        )  # fmt: skip
        pool.request(4)
        world.kernel.run()
        return [node.first_ready for node in pool.nodes.values()]

    alone = times(0)
    assert len(set(alone)) == 4
    assert alone == times(2)


@pytest.mark.parametrize("bounds", [(0, 1, 2), (3, 0, 2), (0, -1, 2)])
def test_impossible_bounds_are_refused(bounds):
    with pytest.raises(ValueError, match="minimum <= initial <= maximum"):
        World().pool(*bounds)
