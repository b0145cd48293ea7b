"""Preemptive schedules against plain loops over time: sort all unfinished jobs, give while it lasts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import floor, inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Choice, Constant
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.jobs import JobClass, Jobs
from sim.paas.scheduler import Scheduler
from sim.registry import load_builtin, lookup

load_builtin()

LEVELS = [4.0, 9.0]


@dataclass
class Job:
    """One line of a trace."""

    arrival: float
    workers: int
    work: float
    priority: int = 0
    estimate: float = 0.0


def simulate(jobs, nodes, order, discipline, *, preemption="on-event", restart=0.0, each=1, **options):
    """Tables of a run by the scheduler under test."""
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(1), Recorder(kernel))
    cluster = Cluster(ctx)
    for accelerators in nodes:
        kind = NodeType("n", Resources(cpu=64, memory=64e9, accelerators=accelerators))
        cluster.set_state(cluster.add(kind, "site", "pool"), NodeState.READY)
    scheduler = Scheduler(
        ctx,
        cluster,
        order=lookup("order", order)(**options),
        discipline=lookup("discipline", discipline)(),
        preemption=lookup("preemption", preemption)(),
        filters=[lookup("filter", name)() for name in ("ready", "fit")],
        scores=[(lookup("score", "first-fit")(), 1.0)],
    )
    made = Jobs(ctx, scheduler)
    for job in jobs:
        resources = Resources(cpu=1, memory=1e9, accelerators=each)
        about = {"priority": job.priority, "restart": restart, "checkpoint": 2.0}
        kind = JobClass("j", Constant(1), resources, Constant(1), **about)
        kernel.call_at(job.arrival, made.submit, kind, job.workers, job.work, job.estimate or job.work)
    kernel.run()
    made.close()
    tables = ctx.recorder.finish(kernel.now).tables
    return {name: rows(tables[name]) for name in ("jobs", "runs")}


def rows(columns):
    plain = {n: c.texts() if hasattr(c, "texts") else c.tolist() for n, c in columns.items()}
    return [dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)]


def level(service, levels=LEVELS):
    return sum(service * (1 + 1e-9) >= threshold for threshold in levels)


def las(levels):
    return lambda job, left, had, on: level(had * job.workers, levels) + (0.0 if on else 0.5)


KEYS = {
    "fifo": lambda job, left, had, on: 0.0,
    "sjf": lambda job, left, had, on: job.work,
    "ljf": lambda job, left, had, on: -job.work,
    "priority": lambda job, left, had, on: -job.priority,
    "srtf": lambda job, left, had, on: left,
    "srsf": lambda job, left, had, on: left * job.workers,
    "2d-las": las(LEVELS),
    "gittins": lambda job, left, had, on: -gittins(had * job.workers) * (1 + 1e-9 * on),
}

#: Service that jobs need, equally likely, in accelerator seconds; the quantum is 1.
SIZES = [1.0, 3.0, 3.0, 3.0, 10.0, 40.0]
HAIR = 1 + 1e-9


def gittins(service):
    """P(over within the next second of service) / E(of what it uses of it), from its definition."""
    had = floor(service * HAIR)
    left = [size - had for size in SIZES if size > had]
    return sum(x <= 1 for x in left) / sum(min(x, 1.0) for x in left) if left else 0.0


def reference(jobs, capacity, order, discipline, promote=inf, levels=LEVELS):
    """Ends of all jobs: at each event sort, go from the front, let run what fits, until the next event.

    `had` is the service that counts: all of it, or with `promote` since the job was last promoted;
    `away` is the time it has waited since it first lost its place after that.
    """
    left = [job.work for job in jobs]
    had = [0.0] * len(jobs)
    away = [0.0] * len(jobs)
    ends = [inf] * len(jobs)
    on: set[int] = set()
    now = 0.0
    while any(end == inf for end in ends):
        here = [i for i, job in enumerate(jobs) if job.arrival <= now and ends[i] == inf]
        starved = [i for i in here if i not in on and level(had[i] * jobs[i].workers, levels)]
        for i in starved:
            if away[i] >= promote * had[i] - 1e-9:
                had[i] = away[i] = 0.0
        key = KEYS[order] if levels is LEVELS else las(levels)
        here.sort(key=lambda i: (key(jobs[i], left[i], had[i], i in on), jobs[i].arrival, i))
        free, chosen = capacity, set()
        for i in here:
            if jobs[i].workers <= free:
                free -= jobs[i].workers
                chosen.add(i)
            elif discipline == "strict":
                break
        on = chosen
        events = [job.arrival for job in jobs if job.arrival > now] + [now + left[i] for i in on]
        if order == "2d-las":
            for i in on:
                above = [t for t in levels if t > had[i] * jobs[i].workers * (1 + 1e-9)]
                events += [now + above[0] / jobs[i].workers - had[i]] if above else []
            starved = [i for i in here if i not in on and level(had[i] * jobs[i].workers, levels)]
            events += [now + promote * had[i] - away[i] for i in starved]
        if order == "gittins":
            events += [
                now + (floor(had[i] * jobs[i].workers * HAIR) + 1) / jobs[i].workers - had[i] for i in on
            ]
        then = min(events)
        for i in here:
            if i not in on and had[i] > 0:
                away[i] += then - now
        for i in on:
            had[i] += then - now
            left[i] -= then - now
            if left[i] < 1e-9:
                ends[i] = then
        now = then
    return ends


def traces(most, priorities):
    times = st.one_of(st.integers(1, 12).map(float), st.floats(0.1, 20.0))

    @st.composite
    def jobs(draw):
        made, now = [], 0.0
        for _ in range(draw(st.integers(1, 18))):
            now += draw(st.sampled_from([0.0, 0.0, 1.0, 2.0, 0.37, 5.0]))
            made.append(Job(now, draw(st.integers(1, most)), draw(times), draw(priorities)))
        return made

    return jobs()


@pytest.mark.parametrize("order", ["srtf", "srsf"])
@settings(max_examples=15, deadline=None)
@given(
    jobs=traces(5, st.just(0)), factors=st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=18, max_size=18)
)
def test_who_knows_what_is_really_left_ignores_what_was_stated(order, jobs, factors):
    wrong = [replace(job, estimate=job.work * factor) for job, factor in zip(jobs, factors, strict=False)]
    found = simulate(wrong, (5,), order, "skip", knows="truth")["jobs"]
    ends = [row["finished"] for row in sorted(found, key=lambda row: row["id"])]
    assert ends == pytest.approx(reference(jobs, 5, order, "skip"), abs=1e-6)


OPTIONS = {
    "2d-las": {"thresholds": LEVELS},
    "gittins": {"service": Choice(values=SIZES), "quantum": 1.0},
}


@st.composite
def even_traces(draw):
    """Whole times and sizes that divide the levels: no two moments differ by rounding alone."""
    made, now = [], 0
    for _ in range(draw(st.integers(1, 18))):
        now += draw(st.sampled_from([0, 0, 1, 2, 5]))
        made.append(Job(float(now), draw(st.sampled_from([1, 2, 3, 4])), float(draw(st.integers(1, 30)))))
    return made


@settings(max_examples=40, deadline=None)
@given(jobs=even_traces(), promote=st.sampled_from([0.5, 2.0]))
def test_who_waits_too_long_goes_back_to_the_first_level(jobs, promote):
    levels = [12.0, 24.0]
    found = simulate(jobs, (5,), "2d-las", "skip", thresholds=levels, promote=promote)["jobs"]
    ends = [row["finished"] for row in sorted(found, key=lambda row: row["id"])]
    assert ends == pytest.approx(reference(jobs, 5, "2d-las", "skip", promote, levels), abs=1e-6)


@pytest.mark.parametrize(
    ("promote", "runs"),
    [
        (None, [(0, 0, 9), (1, 9, 39), (0, 39, 50)]),
        # Promoted at 13.5, it waits for who runs in the first level; then both take turns of 9 s.
        (0.5, [(0, 0, 9), (1, 9, 18), (0, 18, 27), (1, 27, 36), (0, 36, 38), (1, 38, 50)]),
    ],
)
def test_promotion_by_hand(promote, runs):
    jobs = [Job(0.0, 1, 20.0), Job(2.0, 1, 30.0)]
    found = simulate(jobs, (1,), "2d-las", "skip", thresholds=[9.0], promote=promote)["runs"]
    assert [(r["job"], r["started"], r["ended"]) for r in sorted(found, key=lambda r: r["started"])] == runs


def test_the_index_is_learned_from_jobs_that_have_ended():
    """Those that ended needed 1 or 30: with 5 behind it a job is a long one, and a new one goes first."""
    past = [Job(40.0 * k, 1, 1.0 if k % 2 else 30.0) for k in range(6)]
    jobs = [*past, Job(300.0, 1, 20.0), Job(305.0, 1, 1.0)]
    found = simulate(jobs, (1,), "gittins-history", "skip", quantum=1.0)["jobs"]
    ends = {row["id"]: row["finished"] for row in found}
    assert (ends[7], ends[6]) == (306.0, 321.0)
    # Without a past both are alike, and who runs goes on.
    found = simulate(jobs[6:], (1,), "gittins-history", "skip", quantum=1.0)["jobs"]
    assert {row["id"]: row["finished"] for row in found} == {0: 320.0, 1: 321.0}


@pytest.mark.parametrize("order", list(KEYS))
@settings(max_examples=12, deadline=None)
@given(jobs=traces(5, st.integers(0, 3)))
def test_preemptive_orders_are_sort_and_give(order, jobs):
    """On one node only the count matters; ends agree to 1e-6 s. On several nodes who may stay depends on
    whose nodes the newcomer takes: `test_preemption_on_nodes` knows that rule."""
    found = simulate(jobs, (5,), order, "skip", **OPTIONS.get(order, {}))["jobs"]
    ends = [row["finished"] for row in sorted(found, key=lambda row: row["id"])]
    assert ends == pytest.approx(reference(jobs, 5, order, "skip"), abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    jobs=traces(5, st.integers(0, 3)),
    order=st.sampled_from(["srtf", "priority", "2d-las", "sjf"]),
    discipline=st.sampled_from(["strict", "skip", "easy"]),
    preemption=st.sampled_from(["on-event", "priority"]),
    nodes=st.sampled_from([(4, 2, 4), (2, 2, 2, 2, 2)]),
    restart=st.sampled_from([0.0, 1.5]),
)
def test_work_is_conserved_and_nobody_starves(jobs, order, discipline, preemption, nodes, restart):
    """Every job ends; its runs never overlap, and their progress less what was lost is its work."""
    tables = simulate(jobs, nodes, order, discipline, preemption=preemption, restart=restart, each=2)
    for row in tables["jobs"]:
        assert row["status"] == "completed"
        runs = sorted(
            (r for r in tables["runs"] if r["job"] == row["id"]), key=lambda r: (r["started"], r["ended"])
        )
        done = sum(run["progress"] - run["lost"] for run in runs)
        assert done == pytest.approx(row["work"], abs=1e-6)
        assert sum(run["ended"] - run["started"] for run in runs) == pytest.approx(row["attained"], abs=1e-6)
        assert row["lost"] == pytest.approx(sum(run["lost"] for run in runs), abs=1e-9)
        assert row["preemptions"] == len(runs) - 1
        for before, after in pairwise(runs):
            assert before["ended"] <= after["started"]
        for run in runs:
            assert run["progress"] == pytest.approx(max(0.0, run["ended"] - run["working"]), abs=1e-6)
    changes = sorted(
        [(r["started"], 1, 2 * r["workers"]) for r in tables["runs"] if r["ended"] > r["started"]]
        + [(r["ended"], 0, -2 * r["workers"]) for r in tables["runs"] if r["ended"] > r["started"]]
    )
    used = 0
    for _, _, change in changes:
        used += change
        assert 0 <= used <= sum(nodes)


def test_a_short_job_takes_the_place_of_a_long_one_and_the_restart_is_paid():
    jobs = [Job(0.0, 2, 10.0), Job(4.0, 2, 1.0)]
    tables = simulate(jobs, (2,), "srtf", "skip", restart=3.0)
    ends = {row["id"]: row["finished"] for row in tables["jobs"]}
    assert ends == {1: 5.0, 0: 14.0}  # 4 s done, away for 1 s, 3 s restart, 6 s left
    first = [run for run in tables["runs"] if run["job"] == 0]
    assert [(r["started"], r["working"], r["ended"], r["progress"], r["lost"]) for r in first] == [
        (0.0, 0.0, 4.0, 4.0, 0.0),
        (5.0, 8.0, 14.0, 6.0, 0.0),
    ]
    assert first[0]["reason"] == "preempted for j/1"


def test_who_can_stay_beside_the_newcomer_stays():
    """The newcomer needs 2 of 4; behind it run 1 and 3: the last one, of 3, goes, the other stays."""
    jobs = [Job(0.0, 1, 50.0), Job(0.0, 3, 60.0), Job(1.0, 2, 5.0)]
    tables = simulate(jobs, (4,), "srtf", "skip")
    assert {row["id"]: row["preemptions"] for row in tables["jobs"]} == {0: 0, 1: 1, 2: 0}


def test_las_knows_no_running_times():
    """A job of 2 accelerators passes 4 accelerator seconds at t = 2 and makes room for one that waits."""
    jobs = [Job(0.0, 2, 10.0), Job(1.0, 2, 1.0)]
    tables = simulate(jobs, (2,), "2d-las", "skip", thresholds=LEVELS)
    ends = {row["id"]: row["finished"] for row in tables["jobs"]}
    assert ends == {0: 11.0, 1: 3.0}
