"""Jobs on a cluster against the closed forms of the queues they are.

Each case runs 12 independent replications. The closed form must lie in the Student-t interval of the
replications' means at 99.9 % (two-sided, 11 degrees of freedom: 4.437 standard errors), so one case
raises a false alarm for 1 seed in 1,000. Seeds are fixed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Constant, Distribution, Exponential
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.series import integrate
from sim.kernel.streams import RandomStreams
from sim.paas.jobs import JobClass, Jobs
from sim.paas.scheduler import Scheduler
from sim.registry import load_builtin, lookup
from sim.stats.theory import erlang_c, mmc

load_builtin()
REPLICATIONS, T_999 = 12, 4.437
JOBS, WARMUP = 9000, 1000


@dataclass
class Block:
    times: np.ndarray
    columns: dict[str, np.ndarray] = field(default_factory=dict)


def run(rate, duration: Distribution, nodes, each, order, replication):
    """One replication on `nodes` x `each` accelerators: waits in order of arrival, and the records."""
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(77, replication), Recorder(kernel))
    cluster = Cluster(ctx)
    for _ in range(nodes):
        node_type = NodeType("gpu", Resources(accelerators=each))
        cluster.set_state(cluster.add(node_type, "s", "p"), NodeState.READY)
    scheduler = Scheduler(
        ctx,
        cluster,
        order=lookup("order", order)(),
        discipline=lookup("discipline", "strict")(),
        filters=[lookup("filter", name)() for name in ("ready", "fit")],
        scores=[(lookup("score", "least-allocated")(), 1.0)],
    )
    jobs = Jobs(ctx, scheduler)
    times = np.cumsum(ctx.streams.stream("arrivals").exponential(1 / rate, JOBS))
    jobs.add(JobClass("j", Constant(1), Resources(accelerators=1), duration), iter([Block(times)]))
    kernel.run()
    recorded = ctx.recorder.finish(kernel.now)
    table = recorded.tables["jobs"]
    waits = np.empty(JOBS)
    waits[table["id"]] = table["started"] - table["submitted"]
    return waits, recorded


def assert_within(samples, expected):
    values = np.asarray(samples)
    half = T_999 * values.std(ddof=1) / math.sqrt(len(values))
    assert abs(values.mean() - expected) <= half, f"{values.mean():.4f} +- {half:.4f} misses {expected:.4f}"
    assert half < 0.35 * expected, "too wide to say anything"


@pytest.mark.parametrize(("nodes", "each", "load"), [(1, 1, 0.5), (2, 2, 0.7), (1, 6, 0.75)])
def test_single_worker_jobs_are_an_mmc_queue(nodes, each, load):
    servers = nodes * each
    rate, service = load * servers / 5.0, 5.0
    runs = [
        run(rate, Exponential(mean=service), nodes, each, "fifo", r)[0][WARMUP:] for r in range(REPLICATIONS)
    ]
    assert_within([waits.mean() for waits in runs], mmc(rate, service, servers).wait)
    assert_within([(waits > 1e-9).mean() for waits in runs], erlang_c(rate * service, servers))


def test_shortest_first_on_one_server():
    """Mean wait of M/M/1 with non-preemptive shortest job first (Phipps 1956).

    W = integral of (rate E[S^2] / 2) / (1 - rho(x))^2 dF(x), with rho(x) the load of jobs up to x.
    """
    rate, service = 0.16, 5.0
    x = np.linspace(0.0, 40 * service, 400_001)
    density = np.exp(-x / service) / service
    below = rate * (service - np.exp(-x / service) * (x + service))
    w = (rate * 2 * service**2 / 2) / (1 - below) ** 2 * density
    expected = float(np.sum((w[1:] + w[:-1]) / 2) * (x[1] - x[0]))
    runs = [run(rate, Exponential(mean=service), 1, 1, "sjf", r)[0][WARMUP:] for r in range(REPLICATIONS)]
    assert expected < 0.8 * mmc(rate, service, 1).wait  # it must differ from first come, first served
    assert_within([waits.mean() for waits in runs], expected)


def test_littles_law_holds_exactly_for_the_waiting_units():
    """Integral of the number waiting = sum of the waits, in every single run."""
    waits, recorded = run(0.64, Exponential(mean=5.0), 2, 2, "sjf", 0)
    times, values = recorded.steps["paas/scheduler/waiting"]
    assert integrate(times, values, 0.0, recorded.end) == pytest.approx(waits.sum(), rel=1e-9)
