import pytest

from sim.paas.autoscaling.hpa import Behaviour, Controller, largest
from sim.paas.autoscaling.hpa_behaviour import RatePolicy, Rules, default_down, default_up

DEFAULTS = Behaviour(default_up(), default_down())


@pytest.mark.parametrize(
    ("proposals", "current", "expected"),
    [
        ([3, 7, 5], 4, 7),
        ([None, 7], 4, 7),  # one failed, the other scales up
        ([None, 4], 4, 4),
        ([None, 3], 4, None),  # one failed: nothing is taken away
        ([None, None], 4, None),
        ([], 4, None),
        ([0], 4, 0),
    ],
)
def test_several_metrics(proposals, current, expected):
    assert largest(proposals, current) == expected


@pytest.mark.parametrize(
    ("minimum", "maximum", "current", "replicas", "reason"),
    [
        (2, 10, 30, 10, "TooManyReplicas"),
        (5, 10, 1, 5, "TooFewReplicas"),  # no rate limit: more than a doubling
        (2, 10, 0, 0, "ScalingDisabled"),
        (0, 10, 0, 0, "ScalingDisabled"),
    ],
)
@pytest.mark.parametrize("behaviour", [None, DEFAULTS])
def test_out_of_bounds_no_metric_is_looked_at(minimum, maximum, current, replicas, reason, behaviour):
    controller = Controller(minimum, maximum, behaviour)
    decision = controller.reconcile(current, [3], 0.0)
    assert (decision.replicas, decision.reason) == (replicas, reason)


def test_the_log_is_seeded_with_what_there_was():
    assert Controller(1, 10).reconcile(8, [2], 0.0) == (2, 8, 8, "ScaleDownStabilized")
    assert Controller(1, 10, DEFAULTS).reconcile(8, [2], 0.0) == (2, 8, 8, "ScaleDownStabilized")


@pytest.mark.parametrize(("behaviour", "fallen"), [(None, 315.0), (DEFAULTS, 300.0)])
def test_the_window_includes_its_edge_only_without_behavior(behaviour, fallen):
    controller = Controller(1, 10, behaviour)
    falls = [t for t in range(0, 400, 15) if controller.reconcile(8, [2], float(t)).replicas == 2]
    assert falls[0] == fallen


def test_failed_metrics_change_nothing_and_are_not_remembered():
    controller = Controller(1, 10, stabilisation=60.0)
    for now in (0.0, 30.0, 60.0):
        assert controller.reconcile(6, [None], now).reason == "FailedComputeMetricsReplicas"
    assert controller.reconcile(6, [2], 61.0).replicas == 2


def test_scale_events_limit_the_next_step():
    controller = Controller(1, 100, DEFAULTS)
    assert controller.reconcile(2, [50], 0.0).replicas == 6  # 2 + 4
    assert controller.reconcile(6, [50], 10.0) == (50, 50, 6, "ScaleUpLimit")
    assert controller.reconcile(6, [50], 15.0).replicas == 12


def test_a_return_into_bounds_is_a_scale_event():
    controller = Controller(5, 100, DEFAULTS)
    assert controller.reconcile(2, [50], 0.0).replicas == 5
    # Two 10 s ago: at most six, not ten.
    assert controller.reconcile(5, [50], 10.0).replicas == 6


def test_without_behavior_steps_are_not_remembered():
    controller = Controller(1, 100)
    assert [controller.reconcile(n, [90], t).replicas for n, t in ((1, 0.0), (4, 1.0), (8, 2.0))] == [
        4,
        8,
        16,
    ]


def test_both_windows_act_at_the_same_time():
    controller = Controller(1, 20, Behaviour(Rules(60.0), Rules(60.0)))
    controller.reconcile(5, [7], 0.0)
    controller.reconcile(5, [3], 30.0)
    # Least 3 (up), largest 7 (down): five lies between and stays.
    assert controller.reconcile(5, [6], 45.0) == (6, 5, 5, "ScaleUpStabilized")


def test_scale_down_disabled():
    controller = Controller(1, 20, Behaviour(default_up(), Rules(0.0, select="disabled")))
    assert controller.reconcile(9, [2], 0.0) == (2, 2, 9, "ScaleDownLimit")


def test_scale_down_by_the_larger_drop():
    rules = Rules(0.0, [RatePolicy("pods", 4, 60.0), RatePolicy("percent", 10, 60.0)])
    controller = Controller(1, 100, Behaviour(default_up(), rules))
    assert controller.reconcile(80, [5], 0.0).replicas == 72
    assert controller.reconcile(72, [5], 30.0).replicas == 72
    assert controller.reconcile(72, [5], 60.0).replicas == 64
    # Below 40 the four pods are the larger drop.
    assert Controller(1, 100, Behaviour(default_up(), rules)).reconcile(10, [5], 0.0).replicas == 6


def test_to_zero_and_back_only_if_it_went_there_itself():
    controller = Controller(0, 10, Behaviour(default_up(), Rules(0.0)), from_zero=True)
    assert controller.reconcile(0, [5], 0.0).reason == "ScalingDisabled"
    assert controller.reconcile(2, [0], 15.0).replicas == 0
    assert controller.scaled_to_zero
    assert controller.reconcile(0, [3], 30.0).replicas == 3
    assert not controller.scaled_to_zero


def test_from_zero_to_a_minimum_raised_meanwhile():
    controller = Controller(0, 10, from_zero=True, scaled_to_zero=True)
    controller.minimum = 5
    assert controller.reconcile(0, [1], 0.0).replicas == 5


def test_resource_metrics_cannot_scale_from_zero():
    controller = Controller(0, 10, Behaviour(default_up(), Rules(0.0)))
    assert controller.reconcile(2, [0], 0.0).replicas == 0
    assert controller.reconcile(0, [3], 15.0).reason == "ScalingDisabled"
