from __future__ import annotations

import numpy as np
import pytest

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.placement import Placer
from sim.paas.policies.discipline import Skip
from sim.paas.policies.filters import NodeReady, ResourcesFit
from sim.paas.policies.order import Fifo
from sim.paas.policies.scores import (
    BalancedAllocation,
    Cheapest,
    FirstFit,
    LeastAllocated,
    MostAllocated,
    RandomNode,
    Spread,
)
from sim.paas.scheduler import Scheduler
from sim.paas.units import Group, Unit


def build(capacities, used=None, prices=None, seed=1):
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(seed), Recorder(kernel))
    cluster = Cluster(ctx)
    for number, capacity in enumerate(capacities):
        kind = NodeType("n", Resources(*capacity), price=(prices or [0.0] * len(capacities))[number])
        cluster.set_state(cluster.add(kind, "s", "p"), NodeState.READY)
    for number, amount in enumerate(used or []):
        there = Unit("worker", "old", Resources(*amount))
        there.id = 1000 + number
        cluster.bind(there, cluster.nodes[number])
    return ctx, cluster


def unit(*resources, owner="job"):
    return Unit("worker", owner, Resources(*resources))


def points(policy, asked, cluster):
    return policy.score(asked, cluster, np.arange(len(cluster.nodes)))


# Kubernetes' own cases give cpu in thousandths and memory in bytes; its integer results are these
# numbers with the fraction cut off at each step. (capacity of the nodes, used, request, integers)
LEAST = [
    ([(4, 10000), (4, 10000)], None, (0, 0), [100, 100]),
    ([(4, 10000), (6, 10000)], None, (3, 5000), [37, 50]),
    ([(10, 20000), (10, 20000)], [(6, 0), (6, 5000)], (0, 0), [70, 57]),
    ([(10, 20000), (10, 20000)], [(3, 5000), (3, 5000)], (3, 5000), [45, 45]),
    ([(10, 20000), (10, 50000)], [(3, 5000), (3, 5000)], (3, 5000), [45, 60]),
]


@pytest.mark.parametrize(("nodes", "used", "request_", "expected"), LEAST)
def test_least_allocated_as_kubernetes_scores_it(nodes, used, request_, expected):
    _, cluster = build(nodes, used)
    assert points(LeastAllocated(), unit(*request_), cluster).astype(int).tolist() == expected


@pytest.mark.parametrize(("nodes", "used", "request_", "expected"), LEAST)
def test_most_allocated_is_the_complement(nodes, used, request_, expected):
    _, cluster = build(nodes, used)
    asked = unit(*request_)
    both = points(MostAllocated(), asked, cluster) + points(LeastAllocated(), asked, cluster)
    assert both == pytest.approx(100.0)


def test_weights_shift_the_mean():
    _, cluster = build([(4, 10000)])
    # 25 % of the cores and 50 % of the memory stay free.
    assert points(LeastAllocated(cpu=3.0), unit(3, 5000), cluster)[0] == pytest.approx((3 * 25 + 50) / 4)


def test_accelerators_count_for_units_that_ask_for_them_only():
    _, cluster = build([(10, 100, 4)])
    assert points(LeastAllocated(), unit(1, 10, 0), cluster)[0] == pytest.approx(90.0)
    assert points(LeastAllocated(), unit(1, 10, 4), cluster)[0] == pytest.approx(60.0)


def test_what_a_node_has_none_of_scores_nothing_either_way():
    _, cluster = build([(4, 0)])
    assert points(LeastAllocated(), unit(2), cluster)[0] == pytest.approx(25.0)
    assert points(MostAllocated(), unit(2), cluster)[0] == pytest.approx(25.0)


def test_balanced_allocation_by_hand():
    _, cluster = build([(10, 100), (10, 100), (10, 100)], [(3, 30), (6, 0), (0, 90)])
    # Used shares with the unit: (0.4, 0.4), (0.7, 0.1), (0.1, 1.0); deviation of two is half the gap.
    assert points(BalancedAllocation(), unit(1, 10), cluster) == pytest.approx([100.0, 70.0, 55.0])


def test_balanced_allocation_of_three_resources():
    _, cluster = build([(10, 100, 4)])
    shares = np.array([0.1, 0.4, 0.75])
    expected = 100 * (1 - shares.std())
    assert points(BalancedAllocation(), unit(1, 40, 3), cluster)[0] == pytest.approx(expected)


def test_cheapest_and_first_fit():
    _, cluster = build([(4,), (4,), (4,)], prices=[3.0, 1.0, 2.0])
    assert points(Cheapest(), unit(1), cluster).argmax() == 1
    assert points(FirstFit(), unit(1), cluster).argmax() == 0


def scheduler(ctx, cluster, *scores):
    return Scheduler(
        ctx, cluster, order=Fifo(), discipline=Skip(), filters=[NodeReady(), ResourcesFit()], scores=scores
    )


def where(ctx, scheduler, units):
    for one in units:
        scheduler.submit(Group([one]))
    ctx.kernel.run()
    return [one.node.index if one.node else None for one in units]


def test_spread_puts_units_of_one_owner_apart_and_forgets_those_that_left():
    ctx, cluster = build([(10,)] * 3)
    made = scheduler(ctx, cluster, (Spread(), 1.0))
    first = [unit(1, owner="a") for _ in range(4)]
    assert where(ctx, made, first) == [0, 1, 2, 0]
    assert where(ctx, made, [unit(1, owner="b")]) == [0]
    made.done(first[1])
    assert where(ctx, made, [unit(1, owner="a")]) == [1]


def test_spread_sees_the_gang_it_is_placing():
    ctx, cluster = build([(10,)] * 3)
    made = scheduler(ctx, cluster, (Spread(), 1.0))
    gang = Group([unit(1) for _ in range(3)])
    made.submit(gang)
    ctx.kernel.run()
    assert sorted(one.node.index for one in gang.units) == [0, 1, 2]


def test_random_depends_on_the_seed_alone():
    def run(seed):
        ctx, cluster = build([(100,)] * 20, seed=seed)
        return where(ctx, scheduler(ctx, cluster, (RandomNode(), 1.0)), [unit(1) for _ in range(30)])

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert len(set(run(1))) > 10


def test_scores_are_spread_to_0_to_100_before_weighing():
    """Prices differ by cents and free shares by tens: normalised, the weights decide."""
    _, cluster = build([(10,), (10,)], [(5,), (0,)], prices=[0.01, 0.02])
    placer = Placer(cluster, [ResourcesFit()], [(Cheapest(), 1.0), (LeastAllocated(), 0.9)])
    assert placer.place(Group([unit(1)])) == [0]
    placer = Placer(cluster, [ResourcesFit()], [(Cheapest(), 1.0), (LeastAllocated(), 1.1)])
    assert placer.place(Group([unit(1)])) == [1]


def test_ties_go_to_the_lowest_index():
    _, cluster = build([(10,)] * 5, [(9.5,)])
    placer = Placer(cluster, [ResourcesFit()], [(LeastAllocated(), 1.0), (Cheapest(), 1.0)])
    assert placer.place(Group([unit(1)])) == [1]
