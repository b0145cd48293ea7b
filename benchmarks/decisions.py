"""What recording decisions costs: the same trace with `off`, `sampled` and `all`, round by round.

    python benchmarks/decisions.py [--jobs N] [--rounds N]

125 nodes of 8 accelerators, offered 1.1 times what they can do, so that the queue grows. The ratios
are medians of the ratios within a round, of processor time.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from scheduler import Block, context

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.distributions import Choice, LogNormal
from sim.paas.jobs import JobClass, Jobs
from sim.paas.policies.filters import DEFAULT
from sim.paas.scheduler import Scheduler
from sim.registry import load_builtin, lookup

MODES = ("off", "sampled", "all")
OWN = ("decisions", "rejections", "finalists", "shapes")


def run(order: str, discipline: str, mode: str, jobs: int) -> tuple[float, int]:
    """Seconds of processor time, and rows of the tables of decisions."""
    workers = Choice(values=[1.0, 2.0, 4.0, 8.0, 16.0], weights=[0.6, 0.12, 0.15, 0.1, 0.03])
    duration = LogNormal(mean=3600.0, cv=2.0)
    rate = 1.1 * 1000 / (workers.mean * duration.mean)
    ctx = context()
    cluster = Cluster(ctx)
    kind = NodeType("dgx", Resources(96, 768e9, 8))
    for _ in range(125):
        cluster.set_state(cluster.add(kind, "site", "pool"), NodeState.READY)
    scheduler = Scheduler(
        ctx,
        cluster,
        order=lookup("order", order)(),
        discipline=lookup("discipline", discipline)(),
        filters=[lookup("filter", name)() for name in DEFAULT],
        scores=[(lookup("score", "most-allocated")(), 1.0)],
        decisions=mode,
    )
    made = Jobs(ctx, scheduler)
    times = np.cumsum(np.random.default_rng(2).exponential(1 / rate, jobs))
    made.add(JobClass("bench", workers, Resources(8, 64e9, 1), duration), iter([Block(times)]))
    start = time.process_time()
    ctx.kernel.run()
    scheduler.close()
    seconds = time.process_time() - start
    tables = ctx.recorder.finish(ctx.kernel.now).tables
    return seconds, sum(len(next(iter(tables[name].values()))) for name in OWN)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    load_builtin()
    for order, discipline in (("fifo", "strict"), ("fifo", "skip"), ("sjf", "skip"), ("fifo", "easy")):
        rounds = [
            {mode: run(order, discipline, mode, given.jobs) for mode in MODES} for _ in range(given.rounds)
        ]
        parts = []
        for mode in MODES[1:]:
            ratio = statistics.median(each[mode][0] / each["off"][0] for each in rounds)
            parts.append(f"{mode} {ratio:.2f} x ({rounds[0][mode][1] / given.jobs:.1f} rows a job)")
        print(f"{order} {discipline}: off {min(each['off'][0] for each in rounds):.2f} s, {', '.join(parts)}")
