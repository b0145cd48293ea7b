import math

import pytest

from sim.iaas.network import Link
from sim.iaas.resources import InvariantError
from sim.kernel.distributions import Choice, Exponential, LogNormal, Uniform
from sim.paas.policies.engines import DynamicBatch
from sim.paas.policies.times import LinearTime
from sim.saas.callgraph import CallSpec
from sim.saas.policies.arrivals import Periodic, Poisson
from sim.saas.policies.offload import Cloud, Edge, LatencyGreedy, Threshold
from sim.saas.policies.recorded import Trace
from sim.saas.slo import SLO


def latencies(requests):
    return [done - arrival for done, arrival in zip(requests.done, requests.arrival, strict=True)]


# ---------------------------------------------------------------- the time of one request


def test_a_chain_takes_its_transfers_and_services_one_after_the_other(world):
    detect = world.service("detect", "plant", 0.1)
    identify = world.service("identify", "region", 0.05)
    world.app(
        arrivals=Periodic(1.0),
        calls=[CallSpec("detect", [detect]), CallSpec("identify", [identify])],
        send=1000.0,
        reply=500.0,
        until=3.0,
    )
    requests = world.run().requests
    # 0.1 at the plant, 1 kB to the region in 1 + 10 ms, 0.05 there, 0.5 kB back in 0.5 + 10 ms
    assert latencies(requests) == pytest.approx([0.1715] * 3)
    assert requests.network == pytest.approx([0.0215] * 3)
    assert requests.compute == pytest.approx([0.15] * 3)
    assert requests.queue == pytest.approx([0.0] * 3)
    assert requests.sent == [2000.0] * 3
    assert requests.received == [500.0] * 3
    assert requests.site == ["plant"] * 3
    assert requests.origin == ["plant"] * 3


def test_a_call_may_have_its_own_payload_and_its_own_work(world):
    detect = world.service("detect", "plant", 0.1)
    identify = world.service("identify", "region", 0.05)
    calls = [
        CallSpec("detect", [detect], work=Choice([3.0])),
        CallSpec("identify", [identify], send=Choice([5000.0])),
    ]
    world.app(arrivals=Periodic(5.0), calls=calls, send=1000.0, work=2.0, until=1.0)
    requests = world.run().requests
    # 0.1 x 2 x 3, 5 + 10 ms, 0.05 x 2, 10 ms back without a byte
    assert latencies(requests) == pytest.approx([0.6 + 0.015 + 0.1 + 0.01])


def test_waiting_is_told_apart_from_service(world):
    detect = world.service("detect", "plant", 0.3)
    world.app(
        users={"plant": 2}, arrivals=Periodic(10.0, phase="aligned"), calls=[CallSpec("detect", [detect])]
    )
    requests = world.run().requests
    assert requests.queue == pytest.approx([0.0, 0.3])
    assert requests.compute == pytest.approx([0.3, 0.3])
    assert requests.done == pytest.approx([0.3, 0.6])


def test_a_fork_takes_as_long_as_its_longest_branch_and_a_join_waits_for_it(new_world):
    world = new_world(sites=("plant", "region", "lab"), links=[
        Link("wan", "plant", "region", 0.01, 1e6), Link("lan", "plant", "lab", 0.002, 1e7),
    ])  # fmt: skip
    ears, eyes = world.service("ears", "lab", 0.2), world.service("eyes", "region", 0.1)
    fuse = world.service("fuse", "plant", 0.05)
    calls = [
        CallSpec("ears", [ears]),
        CallSpec("eyes", [eyes], after=[]),
        CallSpec("fuse", [fuse], after=["ears", "eyes"], send=Choice([100_000.0])),
    ]
    world.app(arrivals=Periodic(5.0), calls=calls, send=20_000.0, reply=10_000.0, until=1.0)
    requests = world.run().requests
    # to the lab 2 + 2 ms, 0.2 s, back 10 + 2 ms; to the region 20 + 10 ms, 0.1 s, back 100 + 10 ms
    ears_done, eyes_done = 0.004 + 0.2 + 0.012, 0.03 + 0.1 + 0.11
    assert latencies(requests) == pytest.approx([max(ears_done, eyes_done) + 0.05])
    assert requests.network == pytest.approx([0.004 + 0.012 + 0.03 + 0.11])
    assert requests.compute == pytest.approx([0.35])
    assert requests.sent == [2 * 20_000.0 + 2 * 100_000.0]


def test_a_call_that_is_left_out_costs_nothing(world):
    first, never = world.service("first", "plant", 0.1), world.service("never", "region", 0.1)
    calls = [
        CallSpec("first", [first]),
        CallSpec("never", [never], probability=0.0),
        CallSpec("after", [never]),
    ]
    world.app(arrivals=Periodic(5.0), calls=calls, send=1000.0, until=1.0)
    result = world.run()
    assert latencies(result.requests) == pytest.approx([0.1])
    assert result.requests.sent == [1000.0]
    assert result.requests.network == [0.0]
    assert result.calls.service == ["first"]


def test_branches_to_one_place_share_the_link(world):
    services = [world.service(name, "region", 0.1) for name in ("a", "b")]
    calls = [CallSpec(service.name, [service], after=[]) for service in services]
    world.app(arrivals=Periodic(5.0), calls=calls, send=1e6, until=1.0)
    # Two payloads of 1 s each halve the bandwidth between them; the reply is empty.
    assert latencies(world.run().requests) == pytest.approx([2.0 + 0.01 + 0.1 + 0.01])


def test_the_surveillance_chain_of_ifogsim_in_closed_form(new_world):
    # DCNS of iFogSim (Gupta et al. 2017): four cameras send 2000 B every 5 ms over 10,000 B/ms with
    # 2 ms of latency to a router of 2800 MIPS that shares itself among four tasks of 2000 million
    # instructions. Without that simulator's 0.1 ms steps the loop takes 0.2 + 2 + 4 * 2000/2800 ms.
    cameras = [f"camera{i}" for i in range(4)]
    world = new_world(
        sites=("router", *cameras), links=[Link(name, name, "router", 0.002, 1e7) for name in cameras]
    )
    time, engine = LinearTime(per_item=2000 / 2800 * 1e-3), DynamicBatch(max_batch=4, max_delay=1e-3)
    detector = world.service("detector", "router", time=time, engine=engine)
    users = dict.fromkeys(cameras, 1)
    world.app(
        users=users,
        arrivals=Periodic(0.005, phase="aligned"),
        calls=[CallSpec("detect", [detector])],
        send=2000.0,
        until=0.1,
    )
    result = world.run()
    loop = [
        finish - result.requests.arrival[request]
        for finish, request in zip(result.calls.finish, result.calls.request, strict=True)
    ]
    assert len(loop) == 80
    assert loop == pytest.approx([0.2e-3 + 2e-3 + 4 * 2000 / 2800 * 1e-3] * 80, rel=1e-9)
    assert set(result.requests.status) == {"completed"}


# ---------------------------------------------------------------- how requests end


def test_a_full_line_rejects(world):
    detect = world.service("detect", "plant", 1.0, queue=1)
    app = world.app(
        users={"plant": 3}, arrivals=Periodic(10.0, phase="aligned"), calls=[CallSpec("detect", [detect])]
    )
    requests = world.run().requests
    assert requests.status == ["rejected", "completed", "completed"]
    assert requests.reason == ["queue-full", "", ""]
    assert requests.done[0] == 0.0
    assert app.arrived == 3
    assert app.ended == {"completed": 2, "rejected": 1, "timeout": 0, "failed": 0}


def test_a_call_that_waits_too_long_ends_its_request(world):
    detect = world.service("detect", "plant", 1.0, timeout=0.25)
    world.app(
        users={"plant": 2}, arrivals=Periodic(10.0, phase="aligned"), calls=[CallSpec("detect", [detect])]
    )
    requests = world.run().requests
    assert requests.status == ["timeout", "completed"]
    assert requests.done[0] == 0.25
    assert requests.queue[0] == 0.25
    assert requests.compute[0] == 0.0


def test_after_a_refusal_the_later_calls_are_not_made(world):
    first = world.service("first", "plant", 1.0, queue=0)
    second = world.service("second", "plant", 0.1)
    world.app(
        users={"plant": 2},
        arrivals=Periodic(10.0, phase="aligned"),
        calls=[CallSpec("first", [first]), CallSpec("second", [second])],
    )
    result = world.run()
    assert sorted(result.requests.status) == ["completed", "rejected"]
    assert sorted(result.calls.service) == ["first", "first", "second"]


def test_a_branch_that_fails_ends_the_request_at_once_and_the_other_does_not_count(world):
    slow = world.service("slow", "plant", 1.0)
    full = world.service("full", "plant", 1.0, queue=0)
    join = world.service("join", "plant", 0.1)
    calls = [
        CallSpec("slow", [slow]),
        CallSpec("full", [full], after=[]),
        CallSpec("join", [join], after=["slow", "full"]),
    ]
    world.app(users={"plant": 2}, arrivals=Periodic(10.0, phase="aligned"), calls=calls)
    result = world.run()
    by_id = dict(zip(result.requests.id, result.requests.status, strict=True))
    assert by_id == {0: "completed", 1: "rejected"}
    lost = result.requests.id.index(1)
    assert result.requests.done[lost] == 0.0
    assert result.requests.compute[lost] == 0.0
    # The slow call of the lost request runs on all the same; the join is made once.
    assert result.calls.service.count("slow") == 2
    assert result.calls.service.count("join") == 1


def test_what_has_not_ended_is_in_flight(world):
    detect = world.service("detect", "region", 1.0)
    app = world.app(arrivals=Periodic(2.0), calls=[CallSpec("detect", [detect])], send=1000.0)
    requests = world.run(until=4.5).requests
    assert requests.status == ["completed", "completed", "in-flight"]
    assert math.isnan(requests.done[2])
    assert requests.site == ["region"] * 3
    assert app.arrived == 3
    assert app.in_flight == 0


def test_no_request_is_made_at_the_end_or_later(world):
    detect = world.service("detect", "plant", 0.01)
    world.app(arrivals=Periodic(1.0), calls=[CallSpec("detect", [detect])], until=3.0)
    assert world.run().requests.arrival == [0.0, 1.0, 2.0]


# ---------------------------------------------------------------- several users, sites, applications


def test_periodic_users_keep_their_sites_and_take_turns(world):
    detect = world.service("detect", "plant", 0.001)
    world.app(
        users={"plant": 2, "region": 1}, arrivals=Periodic(3.0), calls=[CallSpec("d", [detect])], until=6.0
    )
    requests = world.run().requests
    rows = sorted(zip(requests.arrival, requests.origin, strict=True))
    assert rows == [
        (0.0, "plant"), (1.0, "region"), (2.0, "plant"), (3.0, "plant"), (4.0, "region"), (5.0, "plant"),
    ]  # fmt: skip


def test_other_users_are_shared_out_by_number(world):
    detect = world.service("detect", "plant", 1e-6)
    world.app(
        users={"plant": 3, "region": 1}, arrivals=Poisson(100.0), calls=[CallSpec("d", [detect])], until=100.0
    )
    requests = world.run().requests
    count = len(requests.origin)
    # A binomial share; five standard deviations are a false alarm in 6e-7 of seeds.
    assert requests.origin.count("region") == pytest.approx(count / 4, abs=5 * math.sqrt(count * 3 / 16))


def test_a_trace_brings_its_own_sizes_and_work(world, tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("time_s,send,work,reply\n0.5,10000,2,0\n1.5,0,3,5000\n")
    detect = world.service("detect", "region", 0.1)
    world.app(arrivals=Trace(str(path)), calls=[CallSpec("d", [detect])], send=77.0, work=9.0)
    requests = world.run().requests
    assert requests.arrival == [0.5, 1.5]
    assert requests.sent == [10_000.0, 0.0]
    assert requests.received == [0.0, 5000.0]
    assert latencies(requests) == pytest.approx([0.02 + 0.2 + 0.01, 0.01 + 0.3 + 0.015])


def test_an_application_has_one_arrival_waiting_at_a_time(world):
    detect = world.service("detect", "plant", 0.1)
    world.app(users={"plant": 50}, arrivals=Poisson(100.0), calls=[CallSpec("d", [detect])], until=1000.0)
    assert len(world.kernel._heap) == 1


def test_nobody_asks_for_nothing(world):
    detect = world.service("detect", "plant", 0.1)
    world.app(users={"plant": 0}, arrivals=Poisson(100.0), calls=[CallSpec("d", [detect])])
    assert world.run().requests.id == []


# ---------------------------------------------------------------- common random numbers


def made(new_world, offload, extra=False, replicas=1):
    world = new_world(links=[Link("wan", "plant", "region", 0.01, 1e6)])
    edge = world.service("edge", "plant", 0.05, replicas=replicas)
    cloud = world.service("cloud", "region", 0.01)
    if extra:
        world.app("other", arrivals=Poisson(5.0), calls=[CallSpec("d", [edge])])
    world.app(
        users={"plant": 3, "region": 2},
        arrivals=Poisson(5.0),
        calls=[
            CallSpec("detect", [edge, cloud]),
            CallSpec("again", [edge, cloud], send=Exponential(500.0), probability=0.5),
        ],
        send=LogNormal(2000.0, 1.0),
        reply=Uniform(0.0, 1000.0),
        work=Exponential(1.0),
        offload=offload,
    )
    requests = world.run().requests
    rows = zip(requests.app, requests.arrival, requests.origin, requests.received, requests.id, strict=True)
    own = sorted(row[1:] for row in rows if row[0] == "cameras")
    return [row[:3] for row in own], requests


def test_policies_under_comparison_meet_the_same_requests(new_world):
    edge, at_edge = made(new_world, Edge())
    cloud, at_cloud = made(new_world, Cloud())
    greedy, _ = made(new_world, LatencyGreedy())
    assert edge == cloud == greedy
    assert len(edge) > 150
    assert set(at_edge.site) == {"plant"}
    assert set(at_cloud.site) == {"region"}
    assert sum(at_edge.sent) == pytest.approx(sum(at_cloud.sent))


def test_neither_another_application_nor_more_replicas_change_the_requests(new_world):
    alone, _ = made(new_world, Edge())
    assert made(new_world, Edge(), extra=True)[0] == alone
    assert made(new_world, Edge(), replicas=3)[0] == alone


def test_where_users_are_does_not_change_when_they_ask(new_world):
    def arrivals(users):
        world = new_world(links=[Link("wan", "plant", "region", 0.01, 1e6)])
        call = CallSpec("d", [world.service("d", "plant", 0.001)])
        world.app(users=users, arrivals=Poisson(300.0), calls=[call], until=30.0)
        return sorted(world.run().requests.arrival)

    assert arrivals({"plant": 2}) == arrivals({"plant": 1, "region": 1})


def test_a_policy_is_not_changed_by_a_run(new_world):
    arrivals = Poisson(3.0)
    before = dict(vars(arrivals))
    world = new_world(links=[Link("wan", "plant", "region", 0.01, 1e6)])
    app = world.app(arrivals=arrivals, calls=[CallSpec("d", [world.service("d", "plant")])], slo=SLO(0.2))
    world.run()
    assert vars(arrivals) == before
    assert app.arrivals is not arrivals


# ---------------------------------------------------------------- what cannot be built


def test_residency_removes_services_and_is_never_given_up(world):
    edge = world.service("edge", "plant", 0.1)
    cloud = world.service("cloud", "region", 0.01)
    world.app(
        arrivals=Poisson(20.0),
        calls=[CallSpec("d", [edge, cloud])],
        offload=LatencyGreedy(),
        allowed_sites=["plant"],
    )
    assert set(world.run().requests.site) == {"plant"}


def test_residency_without_a_service_left_cannot_be_built(world):
    cloud = world.service("cloud", "region")
    with pytest.raises(
        ValueError, match="no service at an allowed site: its services are at region, allowed are plant"
    ):
        world.app(arrivals=Poisson(1.0), calls=[CallSpec("d", [cloud])], allowed_sites=["plant"])


def test_a_policy_that_breaks_the_residency_is_stopped(world):
    edge, lab = world.service("edge", "plant"), world.service("lab", "plant")
    cloud = world.service("cloud", "region")

    class Rogue:
        def start(self, kinds):
            pass

        def place(self, request, services, now, network):
            return cloud

    rogue = Rogue()
    # A copy of the policy would carry a copy of the service; here it is the very one.
    Rogue.__deepcopy__ = lambda self, memo: self
    world.app(
        arrivals=Periodic(1.0), calls=[CallSpec("d", [edge, lab])], offload=rogue, allowed_sites=["plant"]
    )
    with pytest.raises(InvariantError, match="must not go to region"):
        world.run()


def test_unknown_sites_and_missing_policies_are_refused(world):
    edge, cloud = world.service("edge", "plant"), world.service("cloud", "region")
    call = CallSpec("d", [edge])
    with pytest.raises(ValueError, match=r'unknown site .plnt. \(did you mean "plant"\?\)'):
        world.app("a", users={"plnt": 1}, arrivals=Poisson(1.0), calls=[call])
    with pytest.raises(ValueError, match="expected 0 or more, got -1"):
        world.app("b", users={"plant": -1}, arrivals=Poisson(1.0), calls=[call])
    with pytest.raises(ValueError, match="needs an offload policy"):
        world.app("c", arrivals=Poisson(1.0), calls=[CallSpec("d", [edge, cloud])])


def test_threshold_spills_over(world):
    edge = world.service("edge", "plant", 1.0)
    cloud = world.service("cloud", "region", 0.1, servers=10)
    world.app(
        users={"plant": 5},
        arrivals=Periodic(100.0, phase="aligned"),
        calls=[CallSpec("d", [edge, cloud])],
        offload=Threshold(backlog=1.0),
    )
    requests = world.run().requests
    by_id = [site for _, site in sorted(zip(requests.id, requests.site, strict=True))]
    assert by_id == ["plant", "plant", "region", "region", "region"]
