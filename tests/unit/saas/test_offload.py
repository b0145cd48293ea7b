import numpy as np
import pytest

from sim.iaas.network import Link
from sim.kernel.distributions import Constant
from sim.paas.calls import Call
from sim.registry import fresh
from sim.saas.blocks import Block
from sim.saas.callgraph import CallGraph, CallSpec
from sim.saas.draws import Source
from sim.saas.policies.offload import Cloud, Edge, LatencyGreedy, LatencyWeighted, Threshold, Variant
from sim.saas.requests import Request

SITES = ("camera", "near", "far", "region", "overseas")
KINDS = {"camera": "device", "near": "edge", "far": "edge", "region": "cloud", "overseas": "cloud"}
LINKS = [
    Link("far", "camera", "far", 0.004, 1e6),
    Link("near", "camera", "near", 0.002, 1e6),
    Link("overseas", "camera", "overseas", 0.080, 1e6),
    Link("region", "camera", "region", 0.010, 1e6),
]


@pytest.fixture
def world(new_world):
    return new_world(sites=SITES, links=LINKS)


def ask(world, policy, services, send=1000.0, reply=0.0, work=1.0):
    graph = CallGraph([CallSpec("a", services)])
    shape = {"send": Constant(send), "reply": Constant(reply), "work": Constant(work)}

    class Once:
        def blocks(self, rng, users, until):
            yield Block(np.zeros(1))

    path = f"test/{len(world.ctx.streams._taken)}"
    draws = next(Source(world.ctx.streams, path, {"camera": 1}, shape, graph).draws(Once(), 1.0))
    policy = fresh(policy)
    policy.start(KINDS)
    return policy.place(Request(0, draws, 0), services, 0.0, world.network).name


def load(world, service, calls):
    """Bring up a service and give it calls, as if others had."""
    service.start()
    world.kernel.run(until=world.kernel.now + 1e-3)
    for number in range(calls):
        service.submit(Call(number, Request.__new__(Request), lambda call: None))


def test_edge_and_cloud_take_the_nearest_of_their_kind(world):
    services = [world.service(site, site) for site in ("overseas", "far", "region", "near")]
    assert ask(world, Edge(), services) == "near"
    assert ask(world, Cloud(), services) == "region"


def test_equally_near_services_go_by_order(world):
    services = [world.service(name, "near") for name in ("b", "a")]
    assert ask(world, Edge(), services) == "b"


def test_without_a_site_of_the_kind_the_first_service_is_asked(world):
    at_edge = [world.service(site, site) for site in ("far", "near")]
    in_cloud = [world.service(site, site) for site in ("overseas", "region")]
    assert ask(world, Cloud(), at_edge) == "far"
    assert ask(world, Edge(), in_cloud) == "overseas"
    assert ask(world, Threshold(wait=0.1), at_edge) == "near"
    assert ask(world, Threshold(wait=0.1), in_cloud) == "region"


@pytest.mark.parametrize(
    ("send", "reply", "work", "best"),
    [
        # near: 2 + 2 ms of latency and 100 ms of work; region: 10 + 10 ms and 50 ms; 1 kB is 1 ms
        (1e3, 0.0, 1.0, "region"),
        (1e3, 0.0, 0.2, "near"),
    ],
)
def test_greedy_weighs_the_way_against_the_work(world, send, reply, work, best):
    services = [world.service("near", "near", 0.1), world.service("region", "region", 0.05)]
    for service in services:
        load(world, service, 0)
    assert ask(world, LatencyGreedy(), services, send, reply, work) == best


def test_greedy_counts_the_way_back(new_world):
    links = [Link("near", "camera", "near", 0.0, 1e4), Link("region", "camera", "region", 0.010, 1e9)]
    world = new_world(sites=("camera", "near", "region"), links=links)
    services = [world.service("near", "near", 0.1), world.service("region", "region", 0.1)]
    for service in services:
        load(world, service, 0)
    assert ask(world, LatencyGreedy(), services, send=0.0, reply=0.0) == "near"
    assert ask(world, LatencyGreedy(), services, send=0.0, reply=1e3) == "region"


def test_greedy_avoids_a_line(world):
    services = [world.service("near", "near", 0.1), world.service("region", "region", 0.1)]
    load(world, services[1], 0)
    load(world, services[0], 1)
    assert ask(world, LatencyGreedy(), services) == "region"


def test_greedy_ties_go_to_the_first(world):
    services = [world.service(name, "near", 0.1) for name in ("b", "a")]
    for service in services:
        load(world, service, 0)
    assert ask(world, LatencyGreedy(), services) == "b"


@pytest.mark.parametrize(
    ("policy", "calls", "place"),
    [
        (Threshold(backlog=2.0), 2, "near"),
        (Threshold(backlog=2.0), 3, "region"),
        (Threshold(wait=0.35), 3, "near"),
        (Threshold(wait=0.25), 3, "region"),
        (Threshold(utilisation=0.9), 0, "near"),
        (Threshold(utilisation=0.9), 1, "region"),
        (Threshold(utilisation=1.0), 9, "near"),
        (Threshold(backlog=100.0, utilisation=0.9), 1, "region"),
        (Threshold(wait=100.0), 50, "near"),
        (Threshold(), 4, "near"),
        (Threshold(), 5, "region"),
    ],
)
def test_thresholds_let_pass_up_to_their_value(world, policy, calls, place):
    # One server of 0.1 s: with k calls inside, the next one waits about k times 0.1 s.
    services = [world.service("near", "near", 0.1), world.service("region", "region", 0.1)]
    load(world, services[0], calls)
    assert ask(world, policy, services) == place


def test_a_service_without_replicas_is_too_busy(world):
    services = [world.service("near", "near", 0.1), world.service("region", "region", 0.1)]
    assert ask(world, Threshold(utilisation=1.0), services) == "region"


def test_a_slow_service_gets_its_share_by_time(new_world):
    world = new_world(sites=("camera",), links=[])
    # No links are needed: both services are where the data is. 0.1 s against 0.3 s: three calls in four.
    services = [
        world.service("quick", "camera", 0.1, servers=50),
        world.service("slow", "camera", 0.3, servers=50),
    ]
    for service in services:
        service.start()
    world.kernel.run(until=1e-3)
    policy = fresh(LatencyWeighted())
    policy.start(KINDS)
    request = Request.__new__(Request)
    request.at = request.origin = "camera"
    request.payload = request.reply = 0.0
    request.work, request.tokens_in, request.tokens_out = 1.0, 0, 0
    seen = [policy.place(request, services, 0.0, world.network).name for _ in range(400)]
    assert seen.count("quick") == 300
    assert "slow" in seen[:4]  # in turns, not in a row


@pytest.mark.parametrize(
    ("policy", "calls", "best"),
    [
        (Variant(0.5), 0, "large"),
        (Variant(0.5, prefer="cost"), 0, "small"),
        (Variant(0.35), 0, "middle"),  # the large one takes 0.4 s
        (Variant(0.5), 1, "middle"),  # one waits for the large one
        (Variant(0.01), 0, "small"),  # none is fast enough: the fastest
    ],
)
def test_the_best_variant_that_is_fast_enough(new_world, policy, calls, best):
    world = new_world(sites=SITES, links=LINKS)
    times = {"small": 0.1, "middle": 0.2, "large": 0.4}
    services = [world.service(name, "camera", seconds) for name, seconds in times.items()]
    for service in services:
        load(world, service, calls if service.name == "large" else 0)
    assert ask(world, policy, services, send=0.0) == best
