"""A gang is as close together as any placement could be: against sums over all domains."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.placement import Placer
from sim.paas.topology import SPANS, span
from sim.paas.units import Group, Unit
from sim.registry import load_builtin, lookup

load_builtin()


def make(sites):
    """One site a list of node sizes; NVLink pairs, racks of four."""
    kernel = Kernel()
    cluster = Cluster(Context(kernel, RandomStreams(1), Recorder(kernel)))
    for number, sizes in enumerate(sites):
        for size in sizes:
            kind = NodeType("n", Resources(cpu=size), rack_size=4, nvlink_size=2)
            cluster.set_state(cluster.add(kind, f"s{number}", "p"), NodeState.READY)
    return cluster


def rooms(cluster, of):
    """Workers each domain has room for, the roomiest first."""
    totals = {}
    for node in cluster.nodes:
        totals[of(node)] = totals.get(of(node), 0) + int(node.type.capacity.cpu)
    return sorted(totals.values(), reverse=True)


def fewest(totals, workers):
    """Fewest domains that hold so many."""
    count = 0
    while workers > 0:
        workers -= totals[count]
        count += 1
    return count


DOMAINS = {
    "node": lambda node: node.index,
    "nvlink": lambda node: node.nvlink,
    "rack": lambda node: node.rack,
    "site": lambda node: node.site,
}


def put(cluster, workers):
    fit = lookup("filter", "fit")()
    placer = Placer(cluster, [fit], [(lookup("score", "compact")(), 1.0)])
    gang = Group([Unit("worker", "train/1", Resources(cpu=1.0)) for _ in range(workers)])
    places = placer.place(gang)
    return None if places is None else [cluster.nodes[at] for at in places]


sizes = st.lists(st.integers(1, 4).map(float), min_size=1, max_size=9)


@given(st.lists(sizes, min_size=1, max_size=2), st.data())
def test_no_placement_is_closer(sites, data):
    cluster = make(sites)
    total = int(sum(map(sum, sites)))
    workers = data.draw(st.integers(2, max(2, total)))
    nodes = put(cluster, workers)
    if total < workers:
        assert nodes is None
        return
    possible = [level for level, of in DOMAINS.items() if rooms(cluster, of)[0] >= workers]
    assert span(nodes) == (possible[0] if possible else SPANS[-1])


@given(sizes, st.data())
def test_it_spans_as_few_racks_as_can_be(sizes, data):
    cluster = make([sizes])
    workers = data.draw(st.integers(1, int(sum(sizes))))
    nodes = put(cluster, workers)
    of = DOMAINS["rack"]
    assert len({of(node) for node in nodes}) == fewest(rooms(cluster, of), workers)


def test_the_tightest_rack_that_is_enough():
    """Racks with room for 4, 8 and 5: five workers go to the last, on its 3 and 2; the 8 stay whole."""
    cluster = make([[1, 1, 1, 1, 2, 2, 2, 2, 3, 2]])
    assert sorted(node.index for node in put(cluster, 5)) == [8, 8, 8, 9, 9]


def test_the_last_rack_is_the_smallest_that_holds_the_rest():
    """Kueue's example: free 3, 3, 2, 1 and seven workers: 3, 3 and then the 1, not the 2."""
    cluster = make([[3, 1e-3, 1e-3, 1e-3, 3, 1e-3, 1e-3, 1e-3, 2, 1e-3, 1e-3, 1e-3, 1]])
    assert sorted(node.index for node in put(cluster, 7)) == [0, 0, 0, 4, 4, 4, 12]
