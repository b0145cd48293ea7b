"""Invariants of applications, on platforms drawn at random."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.iaas.network import Link, Network
from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Exponential
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.policies.discipline import Skip
from sim.paas.policies.engines import Concurrent, DynamicBatch
from sim.paas.policies.filters import AtSite, NodeReady, ResourcesFit
from sim.paas.policies.order import Fifo
from sim.paas.policies.routers import LeastLoad
from sim.paas.policies.times import ConstantTime
from sim.paas.replicaset import ReplicaBounds
from sim.paas.scheduler import Scheduler
from sim.paas.service import Service
from sim.saas.application import Application
from sim.saas.callgraph import CallSpec
from sim.saas.policies.arrivals import OnOff, Periodic, Poisson
from sim.saas.policies.offload import Cloud, Edge, LatencyGreedy, Threshold

SITES = {"plant": "edge", "city": "edge", "region": "cloud"}


@st.composite
def platforms(draw):
    """A recipe: services, one application's calls over them, and how it is run."""
    services = [
        {
            "site": draw(st.sampled_from(sorted(SITES))),
            "seconds": draw(st.sampled_from([0.01, 0.1, 1.0])),
            "engine": draw(st.sampled_from([Concurrent(1), Concurrent(3), DynamicBatch(4, 0.05)])),
            "queue": draw(st.sampled_from([None, 0, 2])),
            "timeout": draw(st.sampled_from([None, 0.2])),
            "replicas": draw(st.integers(0, 2)),
        }
        for _ in range(draw(st.integers(1, 3)))
    ]
    calls = []
    for place in range(draw(st.integers(1, 4))):
        names = [call["name"] for call in calls]
        calls.append(
            {
                "name": f"call{place}",
                "to": draw(st.lists(st.integers(0, len(services) - 1), min_size=1, max_size=3, unique=True)),
                "after": draw(st.none() | st.lists(st.sampled_from(names), unique=True)) if names else [],
                "probability": draw(st.sampled_from([1.0, 0.5])) if names else 1.0,
                "send": draw(st.sampled_from([None, Exponential(2000.0)])),
            }
        )
    return {
        "services": services,
        "calls": calls,
        "users": {site: draw(st.integers(0, 3)) for site in SITES},
        "arrivals": draw(
            st.sampled_from([Poisson(2.0), Periodic(0.5, phase="aligned"), OnOff(4.0, 1.0, 1.0)])
        ),
        "offload": draw(st.sampled_from([Edge(), Cloud(), LatencyGreedy(), Threshold(backlog=1.0)])),
        "until": draw(st.sampled_from([3.0, 8.0, None])),
        "seed": draw(st.integers(0, 5)),
    }


def run(recipe, offload=None):
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(recipe["seed"]), Recorder(kernel))
    links = [Link("wan", "plant", "region", 0.02, 1e5), Link("lan", "plant", "city", 0.001, 1e6)]
    network = Network(ctx, list(SITES), links)
    cluster = Cluster(ctx)
    for site in SITES:
        node = cluster.add(NodeType("box", Resources(cpu=8.0)), site, f"{site}/boxes")
        cluster.set_state(node, NodeState.READY)
    filters = [NodeReady(), AtSite(), ResourcesFit()]
    scheduler = Scheduler(ctx, cluster, order=Fifo(), discipline=Skip(), filters=filters, scores=[])
    services = [
        Service(
            ctx,
            f"service{number}",
            entry["site"],
            scheduler=scheduler,
            time=ConstantTime(entry["seconds"]),
            engine=entry["engine"],
            router=LeastLoad(),
            bounds=ReplicaBounds(entry["replicas"], 0, 2),
            resources=Resources(cpu=1.0),
            queue=entry["queue"],
            timeout=entry["timeout"],
        )
        for number, entry in enumerate(recipe["services"])
    ]
    calls = [
        CallSpec(
            call["name"],
            [services[number] for number in call["to"]],
            after=call["after"],
            send=call["send"],
            probability=call["probability"],
        )
        for call in recipe["calls"]
    ]
    app = Application(
        ctx,
        network,
        "app",
        users=recipe["users"],
        arrivals=recipe["arrivals"],
        calls=calls,
        until=6.0,
        send=Exponential(3000.0),
        reply=500.0,
        work=Exponential(1.0),
        offload=offload or recipe["offload"],
        site_kinds=SITES,
    )
    for service in services:
        service.start()
    kernel.run(until=recipe["until"])
    in_flight = app.in_flight
    for part in (*services, app):
        part.close()
    tables = ctx.recorder.finish(kernel.now).tables
    rows = {}
    for name in ("requests", "calls"):
        columns = [
            column.texts() if hasattr(column, "texts") else column.tolist()
            for column in tables[name].values()
        ]
        rows[name] = [dict(zip(tables[name], row, strict=True)) for row in zip(*columns, strict=True)]
    return app, in_flight, rows


@given(platforms())
def test_every_request_has_one_row_and_one_ending(recipe):
    app, in_flight, rows = run(recipe)
    endings = Counter(row["status"] for row in rows["requests"])
    assert app.arrived == len(rows["requests"]) == sum(app.ended.values()) + in_flight
    assert endings == Counter({**app.ended, "in-flight": in_flight}) + Counter()
    assert sorted(row["id"] for row in rows["requests"]) == list(range(app.arrived))
    # With nothing to stop it early, a run ends when every request has.
    assert recipe["until"] is not None or in_flight == 0


@given(platforms())
def test_the_parts_of_a_latency_fit_together(recipe):
    _, _, rows = run(recipe)
    certain = all(call["probability"] == 1 for call in recipe["calls"])
    befores = [call["after"] for call in recipe["calls"][1:]]
    chain = certain and all(after in (None, [f"call{place}"]) for place, after in enumerate(befores))
    for row in rows["requests"]:
        assert 0 <= row["arrival"] < 6.0
        if row["status"] == "in-flight":
            continue
        latency = row["done"] - row["arrival"]
        parts = row["network"] + row["queue"] + row["compute"]
        # Along a chain the parts follow each other; side by side they can only add up to more.
        if chain:
            assert parts == pytest.approx(latency, abs=1e-9)
        elif row["status"] == "completed":
            assert parts >= latency - 1e-9
        assert row["reason"] == "" or row["status"] != "completed"
        assert (row["received"] == 500.0) == (row["status"] == "completed")


@given(platforms())
def test_calls_belong_to_requests_and_no_call_is_made_twice(recipe):
    _, _, rows = run(recipe)
    made = Counter(row["request"] for row in rows["calls"])
    assert len({row["id"] for row in rows["calls"]}) == len(rows["calls"])
    by_id = {row["id"]: row for row in rows["requests"]}
    for request, count in made.items():
        assert count <= len(recipe["calls"])
        assert by_id[request]["site"]
    for row in rows["requests"]:
        if row["status"] == "completed":
            assert made[row["id"]] >= 1


@given(platforms(), st.sampled_from([Edge(), Cloud(), LatencyGreedy()]))
def test_offload_policies_meet_the_same_requests(recipe, other):
    recipe = {**recipe, "until": None}

    def seen(rows):
        return sorted((row["id"], row["arrival"], row["origin"]) for row in rows["requests"])

    assert seen(run(recipe)[2]) == seen(run(recipe, other)[2])


@given(platforms())
def test_a_run_repeats_itself_exactly(recipe):
    first, again = run(recipe)[2], run(recipe)[2]
    assert repr(first) == repr(again)
