"""How fast is the queue? Jobs per second on a trace, with and without preemption.

python benchmarks/queue.py [--jobs N] [--nodes N] [--load SHARE] [--arm "ORDER DISCIPLINE PREEMPTION"]

Seconds are those of the processor, so that other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Choice, LogNormal
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.jobs import JobClass, Jobs
from sim.paas.policies.filters import DEFAULT
from sim.paas.scheduler import Scheduler
from sim.registry import load_builtin, lookup

ARMS = (
    ("fifo", "strict", "none"),
    ("fifo", "easy", "none"),
    ("srtf", "skip", "on-event"),
    ("2d-las", "skip", "on-event"),
)


@dataclass
class Block:
    """Arrivals as a job source takes them."""

    times: np.ndarray
    columns: dict[str, np.ndarray] = field(default_factory=dict)


def trace(jobs: int, nodes: int, load: float, arms: Sequence[tuple[str, str, str]] = ARMS) -> None:
    """Jobs at a share of what nodes of 8 accelerators can do, most of them small and short."""
    print(f"{jobs:,} jobs on {nodes:,} nodes of 8 accelerators, load {load:g}")
    workers = Choice(values=[1.0, 2.0, 4.0, 8.0, 16.0], weights=[0.6, 0.12, 0.15, 0.1, 0.03])
    duration = LogNormal(mean=3600.0, cv=2.0)
    rate = load * 8 * nodes / (workers.mean * duration.mean)
    for order, discipline, preemption in arms:
        kernel = Kernel()
        ctx = Context(kernel, RandomStreams(1), Recorder(kernel))
        cluster = Cluster(ctx)
        kind = NodeType("dgx", Resources(96, 768e9, 8))
        for _ in range(nodes):
            cluster.set_state(cluster.add(kind, "site", "pool"), NodeState.READY)
        scheduler = Scheduler(
            ctx,
            cluster,
            order=lookup("order", order)(),
            discipline=lookup("discipline", discipline)(),
            preemption=lookup("preemption", preemption)(),
            filters=[lookup("filter", name)() for name in DEFAULT],
            scores=[(lookup("score", "most-allocated")(), 1.0)],
        )
        made = Jobs(ctx, scheduler)
        times = np.cumsum(np.random.default_rng(2).exponential(1 / rate, jobs))
        made.add(JobClass("bench", workers, Resources(8, 64e9, 1), duration), iter([Block(times)]))
        start = time.process_time()
        kernel.run()
        seconds = time.process_time() - start
        table = ctx.recorder.finish(kernel.now).tables["jobs"]
        jct = float(np.mean(table["finished"] - table["submitted"]))
        print(
            f"  {f'{order} {discipline} {preemption}':24s} {jobs / seconds:9,.0f} jobs/s  {seconds:7.2f} s"
            f"  {scheduler.passes:8,} passes  mean JCT {jct / 3600:6.2f} h",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--load", type=float, default=0.9, help="above 1 the queue grows all the time")
    parser.add_argument("--arm", action="append", help="only this one, such as 'srtf skip on-event'")
    load_builtin()
    given = parser.parse_args()
    chosen = [(*each.split(),) for each in given.arm] if given.arm else ARMS
    trace(given.jobs, given.nodes, given.load, chosen)
