import pytest

from sim.paas.autoscaling.keda import Executor, Fallback, ScaledObject, hpa_bounds, is_active
from sim.paas.autoscaling.keda_jobs import ScaledJob, effective_max, jobs_to_start, max_scale


def executor(last=None, **fields):
    return Executor(ScaledObject(**fields), last_active=last)


@pytest.mark.parametrize(
    ("fields", "last", "current", "active", "expected"),
    [
        # Active.
        ({}, None, 0, True, 1),
        ({"minimum": 3}, None, 0, True, 3),
        ({}, None, 7, True, 7),  # above zero the HPA decides
        ({"minimum": 3}, None, 2, True, 2),  # below the minimum too
        ({"minimum": 3, "idle": 0}, None, 0, True, 3),
        ({"minimum": 5, "idle": 2}, None, 2, True, 5),
        ({"minimum": 5, "idle": 2}, None, 5, True, 5),
        # Inactive: after the cooldown only, which is strict.
        ({}, 700.0, 5, False, 5),
        ({}, 699.9, 5, False, 0),
        ({"cooldown": 10.0}, 900.0, 5, False, 0),
        ({}, None, 5, False, 0),  # scaled by somebody else: no cooldown
        ({}, None, 0, False, 0),
        ({"initial_cooldown": 1000.0}, None, 5, False, 5),
        ({"initial_cooldown": 999.0}, None, 5, False, 0),
        ({"minimum": 2}, 0.0, 5, False, 5),  # with a minimum KEDA does not go down: the HPA does
        ({"minimum": 2}, 0.0, 1, False, 2),
        ({"minimum": 2}, 0.0, 0, False, 2),
        ({"minimum": 5, "idle": 2}, 0.0, 8, False, 2),
        ({"minimum": 5, "idle": 2}, 999.0, 8, False, 8),
        ({"minimum": 5, "idle": 2}, 0.0, 2, False, 2),
        ({"minimum": 5, "idle": 0}, 0.0, 5, False, 0),
        # Annotations.
        ({"paused": 4}, None, 9, True, 4),
        ({"paused": 0}, None, 9, True, 0),
        ({"pause_scale_in": True}, 0.0, 5, False, 5),
        ({"pause_scale_out": True}, None, 0, True, 0),
    ],
)
def test_from_and_to_zero(fields, last, current, active, expected):
    assert executor(last, **fields).scale(current, active, 1000.0)[0] == expected


def test_activity_is_remembered():
    scaler = executor(cooldown=300.0)
    scaler.scale(0, True, 0.0)
    assert scaler.scale(1, False, 300.0) == (1, "cooldown")
    scaler.scale(1, True, 310.0)
    assert scaler.scale(4, False, 610.0) == (4, "cooldown")
    assert scaler.scale(4, False, 610.1) == (0, "inactive")


def test_failed_triggers():
    assert executor(0.0).scale(5, False, 999.0, failed=True) == (5, "trigger-failed")
    assert executor(0.0, fallback=8).scale(5, False, 999.0, failed=True) == (8, "fallback")


def test_activation_is_strict_and_any_trigger_will_do():
    assert not is_active([0.0, 5.0], [0.0, 5.0])
    assert is_active([0.1, 5.0], [0.0, 5.0])
    assert not is_active([None], [0.0])
    assert is_active([None, 6.0], [0.0, 5.0])


def test_bounds_of_the_hpa():
    assert hpa_bounds(ScaledObject()) == (1, 100)
    assert hpa_bounds(ScaledObject(minimum=4, maximum=9)) == (4, 9)


@pytest.mark.parametrize(
    ("behaviour", "current", "wished"),
    [
        ("static", 3, 6),
        ("static", 9, 6),
        ("currentReplicas", 9, 9),
        ("currentReplicasIfHigher", 9, 9),
        ("currentReplicasIfHigher", 3, 6),
        ("currentReplicasIfLower", 9, 6),
        ("currentReplicasIfLower", 3, 3),
    ],
)
def test_fallback(behaviour, current, wished):
    fallback = Fallback(6, 3, behaviour)
    assert [fallback.report(None, 10.0, current) for _ in range(3)] == [None] * 3
    assert fallback.report(None, 10.0, current) == 10.0 * wished
    assert fallback.report(7.0, 10.0, current) == 7.0
    assert fallback.report(None, 10.0, current) is None  # counted anew


def test_fallback_of_a_value_is_per_ready_replica():
    assert Fallback(6, 0).report(None, 10.0, 2, ready=3) == 20.0


@pytest.mark.parametrize(
    ("job", "queue", "running", "pending", "expected"),
    [
        (ScaledJob(), 10, 0, 0, 10),
        (ScaledJob(), 10, 4, 0, 6),
        (ScaledJob(), 10, 14, 0, 0),
        (ScaledJob(maximum=5), 10, 2, 0, 3),
        (ScaledJob(), 0, 0, 0, 0),
        (ScaledJob(strategy="custom", deduction=2, running_share=0.5), 10, 5, 0, 6),  # 10 - 2 - trunc(2.5)
        (ScaledJob(maximum=4, strategy="custom"), 10, 5, 0, 4),
        (ScaledJob(maximum=10, strategy="accurate"), 6, 3, 1, 5),
        (ScaledJob(maximum=10, strategy="accurate"), 8, 5, 2, 5),  # 11 over the maximum: what is left
        (ScaledJob(maximum=10, strategy="eager"), 8, 3, 2, 5),
        (ScaledJob(maximum=10, strategy="eager"), 3, 3, 2, 3),
        (ScaledJob(minimum=3), 0, 1, 0, 2),
        (ScaledJob(minimum=3), 10, 3, 0, 10),  # those of the minimum are not taken off
    ],
)
def test_scaled_jobs(job, queue, running, pending, expected):
    assert jobs_to_start(job, queue, 1.0, running, pending) == expected


def test_scaled_job_arithmetic():
    assert max_scale(11, 5.0, 100) == 3
    assert max_scale(1100, 5.0, 100) == 100
    assert effective_max(ScaledJob(), 3, 5, 0) == -2
