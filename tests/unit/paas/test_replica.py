import pytest

from sim.paas.policies.engines import Concurrent, DynamicBatch
from sim.paas.policies.times import ConstantTime, LinearTime


def outcome(call):
    return call.start, call.finish, call.status, call.reason


def test_one_server_serves_first_come_first_served(bench):
    bench.serve()
    calls = [bench.call_at(t) for t in (0.5, 0.7, 0.8)]
    bench.finish()
    assert [outcome(c) for c in calls] == [
        (0.5, 1.5, "completed", ""),
        (1.5, 2.5, "completed", ""),
        (2.5, 3.5, "completed", ""),
    ]


def test_servers_work_side_by_side(bench):
    bench.serve(engine=Concurrent(2))
    calls = [bench.call_at(0.5, work) for work in (3.0, 1.0, 1.0)]
    bench.finish()
    assert [(c.start, c.finish) for c in calls] == [(0.5, 3.5), (0.5, 1.5), (1.5, 2.5)]
    assert bench.recorded.steps["paas/detector/busy"][1].max() == 2


def test_a_full_line_rejects_and_a_free_server_does_not_count_as_line(bench):
    bench.serve(queue=1)
    calls = [bench.call_at(t) for t in (0.5, 0.6, 0.7, 1.6)]
    tables = bench.finish()
    assert [outcome(c)[2:] for c in calls] == [
        ("completed", ""),
        ("completed", ""),
        ("rejected", "queue-full"),
        ("completed", ""),
    ]
    row = tables["calls"][0]
    assert (row["id"], row["enter"], row["finish"], row["replica"], row["batch"]) == (2, 0.7, 0.7, -1, 0)
    assert row["start"] != row["start"]


def test_no_line_at_all_is_a_loss_system(bench):
    bench.serve(queue=0, engine=Concurrent(2))
    calls = [bench.call_at(t) for t in (0.5, 0.6, 0.7, 1.55)]
    bench.finish()
    assert [c.status for c in calls] == ["completed", "completed", "rejected", "completed"]


def test_calls_time_out_in_line_but_not_in_service(bench):
    bench.serve(timeout=1.2, time=ConstantTime(2.0))
    calls = [bench.call_at(t) for t in (0.5, 0.6, 1.9)]
    bench.finish()
    assert outcome(calls[0])[1:] == (2.5, "completed", "")
    assert outcome(calls[1])[1:] == (pytest.approx(1.8), "timeout", "timeout")
    assert outcome(calls[2]) == (2.5, 4.5, "completed", "")


def test_a_call_let_go_makes_room_in_the_line(bench):
    bench.serve(queue=1, timeout=0.5, time=ConstantTime(2.0))
    calls = [bench.call_at(t) for t in (0.5, 0.6, 1.0, 1.2)]
    bench.finish()
    assert [c.status for c in calls] == ["completed", "timeout", "rejected", "timeout"]


def test_batch_starts_full_or_when_the_oldest_has_waited(bench):
    bench.serve(engine=DynamicBatch(max_batch=2, max_delay=0.1), time=LinearTime(0.3, 0.1))
    calls = [bench.call_at(t) for t in (1.0, 1.05, 3.0)]
    bench.finish()
    assert [(c.start, c.batch) for c in calls] == [(1.05, 2), (1.05, 2), (pytest.approx(3.1), 1)]
    assert calls[0].finish == pytest.approx(1.55)
    assert calls[2].finish == pytest.approx(3.5)


def test_calls_gather_while_the_instance_is_busy(bench):
    bench.serve(engine=DynamicBatch(max_batch=4, max_delay=0.1))
    calls = [bench.call_at(t) for t in (1.0, 1.2, 1.3, 1.4, 2.09)]
    bench.finish()
    # The first waits 0.1 alone; the next are past their delay when the instance is free at 2.1.
    assert [(c.start, c.batch) for c in calls] == [(1.1, 1)] + [(2.1, 4)] * 4


def test_a_batch_that_waits_on_is_asked_again_for_its_new_oldest(bench):
    bench.serve(engine=DynamicBatch(max_batch=3, max_delay=0.5, instances=2), time=ConstantTime(0.1))
    calls = [bench.call_at(t) for t in (1.0, 1.1, 1.2, 1.3)]
    bench.finish()
    assert [(c.start, c.batch) for c in calls] == [(1.2, 3)] * 3 + [(1.8, 1)]


def test_gathering_calls_fill_the_line(bench):
    bench.serve(engine=DynamicBatch(max_batch=8, max_delay=1.0), queue=2)
    calls = [bench.call_at(t) for t in (0.5, 0.6, 0.7)]
    bench.finish()
    assert [c.status for c in calls] == ["completed", "completed", "rejected"]


def test_the_node_is_as_busy_as_its_replicas(bench):
    # Two replicas with one of two accelerators each; engines of two servers.
    bench.cluster.set_state(bench.cluster.nodes[1], 4)
    bench.cluster.set_state(bench.cluster.nodes[2], 4)
    bench.cluster.set_state(bench.cluster.nodes[3], 4)
    bench.serve(2, engine=Concurrent(2))
    for t in (1.0, 1.0, 1.0, 1.5):
        bench.call_at(t)
    bench.finish()
    times, values = bench.recorded.steps["iaas/plant/boxes/0/busy"]
    assert list(zip(times.tolist(), values.tolist(), strict=True)) == [
        (0, 0),
        (1, 0.75),
        (1.5, 1),
        (2, 0.25),
        (2.5, 0),
    ]


def test_two_events_a_call(bench):
    bench.serve()
    bench.kernel.run(0.5)
    before = bench.kernel.events
    for i in range(100):
        bench.call_at(1.0 + 2 * i)
    bench.finish()
    assert bench.kernel.events - before == 200


def test_callbacks_may_call_again_at_once(bench):
    service = bench.serve(queue=0)
    second = []

    def again(call):
        if not second:
            second.append(bench.call_at(bench.kernel.now))
            other = second[0]
            other.on_done = bench.done.append

    first = bench.call_at(1.0)
    first.on_done = again
    bench.finish()
    assert second[0].status == "completed"
    assert service.in_system == 0
