"""Invariants of serving on generated loads, and batches against a brute force that steps through time."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.series import integrate
from sim.kernel.streams import RandomStreams
from sim.paas.autoscaling.hpa_behaviour import Rules
from sim.paas.calls import Call
from sim.paas.policies.autoscalers.kubernetes import Hpa
from sim.paas.policies.discipline import Skip
from sim.paas.policies.engines import Concurrent, DynamicBatch
from sim.paas.policies.filters import DEFAULT
from sim.paas.policies.order import Fifo
from sim.paas.policies.routers import LeastLoad, PowerOfTwo, RandomRouter, RoundRobin
from sim.paas.policies.scores import LeastAllocated
from sim.paas.policies.times import LinearTime
from sim.paas.replicaset import ReplicaBounds
from sim.paas.scheduler import Scheduler
from sim.paas.service import Service
from sim.registry import lookup


@dataclass
class Asker:
    id: int


class World:
    """Three nodes, a service, scripted calls and scripted crashes."""

    def __init__(self, calls, bounds=(1, 1, 1), crashes=(), **options):
        self.kernel = Kernel()
        self.recorder = Recorder(self.kernel)
        ctx = Context(self.kernel, RandomStreams(3), self.recorder)
        self.cluster = Cluster(ctx)
        for _ in range(3):
            node = self.cluster.add(NodeType("box", Resources(2.0, 1e9, 0.0, 0.0)), "plant", "boxes")
            self.cluster.set_state(node, NodeState.READY)
        scheduler = Scheduler(
            ctx,
            self.cluster,
            order=Fifo(),
            discipline=Skip(),
            filters=[lookup("filter", name)() for name in DEFAULT],
            scores=[(LeastAllocated(), 1.0)],
        )
        options.setdefault("router", LeastLoad())
        self.service = Service(
            ctx, "s", "plant", scheduler=scheduler, bounds=ReplicaBounds(*bounds),
            resources=Resources(cpu=1.0), **options,
        )  # fmt: skip
        self.left: Counter[int] = Counter()
        self.calls = [Call(i, Asker(i), self._left, work) for i, (_, work) in enumerate(calls)]
        for (moment, _), call in zip(calls, self.calls, strict=True):
            self.kernel.call_at(moment, self.service.submit, call)
        for moment, index in crashes:
            self.kernel.call_at(moment, self._crash, self.cluster.nodes[index])
        self.service.start()

    def _left(self, call):
        self.left[call.id] += 1

    def _crash(self, node):
        if node.state is NodeState.READY:
            self.cluster.set_state(node, NodeState.FAILED, "crash")
            self.kernel.call_in(3.0, self.cluster.set_state, node, NodeState.READY)


moments = st.floats(0.0, 20.0, allow_nan=False).map(lambda t: round(t, 3))
loads = st.lists(st.tuples(moments, st.floats(0.1, 3.0)), min_size=1, max_size=60).map(sorted)
engines = st.one_of(
    st.builds(Concurrent, st.integers(1, 3)),
    st.builds(DynamicBatch, st.integers(1, 5), st.sampled_from([0.0, 0.05, 1.0]), st.integers(1, 2)),
)
routers = st.sampled_from([LeastLoad(), RandomRouter(), RoundRobin(), PowerOfTwo()])
waits = st.sampled_from([None, 0.0, 0.3, 2.0])
queues = st.sampled_from([None, 0, 1, 4])
crashes = st.lists(st.tuples(moments, st.integers(0, 2)), max_size=4)
until = st.floats(1.0, 60.0)


@given(loads, engines, routers, waits, queues, crashes, until, st.sampled_from([None, 0.2]))
def test_every_call_is_in_one_place_at_every_time(calls, engine, router, timeout, queue, downs, end, drain):
    world = World(
        calls, (2, 0, 5), downs, engine=engine, router=router, timeout=timeout, queue=queue,
        time=LinearTime(0.2, 0.1), warmup=0.7, drain_timeout=drain,
        autoscaler=Hpa(concurrency=1.0, period=1.0, scale_down=Rules(2.0)),
    )  # fmt: skip
    service = world.service
    world.kernel.run(end)
    gone = service.completed + service.rejected + service.timeouts + service.failed
    assert service.submitted == sum(moment < end for moment, _ in calls)
    assert service.submitted == gone + service.in_system
    assert service.queued == len(service.held) + sum(replica.waiting for replica in service.replicas) >= 0
    assert service.busy.value == sum(replica.busy for replica in service.replicas)
    assert service.busy.value <= service.replica_set.servers.value
    assert set(world.left.values()) <= {1}
    assert len(world.left) == gone
    world.kernel.run(200.0)
    assert service.in_system == service.queued == service.busy.value == service.serving == 0
    assert Counter(world.left) == Counter(range(len(calls)))
    service.close()
    recorded = world.recorder.finish(200.0)
    inside = integrate(*recorded.steps["paas/s/in_system"], 0.0, 200.0)
    assert math.isclose(
        inside, math.fsum(c.finish - c.enter for c in world.calls), rel_tol=1e-9, abs_tol=1e-9
    )
    assert sorted(recorded.tables["calls"]["id"].tolist()) == list(range(len(calls)))
    for call in world.calls:
        if timeout is not None and call.start == call.start:
            assert call.start - call.enter <= timeout + 1e-9
        if call.status == "timeout":
            assert math.isclose(call.finish - call.enter, timeout, abs_tol=1e-9)


@given(loads, engines, routers, waits, queues, crashes)
def test_the_same_run_twice_is_the_same(calls, engine, router, timeout, queue, downs):
    def tables():
        world = World(
            calls, (2, 1, 4), downs, engine=engine, router=router, timeout=timeout, queue=queue,
            time=LinearTime(0.2, 0.1), warmup=0.7, autoscaler=Hpa(concurrency=1.0, period=1.0),
        )  # fmt: skip
        world.kernel.run(100.0)
        world.service.close()
        recorded = world.recorder.finish(100.0)
        return {
            name: {
                column: (data.texts() if hasattr(data, "texts") else data.tobytes())
                for column, data in recorded.tables[name].items()
            }
            for name in ("calls", "units", "scaling", "nodes")
        }

    assert tables() == tables()


def batches_by_stepping(times, max_batch, delay, instances, base, per_item):
    """Starts and batch sizes by walking over every millisecond (all times are whole milliseconds)."""
    waiting, free_at, starts = [], [0] * instances, {}
    pending = list(enumerate(times))
    moment = 0
    while pending or waiting:
        # Ends of batches and arrivals of this moment come before the decision.
        while pending and pending[0][1] <= moment:
            waiting.append(pending.pop(0))
        while waiting:
            free = next((i for i in range(instances) if free_at[i] <= moment), None)
            due = len(waiting) >= max_batch or moment >= waiting[0][1] + delay
            if free is None or not due:
                break
            batch, waiting = waiting[:max_batch], waiting[max_batch:]
            free_at[free] = moment + base + per_item * len(batch)
            for number, _ in batch:
                starts[number] = (moment, len(batch))
        moment += 1
    return starts


@given(
    # Distinct arrivals, scheduled before the run: they come before whatever else happens at their moment.
    st.lists(st.integers(0, 300), min_size=1, max_size=40, unique=True).map(sorted),
    st.integers(1, 6),
    st.integers(0, 30),
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(0, 10),
)
def test_dynamic_batches_equal_brute_force(times, max_batch, delay, instances, base, per_item):
    world = World(
        [(float(t), 1.0) for t in times],
        engine=DynamicBatch(max_batch, float(delay), instances),
        time=LinearTime(float(base), float(per_item)),
    )
    world.kernel.run(1e5)
    expected = batches_by_stepping(times, max_batch, delay, instances, base, per_item)
    assert {c.id: (c.start, c.batch) for c in world.calls} == expected
