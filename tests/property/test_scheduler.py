"""Schedules compared, job by job, with plain loops over time that are easy to believe."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Constant
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.jobs import JobClass, Jobs
from sim.paas.queue import WaitingQueue
from sim.paas.scheduler import Scheduler
from sim.paas.units import Group, Unit
from sim.registry import load_builtin, lookup

load_builtin()


@dataclass
class Job:
    """One line of a trace."""

    arrival: float
    workers: int
    work: float
    estimate: float
    per_worker: int = 1


@dataclass
class Block:
    times: np.ndarray
    columns: dict[str, np.ndarray] = field(default_factory=dict)


def simulate(jobs, nodes, order, discipline, score="first-fit", **knows):
    """Start of every job, by the scheduler under test; `knows` are options of order and discipline."""
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(1), Recorder(kernel))
    cluster = Cluster(ctx)
    for accelerators in nodes:
        kind = NodeType("n", Resources(cpu=64, memory=64e9, accelerators=accelerators))
        cluster.set_state(cluster.add(kind, "site", "pool"), NodeState.READY)
    scheduler = Scheduler(
        ctx,
        cluster,
        order=lookup("order", order)(**knows.get("of_order", {})),
        discipline=lookup("discipline", discipline)(**knows.get("of_discipline", {})),
        filters=[lookup("filter", name)() for name in ("ready", "fit")],
        scores=[(lookup("score", score)(), 1.0)],
    )
    made = Jobs(ctx, scheduler)
    for job in jobs:
        resources = Resources(cpu=1, memory=1e9, accelerators=job.per_worker)
        kind = JobClass("j", Constant(1), resources, Constant(1))
        kernel.call_at(job.arrival, made.submit, kind, job.workers, job.work, job.estimate)
    watch(kernel, cluster)
    kernel.run()
    made.close()
    table = ctx.recorder.finish(kernel.now).tables["jobs"]
    assert np.all(np.diff(table["submitted"][np.argsort(table["id"])]) >= 0)
    return table["started"][np.argsort(table["id"])].tolist()


def watch(kernel, cluster):
    """Nothing is ever over-allocated; a worker is on one node."""

    def look(event, node):
        assert np.all(cluster.free >= 0) and np.all(cluster.free <= cluster.total)
        where = [unit for other in cluster.nodes for unit in other.units]
        assert len(where) == len(set(where))

    cluster.listen(look)


def seat(free, job, allowed=lambda node, free: True):
    """First-fit places for all workers of a job, or None; `free` changes only on success."""
    trial, places = list(free), []
    for _ in range(job.workers):
        for node in range(len(trial)):
            if trial[node] >= job.per_worker and allowed(node, places):
                trial[node] -= job.per_worker
                places.append(node)
                break
        else:
            return None
    free[:] = trial
    return places


KEYS = {
    "fifo": lambda job, now: job.arrival,
    "sjf": lambda job, now: job.estimate,
    "ljf": lambda job, now: -job.estimate,
    "smallest-first": lambda job, now: job.workers,
    "response-ratio": lambda job, now: -(1 + (now - job.arrival) / max(job.estimate, 1e-9)),
}


def reference(jobs, nodes, order, discipline):
    """Step through all moments; at each, free what ended and go through the whole queue in order."""
    free, starts, running, waiting = list(nodes), [inf] * len(jobs), [], []
    pending = sorted(range(len(jobs)), key=lambda i: (jobs[i].arrival, i))
    while pending or running:
        now = min([jobs[i].arrival for i in pending[:1]] + [end for end, _, _ in running])
        for end, i, places in list(running):
            if end <= now:
                running.remove((end, i, places))
                for node in places:
                    free[node] += jobs[i].per_worker
        while pending and jobs[pending[0]].arrival <= now:
            waiting.append(pending.pop(0))
        waiting.sort(key=lambda i: (KEYS[order](jobs[i], now), jobs[i].arrival, i))
        head, shadow, at_shadow = None, inf, None
        for i in list(waiting):
            job = jobs[i]
            if head is not None and discipline == "easy" and now + job.estimate > shadow:

                def leaves_room(node, places, job=job, head=head, at_shadow=at_shadow):
                    left = list(at_shadow)
                    for taken in [*places, node]:
                        left[taken] -= job.per_worker
                    return seat(left, head) is not None

                places = seat(free, job, leaves_room)
                if places is not None:
                    for node in places:
                        at_shadow[node] -= job.per_worker
            else:
                places = seat(free, job)
            if places is not None:
                starts[i] = now
                waiting.remove(i)
                running.append((now + job.work, i, places))
            elif discipline == "strict":
                break
            elif discipline == "easy" and head is None:
                head, at_shadow = job, list(free)
                ends = sorted((max(now, starts[k] + jobs[k].estimate), k, where) for _, k, where in running)
                for end, k, where in ends:
                    if end > shadow:
                        break
                    for node in where:
                        at_shadow[node] += jobs[k].per_worker
                    if shadow == inf and seat(list(at_shadow), job) is not None:
                        shadow = end
    return starts


def easy_on_one_pool(jobs, capacity):
    """The textbook rule with a count of free accelerators: shadow time and extra nodes."""
    free, starts, running, waiting = capacity, [inf] * len(jobs), [], []
    pending = sorted(range(len(jobs)), key=lambda i: (jobs[i].arrival, i))
    while pending or running:
        now = min([jobs[i].arrival for i in pending[:1]] + [end for end, _ in running])
        free += sum(jobs[i].workers for end, i in running if end <= now)
        running = [(end, i) for end, i in running if end > now]
        while pending and jobs[pending[0]].arrival <= now:
            waiting.append(pending.pop(0))
        while waiting and jobs[waiting[0]].workers <= free:
            i = waiting.pop(0)
            starts[i], free = now, free - jobs[i].workers
            running.append((now + jobs[i].work, i))
        if not waiting:
            continue
        head, shadow, there = jobs[waiting[0]], inf, free
        for end, i in sorted((max(now, starts[i] + jobs[i].estimate), i) for _, i in running):
            if end > shadow:
                break
            there += jobs[i].workers
            if there >= head.workers and shadow == inf:
                shadow = end
        extra = there - head.workers
        for i in waiting[1:]:
            job = jobs[i]
            if job.workers > free or (now + job.estimate > shadow and job.workers > extra):
                continue
            if now + job.estimate > shadow:
                extra -= job.workers
            waiting.remove(i)
            starts[i], free = now, free - job.workers
            running.append((now + job.work, i))
    return starts


ONE = st.just(1)


def traces(nodes, per_worker=ONE, exact=False):
    """Busy traces whose jobs all fit the empty cluster; with ties in time on purpose."""
    times = st.one_of(st.integers(1, 12).map(float), st.floats(0.1, 20.0))

    @st.composite
    def jobs(draw):
        made, now = [], 0.0
        for _ in range(draw(st.integers(1, 25))):
            now += draw(st.sampled_from([0.0, 0.0, 1.0, 2.0, 0.37]))
            each = min(draw(per_worker), max(nodes))
            most = sum(node // each for node in nodes)
            work = draw(times)
            estimate = work if exact else draw(st.one_of(st.just(work), times))
            made.append(Job(now, draw(st.integers(1, most)), work, estimate, each))
        return made

    return jobs()


CLUSTERS = [(4,), (2, 2, 2), (4, 2, 3, 1)]


@pytest.mark.parametrize("discipline", ["strict", "skip", "easy"])
@pytest.mark.parametrize("order", ["fifo", "sjf", "ljf", "smallest-first", "response-ratio"])
@given(data=st.data())
def test_every_job_starts_when_the_reference_says(order, discipline, data):
    nodes = data.draw(st.sampled_from(CLUSTERS))
    jobs = data.draw(traces(nodes, per_worker=st.integers(1, 3)))
    ours = simulate(jobs, nodes, order, discipline)
    assert ours == pytest.approx(reference(jobs, nodes, order, discipline), abs=1e-6)


@given(jobs=traces((8,)), split=st.sampled_from([(8,), (4, 4), (1,) * 8]))
def test_easy_is_the_textbook_rule_on_single_accelerators(jobs, split):
    assert simulate(jobs, split, "fifo", "easy") == pytest.approx(easy_on_one_pool(jobs, 8), abs=1e-6)


@given(jobs=traces((6,), exact=True))
def test_with_exact_estimates_easy_never_delays_the_first_that_waits(jobs):
    """Against strict order up to the first job that has to wait: it starts at the same moment."""
    strict = simulate(jobs, (6,), "fifo", "strict")
    easy = simulate(jobs, (6,), "fifo", "easy")
    first = next((i for i, job in enumerate(jobs) if strict[i] > job.arrival), None)
    if first is not None:
        assert easy[first] == pytest.approx(strict[first], abs=1e-6)
    assert easy[: first or 0] == strict[: first or 0]


@given(jobs=traces((4, 2, 3, 1), per_worker=st.integers(1, 3)), order=st.sampled_from(["fifo", "sjf"]))
def test_the_same_trace_gives_the_same_schedule(jobs, order):
    first = simulate(jobs, (4, 2, 3, 1), order, "easy", score="random")
    assert simulate(jobs, (4, 2, 3, 1), order, "easy", score="random") == first


TRUTH = {"knows": "truth"}


@pytest.mark.parametrize("discipline", ["easy", "conservative"])
@pytest.mark.parametrize("order", ["fifo", "sjf", "ljf"])
@settings(max_examples=30)
@given(data=st.data())
def test_who_knows_the_truth_schedules_as_if_it_had_been_stated(order, discipline, data):
    nodes = data.draw(st.sampled_from(CLUSTERS))
    jobs = data.draw(traces(nodes, per_worker=st.integers(1, 3)))
    exact = [Job(job.arrival, job.workers, job.work, job.work, job.per_worker) for job in jobs]
    options = {"of_discipline": TRUTH} | ({} if order == "fifo" else {"of_order": TRUTH})
    assert simulate(jobs, nodes, order, discipline, **options) == simulate(exact, nodes, order, discipline)


def test_what_is_stated_and_what_is_true_lead_to_different_schedules():
    # Stated 1 and true 9 against stated 5 and true 5: who goes first when the first one ends at 1.
    jobs = [Job(0.0, 1, 1.0, 1.0), Job(0.5, 1, 9.0, 1.0), Job(0.5, 1, 5.0, 5.0)]
    assert simulate(jobs, (1,), "sjf", "skip") == [0.0, 1.0, 10.0]
    assert simulate(jobs, (1,), "sjf", "skip", of_order=TRUTH) == [0.0, 6.0, 1.0]


@given(data=st.data())
def test_the_next_short_group_is_that_of_a_plain_search(data):
    """Whichever way it is found: one by one, or among those of the right length."""
    lengths = data.draw(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=80))
    limit = data.draw(st.sampled_from([0.0, 0.5, 5.0, 50.0, 200.0]))
    queue = WaitingQueue(lookup("order", "fifo")())
    groups = []
    for number, length in enumerate(lengths):
        unit = Unit("worker", "j", Resources(cpu=1))
        group = Group([unit], submitted=float(data.draw(st.integers(0, 5))), estimate=length, rank=number)
        group.id = number
        queue.add(group, 0.0)
        groups.append(group)
    for group in data.draw(st.lists(st.sampled_from(groups), unique=True)):
        (bucket,) = queue.buckets.values()
        entries = [entry[3] for entry in bucket.entries]
        for at in range(0, len(entries), 7):
            plain = [k for k in range(at, len(entries)) if entries[k].estimate <= limit]
            found = bucket.next_short(at, limit, "estimate", lambda one: one.estimate <= limit)
            assert found == (plain[0] if plain else len(entries))
        if len(entries) > 1:
            queue.remove(group)
