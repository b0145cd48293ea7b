"""The real service against closed forms of queueing theory, and exact laws.

Means are compared by the batch means of one long run: twenty batches after a warm-up, and a band of
3.88 standard errors (Student's t with 19 degrees of freedom: one false alarm in a thousand tests).
Seeds are fixed, so a test that passes goes on passing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Constant, Exponential, Hyperexponential, Uniform
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.series import integrate
from sim.kernel.streams import RandomStreams
from sim.paas.calls import Call
from sim.paas.policies.autoscalers.fixed import Fixed
from sim.paas.policies.autoscalers.kubernetes import Hpa
from sim.paas.policies.discipline import Skip
from sim.paas.policies.engines import Concurrent, DynamicBatch
from sim.paas.policies.filters import DEFAULT
from sim.paas.policies.order import Fifo
from sim.paas.policies.routers import LeastLoad, RandomRouter
from sim.paas.policies.scores import LeastAllocated
from sim.paas.policies.times import ConstantTime
from sim.paas.replicaset import ReplicaBounds
from sim.paas.scheduler import Scheduler
from sim.paas.service import Service
from sim.registry import lookup
from sim.stats import theory

SERVICE = 0.1
CALLS = 120_000


@dataclass
class Asker:
    id: int


class Run:
    """Poisson arrivals at a service, and what came of them."""

    def __init__(self, rate, *, work, replicas=1, calls=CALLS, seed=5, **options):
        self.kernel = kernel = Kernel()
        recorder = Recorder(kernel)
        ctx = Context(kernel, RandomStreams(seed), recorder)
        cluster = Cluster(ctx)
        for _ in range(4):
            cluster.set_state(
                cluster.add(NodeType("box", Resources(64.0, 1e12, 0.0, 0.0)), "plant", "boxes"),
                NodeState.READY,
            )
        options.setdefault("router", LeastLoad())
        self.service = service = Service(
            ctx,
            "station",
            "plant",
            scheduler=Scheduler(
                ctx,
                cluster,
                order=Fifo(),
                discipline=Skip(),
                filters=[lookup("filter", name)() for name in DEFAULT],
                scores=[(LeastAllocated(), 1.0)],
            ),
            time=ConstantTime(SERVICE),
            bounds=ReplicaBounds(replicas, 1, 8),
            resources=Resources(cpu=8.0),
            **options,
        )
        gaps = ctx.streams.sampler("gaps", Exponential(1.0 / rate))
        works = ctx.streams.sampler("works", work)
        self.done: list[Call] = []
        left = iter(range(calls))

        def arrive() -> None:
            number = next(left, None)
            if number is not None:
                service.submit(Call(number, Asker(number), self.done.append, works()))
                kernel.call_in(gaps(), arrive)

        kernel.call_in(gaps(), arrive)
        service.start()
        while len(self.done) < calls:
            kernel.run(kernel.now + 1000.0)
        self.end = kernel.now
        service.close()
        self.steps = recorder.finish(self.end).steps
        self.done.sort(key=lambda call: call.id)

    def waits(self):
        return np.array([call.start - call.enter for call in self.done if call.status == "completed"])

    def lost(self):
        return np.array([call.status == "rejected" for call in self.done], dtype=float)


def agrees(samples, expected):
    """Whether a mean lies within its band around the truth."""
    samples = samples[len(samples) // 10 :]
    batches = np.array([part.mean() for part in np.array_split(samples, 20)])
    error = batches.std(ddof=1) / np.sqrt(20)
    assert abs(batches.mean() - expected) < 3.88 * error, f"{batches.mean()} +- {error}, expected {expected}"
    assert error < 0.08 * expected, "the band is too wide to tell anything"


def test_mm1():
    run = Run(7.0, work=Exponential(1.0), engine=Concurrent(1))
    truth = theory.mm1(7.0, SERVICE)
    agrees(run.waits(), truth.wait)
    agrees(np.array([call.finish - call.enter for call in run.done]), truth.time)


def test_mm1_wait_distribution():
    waits = Run(7.0, work=Exponential(1.0), engine=Concurrent(1)).waits()
    agrees((waits > 0).astype(float), 0.7)
    agrees((waits > 0.5).astype(float), 0.7 * np.exp(-(10.0 - 7.0) * 0.5))


@pytest.mark.parametrize("servers", [2, 5])
def test_mmc(servers):
    rate = 0.8 * servers / SERVICE
    run = Run(rate, work=Exponential(1.0), engine=Concurrent(servers))
    agrees(run.waits(), theory.mmc(rate, SERVICE, servers).wait)
    agrees((run.waits() > 0).astype(float), theory.erlang_c(rate * SERVICE, servers))


def test_erlang_c_while_the_loop_runs():
    # The autoscaler looks every 15 s at a service held at one replica of four servers.
    rate = 0.7 * 4 / SERVICE
    run = Run(rate, work=Exponential(1.0), engine=Concurrent(4), autoscaler=Fixed(1), period=15.0)
    agrees((run.waits() > 0).astype(float), theory.erlang_c(rate * SERVICE, 4))
    agrees(run.waits(), theory.mmc(rate, SERVICE, 4).wait)


def test_the_loop_itself_changes_nothing():
    plain = Run(20.0, work=Exponential(1.0), engine=Concurrent(4), calls=5000)
    looked = Run(
        20.0, work=Exponential(1.0), engine=Concurrent(4), calls=5000, autoscaler=Fixed(), period=1.0
    )
    assert [call.finish for call in plain.done] == [call.finish for call in looked.done]


@pytest.mark.parametrize(("servers", "queue"), [(1, 4), (3, 5)])
def test_mmck(servers, queue):
    rate = 0.9 * servers / SERVICE
    run = Run(rate, work=Exponential(1.0), engine=Concurrent(servers), queue=queue)
    truth = theory.mmck(rate, SERVICE, servers, servers + queue)
    agrees(run.lost(), truth.lost)
    agrees(run.waits(), truth.wait)


@pytest.mark.parametrize("work", [Exponential(1.0), Constant(1.0), Uniform(0.0, 2.0)], ids=lambda d: d.dist)
def test_erlang_b_holds_for_any_service_time(work):
    run = Run(30.0, work=work, engine=Concurrent(4), queue=0)
    agrees(run.lost(), theory.erlang_b(3.0, 4))


def test_md1():
    run = Run(8.0, work=Constant(1.0), engine=Concurrent(1))
    agrees(run.waits(), theory.md1(8.0, SERVICE).wait)


@pytest.mark.parametrize(
    "work", [Uniform(0.0, 2.0), Hyperexponential(1.0, 1.5)], ids=lambda distribution: distribution.dist
)
def test_mg1(work):
    run = Run(6.0, work=work, engine=Concurrent(1))
    agrees(run.waits(), theory.mg1(6.0, SERVICE, work.cv).wait)


def test_random_routing_is_a_row_of_mm1():
    # A Poisson stream split at random is Poisson: four separate lines, not one for four servers.
    run = Run(24.0, work=Exponential(1.0), replicas=4, engine=Concurrent(1), router=RandomRouter())
    agrees(run.waits(), theory.mm1(6.0, SERVICE).wait)


def test_least_load_lies_between_separate_lines_and_one_line():
    waits = Run(24.0, work=Exponential(1.0), replicas=4, engine=Concurrent(1)).waits().mean()
    assert theory.mmc(24.0, SERVICE, 4).wait < waits < 0.5 * theory.mm1(6.0, SERVICE).wait


@pytest.mark.parametrize(
    "options",
    [
        {"engine": Concurrent(2)},
        {"engine": Concurrent(1), "queue": 3, "timeout": 0.2},
        {"engine": DynamicBatch(4, 0.05, 2), "replicas": 2, "timeout": 0.3},
        {"engine": Concurrent(1), "autoscaler": Hpa(utilisation=0.5), "warmup": 20.0, "drain_timeout": 0.05},
    ],
    ids=["plain", "bounded", "batches", "scaling"],
)
def test_littles_law_is_exact(options):
    # The integral of the number inside is the sum of the times inside: no average, no limit.
    run = Run(15.0, work=Exponential(1.0), calls=20_000, **options)
    inside = integrate(*run.steps["paas/station/in_system"], 0.0, run.end)
    assert inside == pytest.approx(sum(call.finish - call.enter for call in run.done), rel=1e-9)
    busy = integrate(*run.steps["paas/station/busy"], 0.0, run.end)
    served = {(call.replica, call.start): call for call in run.done if call.start == call.start}
    if options["engine"].largest == 1:
        assert busy == pytest.approx(
            sum(c.finish - c.start for c in run.done if c.start == c.start), rel=1e-9
        )
    else:
        assert busy < sum(call.finish - call.start for call in served.values()) * 1.01


def test_a_queue_beyond_its_capacity_grows_at_the_excess_rate():
    run = Run(15.0, work=Constant(1.0), engine=Concurrent(1), calls=15_000)
    # 15 a second come, 10 go: the last waits for about a third of the time all arrivals took.
    last = run.done[-1]
    assert last.start - last.enter == pytest.approx(0.5 * last.enter, rel=0.05)
