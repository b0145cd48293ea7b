"""Orders that share between tenants: against the worked example of the paper and plain loops."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Constant
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.jobs import JobClass, Jobs
from sim.paas.policies.discipline import Skip, Strict
from sim.paas.policies.filters import DEFAULT
from sim.paas.policies.scores import FirstFit
from sim.paas.policies.shares import DominantShare, FairShare, FinishTimeFairness
from sim.paas.scheduler import Scheduler
from sim.paas.units import Group, Unit
from sim.registry import load_builtin, lookup

load_builtin()


def started(order, capacity, tasks, discipline=None):
    """(tenant, resources) tasks come together on one node; returns how many of each tenant start."""
    kernel = Kernel()
    cluster = Cluster(Context(kernel, RandomStreams(1), Recorder(kernel)))
    scheduler = Scheduler(
        Context(kernel, RandomStreams(1), Recorder(kernel)), cluster, order=order,
        discipline=discipline or Skip(), filters=[lookup("filter", name)() for name in DEFAULT],
        scores=[(FirstFit(), 1.0)],
    )  # fmt: skip
    cluster.set_state(cluster.add(NodeType("n", capacity), "s", "p"), NodeState.READY)
    for tenant, resources in tasks:
        scheduler.submit(Group([Unit("worker", tenant, resources)], tenant=tenant, estimate=10.0))
    kernel.run(1.0)
    counts: dict[str, int] = {}
    for group in scheduler.roster.groups.values():
        counts[group.tenant] = counts.get(group.tenant, 0) + 1
    return counts


def test_drf_gives_the_worked_example_of_the_paper():
    """Ghodsi et al. 2011, section 4.1: <1 CPU, 4 GB> and <3 CPU, 1 GB> on <9 CPU, 18 GB>: 3 and 2."""
    a, b = ("a", Resources(cpu=1, memory=4e9)), ("b", Resources(cpu=3, memory=1e9))
    for tasks in ([a] * 9 + [b] * 9, [b] * 9 + [a] * 9):
        assert started(DominantShare(), Resources(cpu=9, memory=18e9), tasks) == {"a": 3, "b": 2}


def filled(capacity, demands, weights):
    """Progressive filling in plain loops: the lowest weighted dominant share next, until it does not fit."""
    held = {tenant: np.zeros(2) for tenant in demands}
    counts = dict.fromkeys(demands, 0)
    while True:
        tenant = min(demands, key=lambda t: (round(max(held[t] / capacity) / weights[t], 12), t))
        if (sum(held.values()) + demands[tenant] > capacity + 1e-9).any():
            return {t: n for t, n in counts.items() if n}
        held[tenant] += demands[tenant]
        counts[tenant] += 1


@pytest.mark.parametrize("seed", range(12))
def test_drf_is_progressive_filling(seed):
    rng = np.random.default_rng(seed)
    capacity = np.array([rng.integers(20, 60), rng.integers(20, 60)], dtype=float)
    demands = {t: rng.integers(1, 6, 2).astype(float) for t in "abc"}
    weights = {t: float(rng.integers(1, 4)) for t in "abc"}
    tasks = [(t, Resources(cpu=demands[t][0], memory=demands[t][1])) for t in "abc" for _ in range(60)]
    got = started(DominantShare(weights), Resources(cpu=capacity[0], memory=capacity[1]), tasks, Strict())
    want = filled(capacity, demands, weights)
    # Equal shares may be taken in either turn, so the last task may be another tenant's.
    assert all(abs(got.get(t, 0) - want.get(t, 0)) <= 1 for t in "abc")


def test_fair_share_follows_the_weights():
    one = Resources(cpu=1, accelerators=1)
    tasks = [("a", one)] * 20 + [("b", one)] * 20 + [("c", one)] * 2
    assert started(FairShare({"a": 3.0}), Resources(cpu=99, accelerators=14), tasks) == {
        "a": 9,
        "b": 3,
        "c": 2,
    }


def test_who_is_hurt_most_by_sharing_goes_first():
    """Both waited 50 s; rho is (50 + 10) / (10 x n) against (50 + 100) / (100 x n)."""
    order = FinishTimeFairness()

    class Scene:
        roster, queue = SimpleNamespace(groups={}), [0, 1]
        cluster = type("C", (), {"total": np.array([[0.0, 0.0, 1.0, 0.0]])})

    order.start(Scene)
    short, long = (
        Group([Unit("worker", "x", Resources(cpu=1, accelerators=1))], submitted=0.0, estimate=e)
        for e in (10.0, 100.0)
    )
    assert order.key(short, 50.0) == pytest.approx(-60 / 20)
    assert order.key(long, 50.0) == pytest.approx(-150 / 200)


def test_an_order_that_drifts_with_preemption_comes_to_rest():
    """One tenant holds all, another comes: it gets half, and nothing moves any further."""
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(1), Recorder(kernel))
    cluster = Cluster(ctx)
    scheduler = Scheduler(
        ctx, cluster, order=FairShare(), discipline=Skip(), preemption=lookup("preemption", "on-event")(),
        filters=[lookup("filter", name)() for name in DEFAULT], scores=[(FirstFit(), 1.0)],
    )  # fmt: skip
    cluster.set_state(cluster.add(NodeType("n", Resources(cpu=9, accelerators=4)), "s", "p"), NodeState.READY)
    jobs = Jobs(ctx, scheduler)
    for tenant, at in (("a", 0.0), ("b", 5.0)):
        kind = JobClass(tenant, Constant(1), Resources(cpu=1, accelerators=1), Constant(1e3), tenant=tenant)
        for _ in range(6):
            kernel.call_at(at, jobs.submit, kind, 1, 1e3, 1e3)
    kernel.run(10.0)
    assert scheduler.passes < 20
    tenants = sorted(group.tenant for group in scheduler.roster.groups.values())
    assert tenants == ["a", "a", "b", "b"]
