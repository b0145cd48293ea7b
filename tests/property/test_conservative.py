"""Conservative backfilling against the textbook rule, and that nobody is delayed by those behind."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.test_scheduler import CLUSTERS, Job, seat, simulate, traces

ORDERS = {"fifo": lambda job: job.arrival, "sjf": lambda job: job.estimate}


def textbook(jobs, nodes, order):
    """Starts by plain loops: at each moment all promises are made anew, in order, first node first.

    Moments are (time, 0) for now and (time, 1) from just after it on: a job that has overrun its
    estimate is expected to end at once, but its accelerators are not there yet.
    """
    starts, running, waiting = [inf] * len(jobs), {}, []
    pending = sorted(range(len(jobs)), key=lambda i: (jobs[i].arrival, i))
    while pending or running:
        now = min([jobs[i].arrival for i in pending[:1]] + [end for end, _ in running.values()])
        running = {i: (end, places) for i, (end, places) in running.items() if end > now}
        while pending and jobs[pending[0]].arrival <= now:
            waiting.append(pending.pop(0))
        waiting.sort(key=lambda i: (ORDERS[order](jobs[i]), jobs[i].arrival, i))
        #: (from, until, node, accelerators) of what runs or is promised.
        held = [
            ((now, 0), (max(now, starts[i] + jobs[i].estimate), 1), node, jobs[i].per_worker)
            for i, (_, places) in running.items()
            for node in places
        ]
        for i in list(waiting):
            job = jobs[i]
            for at in sorted({(now, 0)} | {until for _, until, _, _ in held}):
                end = (at[0] + job.estimate, 1)
                inside = [at, *(begin for begin, _, _, _ in held if at < begin < end)]
                free = [
                    min(
                        there - sum(n for begin, until, k, n in held if k == node and begin <= x < until)
                        for x in inside
                    )
                    for node, there in enumerate(nodes)
                ]
                places = seat(free, job)
                if places is not None:
                    held += [(at, end, node, job.per_worker) for node in places]
                    break
            if at == (now, 0):
                waiting.remove(i)
                starts[i] = now
                running[i] = (now + job.work, places)
    return starts


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=40)
@given(data=st.data())
def test_it_is_the_textbook_rule(order, data):
    nodes = data.draw(st.sampled_from([(8,), (1,) * 6, *CLUSTERS]))
    jobs = data.draw(traces(nodes, per_worker=st.integers(1, 3)))
    assert simulate(jobs, nodes, order, "conservative") == pytest.approx(
        textbook(jobs, nodes, order), abs=1e-6
    )


@settings(max_examples=40)
@given(data=st.data())
def test_nobody_is_delayed_by_those_behind(data):
    nodes = data.draw(st.sampled_from(CLUSTERS))
    jobs = data.draw(traces(nodes, per_worker=st.integers(1, 3), exact=True))
    whole = simulate(jobs, nodes, "fifo", "conservative")
    for count in (len(jobs) // 3, 2 * len(jobs) // 3):
        assert whole[:count] == pytest.approx(simulate(jobs[:count], nodes, "fifo", "conservative"), abs=1e-6)


def test_the_second_in_line_is_not_delayed_either():
    # The last fits beside the first at once and leaves room for the head at 10, which is all that EASY asks.
    jobs = [Job(0, 3, 10, 10), Job(1, 2, 5, 5), Job(2, 4, 5, 5), Job(3, 1, 50, 50)]
    assert simulate(jobs, (4,), "fifo", "easy") == [0, 10, 53, 3]
    assert simulate(jobs, (4,), "fifo", "conservative") == [0, 10, 15, 20]


def test_behind_the_depth_only_what_is_in_nobodys_way_starts():
    jobs = [Job(0, 3, 10, 10), *(Job(1, 4, 2, 2) for _ in range(5)), Job(2, 1, 5, 5), Job(2, 1, 50, 50)]
    assert simulate(jobs, (4,), "fifo", "conservative")[-2:] == [2, 20]
