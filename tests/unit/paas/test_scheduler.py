from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.catalog import device
from sim.iaas import room
from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.pools import NodePool
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Constant
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.elastic import Foreseen, Template
from sim.paas.policies.discipline import Easy, Skip, Strict
from sim.paas.policies.filters import DEFAULT
from sim.paas.policies.order import ByPriority, Fifo
from sim.paas.policies.scores import FirstFit
from sim.paas.rules import Company, Rules, SpreadRule
from sim.paas.scheduler import Scheduler
from sim.paas.units import Group, Unit
from sim.registry import load_builtin, lookup

load_builtin()
GPU = NodeType("gpu", Resources(cpu=16, memory=64e9, accelerators=4), price=2.0)


class World:
    """A cluster of equal nodes and a scheduler."""

    def __init__(self, nodes, *, discipline=None, order=None, scores=None, pools=(), **about):
        self.kernel = Kernel()
        self.ctx = Context(self.kernel, RandomStreams(3), Recorder(self.kernel))
        self.cluster = Cluster(self.ctx)
        for _ in range(nodes):
            self.cluster.set_state(self.cluster.add(GPU, "s", "p"), NodeState.READY)
        self.pools = [
            NodePool(self.ctx, self.cluster, name, "s", kind, initial=0, minimum=0, maximum=most,
                     provisioning=Constant(60.0), boot=Constant(30.0), idle_timeout=300.0)
            for name, kind, most in pools
        ]  # fmt: skip
        self.scheduler = Scheduler(
            self.ctx,
            self.cluster,
            order=order or Fifo(),
            discipline=discipline or Skip(),
            filters=[lookup("filter", name)() for name in DEFAULT],
            scores=scores or [(FirstFit(), 1.0)],
            pools=self.pools,
            **about,
        )

    def submit(self, workers, each=1, **about):
        group = gang(workers, each, **about)
        self.scheduler.submit(group)
        return group

    def run(self, until=None):
        self.kernel.run(until)

    def end(self, group):
        for unit in group.units:
            self.scheduler.done(unit)


def gang(workers, each=1, estimate=None, priority=0.0, **about):
    units = [Unit("worker", "job", Resources(cpu=1, accelerators=each), **about) for _ in range(workers)]
    return Group(units, estimate=estimate, priority=priority)


def places(group):
    return [None if unit.node is None else unit.node.index for unit in group.units]


def test_a_gang_is_placed_whole_or_not_at_all():
    world = World(2)
    whole, too_many = world.submit(5), world.submit(4)
    world.run()
    assert places(whole) == [0, 0, 0, 0, 1]
    assert places(too_many) == [None] * 4
    assert world.cluster.free[:, 2].tolist() == [0.0, 3.0]


def test_workers_that_do_not_fit_together_reserve_nothing():
    """7 of 8 accelerators are free, but workers of 3 find room for one on each node only."""
    world = World(2)
    world.submit(1)
    three, two = world.submit(3, each=3), world.submit(2, each=3)
    before = world.cluster.free.copy()
    world.run()
    assert places(three) == [None] * 3
    assert places(two) == [0, 1]
    world.end(two)
    world.run()
    assert world.cluster.free[0, 2] == before[0, 2] - 1


def test_mixed_gang_is_rolled_back_exactly():
    """Each kind alone fits; together they do not. Not a bit of the columns may change."""
    world = World(1)
    world.scheduler.submit(Group([Unit("worker", "old", Resources(cpu=4.6))]))
    world.run()
    units = [Unit("worker", "job", Resources(cpu=3.12, accelerators=n)) for n in (3, 2, 2)]
    before = world.cluster.free.copy()
    assert (before[0, 0] - 3.12) + 3.12 != before[0, 0]
    world.scheduler.submit(Group(units))
    world.run()
    assert np.array_equal(world.cluster.free, before)
    assert all(unit.node is None for unit in units)


def test_owners_hear_of_their_place_after_the_whole_gang_is_bound():
    world = World(2)
    seen = []
    group = gang(5, on_bound=lambda unit: seen.append(all(u.node is not None for u in unit.group.units)))
    world.scheduler.submit(group)
    world.run()
    assert seen == [True] * 5
    assert [unit.bound for unit in group.units] == [0.0] * 5


def test_one_pass_a_moment_and_none_without_news():
    world = World(1)
    full = world.submit(4)
    for _ in range(50):
        world.submit(1)
    world.run()
    assert world.scheduler.passes == 1
    for _ in range(50):
        world.submit(1)  # of a shape known not to fit
    world.run()
    assert world.scheduler.passes == 1
    world.end(full)
    world.run()
    assert world.scheduler.passes == 2
    assert len(world.scheduler.queue) == 96


def test_an_event_on_a_node_that_is_of_no_use_wakes_nobody():
    world = World(2)
    small, rest = world.submit(1), world.submit(7)
    waits = world.submit(1, each=4)
    world.run()
    world.end(small)  # node 0 then has 1 of the 4 accelerators asked for
    world.run()
    assert world.scheduler.passes == 1
    world.end(rest)
    world.run()
    assert places(waits) == [0]


def test_a_node_that_comes_up_wakes_what_fits_there():
    world = World(1)
    group = world.submit(1, site="elsewhere")
    world.run()
    assert places(group) == [None]
    node = world.cluster.add(GPU, "elsewhere", "p")
    world.cluster.set_state(node, NodeState.READY)
    world.run()
    assert places(group) == [1]


def test_strict_lets_nothing_overtake_and_skip_does():
    for discipline, expected in ((Strict(), [None]), (Skip(), [0])):
        world = World(1, discipline=discipline)
        world.submit(2)
        world.submit(4)
        small = world.submit(1)
        world.run()
        assert places(small) == expected


def test_easy_backfills_what_ends_in_time_or_takes_what_the_head_leaves():
    """Nodes of 4 and 4. Six run until 10. The head wants 4, so it starts at 10 with 4 to spare."""
    world = World(2, discipline=Easy())
    world.submit(6, estimate=10.0)
    head = world.submit(4, estimate=5.0)
    in_time = world.submit(1, estimate=10.0)
    spare = world.submit(1, estimate=99.0)
    world.run()
    assert places(head) == [None] * 4
    assert places(in_time) == [1]
    assert places(spare) == [1]


def test_easy_holds_back_what_would_delay_the_head():
    world = World(1, discipline=Easy())
    running = world.submit(3, estimate=10.0)
    head = world.submit(4, estimate=5.0)
    late = world.submit(1, estimate=10.1)
    unknown = world.submit(1)
    world.run()
    assert places(late) == places(unknown) == [None]
    world.end(running)
    world.run()
    assert places(head) == [0, 0, 0, 0]


def test_easy_looks_on_behind_a_long_job_for_one_that_ends_just_in_time():
    world = World(1, discipline=Easy())
    world.submit(3, estimate=10.0)
    world.submit(4, estimate=5.0)
    long, short = world.submit(1, estimate=10.5), world.submit(1, estimate=10.0)
    world.run()
    assert places(long) == [None]
    assert places(short) == [0]


def test_easy_waits_for_nodes_the_head_may_use():
    """What ends at 5 s at the other site does not help the head; it starts at 10 s."""
    world = World(1, discipline=Easy())
    world.cluster.set_state(world.cluster.add(GPU, "t", "p"), NodeState.READY)
    world.submit(3, estimate=10.0, site="s")
    world.submit(4, estimate=5.0, site="t")
    head, fills = world.submit(4, estimate=5.0, site="s"), world.submit(1, estimate=7.0)
    world.run()
    assert places(head) == [None] * 4
    assert places(fills) == [0]


def test_easy_keeps_the_nodes_the_head_needs_rather_than_a_number():
    """The head needs a whole node; a long job may use the broken node, not the one that gets free."""
    world = World(2, discipline=Easy())
    world.submit(1)  # on node 0, without end
    fills = world.submit(1, each=3, estimate=10.0)  # the rest of node 0
    half = world.submit(1, each=2, estimate=20.0)  # on node 1
    head = world.submit(1, each=4, estimate=5.0)  # node 1 from 20 s on
    long = world.submit(1, each=2, estimate=50.0)  # would fit node 1 now and delay the head
    world.run()
    assert places(head) == places(long) == [None]
    world.end(fills)
    world.run()
    assert places(long) == [0]
    world.end(half)
    world.run()
    assert places(head) == [1]


def test_easy_with_a_head_of_several_kinds_never_delays_it():
    world = World(2, discipline=Easy())
    running = world.submit(6, estimate=10.0)
    units = [Unit("worker", "mixed", Resources(cpu=1, accelerators=n)) for n in (3, 3, 1)]
    head = Group(units, estimate=5.0)
    world.scheduler.submit(head)
    late, spare = world.submit(2, estimate=99.0), world.submit(1, estimate=99.0)
    world.run()
    assert places(late) == [None, None]
    assert places(spare) == [1]
    world.end(running)
    world.run()
    assert sorted(places(head)) == [0, 0, 1] or sorted(places(head)) == [0, 1, 1]


def test_priority_goes_before_submission():
    world = World(1, order=ByPriority(), discipline=Strict())
    full = world.submit(4)
    world.run()
    low, high = world.submit(4), world.submit(4, priority=5.0)
    world.run()
    world.end(full)
    world.run()
    assert places(high) == [0] * 4
    assert places(low) == [None] * 4


def test_withdrawing_the_head_lets_the_next_start():
    world = World(1, discipline=Strict())
    running = world.submit(2)
    head, behind = world.submit(4), world.submit(1)
    world.run()
    world.scheduler.withdraw(head)
    world.run()
    assert places(behind) == [0]
    world.scheduler.withdraw(running)
    assert world.cluster.free[0, 2] == 3.0
    assert len(world.scheduler.queue) == 0


def test_waiting_units_are_recorded_exactly():
    world = World(1)
    first = world.submit(3)
    world.kernel.call_in(5.0, world.submit, 4)
    world.kernel.call_in(9.0, world.end, first)
    world.run()
    times, values = world.ctx.recorder.finish(9.0).steps["paas/scheduler/waiting"]
    assert dict(zip(times.tolist(), values.tolist(), strict=True)) == {0.0: 0.0, 5.0: 4.0, 9.0: 0.0}


def test_a_lost_node_is_forgotten_and_its_owner_told():
    world = World(2)
    told = []
    group = gang(6, estimate=10.0, on_evicted=lambda unit, reason: told.append((unit.id, reason)))
    world.scheduler.submit(group)
    world.run()
    world.cluster.set_state(world.cluster.nodes[0], NodeState.FAILED, "crash")
    assert told == [(0, "crash"), (1, "crash"), (2, "crash"), (3, "crash")]
    assert places(group) == [None] * 4 + [1, 1]
    assert group.live == 2
    world.end(group)  # telling twice does no harm
    assert group.live == 0
    assert world.scheduler.roster.endings == []
    assert world.scheduler.placer.census.placed == {}


def test_units_are_numbered_in_order_of_submission_and_groups_go_once():
    world = World(1)
    first, second = world.submit(2), world.submit(1)
    assert [unit.id for unit in first.units + second.units] == [0, 1, 2]
    with pytest.raises(ValueError, match="submitted before"):
        world.scheduler.submit(first)


class TestElasticPools:
    def test_asks_for_as_many_nodes_as_the_waiting_groups_fill(self):
        world = World(0, pools=[("gpu", GPU, 10)])
        groups = [world.submit(2, each=2) for _ in range(3)]  # 12 accelerators: 3 nodes
        world.run(until=1.0)
        assert world.pools[0].pending == 3
        world.run(until=91.0)
        assert all(None not in places(group) for group in groups)

    def test_does_not_ask_again_for_what_is_coming_or_free(self):
        world = World(1, pools=[("gpu", GPU, 10)])
        world.submit(6)  # 4 here, 2 on a new node
        world.run(until=1.0)
        assert world.pools[0].pending == 1
        world.submit(2)  # finds room on the nodes there and coming
        world.run(until=2.0)
        assert world.pools[0].pending == 1
        world.submit(4)
        world.run(until=3.0)
        assert world.pools[0].pending == 2

    def test_what_can_never_fit_asks_for_nothing(self):
        world = World(0, pools=[("gpu", GPU, 2)])
        world.submit(9)
        world.submit(1, each=5)
        world.submit(1, site="elsewhere")
        world.run(until=1000.0)
        assert world.pools[0].pending == 0
        assert len(world.cluster.nodes) == 0

    @pytest.mark.parametrize(("discipline", "asked"), [(Strict(), 0), (Skip(), 1)])
    def test_asks_for_no_node_that_would_stand_idle_behind_the_head(self, discipline, asked):
        world = World(4, discipline=discipline, pools=[("spare", GPU, 2)])
        world.submit(3, each=4)
        world.run(until=1.0)
        world.submit(4, each=4)  # it fits once the first has ended, but not on one free and two new nodes
        world.submit(2, each=4)  # for which one node is free, and one would have to come
        world.run(until=2.0)
        assert world.pools[0].pending == asked

    def test_the_cheapest_pool_that_fits_comes_first_and_spills_over(self):
        cheap = NodeType("cheap", Resources(cpu=16, accelerators=1), price=1.0)
        world = World(0, pools=[("big", GPU, 5), ("cheap", cheap, 2)])
        for _ in range(3):
            world.submit(1)
        world.submit(1, each=2)
        world.run(until=1.0)
        assert [pool.pending for pool in world.pools] == [1, 2]

    def test_possible_counts_what_pools_may_grow_to(self):
        world = World(1, pools=[("gpu", GPU, 2)])
        assert world.scheduler.possible(gang(12))
        world.submit(8)
        world.run(until=100.0)  # one of the two nodes is there now; it does not count twice
        assert world.scheduler.possible(gang(11))
        assert not world.scheduler.possible(gang(13))
        assert not world.scheduler.possible(gang(1, each=5))
        assert not world.scheduler.possible(gang(9, pools=frozenset({"s/gpu"})))

    def test_only_the_named_pool_grows(self):
        world = World(0, pools=[("a", GPU, 5), ("b", GPU, 5)])
        group = world.submit(1, pools=frozenset({"s/b"}))
        world.run(until=100.0)
        assert [len(pool.nodes) for pool in world.pools] == [0, 1]
        assert places(group) == [0]


def elastic(workers, low, high):
    group = gang(workers)
    group.elastic = (low, high)
    group.make_units = lambda n: gang(n).units
    return group


def test_a_waiting_elastic_group_starts_with_the_workers_it_is_given():
    world = World(1)
    first = world.submit(2)
    group = elastic(4, 2, 8)
    world.scheduler.submit(group)
    world.run()
    assert (places(first), group.live, len(world.scheduler.queue)) == ([0, 0], 0, 1)
    world.scheduler.resize(group, 2)
    assert world.scheduler.queue.units == 2
    world.run()
    assert places(group) == [0, 0]
    assert len({unit.id for unit in [*first.units, *group.units]}) == 4
    assert all(unit.group is group and unit.submitted == group.queued for unit in group.units)


@pytest.mark.parametrize("workers", [1, 9])
def test_an_elastic_group_stays_within_its_bounds(workers):
    world = World(1)
    world.submit(4)
    group = elastic(4, 2, 8)
    world.scheduler.submit(group)
    world.run()
    with pytest.raises(ValueError, match="cannot wait"):
        world.scheduler.resize(group, workers)
    assert len(group.units) == 4


def test_who_runs_or_is_rigid_is_not_resized():
    world = World(1)
    running, rigid = elastic(4, 1, 4), gang(4)
    world.scheduler.submit(running)
    world.scheduler.submit(rigid)
    world.run()
    for group in (running, rigid):
        with pytest.raises(ValueError, match="cannot wait"):
            world.scheduler.resize(group, 2)


class TestRulesOnNodesToCome:
    """Units with rules about others, and pools that have no node yet."""

    def test_units_that_keep_apart_get_a_node_each_at_once(self):
        world = World(1, pools=[("more", GPU, 5)])
        group = world.submit(3, rules=Rules(company=(Company("node", apart=True),)))
        world.run(until=1.0)
        assert world.pools[0].pending == 2
        world.run(until=100.0)
        assert sorted(places(group)) == [0, 1, 2]

    def test_no_more_than_a_pool_may_have_and_nothing_for_half_a_gang(self):
        world = World(0, pools=[("more", GPU, 2)])
        world.submit(3, rules=Rules(company=(Company("node", apart=True),)))
        world.run(until=1.0)
        assert world.pools[0].pending == 0

    def test_the_pool_in_the_right_rack_grows_although_another_is_cheaper(self):
        cheap = NodeType("cheap", Resources(cpu=16, accelerators=4), price=1.0)
        world = World(0, pools=[("near", GPU, 5), ("cheap", cheap, 5)])
        other = Group([Unit("worker", "web", Resources(cpu=16), pools=frozenset({"s/near"}))])
        world.scheduler.submit(other)
        world.run(until=100.0)
        group = world.submit(1, rules=Rules(company=(Company("rack", ("web",)),)))
        world.run(until=101.0)
        assert [pool.pending for pool in world.pools] == [1, 0]
        world.run(until=200.0)
        assert world.cluster.nodes[places(group)[0]].pool == "s/near"

    def test_nothing_is_asked_for_where_no_node_could_please(self):
        world = World(0, pools=[("more", GPU, 5)])
        world.scheduler.submit(Group([Unit("worker", "web", Resources(cpu=16))]))
        world.run(until=100.0)
        world.submit(1, rules=Rules(company=(Company("site", ("web",), apart=True),)))
        world.run(until=101.0)
        assert (world.pools[0].pending, len(world.pools[0].nodes)) == (0, 1)

    def test_even_spreading_takes_racks_in_turn(self):
        """Racks are pools here. Four units, skew 1: two in each."""
        cheap = NodeType("cheap", Resources(cpu=16, accelerators=4), price=1.0)
        world = World(0, pools=[("a", GPU, 5), ("b", cheap, 5)])
        for name in ("a", "b"):
            filler = Unit("worker", "filler", Resources(cpu=1), pools=frozenset({f"s/{name}"}))
            world.scheduler.submit(Group([filler]))
        world.run(until=100.0)
        group = world.submit(4, rules=Rules(spread=(SpreadRule("rack", 1),)))
        world.run(until=200.0)
        pools = [world.cluster.nodes[at].pool for at in places(group)]
        assert sorted(pools) == ["s/a", "s/a", "s/b", "s/b"]

    def test_a_rule_of_who_runs_keeps_a_newcomer_off_its_node_to_come(self):
        world = World(1, pools=[("more", GPU, 5)])
        world.submit(1, rules=Rules(company=(Company("node", ("guest",), apart=True),)))
        world.run(until=1.0)
        guest = Group([Unit("worker", "guest", Resources(cpu=1))])
        world.scheduler.submit(guest)
        world.run(until=100.0)
        assert places(guest) == [1]


@given(
    st.lists(
        st.tuples(st.sampled_from([None, 2, 3]), st.sampled_from([1, 2]), st.integers(0, 4)),
        min_size=1,
        max_size=3,
    ),
    st.lists(st.integers(0, 4), min_size=3, max_size=3),
)
def test_nodes_to_come_are_foreseen_as_they_will_be(pools, counts):
    """Site, pool, type, device, rack and NVLink domain of nodes that are then really added."""
    world = World(1)
    cluster = world.cluster
    made = []
    for number, (rack, nvlink, there) in enumerate(pools):
        kind = NodeType(f"k{number}", Resources(cpu=8, accelerators=number), device("t4") if number else None,
                        price=float(number), rack_size=rack, nvlink_size=nvlink)  # fmt: skip
        pool = NodePool(world.ctx, cluster, f"pool{number}", f"site{number % 2}", kind, initial=0, minimum=0,
                        maximum=9, provisioning=Constant(60.0), boot=Constant(30.0))  # fmt: skip
        pool.request(there)
        made.append(pool)
    world.run(until=100.0)
    blocks = counts[: len(made)]
    template = [
        np.repeat(Template(p.node_type, p.site, p.path).room, n, axis=0)
        for p, n in zip(made, blocks, strict=True)
    ]
    soon = Foreseen(cluster, made, blocks, room.stacked([cluster.room, *template]))
    first = len(cluster.nodes)
    for pool, count in zip(made, blocks, strict=True):
        for _ in range(count):
            cluster.add(pool.node_type, pool.site, pool.name)
    for name in ("site_id", "pool_id", "rack_id", "nvlink_id", "accelerator_memory", "price"):
        assert getattr(soon, name).tolist() == getattr(cluster, name).tolist(), name
    for name in ("total", "room", "free"):
        assert np.array_equal(getattr(soon, name), getattr(cluster, name)), name
    for at in range(first, len(cluster.nodes)):
        assert soon.kinds[soon.kind_id[at]] is cluster.nodes[at].type
        assert [*soon.device_names, None][soon.device_id[at]] == [*cluster.device_names, None][
            cluster.device_id[at]
        ]
    assert not soon.ready[first:].any()
    assert [len(rows) for rows in soon.closed] == blocks
