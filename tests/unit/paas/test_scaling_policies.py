"""Upstream rules as policies: what they make of observations, alone and in the loop."""

from dataclasses import replace

import numpy as np
import pytest

from sim.paas.autoscaling.scheduled import Window
from sim.paas.autoscaling.steps import Step
from sim.paas.policies.autoscalers.base import History, Observation
from sim.paas.policies.autoscalers.keda import Keda, Trigger
from sim.paas.policies.autoscalers.knative import Knative
from sim.paas.policies.autoscalers.lepton import Lepton
from sim.paas.policies.autoscalers.ray_serve import RayServe
from sim.paas.policies.autoscalers.simple import QueueLength, Scheduled, Steps
from sim.paas.policies.autoscalers.trailing import Trailing

PLAIN = Observation(
    time=0.0,
    wanted=4,
    ready=4,
    starting=0,
    minimum=0,
    maximum=50,
    rate=0.0,
    in_system=0.0,
    queued=0,
    utilisation=0.0,
    history=History(np.empty(0), np.empty(0), 60.0),
    lead_time=30.0,
    servers_per_replica=1,
    capacity=10.0,
)


def ask(policy, now, wanted=4, **changes):
    changes.setdefault("ready", wanted)
    observation = replace(PLAIN, time=now, wanted=wanted, **changes)
    return policy.want(observation, now)


def test_a_trailing_mean_weighs_by_time():
    mean = Trailing(10.0)
    assert mean.add(4.0, 6.0, 4.0) == 6.0
    assert mean.add(6.0, 0.0, 4.0) == 4.0
    assert mean.add(16.0, 1.0, 4.0) == 1.0
    # Half of the stretch before lies in the window.
    assert mean.add(21.0, 3.0, 4.0) == 2.0


def test_knative_follows_concurrency_and_panics():
    policy = Knative(target=10.0, target_utilisation=1.0)
    looks = [ask(policy, 2.0 * i, wanted=2, in_system=15.0) for i in range(1, 40)]
    assert set(looks) == {2}
    # A surge: six seconds at 100 calls ask for ten, which the stable window does not yet know.
    got = [ask(policy, 80.0 + 2.0 * i, wanted=2, in_system=100.0) for i in range(3)]
    assert got[-1] == 10
    assert policy.reason == "panic"
    # No way down while the panic lasts.
    calm = [ask(policy, 86.0 + 2.0 * i, wanted=10, in_system=5.0) for i in range(50)]
    assert calm[20] == 10
    assert calm[-1] == 5


def test_knative_goes_to_zero_and_back():
    policy = Knative(target=10.0)
    ask(policy, 2.0, wanted=1, in_system=5.0)
    got = {now: ask(policy, float(now), wanted=1) for now in range(4, 200, 2)}
    # Active from 2 s, so inactive at 62 s at the earliest, when the window is all but empty.
    first = min(now for now, pods in got.items() if pods == 0)
    assert 62 <= first <= 64
    slow = Knative(target=10.0, burst_capacity=0.0)
    ask(slow, 2.0, wanted=1, in_system=5.0)
    waits = {now: ask(slow, float(now), wanted=1) for now in range(4, 200, 2)}
    # Without the activator in the path before, 30 s of grace more.
    assert min(now for now, pods in waits.items() if pods == 0) == first + 30


def test_knative_by_rate():
    assert ask(Knative(metric="rps", target=10.0, target_utilisation=0.5), 2.0, wanted=4, rate=30.0) == 6


QUEUE = Trigger("queue", 10.0, activation=2.0)


def test_keda_wakes_at_its_own_looks():
    policy = Keda([QUEUE])
    assert not policy.wakes
    assert ask(policy, 15.0, wanted=0, queued=2) == 0
    assert ask(policy, 30.0, wanted=0, queued=50) == 0  # 30 s since the last look are not over
    assert ask(policy, 45.0, wanted=0, queued=50) == 1
    assert policy.reason == "activated"
    assert ask(policy, 60.0, wanted=1, queued=50) == 4  # the HPA: at most four from one
    assert ask(policy, 75.0, wanted=4, queued=50) == 5


def test_keda_cools_down_only_to_zero():
    policy = Keda([QUEUE], cooldown=60.0)
    ask(policy, 0.0, wanted=1, queued=5)
    got = {now: ask(policy, float(now), wanted=1) for now in range(15, 200, 15)}
    assert min(now for now, pods in got.items() if pods == 0) == 90  # the first look after 60 s
    kept = Keda([QUEUE], cooldown=60.0)
    assert {ask(kept, float(now), wanted=2, minimum=2) for now in range(0, 900, 15)} == {2}


def test_keda_on_cpu_alone_never_sleeps():
    policy = Keda(utilisation=0.5, cooldown=30.0)
    assert ask(policy, 15.0, wanted=4, utilisation=0.75) == 6
    # Beyond the stabilisation window of the HPA nothing is left of that, and one replica stays.
    assert {ask(policy, 400.0 + 15.0 * i, wanted=1, utilisation=0.0) for i in range(60)} == {1}
    with pytest.raises(ValueError, match="triggers"):
        Keda()


def test_keda_idle_replicas():
    policy = Keda([QUEUE], idle=1, cooldown=30.0)
    ask(policy, 0.0, wanted=5, minimum=5, queued=9)
    assert [ask(policy, now, wanted=5, minimum=5) for now in (15.0, 30.0, 45.0, 60.0)] == [5, 5, 5, 1]
    assert ask(policy, 75.0, wanted=1, minimum=5) == 1
    assert ask(policy, 90.0, wanted=1, minimum=5, queued=9) == 5


def test_ray_serve_waits_for_its_delay():
    policy = RayServe(upscale_delay=10.0)
    got = [ask(policy, now, wanted=2, in_system=8.0) for now in (5.0, 10.0, 15.0)]
    assert got == [2, 2, 4]
    assert policy.recommended == 4
    assert ask(policy, 20.0, wanted=2, in_system=8.0) == 2
    assert policy.reason == "delay"


def test_lepton_by_throughput_and_without_traffic():
    policy = Lepton(per_minute=60.0, no_traffic_timeout=600.0)
    assert ask(policy, 15.0, wanted=2, rate=4.5) == 5
    assert ask(policy, 30.0, wanted=2) == 1
    assert ask(policy, 615.0, wanted=1) == 0
    assert ask(policy, 630.0, wanted=0, rate=3.0) == 0
    assert (policy.reason, policy.wakes) == ("stays-at-zero", False)
    assert ask(Lepton(utilisation=0.5), 15.0, wanted=4, utilisation=0.75, rate=1.0) == 6
    with pytest.raises(ValueError, match="either"):
        Lepton(per_minute=1.0, utilisation=0.5)


def test_queue_length():
    policy = QueueLength(backlog=5.0, cooldown=60.0)
    assert ask(policy, 0.0, queued=11, utilisation=1.0) == 7
    assert ask(policy, 15.0, utilisation=0.5) == 2
    assert ask(policy, 30.0, wanted=2, utilisation=0.5) == 2
    assert policy.reason == "cooldown"
    assert ask(policy, 75.0, wanted=2, utilisation=0.5) == 1


def test_steps_by_alarm():
    policy = Steps([Step(-1, upper=0.3), Step(1, 0.7, 0.9), Step(3, 0.9)], cooldown=60.0)
    assert ask(policy, 0.0, utilisation=0.5) == 4
    assert ask(policy, 60.0, utilisation=0.95) == 7
    assert ask(policy, 90.0, wanted=7, utilisation=0.95) == 7
    assert policy.reason == "cooldown"
    assert ask(policy, 91.0, wanted=7, utilisation=0.1) == 6  # the other direction need not wait
    assert (
        ask(Steps([Step(50, 100.0)], signal_of="queue", whole=True, adjustment="percent"), 0.0, queued=120)
        == 6
    )


def test_a_timetable():
    policy = Scheduled([Window(8 * 3600.0, 18 * 3600.0, 9, days=["mon"])], otherwise=2, begins=7 * 3600.0)
    assert [ask(policy, t) for t in (0.0, 3600.0, 11 * 3600.0, 25 * 3600.0)] == [2, 9, 2, 2]


def test_a_call_at_zero_waits_for_keda(bench):
    bench.serve((0, 0, 4), autoscaler=Keda([Trigger("queue", 10.0)]))
    call = bench.call_at(1.0, 1.0)
    tables = bench.finish(60.0)
    rows = tables["scaling"]
    assert "activation" not in {row["policy"] for row in rows}
    assert [row["applied"] for row in rows if row["current"] == 0] == [1]
    assert call.start == 15.0


def test_a_call_at_zero_wakes_a_knative_service_at_once(bench):
    bench.serve((0, 0, 4), autoscaler=Knative())
    call = bench.call_at(1.0, 1.0)
    tables = bench.finish(200.0)
    assert call.start == 1.0
    assert tables["scaling"][0]["policy"] == "activation"
    assert tables["scaling"][-1]["applied"] == 0
