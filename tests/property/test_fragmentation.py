"""FGD's measure against the formula of the paper with plain loops; and one choice worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.iaas import room
from sim.iaas.resources import Resources
from sim.paas.fragmentation import fragmented
from sim.paas.policies.scores.fragmentation import FragmentationGradientDescent, typical
from sim.paas.units import Unit


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
    assert fragmented(table(nodes), mix) == pytest.approx([by_hand(*node, mix) for node in nodes])


class Free:
    """As much of the nodes as the scorer looks at."""

    def __init__(self, nodes):
        self.room = table(nodes)


def test_a_half_goes_where_a_half_is_left():
    """All work so far asked for a half, or for one.

    Node 0 has one whole device, node 1 half a device. A half on node 0 breaks the whole one: for the
    kind "one" (weight 1/2) 0.5 becomes a fragment: -0.25. On node 1 the half that was no use to "one"
    is used up: +0.25.
    """
    policy = FragmentationGradientDescent()
    policy.start(None)
    free = Free([(8.0, [1.0]), (8.0, [0.5])])
    half, one = (Unit("worker", "x", Resources(accelerators=share)) for share in (0.5, 1.0))
    policy.score(one, free, np.array([0]))
    assert policy.score(half, free, np.array([0, 1])).tolist() == [-0.25, 0.25]


def test_typical_work_is_the_most_frequent():
    counts = {Resources(1.0): 60, Resources(2.0): 30, Resources(3.0): 10}
    assert typical(counts, 0.9) == [(Resources(1.0), 60 / 90), (Resources(2.0), 30 / 90)]
    assert len(typical(counts, 0.91)) == 3
