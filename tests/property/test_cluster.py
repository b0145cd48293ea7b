"""Random lives of clusters: nothing is over-allocated, double-counted or lost."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import TOLERANCE, InvariantError, Resources
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.series import integrate
from sim.kernel.streams import RandomStreams

TYPES = [
    NodeType("gpu", Resources(cpu=8, memory=32.0, accelerators=2, disk=100.0)),
    NodeType("cpu", Resources(cpu=3, memory=10.0)),
]


class Unit:
    def __init__(self, number, resources):
        self.id = number
        self.resources = resources
        self.node = None
        self.evicted = 0

    def on_evicted(self, unit, reason):
        self.evicted += 1


amount = st.sampled_from([0.0, 0.1, 0.3, 1.0, 1.7, 3.0])
# A share of one accelerator, or whole ones.
shares = st.sampled_from([0.0, 0.1, 0.3, 1.0, 2.0])
requests = st.builds(Resources, cpu=amount, memory=amount, accelerators=shares, disk=amount)
acts = st.one_of(
    st.tuples(st.just("bind"), requests, st.integers(0, 5)),
    st.tuples(st.just("release"), st.integers(0, 30), st.none()),
    st.tuples(st.just("state"), st.sampled_from(NodeState), st.integers(0, 5)),
)


def check(cluster, units):
    bound = [unit for unit in units if unit.node is not None]
    assert sorted(u.id for node in cluster.nodes for u in node.units.values()) == [u.id for u in bound]
    for node in cluster.nodes:
        free, total = cluster.free[node.index], np.array(node.type.capacity)
        used = sum((np.array(unit.resources) for unit in node.units.values()), np.zeros(4))
        assert (free >= 0.0).all()
        assert (free <= total).all()
        assert free + used == pytest.approx(total, rel=1e-8, abs=1e-8)
        share = used[node.main] / total[node.main]
        assert node.allocated.value == pytest.approx(share, abs=1e-8)
        assert 0.0 <= node.allocated.value <= 1.0
        assert cluster.ready[node.index] == (node.state is NodeState.READY)
        if not node.running:
            assert not node.units
        for unit in node.units.values():
            assert unit.node is node


@given(st.lists(acts, max_size=60))
def test_binds_and_releases_never_take_more_than_there_is_nor_give_back_more(script):
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(1), Recorder(kernel))
    cluster = Cluster(ctx)
    nodes = [cluster.add(TYPES[i % 2], "s", "p") for i in range(6)]
    for node in nodes[:4]:
        cluster.set_state(node, NodeState.READY)
    units = []
    for verb, what, which in script:
        if verb == "bind":
            unit, node = Unit(len(units), what), nodes[which]
            units.append(unit)
            fits = bool(cluster.fits(what)[which])
            room = all(need <= have + 1e-6 for need, have in zip(what, cluster.free[which], strict=True))
            try:
                cluster.bind(unit, node)
            except InvariantError:
                assert not fits
                assert unit.node is None
            else:
                assert fits
                assert room
                assert node.state is NodeState.READY
        elif verb == "release" and what < len(units):
            if units[what].node is None:
                with pytest.raises(InvariantError):
                    cluster.release(units[what])
            else:
                cluster.release(units[what])
        elif verb == "state":
            held = list(nodes[which].units.values())
            before = [unit.evicted for unit in held]
            try:
                cluster.set_state(nodes[which], what, "test")
            except InvariantError:
                continue
            stopped = what in (NodeState.FAILED, NodeState.OFF, NodeState.RECLAIMED)
            assert [unit.evicted for unit in held] == [count + stopped for count in before]
        check(cluster, units)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100), st.floats(0.1, 100), st.integers(0, 1), st.sampled_from([0.1, 0.5, 1.0])
        ),
        max_size=20,
    )
)
def test_the_allocation_series_integrates_to_the_time_units_held(stays):
    """Integral of `allocated` = sum of share x stay of the units that were let in."""
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(1), Recorder(kernel))
    cluster = Cluster(ctx)
    nodes = [cluster.add(TYPES[0], "s", "p") for _ in range(2)]
    held = [[0.0], [0.0]]

    def enter(number, stay, which, share):
        if cluster.fits(Resources(accelerators=share))[which]:
            unit = Unit(number, Resources(accelerators=share))
            cluster.bind(unit, nodes[which])
            held[which].append(share / 2.0 * stay)
            kernel.call_in(stay, cluster.release, unit)

    for node in nodes:
        cluster.set_state(node, NodeState.READY)
    for number, (start, stay, which, share) in enumerate(stays):
        kernel.call_at(start, enter, number, stay, which, share)
    kernel.run(until=1000.0)
    steps = ctx.recorder.finish(1000.0).steps
    for which in (0, 1):
        times, values = steps[f"iaas/s/p/{which}/allocated"]
        assert integrate(times, values, 0.0, 1000.0) == pytest.approx(
            math.fsum(held[which]), rel=1e-7, abs=1e-7
        )
        assert values.max() <= 1.0 + TOLERANCE
        assert values.min() >= 0.0
