"""Inputs and outcomes of the tests of Knative Serving, KEDA and Ray Serve, as tables.

Source of the cases: knative/serving pkg/autoscaler/scaling/autoscaler_test.go and
pkg/reconciler/autoscaling/kpa/scaler_test.go; kedacore/keda
pkg/scaling/executor/{scale_jobs,scale_scaledobjects}_test.go, pkg/scaling/scaledjob and pkg/fallback/
fallback_test.go; ray python/ray/serve/tests/unit/test_autoscaling_policy.py.
"""

import math

import pytest

from sim.paas.autoscaling.keda import Executor, Fallback, ScaledObject
from sim.paas.autoscaling.keda_jobs import Measured, ScaledJob, effective_max, jobs_to_start, together
from sim.paas.autoscaling.kpa import Autoscaler, Decider, ZeroScaler, activators
from sim.paas.autoscaling.ray_serve import Autoscaler as RayScaler
from sim.paas.autoscaling.ray_serve import AutoscalingConfig, Delay, desired, smoothed

# ---------------------------------------------------------------- Knative


def decider(target=10.0, burst=100.0, **more):
    """As the upstream tests: 75 % of the total is the target, both rates ten."""
    more.setdefault("max_scale_up", 10.0)
    more.setdefault("max_scale_down", 10.0)
    return Decider(target, target / 0.75, burst_capacity=burst, **more)


def burst_left(target, burst, panic, pods):
    return math.floor(target / 0.75 * pods - burst - panic)


@pytest.mark.parametrize(
    ("spec", "stable", "panic", "ready", "pods", "burst"),
    [
        (decider(), 0.0, 0.0, 1, 0, burst_left(10, 100, 0, 1)),
        (decider(181.0, -1.0), 21.0, 26.0, 1, 1, -1),
        (decider(10.0, 0.0), 50.0, 49.0, 1, 5, 0),
        (decider(), 50.0, 50.0, 1, 5, burst_left(10, 100, 50, 1)),
        (decider(), 50.0, 50.0, 5, 5, burst_left(10, 100, 50, 5)),
        (decider(1.0, 1982.0, max_scale_up=1.1), 3.0, 3.1, 2, 3, burst_left(1, 1982, 3.1, 2)),
        (decider(10.0, 1982.0, max_scale_down=1.1), 1.0, 1.0, 100, 90, burst_left(10, 1982, 1, 100)),
        (
            decider(10.0, 1982.0, max_scale_down=1.1, reachable=False),
            1.0,
            1.0,
            100,
            1,
            burst_left(10, 1982, 1, 100),
        ),
        (decider(10.0, 84.0), 50.0, 100.0, 1, 10, burst_left(10, 84, 100, 1)),
        (decider(10.0, 101.0), 50.0, 10.0, 1, 5, burst_left(10, 101, 10, 1)),
        (decider(10.0, 101.0), 100.0, 99.0, 1, 10, burst_left(10, 101, 99, 1)),
        (decider(10.0, 98.0), 100.0, 100.0, 8, 10, burst_left(10, 98, 100, 8)),
        (decider(10.0, 98.0), 50.0, 50.0, 8, 5, burst_left(10, 98, 50, 8)),
        (decider(10.0, 75.0), 1.0, 0.0, 1, 1, burst_left(10, 75, 0, 1)),
        (decider(10.0, 61.0), 1000.0, 1001.0, 1, 10, burst_left(10, 61, 1001, 1)),
        (decider(10.0, 61.0), 1000.0, 1001.0, 10, 100, burst_left(10, 61, 1001, 10)),
        (decider(10.0, 61.0), 1.0, 1.0, 100, 10, burst_left(10, 61, 1, 100)),
        (decider(10.0, 61.0), 1.0, 1.0, 10, 1, burst_left(10, 61, 1, 10)),
        (decider(10.0, 81.0), 1000.0, 888.0, 0, 10, burst_left(10, 81, 888, 0)),
    ],
)
def test_knative_scale(spec, stable, panic, ready, pods, burst):
    got = Autoscaler(spec).scale(ready, stable, panic, 0.0)
    assert got.pods == pods
    assert abs(got.excess_burst - burst) <= 1  # as upstream: rounding differs by platform


@pytest.mark.parametrize(("stable", "pods"), [(50.0, 50), (20.0, 30)])
def test_knative_in_panic_takes_the_larger_window(stable, pods):
    scaler = Autoscaler(decider(1.0), panic_since=-5.0, most_panic_pods=5)
    assert scaler.scale(5, stable, 30.0, 0.0).pods == pods


def test_knative_leaves_panic_after_a_slow_increase():
    scaler = Autoscaler(decider(1.0, 98.0))
    assert scaler.scale(10, 11.0, 25.0, 0.0).pods == 25
    assert scaler.scale(40, 30.0, 41.0, 30.0).pods == 41
    assert scaler.panic_since == 0.0
    assert scaler.scale(55, 50.0, 56.0, 62.0).pods == 50
    assert scaler.panic_since is None


def test_knative_extends_the_panic():
    scaler = Autoscaler(decider(1.0, 98.0))
    scaler.scale(10, 11.0, 25.0, 0.0)
    assert scaler.scale(40, 30.0, 80.0, 30.0).pods == 80
    assert scaler.panic_since == 30.0


def test_knative_follows_exponential_growth():
    scaler = Autoscaler(decider(1.0, 101.0))
    steps = [(1, 6, 0.0), (6, 36, 0.0), (36, 216, 1.0), (216, 1296, 1.0), (1296, 1296, 2.0)]
    assert [scaler.scale(n, float(v), float(v), t).pods for n, v, t in steps] == [6, 36, 216, 1296, 1296]


def test_knative_scales_down_after_panic():
    scaler = Autoscaler(decider(10.0, 93.0))
    assert scaler.scale(1, 100.0, 100.0, 0.0).pods == 10
    assert [
        scaler.scale(10, stable, panic, now).pods
        for stable, panic, now in ((100.0, 1000.0, 0.0), (1.0, 1.0, 30.0), (1.0, 1.0, 61.0))
    ] == [100, 100, 1]


def test_knative_new_target():
    scaler = Autoscaler(decider(10.0, 77.0))
    assert scaler.scale(1, 100.0, 101.0, 0.0).pods == 10
    scaler.spec = decider(1.0, 71.0)
    assert scaler.scale(10, 100.0, 101.0, 0.0).pods == 100


@pytest.mark.parametrize(("ready", "panics"), [(0, False), (1, False), (2, True)])
def test_knative_starts_in_panic(ready, panics):
    scaler = Autoscaler.begin(decider(), ready, 0.0)
    assert (scaler.panic_since is not None, scaler.most_panic_pods) == (panics, ready)


@pytest.mark.parametrize(
    ("delay", "looks"),
    [
        (300.0, [(2.0, 40, 4), (300.0, 0, 4), (302.0, 0, 0)]),
        (300.0, [(540.0, 40, 4), (600.0, 30, 4), (660.0, 0, 4), (840.0, 0, 3), (900.0, 0, 0)]),
        (0.0, [(0.0, 40, 4), (0.5, 20, 2)]),
    ],
)
def test_knative_scale_down_delay(delay, looks):
    scaler = Autoscaler(decider(10.0, 0.0, panic_threshold=100.0, scale_down_delay=delay))
    assert [scaler.scale(0, load, load, now).pods for now, load, _ in looks] == [n for *_, n in looks]


@pytest.mark.parametrize(
    ("pods", "target", "burst"), [(1, 10, 100), (10, 1, 98), (1296, 1, 101), (100, 10, 1982), (0, 10, 81)]
)
def test_knative_activators(pods, target, burst):
    expected = max(2, math.ceil((target / 0.75 * pods + burst) / 150))
    assert activators(pods, target / 0.75, burst, 150.0) == expected


# ---------------------------------------------------------------- KEDA


CUSTOM = {"strategy": "custom", "deduction": 1, "running_share": 0.5}


@pytest.mark.parametrize(
    ("state", "wish", "current", "proxied", "pods"),
    [
        ({"active_since": 41.0}, 0, 1, 0.0, 1),  # a second short of the stable window
        ({"active_since": 81.0, "stable_window": 20.0}, 0, 1, 0.0, 1),
        ({"active_since": 41.0}, 0, 10, 0.0, 1),
        ({"active_since": 40.0}, 0, 1, 0.0, 1),  # now inactive, but the pod stays for the grace period
        ({"inactive_since": 70.0}, 0, 1, 0.0, 0),
        ({"inactive_since": 71.0}, 0, 1, 0.0, 1),
        ({"inactive_since": 71.0}, 0, 1, 29.0, 1),
        ({"inactive_since": 71.0}, 0, 1, 30.0, 0),  # the activator has been in the path for longer
        ({"inactive_since": 71.0, "minimum": 2}, 0, 10, 0.0, 2),
        ({"inactive_since": 70.0, "minimum": 2}, 0, 10, 0.0, 2),
        ({}, 10, 1, 0.0, 10),
        ({"maximum": 8}, 10, 1, 0.0, 8),
        ({"inactive_since": 85.0}, 10, 1, 0.0, 10),
        ({"inactive_since": 100.0}, -1, 0, 0.0, 0),  # no metrics
        ({}, 1, 0, 0.0, 1),
        ({}, 10, 0, 0.0, 10),
        ({"active_since": 100.0}, -1, 12, 0.0, 12),
        ({"active_since": 100.0, "enabled": False}, 0, 10, 0.0, 1),
        ({"active_since": 100.0, "enabled": False, "minimum": 2}, 0, 10, 0.0, 2),
        ({"active_since": 100.0, "enabled": False}, -1, 10, 0.0, 10),
    ],
)
def test_knative_to_zero_and_back(state, wish, current, proxied, pods):
    assert ZeroScaler(reached=True, **state).apply(wish, current, current, 100.0, proxied) == pods


@pytest.mark.parametrize(
    ("rules", "most", "running", "pending", "maximum", "expected"),
    [
        ({}, 3, 2, 0, 5, 1),
        ({}, 2, 0, 0, 5, 2),
        (CUSTOM, 3, 2, 0, 5, 1),
        (CUSTOM, 10, 0, 0, 10, 9),
        ({**CUSTOM, "deduction": 0}, 3, 2, 0, 5, 2),
        ({**CUSTOM, "deduction": 0}, 10, 0, 0, 10, 10),
        ({**CUSTOM, "deduction": 2, "running_share": 0.0}, 3, 2, 0, 5, 1),
        ({**CUSTOM, "deduction": -2, "running_share": 0.0}, 3, 2, 0, 4, 4),
        ({"strategy": "accurate"}, 3, 2, 0, 5, 3),
        ({"strategy": "accurate"}, 5, 2, 0, 5, 3),
        ({"strategy": "accurate"}, 3, 4, 2, 10, 1),
        ({"strategy": "accurate"}, 5, 4, 2, 5, 1),
        ({"strategy": "accurate"}, 3, 3, 3, 5, 0),
        ({"strategy": "accurate"}, 15, 15, 15, 20, 0),
        ({"strategy": "accurate"}, 10, 10, 10, 15, 0),
        ({"strategy": "accurate"}, 20, 15, 10, 20, 5),
        ({"strategy": "eager"}, 4, 3, 0, 10, 4),
        ({"strategy": "eager"}, 4, 0, 3, 10, 4),
        ({"strategy": "eager"}, 4, 7, 0, 10, 3),
        ({"strategy": "eager"}, 4, 1, 6, 10, 3),
        ({"strategy": "eager"}, 15, 0, 0, 10, 10),
    ],
)
def test_keda_strategies(rules, most, running, pending, maximum, expected):
    assert effective_max(ScaledJob(maximum, **rules), most, running, pending) == expected


@pytest.mark.parametrize(
    ("minimum", "running", "queue", "started"), [(2, 0, 0, 2), (2, 1, 0, 1), (1, 1, 2, 2), (0, 0, 0, 0)]
)
def test_keda_jobs_that_always_run(minimum, running, queue, started):
    assert jobs_to_start(ScaledJob(minimum=minimum), queue, 1.0, running, 0) == started


def test_keda_jobs_are_at_most_the_queue():
    # A negative deduction allows four, and there are ten messages of which five make a job.
    more = ScaledJob(strategy="custom", deduction=-2)
    assert jobs_to_start(more, 10, 5.0, 0, 0) == 4
    assert jobs_to_start(more, 3, 5.0, 0, 0) == 3
    assert jobs_to_start(ScaledJob(activation=5.0), 5, 1.0, 0, 0) == 0
    assert jobs_to_start(ScaledJob(activation=5.0), 6, 1.0, 0, 0) == 6


TWO = [Measured(20.0, 20.0, True), Measured(10.0, 5.0, True), Measured(40.0, 40.0, False)]


@pytest.mark.parametrize(
    ("triggers", "calculation", "bounds", "expected"),
    [
        (TWO, "max", (0, 100), (20.0, 20.0, True)),
        (TWO, "min", (0, 100), (10.0, 5.0, True)),
        (TWO, "avg", (0, 100), (15.0, 12.5, True)),
        (TWO, "sum", (0, 100), (30.0, 25.0, True)),
        (TWO, "sum", (0, 10), (30.0, 10.0, True)),
        (TWO[2:], "max", (0, 100), (0.0, 0.0, False)),
        (TWO[2:], "avg", (0, 100), (0.0, 0.0, False)),
        (TWO[2:], "sum", (2, 100), (0.0, 0.0, True)),
    ],
)
def test_keda_several_triggers_of_a_job(triggers, calculation, bounds, expected):
    minimum, maximum = bounds
    assert together(triggers, calculation, minimum=minimum, maximum=maximum) == expected


FOUR = [(20, 1, True), (10, 2, True), (5, 3, True), (7, 4, False)]


@pytest.mark.parametrize(
    ("calculation", "maximum", "expected"),
    [
        ("max", 100, (20, 20)),
        ("min", 100, (5, 2)),
        ("avg", 100, (12, 9)),
        ("sum", 100, (35, 27)),
        ("sum", 25, (35, 25)),
    ],
)
def test_keda_four_triggers_of_a_job(calculation, maximum, expected):
    triggers = [Measured(queue, queue / target, active) for queue, target, active in FOUR]
    got = together(triggers, calculation, maximum=maximum)
    assert (math.ceil(got.queue), math.ceil(got.most), got.active) == (*expected, True)


@pytest.mark.parametrize(
    ("fields", "current", "active", "expected"),
    [
        ({}, 10, False, 0),
        ({"minimum": 5}, 1, False, 5),
        ({}, 0, True, 1),
        ({"idle": 0, "minimum": 5}, 10, False, 0),
        ({"idle": 0, "minimum": 5}, 0, True, 5),
        ({"idle": 0, "minimum": 5}, 2, True, 5),
        ({"pause_scale_in": True}, 10, False, 10),
        ({"idle": 0, "minimum": 5, "pause_scale_in": True}, 10, False, 10),
        ({"pause_scale_out": True}, 0, True, 0),
        ({"idle": 0, "minimum": 5, "pause_scale_out": True}, 0, True, 0),
        ({"minimum": 1}, 1, True, 1),
    ],
)
def test_keda_scaled_object(fields, current, active, expected):
    assert Executor(ScaledObject(**fields)).scale(current, active, 1000.0)[0] == expected


@pytest.mark.parametrize(
    ("failures", "behaviour", "current", "expected"),
    [
        (0, "static", 0, None),
        (2, "static", 0, None),
        (3, "static", 0, 100.0),
        (3, "currentReplicas", 7, 70.0),
        (3, "currentReplicasIfHigher", 15, 150.0),
        (3, "currentReplicasIfHigher", 8, 100.0),
        (3, "currentReplicasIfLower", 15, 100.0),
        (3, "currentReplicasIfLower", 8, 80.0),
    ],
)
def test_keda_fallback(failures, behaviour, current, expected):
    fallback = Fallback(10, 3, behaviour, failures)
    assert fallback.report(None, 10.0, current) == expected
    assert fallback.failures == failures + 1
    assert fallback.report(5.0, 10.0, current) == 5.0
    assert fallback.failures == 0


# ---------------------------------------------------------------- Ray Serve


@pytest.mark.parametrize(
    ("target", "factors", "running", "requests", "expected"),
    [
        *[(t, (1.0, 1.0), 10, 2 * t * 10, 20) for t in (0.5, 1.0, 1.5)],
        *[(t, (1.0, 1.0), 10, 0.5 * t * 10, 5) for t in (0.5, 1.0, 1.5)],
        (1.0, (0.5, 0.5), 10, 40.0, 25),
        (1.0, (0.5, 0.5), 10, 2.5, 7),  # 6.25
        (1.0, (0.5, 1.0), 10, 40.0, 25),
        (1.0, (0.5, 1.0), 10, 2.5, 3),
        (1.0, (1.0, 0.5), 10, 40.0, 40),
        (1.0, (1.0, 0.5), 10, 2.5, 7),
        (1.0, (1.0, 0.5), 2, 0.6, 1),
        (1.0, (1.0, 0.2), 5, 2.0, 4),
        (1.0, (1.0, 0.1), 10, 4.0, 9),
    ],
)
def test_ray_wish(target, factors, running, requests, expected):
    config = AutoscalingConfig(target, 0, 100, upscaling_factor=factors[0], downscaling_factor=factors[1])
    assert smoothed(desired(requests, running, config), running, config) == expected


def test_ray_bounds():
    config = AutoscalingConfig(100.0, 9, 11, upscale_delay=0.0, downscale_delay=0.0)
    got = {RayScaler(config, Delay()).decide(10.0 * i, 10, 10, 0.0) for i in range(50, 151)}
    assert got == {9, 10, 11}
    assert RayScaler(config, Delay()).decide(1500.0, 10, 10, 0.0) == 11
    assert RayScaler(config, Delay()).decide(500.0, 10, 10, 0.0) == 9


@pytest.mark.parametrize(("factor", "expected"), [(10.0, 10), (0.5, 1)])
def test_ray_from_zero(factor, expected):
    config = AutoscalingConfig(2.0, 0, 100, upscaling_factor=factor)
    assert RayScaler(config, Delay()).decide(1.0, 0, 0, 0.0) == expected


@pytest.mark.parametrize("factor", [10.0, 0.2])
def test_ray_reaches_zero_whatever_the_factor(factor):
    config = AutoscalingConfig(2.0, 0, 5, 0.0, 0.0, downscaling_factor=factor)
    scaler, replicas, seen = RayScaler(config, Delay()), 5, []
    for look in range(7):
        replicas = scaler.decide(0.0, replicas, replicas, float(look))
        seen.append(replicas)
    assert seen[-1] == 0
    assert 1 in seen  # zero is reached from one only


def looks(scaler, count, requests, replicas, start):
    """The outcomes of so many rounds of the control loop, ten a second."""
    return [scaler.decide(requests, replicas, replicas, start + 0.1 * i) for i in range(count)]


def test_ray_delays():
    config = AutoscalingConfig(1.0, 0, 2, 30.0, 600.0)
    scaler = RayScaler(config, Delay())
    assert looks(scaler, 301, 100.0, 1, 0.0) == [1] * 300 + [2]
    assert looks(scaler, 6001, 0.0, 2, 100.0) == [2] * 6000 + [1]
    # Half of the way up, one look down, and the delay begins anew.
    assert looks(scaler, 150, 100.0, 1, 1000.0) == [1] * 150
    assert looks(scaler, 1, 0.0, 1, 1015.0) == [1]
    assert looks(scaler, 301, 100.0, 1, 1015.1) == [1] * 300 + [2]
    # The same on the way down.
    assert looks(scaler, 3000, 0.0, 2, 2000.0) == [2] * 3000
    looks(scaler, 1, 200.0, 2, 2300.0)
    assert looks(scaler, 6001, 0.0, 2, 2300.1) == [2] * 6000 + [1]


def test_ray_while_replicas_start():
    config = AutoscalingConfig(1.0, 1, 200, 0.0, 1e5)
    scaler = RayScaler(config, Delay())
    steps = [(100.0, 1, 1), (100.0, 1, 100), (123.0, 3, 100), (10.0, 4, 123)]
    got = [scaler.decide(*step, float(i)) for i, step in enumerate(steps)]
    assert got == [100, 100, 123, 123]


def test_ray_fluctuating_requests():
    config = AutoscalingConfig(50.0, 1, 10, 30.0, 30.0)
    scaler = RayScaler(config, Delay())
    got = [scaler.decide(100.0 if i % 2 else 20.0, 1 + i % 2, 1 + i % 2, 0.1 * i) for i in range(1000)]
    assert got == [1 + i % 2 for i in range(1000)]
