from __future__ import annotations

from math import inf

import pytest

from sim.iaas.resources import Resources
from sim.paas.policies.order import (
    ByPriority,
    EarliestDeadline,
    Fifo,
    LongestFirst,
    ResponseRatio,
    ShortestFirst,
    SmallestFirst,
)
from sim.paas.queue import WaitingQueue
from sim.paas.units import Group, Unit


def group(submitted=0.0, workers=1, **about):
    return Group(
        [Unit("worker", "job", Resources(cpu=1)) for _ in range(workers)], submitted=submitted, **about
    )


def in_order(order, groups, now=100.0):
    queue = WaitingQueue(order)
    for number, one in enumerate(groups):
        one.id = number
        queue.add(one, now)
    return [one.id for one in queue.groups()]


def test_fifo_goes_by_submission_then_by_number():
    assert in_order(Fifo(), [group(5.0), group(3.0), group(5.0), group(4.0)]) == [1, 3, 0, 2]


def test_shortest_first_puts_what_runs_for_ever_last():
    groups = [group(estimate=None), group(estimate=7.0), group(estimate=3.0)]
    assert in_order(ShortestFirst(), groups) == [2, 1, 0]


def test_longest_first_puts_what_runs_for_ever_first():
    groups = [group(estimate=3.0), group(estimate=None), group(estimate=7.0)]
    assert in_order(LongestFirst(), groups) == [1, 2, 0]


def test_estimates_count_and_the_truth_does_not():
    groups = [group(estimate=9.0, work=1.0), group(estimate=2.0, work=50.0)]
    assert in_order(ShortestFirst(), groups) == [1, 0]


def test_smallest_first_counts_workers():
    assert in_order(SmallestFirst(), [group(workers=4), group(workers=1), group(workers=2)]) == [1, 2, 0]


def test_highest_priority_first_then_submission():
    groups = [group(0.0, priority=1.0), group(9.0, priority=5.0), group(8.0, priority=5.0)]
    assert in_order(ByPriority(), groups) == [2, 1, 0]


@pytest.mark.parametrize(("ageing", "first"), [(0.0, 1), (0.05, 1), (0.2, 0)])
def test_ageing_lets_a_group_that_came_earlier_overtake(ageing, first):
    # 10 s more of waiting make up for one level of priority at more than 0.1 per second.
    groups = [group(0.0, priority=1.0), group(10.0, priority=2.0)]
    assert in_order(ByPriority(ageing=ageing), groups)[0] == first


def test_keys_that_do_not_depend_on_time_say_so():
    for order in (Fifo(), ShortestFirst(), LongestFirst(), SmallestFirst(), ByPriority(ageing=0.3)):
        assert not order.time_dependent
        early, late = group(1.0, estimate=5.0), group(6.0, estimate=2.0, priority=1.0)
        compared = [order.key(early, now) < order.key(late, now) for now in (10.0, 1e6)]
        assert compared[0] == compared[1]


def test_earliest_deadline_first():
    assert in_order(EarliestDeadline(), [group(deadline=inf), group(deadline=20.0), group(deadline=8.0)]) == [
        2,
        1,
        0,
    ]


def test_response_ratio_changes_the_order_as_time_passes():
    long, short = group(0.0, estimate=100.0), group(90.0, estimate=10.0)
    order = ResponseRatio()
    assert order.time_dependent
    assert order.key(long, 91.0) < order.key(short, 91.0)  # 1.91 against 1.1
    assert order.key(short, 200.0) < order.key(long, 200.0)  # 12 against 3


def test_a_refreshed_queue_follows_the_new_keys_and_still_finds_its_groups():
    long, short = group(0.0, estimate=100.0), group(90.0, estimate=10.0)
    queue = WaitingQueue(ResponseRatio())
    for number, one in enumerate((long, short)):
        one.id = number
        queue.add(one, 91.0)
    assert [one.id for one in queue.groups()] == [0, 1]
    queue.refresh(200.0)
    assert [one.id for one in queue.groups()] == [1, 0]
    queue.remove(long)
    assert long not in queue and short in queue and queue.units == 1


def test_groups_of_one_shape_share_a_bucket():
    queue = WaitingQueue(Fifo())
    for number, one in enumerate([group(1.0), group(2.0), group(3.0, workers=2)]):
        one.id = number
        queue.add(one, 3.0)
    assert sorted(len(bucket.entries) for bucket in queue.buckets.values()) == [1, 2]
    assert (len(queue), queue.units) == (3, 4)
