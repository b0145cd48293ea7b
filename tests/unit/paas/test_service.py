import pytest

from sim import catalog
from sim.errors import StratusError
from sim.iaas.nodes import NodeState
from sim.paas.policies.engines import Concurrent, DynamicBatch
from sim.paas.policies.routers import PowerOfTwo, RoundRobin
from sim.paas.policies.times import LinearTime, RooflineTime, TokensTime
from sim.paas.replicaset import ReplicaBounds

COLD = {"warm": False, "warmup": 5.0}


def statuses(calls):
    return [call.status for call in calls]


def test_a_call_comes_back_once_with_its_moments(bench):
    service = bench.serve()
    call = bench.call_at(0.5, 2.0)
    tables = bench.finish()
    assert bench.done == [call]
    assert (call.service, call.enter, call.start, call.finish) == ("detector", 0.5, 0.5, 2.5)
    assert (call.replica, call.batch) == (0, 1)
    row = {"id": 0, "request": 0, "service": "detector", "replica": 0, "batch": 1}
    row |= {"enter": 0.5, "start": 0.5, "finish": 2.5, "status": "completed", "reason": ""}
    assert tables["calls"] == [row]
    assert (service.submitted, service.completed, service.in_system, service.queued) == (1, 1, 0, 0)


def test_the_router_spreads_calls(bench):
    bench.serve(3, router=RoundRobin())
    calls = [bench.call_at(t) for t in (0.1, 0.2, 0.3, 5.0)]
    bench.finish()
    assert [c.replica for c in calls] == [0, 1, 2, 0]


def test_calls_before_the_first_replica_wait_in_the_services_line(bench):
    bench.serve(2, **COLD)
    calls = [bench.call_at(t) for t in (1.0, 2.0, 3.0)]
    bench.finish()
    assert [c.start for c in calls] == [5.0, 5.0, 6.0]


def test_held_calls_go_before_those_that_come_later(bench):
    # One replica comes up at 5 with three calls held; a call at 5.5 must not overtake them.
    bench.serve(**COLD)
    calls = [bench.call_at(t) for t in (1.0, 2.0, 3.0, 5.5)]
    bench.finish()
    assert [c.start for c in calls] == [5.0, 6.0, 7.0, 8.0]


def test_a_new_replica_takes_its_share_of_what_is_held(bench):
    service = bench.serve((1, 1, 2), **COLD)
    calls = [bench.call_at(1.0) for _ in range(6)]
    bench.kernel.call_at(1.5, service.replica_set.scale, 2)
    bench.finish()
    assert [c.start for c in calls] == [5.0, 6.0, 6.5, 7.0, 7.5, 8.0]
    assert [c.replica for c in calls] == [0, 0, 1, 0, 1, 0]


def test_held_calls_fill_a_batch(bench):
    bench.serve(engine=DynamicBatch(max_batch=4, max_delay=10.0), **COLD)
    calls = [bench.call_at(1.0 + i) for i in range(3)] + [bench.call_at(7.0)]
    bench.finish()
    # Three are handed over at 5, below a full batch; the fourth completes it.
    assert [(c.start, c.batch) for c in calls] == [(7.0, 4)] * 4


def test_the_services_line_is_bounded_and_its_calls_time_out(bench):
    bench.serve(2, queue=1, timeout=2.0, **COLD)
    calls = [bench.call_at(t) for t in (1.0, 2.0, 2.5, 4.0)]
    bench.finish()
    assert [(c.status, c.reason, c.finish) for c in calls] == [
        ("timeout", "timeout", 3.0),
        ("timeout", "timeout", 4.0),
        ("rejected", "queue-full", 2.5),
        ("completed", "", 6.0),
    ]


def test_a_call_wakes_a_service_at_zero(bench):
    service = bench.serve((0, 0, 3), **COLD)
    bench.kernel.call_at(9.0, lambda: None)
    calls = [bench.call_at(t) for t in (10.0, 10.5)]
    tables = bench.finish()
    assert [c.start for c in calls] == [15.0, 16.0]
    assert service.replica_set.wanted == 1
    assert [(r["time"], r["policy"], r["current"], r["applied"]) for r in tables["scaling"]] == [
        (10.0, "activation", 0, 1)
    ]


def test_a_service_that_may_have_no_replica_rejects(bench):
    bench.serve(0)
    call = bench.call_at(1.0)
    bench.finish()
    assert (call.status, call.reason) == ("rejected", "no-replicas")


def test_a_lost_node_fails_its_calls_and_the_replica_comes_again(bench):
    service = bench.serve(2, router=RoundRobin())
    calls = [bench.call_at(t) for t in (1.0, 1.1, 1.2, 1.3, 3.0)]
    bench.kernel.call_at(1.5, bench.cluster.set_state, bench.cluster.nodes[0], NodeState.FAILED, "crash")
    tables = bench.finish()
    assert statuses(calls) == ["failed", "completed", "failed", "completed", "completed"]
    assert [(calls[0].reason, calls[0].finish), (calls[2].reason, calls[2].finish)] == [
        ("node-failed", 1.5)
    ] * 2
    assert calls[0].start == 1.0
    units = {row["id"]: row for row in tables["units"]}
    assert (units[0]["ended"], units[0]["reason"]) == (1.5, "crash")
    assert units[2]["submitted"] == 1.5
    assert units[2]["node"] != "iaas/plant/boxes/0"
    assert service.replica_set.wanted == 2
    assert service.failed == 2
    assert (service.ready, service.busy.value, service.replica_set.servers.value) == (2, 0, 2)


def test_scale_down_drains(bench):
    service = bench.serve((2, 1, 2), router=RoundRobin())
    calls = [bench.call_at(1.0, 5.0) for _ in range(4)] + [bench.call_at(3.0), bench.call_at(3.0)]
    bench.kernel.call_at(2.0, service.replica_set.scale, 1)
    tables = bench.finish()
    # Both are equally old: the higher number goes, finishing what waits there and getting no more.
    assert statuses(calls) == ["completed"] * 6
    assert [c.replica for c in calls] == [0, 1, 0, 1, 0, 0]
    gone = next(row for row in tables["units"] if row["id"] == 1)
    assert (gone["ended"], gone["reason"]) == (11.0, "scaled-down")
    servers = bench.recorded.steps["paas/detector/servers"]
    assert (servers[0][-1], servers[1][-1]) == (11.0, 1.0)
    ready = bench.recorded.steps["paas/detector/ready"]
    assert (ready[0][-1], ready[1][-1]) == (2.0, 1.0)
    assert len(bench.cluster.nodes[1].units) + len(bench.cluster.nodes[0].units) == 1


def test_the_drain_timeout_fails_what_is_left(bench):
    service = bench.serve((2, 1, 2), router=RoundRobin(), drain_timeout=3.0)
    calls = [bench.call_at(1.0, 5.0) for _ in range(4)]
    bench.kernel.call_at(2.0, service.replica_set.scale, 1)
    bench.finish()
    assert statuses(calls) == ["completed", "failed", "completed", "failed"]
    assert [(calls[1].reason, calls[1].finish), (calls[3].reason, calls[3].finish)] == [
        ("drain-timeout", 5.0)
    ] * 2
    assert service.busy.value == service.in_system == service.serving == 0


def test_a_draining_replica_that_is_lost_does_not_come_again(bench):
    service = bench.serve((2, 1, 2), router=RoundRobin())
    for _ in range(2):
        bench.call_at(1.0, 50.0)
    bench.kernel.call_at(2.0, service.replica_set.scale, 1)
    bench.kernel.call_at(3.0, bench.cluster.set_state, bench.cluster.nodes[1], NodeState.FAILED)
    bench.finish()
    assert [replica.unit.id for replica in service.replicas] == [0]
    assert service.failed == 1


def test_who_goes_first(make_bench):
    # Room for four: units 0 and 1 are ready, 2 and 3 still starting, 4 and 5 without a place.
    bench = make_bench(nodes=2)
    service = bench.serve((2, 0, 9), warmup=10.0)
    scale = service.replica_set.scale
    gone = []

    def down(count):
        before = {r.unit.id for r in service.replicas}
        scale(count)
        gone.append(sorted(before - {r.unit.id for r in service.replicas}))

    bench.kernel.call_at(1.0, scale, 4)
    bench.kernel.call_at(2.0, scale, 6)
    for moment, count in ((3.0, 4), (4.0, 3), (20.0, 2), (21.0, 1)):
        bench.kernel.call_at(moment, down, count)
    bench.finish(30.0)
    assert gone == [[4, 5], [3], [2], [1]]


def test_an_idle_replica_leaves_at_once_and_gives_its_place_back(bench):
    service = bench.serve((1, 0, 1))
    bench.kernel.call_at(2.0, service.replica_set.scale, 0)
    tables = bench.finish()
    assert tables["units"][0]["ended"] == 2.0
    assert bench.cluster.nodes[0].units == {}


def test_calls_in_flight_are_on_record_at_the_end(bench):
    bench.serve()
    for _ in range(3):
        bench.call_at(1.0, 10.0)
    tables = bench.finish(5.0)
    assert [(r["id"], r["status"], r["finish"] != r["finish"]) for r in tables["calls"]] == [
        (i, "in-flight", True) for i in range(3)
    ]
    assert [r["start"] == 1.0 for r in tables["calls"]] == [True, False, False]


@pytest.mark.parametrize("bounds", [(1, 2, 3), (4, 0, 3), (0, -1, 3)])
def test_bounds_out_of_order_are_refused(bounds):
    with pytest.raises(StratusError, match="minimum <= initial"):
        ReplicaBounds(*bounds)


def test_policies_of_a_run_are_copies(bench):
    router = PowerOfTwo()
    bench.serve(router=router)
    assert not hasattr(router, "_uniform")


# ---------------------------------------------------------------- estimates


def test_expected_seconds_of_a_call_alone(bench):
    service = bench.serve(time=LinearTime(0.1, 0.02), engine=DynamicBatch(max_batch=10, max_delay=0.05))
    assert service.expected_seconds() == pytest.approx(0.12)
    assert service.expected_seconds(3.0) == pytest.approx(0.16)
    assert service.capacity() == pytest.approx(10 / 0.3)


def test_expected_wait_is_the_backlog_at_the_pace_of_the_service(bench):
    service = bench.serve(2, engine=Concurrent(2), router=RoundRobin())
    seen = []
    for _ in range(10):
        bench.call_at(1.0, 4.0)
    bench.kernel.call_at(0.5, lambda: seen.append(service.expected_wait()))
    bench.kernel.call_at(1.5, lambda: seen.append(service.expected_wait()))
    bench.finish()
    # Four in service, six wait: seven at four servers of 4 s (the mean work seen so far is 4).
    assert seen == [0.0, pytest.approx(7.0)]


def test_expected_wait_counts_gathering_and_lead_time(bench):
    service = bench.serve((0, 0, 2), engine=DynamicBatch(max_batch=2, max_delay=0.05), warmup=9.0, warm=False)
    assert service.expected_wait() == pytest.approx(9.5)
    bench.kernel.call_at(1.0, service.replica_set.scale, 1)
    bench.finish(20.0)
    assert service.expected_wait() == 0.05


def test_planned_lead_holds_until_one_was_measured(bench):
    service = bench.serve((0, 0, 1), warmup=9.0, planned_lead=70.0)
    assert service.replica_set.lead_time == 70.0
    bench.kernel.call_at(1.0, service.replica_set.scale, 1)
    bench.finish(20.0)
    assert service.replica_set.lead_time == pytest.approx(9.0)


def test_tokens_not_given_are_the_mean_seen(bench):
    service = bench.serve(time=TokensTime(per_input=0.001, per_output=0.01))
    bench.call_at(1.0, tokens_in=100, tokens_out=10)
    bench.call_at(1.0, tokens_in=300, tokens_out=30)
    bench.finish()
    assert service.expected_seconds() == pytest.approx(0.2 + 0.2)
    assert service.expected_seconds(1.0, 10, 1) == pytest.approx(0.02)


def test_roofline_plans_on_the_device_of_the_site(make_bench):
    bench = make_bench(nodes=0)
    device = catalog.device("t4")
    model = catalog.model("resnet50-v2")
    service = bench.serve((0, 0, 1), time=RooflineTime(), model=model)
    with pytest.raises(StratusError, match="no device"):
        service.expected_seconds()
    bench.type = type(bench.type)("gpu", bench.type.capacity, device)
    bench.add_node()
    assert 0 < service.expected_seconds() < 0.1
    call = bench.call_at(1.0)
    bench.finish()
    assert call.finish - call.start == pytest.approx(service.expected_seconds())


def test_time_is_that_of_the_node_the_replica_is_on(make_bench):
    bench = make_bench(nodes=0)
    model = catalog.model("resnet50-v2")
    capacity = bench.type.capacity
    for name in ("t4", "a100-sxm-80"):
        bench.type = type(bench.type)(name, capacity._replace(accelerators=1.0), catalog.device(name))
        bench.add_node()
    bench.serve(2, time=RooflineTime(), model=model, router=RoundRobin())
    calls = [bench.call_at(1.0) for _ in range(2)]
    bench.finish()
    slow, fast = (c.finish - c.start for c in calls)
    assert slow > 2 * fast
