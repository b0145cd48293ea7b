import pytest

from sim.iaas.network import Link, Network
from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.iaas.storage import ObjectStore
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.series import integrate
from sim.kernel.streams import RandomStreams


class World:
    """A store of 100 B/s at a, a link of 50 B/s and 1 s to b, where the nodes are."""

    def __init__(self, disk=0.0, site="b", nodes=2):
        self.kernel = Kernel()
        self.ctx = Context(self.kernel, RandomStreams(1), Recorder(self.kernel))
        self.network = Network(self.ctx, ["a", "b"], [Link("wan", "a", "b", 1.0, 50.0)])
        self.store = ObjectStore(self.ctx, self.network, "a", 100.0)
        self.cluster = Cluster(self.ctx)
        node_type = NodeType("x", Resources(cpu=1, disk=disk))
        self.nodes = [self.cluster.add(node_type, site, "p") for _ in range(nodes)]
        for node in self.nodes:
            self.cluster.set_state(node, NodeState.READY)
        self.got = []

    def take(self, what):
        self.got.append((what, self.kernel.now))

    def fetch(self, at, node, artifact, size, what):
        self.kernel.call_at(at, self.store.fetch, self.nodes[node], artifact, size, self.take, what)

    def moved(self, series="iaas/links/wan/a->b/rate"):
        return integrate(*self.ctx.recorder.finish(self.kernel.now).steps[series], 0.0, self.kernel.now)


def test_a_fetch_crosses_the_network_once_and_then_is_cached():
    world = World()
    world.fetch(0.0, 0, "image", 500.0, "first")
    world.fetch(20.0, 0, "image", 500.0, "again")
    world.fetch(20.0, 1, "image", 500.0, "elsewhere")
    world.kernel.run()
    assert world.got == [("first", 11.0), ("again", 20.0), ("elsewhere", 31.0)]
    assert world.nodes[0].artifacts == {"image": 500.0}
    assert world.moved() == pytest.approx(1000.0)


def test_the_callback_never_runs_inside_fetch():
    world = World()
    world.nodes[0].artifacts["image"] = 1.0
    world.store.fetch(world.nodes[0], "image", 1.0, world.take, "x")
    assert world.got == []
    world.kernel.run()
    assert world.got == [("x", 0.0)]


def test_concurrent_fetches_of_one_artifact_on_one_node_share_one_transfer():
    world = World()
    world.fetch(0.0, 0, "image", 500.0, "first")
    world.fetch(9.0, 0, "image", 500.0, "joiner")
    world.kernel.run()
    assert world.got == [("first", 11.0), ("joiner", 11.0)]
    assert world.moved() == pytest.approx(500.0)


def test_two_nodes_share_the_link():
    world = World()
    for node in (0, 1):
        world.fetch(0.0, node, "image", 500.0, node)
    world.kernel.run()
    assert world.got == [(0, 21.0), (1, 21.0)]


def test_nodes_at_the_stores_own_site_are_bound_by_its_bandwidth():
    world = World(site="a")
    for node in (0, 1):
        world.fetch(0.0, node, "image", 500.0, node)
    world.kernel.run()
    assert world.got == [(0, 10.0), (1, 10.0)]
    assert world.moved("iaas/links/a-store/a-store->a/rate") == pytest.approx(1000.0)


def test_a_full_disk_drops_what_was_not_used_for_longest():
    world = World(disk=1000.0)
    for at, artifact in ((0.0, "old"), (100.0, "kept")):
        world.fetch(at, 0, artifact, 400.0, artifact)
    world.fetch(200.0, 0, "old", 400.0, "hit")
    world.fetch(300.0, 0, "new", 300.0, "new")
    world.kernel.run()
    assert list(world.nodes[0].artifacts) == ["old", "new"]
    assert dict(world.got)["hit"] == 200.0
    assert sum(world.nodes[0].artifacts.values()) <= 1000.0


def test_what_is_larger_than_the_disk_is_used_but_not_kept():
    world = World(disk=1000.0)
    world.fetch(0.0, 0, "small", 100.0, "small")
    world.fetch(100.0, 0, "huge", 2000.0, "huge")
    world.kernel.run()
    assert world.got[1] == ("huge", 141.0)
    assert world.nodes[0].artifacts == {"small": 100.0}


def test_a_crash_loses_the_fetches_under_way_but_not_the_disk():
    world = World()
    world.nodes[0].artifacts["base"] = 1.0
    world.fetch(0.0, 0, "image", 500.0, "lost")
    world.kernel.call_at(2.0, world.cluster.set_state, world.nodes[0], NodeState.FAILED, "crash")
    world.kernel.call_at(4.0, world.cluster.set_state, world.nodes[0], NodeState.READY)
    world.fetch(10.0, 0, "image", 500.0, "new")
    world.kernel.run()
    # Until 10 s the lost transfer has the link; it ends there, and the new one has it alone.
    assert world.got == [("new", 21.0)]
    assert world.nodes[0].artifacts == {"base": 1.0, "image": 500.0}


@pytest.mark.parametrize("state", [NodeState.OFF, NodeState.RECLAIMED, NodeState.FAILED])
def test_a_node_that_is_gone_gets_nothing(state):
    world = World()
    world.fetch(0.0, 0, "image", 500.0, "lost")
    world.kernel.call_at(2.0, world.cluster.set_state, world.nodes[0], state)
    world.kernel.run()
    assert world.got == []
    assert world.nodes[0].artifacts == {}
