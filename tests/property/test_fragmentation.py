"""FGD's measure against the formula of the paper with plain loops; and one choice worked out by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.iaas import room
from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.fragmentation import FragmentationRecord, Work, fragmented, typical
from sim.paas.placement import Placer
from sim.paas.policies.filters import DEFAULT
from sim.paas.policies.scores.fragmentation import FragmentationGradientDescent
from sim.paas.units import Group, Unit
from sim.registry import load_builtin, lookup
from sim.scenario.build import build
from sim.scenario.load import loads
from sim.stats.metrics import measure

load_builtin()


def table(nodes):
    made = room.table(len(nodes), room.FIRST + 4)
    for at, (cpu, devices) in enumerate(nodes):
        room.fill(made, at, Resources(cpu=cpu, accelerators=len(devices)))
        for k, left in enumerate(devices):
            if left < 1:
                room.take(made, at, Resources(accelerators=1 - left), wish=k)
    return made


def by_hand(cpu, devices, mix):
    """F_n(M) of Weng et al., section 3: loop over kinds of work and over devices."""
    total = 0.0
    for asked, share in mix:
        need = asked.accelerators
        if need == 0:
            runs = False
        elif need < 1:
            runs = asked.cpu <= cpu and any(left >= need for left in devices)
        else:
            runs = asked.cpu <= cpu and sum(left == 1 for left in devices) >= need
        total += share * sum(left for left in devices if not runs or left < min(need, 1))
    return total


# Eighths, so that sums are exact.
lefts = st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0])
nodes = st.lists(
    st.tuples(st.sampled_from([0.0, 2.0, 8.0]), st.lists(lefts, max_size=4)), min_size=1, max_size=5
)
kinds = st.tuples(st.sampled_from([0.0, 1.0, 4.0]), st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]))


@given(nodes, st.lists(st.tuples(kinds, st.sampled_from([0.25, 0.5])), max_size=4))
def test_the_measure_is_the_formula(nodes, mix):
    mix = [(Resources(cpu=cpu, accelerators=devices), share) for (cpu, devices), share in mix]
    assert fragmented(table(nodes), Work(mix)) == pytest.approx([by_hand(*node, mix) for node in nodes])


def shelves(*nodes):
    """A cluster of nodes with (cores, share left of each device)."""
    kernel = Kernel()
    cluster = Cluster(Context(kernel, RandomStreams(1), Recorder(kernel)))
    for number, (cpu, devices) in enumerate(nodes):
        kind = NodeType("n", Resources(cpu=cpu, accelerators=len(devices)))
        cluster.set_state(cluster.add(kind, "s", f"p{number}"), NodeState.READY)
        for k, left in enumerate(devices):
            if left < 1:
                room.take(cluster.room, number, Resources(accelerators=1 - left), wish=k)
    return cluster


def worker(cpu, devices, **where):
    return Unit("worker", "x", Resources(cpu=cpu, accelerators=devices), **where)


def learned(cluster, *units):
    """FGD with these units as its experience, and where it would place one."""
    policy = FragmentationGradientDescent()
    placer = Placer(cluster, [lookup("filter", name)() for name in DEFAULT], [(policy, 1.0)])
    policy.start(None)
    for unit in units:
        policy.saw(Group([unit]))
    return policy, placer


def test_a_half_goes_where_a_half_is_left():
    """All work so far asked for a half, or for one.

    Node 0 has one whole device, node 1 half a device. A half on node 0 breaks the whole one: for the
    kind "one" (weight 1/2) 0.5 becomes a fragment: +0.25. On node 1 the half that was no use to "one"
    is used up: -0.25. Points: 100 / (1 + e^0.25) = 43.8, 100 / (1 + e^-0.25) = 56.2.
    """
    cluster = shelves((8.0, [1.0]), (8.0, [0.5]))
    policy, placer = learned(cluster, worker(0, 0.5), worker(0, 1.0))
    half = worker(0, 0.5)
    assert policy.score(half, cluster, np.array([0, 1])).tolist() == [43, 56]
    assert placer.place(Group([half])) == [1]


def test_work_that_may_not_run_on_a_node_has_no_use_for_its_devices():
    """Ones may go to pool p0 only: all of node 1 is a fragment for them, so a one of any kind goes there."""
    cluster = shelves((8.0, [1.0, 1.0]), (8.0, [1.0, 1.0]))
    kept = worker(0, 1.0, pools=frozenset({"s/p0"}))
    policy, _ = learned(cluster, kept, kept)
    # Growth: 0 on node 0, where the other device is of use as before; -1 on node 1.
    assert policy.score(worker(0, 1.0), cluster, np.array([0, 1])).tolist() == [50, 73]


@given(
    st.lists(
        st.tuples(st.sampled_from([2.0, 8.0]), st.lists(lefts, min_size=1, max_size=4)),
        min_size=1,
        max_size=4,
    ),
    st.lists(kinds, min_size=1, max_size=5),
    st.lists(kinds, min_size=1, max_size=8),
)
def test_node_and_device_are_those_of_a_plain_search(nodes, seen, asked):
    """The authors' rule with loops over nodes and devices, unit after unit."""
    cluster = shelves(*nodes)
    _, placer = learned(cluster, *(worker(*kind) for kind in seen))
    mix = typical(Counter(Resources(cpu=cpu, accelerators=devices) for cpu, devices in seen), 0.95)
    state = [[cpu, list(devices)] for cpu, devices in nodes]
    for number, (cpu, need) in enumerate(asked):
        tries = []
        for at, (cores, devices) in enumerate(state):
            if cores < cpu:
                continue
            if need == 0:
                options = [()]
            elif need < 1:
                options = [(k,) for k, left in enumerate(devices) if left >= need]
            else:
                whole = [k for k, left in enumerate(devices) if left == 1]
                options = [tuple(whole[: int(need)])] if len(whole) >= need else []
            for option in options:
                left = [d - (min(need, 1) if k in option else 0) for k, d in enumerate(devices)]
                growth = by_hand(cores - cpu, left, mix) - by_hand(cores, devices, mix)
                tries.append((-int(100 / (1 + np.exp(growth)) + 1e-6), at, option))
        unit = worker(cpu, need)
        unit.id = number
        found = placer.place(Group([unit]))
        if not tries:
            assert found is None
            continue
        _, at, option = min(tries)
        assert found == [at]
        cluster.bind(unit, cluster.nodes[at], unit.wish)
        assert unit.devices == option
        state[at][0] -= cpu
        for k in option:
            state[at][1][k] -= min(need, 1)


def test_typical_work_is_the_most_frequent():
    counts = {Resources(1.0): 60, Resources(2.0): 30, Resources(3.0): 10}
    assert typical(counts, 0.9) == [(Resources(1.0), 60 / 90), (Resources(2.0), 30 / 90)]
    assert len(typical(counts, 0.91)) == 3


SHARES = """
name: shares
seed: 4
duration: 3h
drain: true
record: {fragmentation: true}
infrastructure:
  instances: {box: {cpu: 8, memory: 64Gi, device: t4, accelerators: 2}}
  sites: {hall: {kind: cloud, pools: {boxes: {instance: box, nodes: 3}}}}
platform:
  scheduler: {scores: {SCORE: 1}}
  jobs:
    small:
      arrivals: {process: poisson, rate: 20/h}
      resources: {cpu: 2, accelerators: 0.4}
      duration: {dist: exponential, mean: 20min}
    whole:
      arrivals: {process: poisson, rate: 6/h}
      resources: {cpu: 3, accelerators: 1}
      duration: {dist: exponential, mean: 30min}
"""


@given(data=st.data())
def test_the_record_is_the_measure_at_every_moment(data):
    """Units come and go, nodes fail and return; idle and fragments are those of the whole table each time."""
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(1), Recorder(kernel))
    cluster = Cluster(ctx)
    kinds = [NodeType("n", Resources(cpu=cpu, accelerators=2)) for cpu in (2, 8)]
    for kind in (*kinds, kinds[1]):
        cluster.set_state(cluster.add(kind, "s", "p"), NodeState.READY)
    record = FragmentationRecord(ctx, Placer(cluster, [], []))
    cluster.listen(lambda event, node: record.touch((node.index,)))
    sizes = [Resources(cpu=1, accelerators=0.4), Resources(cpu=3, accelerators=1), Resources(cpu=1)]
    counts = {size: data.draw(st.integers(1, 5)) for size in sizes}
    record.saw(Group([Unit("worker", "j", size) for size, count in counts.items() for _ in range(count)]))
    mix = typical(counts, 0.95)
    running, now = [], 0.0
    for number in range(data.draw(st.integers(1, 15))):
        now += 1.0
        unit = Unit("worker", "j", data.draw(st.sampled_from(sizes)))
        unit.id = number
        what = data.draw(st.sampled_from(["bind", "bind", "release", "fail"]))
        places = np.flatnonzero(cluster.fits(unit.resources)).tolist()
        if what == "bind" and places:
            at = data.draw(st.sampled_from(places))
            cluster.bind(unit, cluster.nodes[at])
            running.append(unit)
            record.touch((at,))
        elif what == "release" and running:
            cluster.release(running.pop(0))
        elif what == "fail":
            node = cluster.nodes[0]
            down = node.state is NodeState.FAILED
            running = [each for each in running if down or each.node is not node]
            cluster.set_state(node, NodeState.READY if down else NodeState.FAILED)
        kernel.run(until=now)
        up = cluster.ready
        idle, fragments = (series.values[-1] for series in record._series)
        assert idle == pytest.approx(cluster.room[up][:, room.ACCELERATORS].sum())
        assert fragments == pytest.approx(fragmented(cluster.room, Work(mix))[up].sum())


def test_packing_leaves_fewer_fragments_than_spreading():
    packed, spread = (
        measure(build(loads(SHARES.replace("SCORE", score)), replication).run())["jobs.fragmentation"]
        for score, replication in (("fgd", 0), ("least-allocated", 0))
    )
    assert packed < spread


def test_nothing_is_recorded_unless_asked_for():
    outcome = build(loads(SHARES.replace("SCORE", "fgd"), ["record.fragmentation=false"])).run()
    assert not any("fragmented" in path for path in outcome.steps)
    assert np.isnan(measure(outcome)["jobs.fragmentation"])
