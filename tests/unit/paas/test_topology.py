from __future__ import annotations

import pytest

from sim.iaas.nodes import Cluster, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.topology import span


@pytest.fixture
def cluster():
    """Nodes 0..5 at one site in racks of 4 with NVLink pairs, 6..7 in another pool, 8 elsewhere."""
    kernel = Kernel()
    made = Cluster(Context(kernel, RandomStreams(1), Recorder(kernel)))
    wired = NodeType("wired", Resources(cpu=4), rack_size=4, nvlink_size=2)
    for _ in range(6):
        made.add(wired, "cloud", "wired")
    for _ in range(2):
        made.add(NodeType("plain", Resources(cpu=4)), "cloud", "plain")
    made.add(wired, "plant", "wired")
    return made


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([3], "node"),
        ([3, 3, 3], "node"),
        ([2, 3], "nvlink"),
        ([1, 2], "rack"),
        ([0, 1, 3], "rack"),
        ([3, 4], "site"),
        ([6, 7], "rack"),
        ([5, 6], "site"),
        ([0, 0, 8], "sites"),
    ],
)
def test_span_is_the_closest_level_that_holds_all(cluster, nodes, expected):
    assert span([cluster.nodes[i] for i in nodes]) == expected


def test_no_nodes_have_no_span():
    with pytest.raises(ValueError, match="no nodes"):
        span([])


def test_racks_are_blocks_of_a_pool_and_never_shared_between_pools(cluster):
    assert cluster.rack_id.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 3]
    assert cluster.nvlink_id.tolist() == [0, 0, 1, 1, 2, 2, 3, 4, 5]
    assert [node.rack for node in cluster.nodes] == cluster.rack_id.tolist()


def test_a_rack_of_no_nodes_is_refused():
    with pytest.raises(ValueError, match="at least one node"):
        NodeType("n", Resources(cpu=1), rack_size=0)
