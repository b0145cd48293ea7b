"""Models that take turns in a replica's memory: closed forms, and a naive loop over time."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from sim.iaas.nodes import NodeState
from sim.paas.hosting import HostedModel, Hosting
from sim.paas.policies.engines import Concurrent, DynamicBatch
from sim.scenario.build import build
from sim.scenario.load import loads
from sim.stats.metrics import measure
from tests.unit.paas.conftest import Bench


def host(sizes, memory, loads, times, patience=0.0):
    """Models called a, b, c ... of these sizes."""
    models = {
        name: HostedModel((name, size), load, lambda batch, time=time: time * batch.count)
        for name, size, load, time in zip("abcdefg", sizes, loads, times, strict=False)
    }
    return Hosting(models, memory, patience)


def serve(bench, hosting, calls, **options):
    bench.serve(hosting=hosting, **options)
    # The test is about memory, not about the way to the node.
    bench.service.store = None
    made = []
    for at, model in calls:
        call = bench.call_at(at)
        call.model = model
        made.append(call)
    return made


def test_two_models_asked_for_alternately_load_each_time(bench):
    """One fits: each call waits for the one before, then for a load of 2 s."""
    calls = serve(bench, host([6, 6], 10, [2.0, 2.0], [1.0, 1.0]), [(0.0, "ab"[k % 2]) for k in range(10)])
    tables = bench.finish()
    assert [call.finish for call in calls] == [pytest.approx(3.0 * (k + 1)) for k in range(10)]
    assert [row["evicted"] for row in tables["swaps"]] == ["", *("ab"[k % 2] for k in range(9))]
    assert sum(row["hit"] for row in tables["hosted"]) == 0


def test_with_patience_a_model_serves_all_that_wait_before_it_goes(bench):
    calls = serve(
        bench,
        host([6, 6], 10, [2.0, 2.0], [1.0, 1.0], patience=100.0),
        [(0.0, "ab"[k % 2]) for k in range(10)],
    )
    tables = bench.finish()
    assert [call.finish for call in calls[::2]] == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert [call.finish for call in calls[1::2]] == [10.0, 11.0, 12.0, 13.0, 14.0]
    assert len(tables["swaps"]) == 2


def test_patience_ends(bench):
    """Calls of `a` come faster than they are served; `b` gets its load when its patience is over."""
    calls = [(0.5 * k, "a") for k in range(40)] + [(2.0, "b")]
    made = serve(bench, host([6, 6], 10, [2.0, 2.0], [1.0, 1.0], patience=5.0), calls)
    bench.finish()
    # Begun at 2, 3, ..., 6 before 7 s; the model is at rest at 7 s.
    assert made[-1].start == pytest.approx(9.0)


def test_models_that_fit_are_loaded_once_and_work_side_by_side(bench):
    made = serve(
        bench,
        host([5, 5], 10, [2.0, 3.0], [1.0, 1.0]),
        [(0.0, "a"), (0.0, "b"), (6.0, "a"), (6.0, "b")],
        engine=Concurrent(2),
    )
    tables = bench.finish()
    # Loads go one after the other.
    assert [call.finish for call in made] == [3.0, 6.0, 7.0, 7.0]
    assert [row["hit"] for row in tables["hosted"]] == [0, 0, 1, 1]
    assert [(row["time"], row["seconds"]) for row in tables["swaps"]] == [(0.0, 2.0), (2.0, 3.0)]


def test_a_batch_is_of_one_model(bench):
    made = serve(
        bench,
        host([5, 5], 10, [1.0, 1.0], [1.0, 1.0]),
        [(0.0, "a"), (0.0, "b"), (0.0, "a"), (0.0, "b")],
        engine=DynamicBatch(max_batch=4, max_delay=0.5),
    )
    bench.finish()
    assert [(call.start, call.batch) for call in made] == [(1.0, 2), (3.0, 2), (1.0, 2), (3.0, 2)]


def naive(calls, sizes, memory, load, time, patience, servers):
    """Starts and loads, going from event to event with plain lists; `calls` are (moment, model), in order."""
    waiting, inside, working, used = [], {}, [], {}
    loading, starts, swaps, now = None, {}, [], 0.0
    while len(starts) < len(calls):
        moments = [at for at, _ in calls] + [calls[k][0] + patience for k in waiting]
        moments += [end for end, _ in working] + ([loading[0]] if loading else [])
        now = min(moment for moment in moments if moment > now)
        for model in [model for end, model in working if end == now]:
            used[model] = now
        working = [(end, model) for end, model in working if end > now]
        if loading and loading[0] == now:
            inside[loading[1]] = True
            used[loading[1]] = now
            loading = None
        waiting += [k for k, (at, _) in enumerate(calls) if at == now]
        again = True
        while again:
            again = False
            seen = []
            for k in list(waiting):
                model = calls[k][1]
                if model in seen:
                    continue
                seen.append(model)
                if inside.get(model):
                    if len(working) < servers:
                        working.append((now + time[model], model))
                        starts[k], used[model] = now, now
                        waiting.remove(k)
                        again = True
                        break
                elif not (loading and loading[1] == model):
                    patient = now < calls[k][0] + patience
                    if loading is None:
                        taken = sum(sizes[m] for m in inside)
                        rest = sorted((m for m in inside if m not in [w[1] for w in working]), key=used.get)
                        firsts = {m: min([j for j in waiting if calls[j][1] == m], default=inf) for m in rest}
                        rest = [m for m in rest if firsts[m] == inf or not (patient or firsts[m] < k)]
                        gone = []
                        while taken + sizes[model] > memory and rest:
                            gone.append(rest.pop(0))
                            taken -= sizes[gone[-1]]
                        if taken + sizes[model] <= memory:
                            for m in gone:
                                del inside[m]
                            loading = (now + load[model], model)
                            inside[model] = False
                            swaps.append((now, model, gone))
                            again = True
                            break
                    if not patient:
                        break
    return [starts[k] for k in range(len(calls))], swaps


#: What makes times of different things differ, so that no two of them happen at one moment.
ODD = [value**0.5 % 0.5 / 8 for value in (2, 3, 5, 7, 11, 13, 17, 19)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 3)), min_size=1, max_size=14),
    st.tuples(*[st.integers(1, 5)] * 4),
    st.integers(5, 12),
    st.tuples(*[st.integers(1, 4)] * 4),
    st.tuples(*[st.integers(1, 4)] * 4),
    st.sampled_from([0, 3, 10, 1000]),
    st.integers(1, 2),
)
def test_hosting_equals_the_naive_loop(raw, sizes, memory, load, time, patience, servers):
    calls = [(at + k * 1e-3, model) for k, (at, model) in enumerate(sorted(raw))]
    load = [value + odd for value, odd in zip(load, ODD, strict=False)]
    time = [value + odd for value, odd in zip(time, ODD[4:], strict=True)]
    starts, swaps = naive(calls, sizes, memory, load, time, patience, servers)
    bench = Bench()
    made = serve(
        bench,
        host(sizes, memory, load, time, patience),
        [(at, "abcd"[model]) for at, model in calls],
        engine=Concurrent(servers),
    )
    tables = bench.finish()
    assert [call.start for call in made] == pytest.approx(starts)
    assert [row["time"] for row in tables["swaps"]] == pytest.approx([at for at, _, _ in swaps])
    assert [(row["model"], row["evicted"]) for row in tables["swaps"]] == [
        ("abcd"[model], " ".join("abcd"[m] for m in gone)) for _, model, gone in swaps
    ]


def test_a_lost_node_fails_calls_and_ends_the_load(bench):
    calls = serve(bench, host([5, 5], 10, [4.0, 4.0], [1.0, 1.0]), [(0.5, "a"), (1.0, "b")])
    bench.kernel.call_at(
        2.0, lambda: bench.cluster.set_state(bench.service.replicas[0].unit.node, NodeState.FAILED)
    )
    tables = bench.finish(until=30.0)
    assert [call.status for call in calls] == ["failed", "failed"]
    assert tables["swaps"] == []


def test_calls_that_wait_for_a_load_time_out(bench):
    calls = serve(bench, host([5, 5], 10, [4.0, 4.0], [1.0, 1.0]), [(0.5, "a"), (1.0, "b")], timeout=3.0)
    bench.finish(until=30.0)
    assert [(call.status, pytest.approx(call.finish)) for call in calls] == [
        ("timeout", 3.5),
        ("timeout", 4.0),
    ]


def test_weights_come_from_the_store_once(bench):
    """6 GB at 1 GB/s to the node, then 2 s into the accelerator; later they lie on the node."""
    bench.serve(hosting=host([6e9, 6e9], 10e9, [2.0, 2.0], [1.0, 1.0]))
    calls = []
    for at, model in ((0.0, "a"), (20.0, "b"), (40.0, "a")):
        call = bench.call_at(at)
        call.model = model
        calls.append(call)
    tables = bench.finish()
    assert [call.start - call.enter for call in calls] == pytest.approx([8.0, 8.0, 2.0])
    assert [row["seconds"] for row in tables["swaps"]] == pytest.approx([8.0, 8.0, 2.0])


def test_who_waits_behind_a_call_that_gives_up_begins(bench):
    """While `a` works `b` cannot be loaded; behind it the next call of `a` waits, though a server is free."""
    calls = serve(
        bench,
        host([6, 6], 10, [1.0, 1.0], [10.0, 1.0]),
        [(0.0, "a"), (2.0, "b"), (2.5, "a")],
        engine=Concurrent(2),
        timeout=2.0,
    )
    bench.finish()
    assert (calls[0].start, calls[2].start) == (1.0, pytest.approx(4.0))


ZOO = """
name: zoo
seed: 3
duration: 2h
warmup: 10min
infrastructure:
  sites: {hall: {kind: cloud, pools: {boxes: {instance: g4dn.xlarge, nodes: 1}}}}
platform:
  services:
    zoo:
      site: hall
      time: {policy: constant, value: 10ms}
      resources: {cpu: 1, accelerators: 1}
      load_rate: 12GB/s
      hosts:
        memory: 8GB
        models:
          tuned: {weights: 2GB, copies: 8, skew: 1}
applications:
  users:
    users: {hall: 1}
    arrivals: {process: poisson, rate: 0.2/s}
    calls: {ask: {to: zoo}}
"""


def test_hit_rate_of_lru_under_independent_references():
    """Che's approximation of LRU (2002): a model is in with 1 - exp(-share x T), T such that four are."""
    outcome = build(loads(ZOO.replace("0.2/s", "2/s"))).run()
    shares = 1 / np.arange(1, 9)
    shares /= shares.sum()
    moment = brentq(lambda t: np.sum(1 - np.exp(-shares * t)) - 4, 0.01, 1e4)
    expected = float(np.sum(shares * (1 - np.exp(-shares * moment))))
    found = measure(outcome)
    assert found["services.zoo.hit_rate"] == pytest.approx(expected, abs=0.03)
    misses = (1 - found["services.zoo.hit_rate"]) * 2 * 110 * 60
    assert found["services.zoo.swaps"] == pytest.approx(misses, rel=0.15)
    assert found["services.zoo.swap_seconds"] == pytest.approx(found["services.zoo.swaps"] * 2 / 12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("platform.services.zoo.hosts.memory=1GB", "1 GB hold no model of 2 GB"),
        ("platform.services.zoo.model=resnet50-v1", "names its models there"),
        ("platform.services.zoo.load_rate=null", "give `load`"),
        ("platform.services.zoo.engine=adaptive-batch", "serves one model"),
        ("applications.users.calls.ask.model=tuned-9", "hosts no model 'tuned-9'"),
        ("platform.services.zoo.hosts.models.tuned.share=0", "above 0"),
        ("platform.services.zoo.hosts.models.tuned.model=resnet5", "resnet18"),
    ],
)
def test_faults_of_hosts_are_named(change, words):
    with pytest.raises(Exception, match=words):
        loads(ZOO, [change])


def test_a_study_may_ask_for_the_metrics_of_hosts():
    study = ["study.show=[services.zoo.hit_rate, services.zoo.swaps]", "study.arms={one: {seed: 4}}"]
    assert loads(ZOO, study).study.show == ["services.zoo.hit_rate", "services.zoo.swaps"]


def test_affinity_to_models_needs_fewer_loads():
    """Four replicas for eight models: with affinity each keeps some."""
    text = ZOO.replace("nodes: 1", "nodes: 4").replace("hosts:\n", "replicas: 4\n      hosts:\n")
    text = text.replace("0.2/s", "6/s").replace("2h", "14min").replace("8GB", "4GB")
    swaps = {
        router: measure(build(loads(text, [f"platform.services.zoo.router={router}"])).run())[
            "services.zoo.swaps"
        ]
        for router in ("random", "model-affinity")
    }
    assert swaps["model-affinity"] < swaps["random"] / 20
