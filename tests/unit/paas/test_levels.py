"""Priority levels, bounds of lines and ordered replies, against a brute force that looks at every tick."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.iaas.nodes import NodeState
from sim.paas.policies.engines import DynamicBatch, QueuePolicy
from sim.paas.policies.times import ConstantTime, LinearTime
from sim.scenario.build import build
from sim.scenario.load import loads
from tests.unit.paas.conftest import Bench

#: Ticks per unit of time: no two things that do not belong together happen at one tick.
UNIT = 64


def brute_force(arrivals, engine, queues, time, order):
    """(outcome, start, batch, leaves) of calls `(tick, level, patience)`; all times in whole ticks.

    queues: level -> (timeout or 0, rejects, override, places or 0).
    """
    most, delay, sizes, instances = engine
    lines = {level: ([], []) for level in sorted(queues)}  # in time, delayed
    found, free_at, batches, tick = {}, [0] * instances, [], 0
    while len(found) < len(arrivals) or any(at > tick for at in free_at):
        for level, (timely, _) in lines.items():
            if queues[level][1]:
                for call in [c for c in timely if due(arrivals[c], queues) < tick]:
                    timely.remove(call)
                    found[call] = ("timeout", None, 0, tick)
        for call, (at, level, _) in enumerate(arrivals):
            if at == tick:
                waiting = len(lines[level][0]) + len(lines[level][1])
                if queues[level][3] and waiting >= queues[level][3]:
                    found[call] = ("rejected", None, 0, tick)
                else:
                    lines[level][0].append(call)
        while min(free_at) <= tick:
            walk = []
            for timely, delayed in lines.values():
                for call in list(timely):
                    if len(walk) < most and due(arrivals[call], queues) < tick:
                        timely.remove(call)
                        delayed.append(call)
                    elif len(walk) < most:
                        walk.append(call)
                walk += delayed[: most - len(walk)]
            if not walk:
                break
            late = delay > 0 and tick >= min(arrivals[c][0] for c in walk) + delay
            fitting = [size for size in sizes if size <= len(walk)]
            if fitting and not late:
                walk = walk[: max(fitting)]
            elif not late and delay > 0:
                break
            for call in walk:
                for line in lines[arrivals[call][1]]:
                    if call in line:
                        line.remove(call)
            server = free_at.index(min(free_at))
            free_at[server] = tick + time[0] + time[1] * len(walk)
            leaves = free_at[server]
            if order and batches:
                leaves = max(leaves, batches[-1])
            batches.append(leaves)
            for call in walk:
                found[call] = ("completed", tick, len(walk), leaves)
        tick += 1
    return [found[call] for call in range(len(arrivals))]


def due(call, queues):
    at, level, patience = call
    timeout, _, override, _ = queues[level]
    if not timeout:
        return float("inf")
    return at + (min(timeout, patience) if override else timeout)


queue = st.tuples(st.sampled_from([0, 1, 3]), st.booleans(), st.booleans(), st.sampled_from([0, 0, 2]))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3), st.integers(0, 4)), min_size=1, max_size=15),
    st.integers(1, 4),
    st.sampled_from([0, 2, 5]),
    st.sets(st.integers(1, 4), max_size=2),
    st.integers(1, 2),
    st.tuples(queue, queue, queue),
    st.tuples(st.integers(1, 4), st.integers(0, 2)),
    st.booleans(),
)
def test_levels_equal_the_brute_force(raw, most, delay, preferred, instances, bounds, time, order):
    preferred = sorted(size for size in preferred if size <= most)
    # Deadlines lie a quarter of a unit after, patience half a unit after the ticks of arrivals.
    arrivals = [
        (gap * UNIT + number, level, patience * UNIT + 32)
        for number, (gap, level, patience) in enumerate(sorted(raw))
    ]
    queues = {
        level + 1: (timeout and timeout * UNIT + 16, rejects, override, places)
        for level, (timeout, rejects, override, places) in enumerate(bounds)
    }
    expected = brute_force(
        arrivals,
        (most, delay * UNIT, preferred or [most], instances),
        queues,
        (time[0] * UNIT, time[1] * UNIT),
        order,
    )
    bench = Bench()
    bench.serve(
        engine=DynamicBatch(
            max_batch=most,
            max_delay=float(delay),
            instances=instances,
            preferred=preferred,
            priority_levels=3,
            default_level=2,
            level_queues={
                level: QueuePolicy(timeout / UNIT, "reject" if rejects else "delay", override, places)
                for level, (timeout, rejects, override, places) in queues.items()
            },
            preserve_ordering=order,
        ),
        time=LinearTime(base=float(time[0]), per_item=float(time[1])),
    )
    calls = []
    for at, level, patience in arrivals:
        call = bench.call_at(at / UNIT, priority=4 - level)
        call.timeout = patience / UNIT
        calls.append(call)
    bench.finish()
    got = [(c.status, c.start * UNIT if c.batch else None, c.batch, int(c.finish * UNIT)) for c in calls]
    # A call is rejected at its deadline; the brute force sees it a tick later.
    got = [(s, a, b, f + 1) if s == "timeout" else (s, a, b, f) for s, a, b, f in got]
    assert got == expected


def test_who_is_delayed_goes_after_the_others_of_its_level_and_before_the_next(bench):
    """One at a time, 1 s each; after 1.5 s a call steps back."""
    bench.serve(
        engine=DynamicBatch(
            max_batch=1, priority_levels=2, default_level=2, level_queues={1: QueuePolicy(1.5, "delay")}
        )
    )
    times = {0.0: 2, 0.1: 2, 0.2: 2, 1.9: 2, 0.3: 1}
    calls = [bench.call_at(at, priority=priority) for at, priority in times.items()]
    bench.finish()
    assert [call.start for call in calls] == [0.0, 1.0, 3.0, 2.0, 4.0]


def test_levels_of_priorities():
    engine = DynamicBatch(priority_levels=3, default_level=2)
    assert [engine.level(priority) for priority in (3, 2, 1, 0, -1, 4)] == [1, 2, 3, 2, 2, 2]
    assert DynamicBatch().level(7) == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"priority_levels": 2}, "default_level must be one of the levels 1 to 2"),
        ({"default_level": 1}, "needs priority_levels"),
        ({"level_queues": {1: QueuePolicy()}}, "there are no priority_levels"),
        (
            {"priority_levels": 2, "default_level": 1, "level_queues": {3: QueuePolicy()}},
            "level 3, but levels are 1 to 2",
        ),
    ],
)
def test_levels_that_do_not_exist_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        DynamicBatch(**settings)


def _fail(bench):
    bench.cluster.set_state(bench.service.replicas[0].unit.node, NodeState.FAILED)


def test_a_lost_node_fails_replies_that_were_held_back(bench):
    bench.serve(engine=DynamicBatch(max_batch=1, instances=2, preserve_ordering=True), time=ConstantTime(1.0))
    calls = [bench.call_at(1.0, work=5.0), bench.call_at(1.1), bench.call_at(1.2)]
    bench.kernel.call_at(3.0, lambda: _fail(bench))
    bench.finish(until=20.0)
    assert [call.status for call in calls] == ["failed"] * 3
    assert bench.service.serving == 0


SCENARIO = """
name: levels
duration: 2min
infrastructure:
  sites: {hall: {kind: cloud, pools: {boxes: {instance: g4dn.xlarge, nodes: 1}}}}
platform:
  services:
    model:
      site: hall
      time: {policy: linear, base: 10ms, per_item: 10ms}
      engine:
        policy: dynamic-batch
        max_batch: 4
        priority_levels: 2
        default_level: 2
        queue: {timeout: 200ms, allow_override: true}
        level_queues: {1: {max_size: 100}}
applications:
  urgent:
    users: {hall: 1}
    priority: 2
    arrivals: {process: poisson, rate: 20/s}
    calls: {ask: {to: model}}
  batch:
    users: {hall: 1}
    client: {timeout: 100ms}
    arrivals: {process: poisson, rate: 100/s}
    calls: {ask: {to: model}}
"""


def test_levels_in_a_run():
    """One replica serves 80 calls a second: all 20 of level 1, and 60 of the 100 of level 2."""
    tables = build(loads(SCENARIO)).run().tables
    requests, calls = tables["requests"], tables["calls"]
    urgent = [
        status
        for app, status in zip(requests["app"].texts(), requests["status"].texts(), strict=True)
        if app == "urgent"
    ]
    assert set(urgent) <= {"completed", "in-flight"}
    # The client gives up at the same moment, and says so first.
    late = calls["status"].texts().count("cancelled")
    assert late / (len(calls["id"]) - len(urgent)) == pytest.approx(0.4, abs=0.025)
    waits = calls["start"] - calls["enter"]
    assert waits[waits == waits].max() <= 0.1 + 1e-9
