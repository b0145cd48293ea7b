from dataclasses import replace

import numpy as np
import pytest

from sim.errors import StratusError
from sim.paas.autoscaling.hpa_behaviour import Rules, default_down, default_up
from sim.paas.policies.autoscalers.base import History, Observation
from sim.paas.policies.autoscalers.fixed import Fixed
from sim.paas.policies.autoscalers.kubernetes import Hpa, Metric
from sim.paas.policies.autoscalers.predictive import Predictive
from sim.paas.policies.forecasters import Forecast

EMPTY = History(np.empty(0), np.empty(0), 60.0)


def seen(now=0.0, wanted=4, **changes):
    plain = Observation(
        time=now,
        wanted=wanted,
        ready=wanted,
        starting=0,
        minimum=1,
        maximum=50,
        rate=10.0,
        in_system=4.0,
        queued=0,
        utilisation=0.5,
        history=EMPTY,
        lead_time=30.0,
        servers_per_replica=1,
        capacity=10.0,
    )
    return replace(plain, **changes)


def ask(policy, observation):
    return policy.want(observation, observation.time)


def test_fixed_keeps_what_there_is_or_what_was_given():
    assert ask(Fixed(), seen(wanted=7)) == 7
    assert ask(Fixed(3), seen(wanted=7)) == 3


def test_hpa_default_target_is_80_percent():
    policy = Hpa()
    assert ask(policy, seen(utilisation=0.80)) == 4
    assert policy.signal == 0.80
    assert ask(Hpa(), seen(utilisation=0.88)) == 4
    assert ask(Hpa(), seen(utilisation=0.89)) == 5


def test_hpa_concurrency_per_replica():
    assert ask(Hpa(concurrency=2.0), seen(in_system=8.0)) == 4
    policy = Hpa(concurrency=2.0)
    assert ask(policy, seen(in_system=12.0)) == 6
    assert policy.signal == 3.0


def test_hpa_takes_the_larger_of_two_metrics():
    policy = Hpa(utilisation=0.5, concurrency=2.0)
    assert ask(policy, seen(in_system=12.0, utilisation=0.5)) == 6
    assert ask(Hpa(utilisation=0.5, concurrency=2.0), seen(in_system=8.0, utilisation=0.9)) == 8


def test_hpa_goes_up_at_once_at_its_rates():
    policy = Hpa(concurrency=1.0, scale_up=default_up())
    assert ask(policy, seen(0.0, wanted=1, in_system=40.0)) == 5
    assert policy.reason == "scale-up-rate"
    assert policy.recommended == 40
    assert ask(policy, seen(15.0, wanted=5, in_system=40.0)) == 10
    assert ask(policy, seen(30.0, wanted=10, in_system=40.0)) == 20
    assert ask(policy, seen(35.0, wanted=20, in_system=40.0)) == 20
    assert ask(policy, seen(45.0, wanted=20, in_system=40.0)) == 40


def test_hpa_without_behaviour_doubles_or_goes_to_four():
    policy = Hpa(concurrency=1.0)
    got = [
        ask(policy, seen(t, wanted=n, in_system=40.0)) for t, n in ((0.0, 1), (1.0, 4), (2.0, 8), (3.0, 16))
    ]
    assert got == [4, 8, 16, 32]


@pytest.mark.parametrize(("rules", "fallen"), [(None, 360), (default_down(), 345)])
def test_hpa_goes_down_only_after_the_window_agrees(rules, fallen):
    policy = Hpa(utilisation=0.5, scale_down=rules)
    got = {}
    for now in range(0, 400, 15):
        load = 0.5 if now < 60 else 0.1
        got[now] = ask(policy, seen(float(now), wanted=10, utilisation=load))
    # The last look that asked for 10 was at 45 s; at 345 s it is exactly 300 s old.
    assert [now for now, count in got.items() if count == 10] == list(range(0, fallen, 15))
    assert got[fallen] == 2


def test_hpa_damps_while_replicas_start():
    assert ask(Hpa(utilisation=0.5), seen(wanted=4, ready=4, utilisation=0.9)) == 8
    assert ask(Hpa(utilisation=0.5), seen(wanted=6, ready=4, starting=2, utilisation=0.9)) == 8
    assert ask(Hpa(utilisation=0.5), seen(wanted=8, ready=4, starting=4, utilisation=0.9)) == 8


def test_hpa_without_measurement_or_replicas_does_nothing():
    policy = Hpa()
    assert ask(policy, seen(wanted=3, ready=0, starting=3, utilisation=0.0)) == 3
    assert policy.reason == "no-measurement"
    assert ask(policy, seen(wanted=0, ready=0)) == 0
    assert policy.reason == "no-replicas"


@pytest.mark.parametrize(("wanted", "expected"), [(60, 50), (2, 3)])
def test_hpa_returns_into_its_bounds_without_looking(wanted, expected):
    policy = Hpa()
    assert ask(policy, seen(wanted=wanted, minimum=3, utilisation=0.8)) == expected
    assert policy.reason == ("maximum" if wanted > 50 else "minimum")


def test_hpa_counts_a_return_into_bounds_as_scaling():
    policy = Hpa(concurrency=1.0, scale_up=default_up())
    assert ask(policy, seen(0.0, wanted=2, minimum=5)) == 5
    # Two 10 s ago: at most six, not ten.
    assert ask(policy, seen(10.0, wanted=5, minimum=5, in_system=40.0)) == 6


def test_hpa_remembers_no_wish_without_measurement():
    policy = Hpa(scale_down=Rules(100.0))
    for now in (0.0, 50.0, 100.0):
        assert ask(policy, seen(now, wanted=6, ready=0, starting=6)) == 6
    # Only the number at the start was remembered, and that is 100 s old.
    assert ask(policy, seen(100.0, wanted=6, utilisation=0.1)) == 1


def test_hpa_scales_to_zero_only_if_allowed():
    idle = {"utilisation": 0.0, "in_system": 0.0}
    none = Hpa(scale_down=Rules(0.0))
    assert ask(none, seen(wanted=3, minimum=0, **idle)) == 0
    assert ask(Hpa(scale_down=Rules(0.0)), seen(wanted=3, minimum=1, **idle)) == 1


def test_hpa_metrics_of_the_service():
    queue = Hpa(metrics=[Metric("external", "queue", average=10.0)])
    assert ask(queue, seen(wanted=4, queued=75)) == 8
    assert queue.signal == 75.0
    assert ask(Hpa(metrics=[Metric("object", "rate", value=5.0)]), seen(wanted=4, rate=7.5)) == 6
    per_replica = Hpa(metrics=[Metric("pods", "rate", average=2.0)])
    assert ask(per_replica, seen(wanted=4, rate=12.0)) == 6
    both = Hpa(utilisation=0.5, metrics=[Metric("external", "queue", average=10.0)])
    assert ask(both, seen(wanted=4, queued=10, utilisation=0.8)) == 7


def test_hpa_external_metrics_need_no_ready_replica():
    policy = Hpa(metrics=[Metric("external", "queue", average=10.0)])
    assert ask(policy, seen(wanted=2, ready=0, starting=2, queued=40)) == 4


def test_hpa_returns_from_a_zero_of_its_own():
    policy = Hpa(metrics=[Metric("external", "queue", average=10.0)], scale_down=Rules(0.0))
    assert ask(policy, seen(0.0, wanted=2, minimum=0, queued=0)) == 0
    assert ask(policy, seen(15.0, wanted=0, ready=0, minimum=0, queued=25)) == 3


def test_hpa_tolerance_by_direction():
    assert ask(Hpa(utilisation=0.5, tolerance_up=0.5), seen(utilisation=0.7)) == 4
    assert ask(Hpa(utilisation=0.5, tolerance_up=0.0), seen(utilisation=0.52)) == 5


@pytest.mark.parametrize("given", [{}, {"average": 1.0, "value": 2.0}, {"value": 2.0}])
def test_a_metric_needs_one_target(given):
    with pytest.raises(ValueError, match="average"):
        Metric("pods", "queue", **given)


class Oracle:
    """Says what it was told."""

    def __init__(self, *rates, spread=()):
        self.rates = rates
        self.spread = spread
        self.asked = []

    def predict(self, rates, width, steps):
        self.asked.append((len(rates), width, steps))
        if not self.rates:
            return None
        mean = np.array([self.rates[min(i, len(self.rates) - 1)] for i in range(steps)], dtype=float)
        return Forecast(mean, np.ones(steps), np.array(self.spread, dtype=float))


def predictive(*rates, **options):
    options.setdefault("stabilisation", 0.0)
    return Predictive(forecaster=Oracle(*rates, spread=options.pop("spread", ())), **options)


def test_predictive_sums_up():
    # 70 calls/s at 10 calls/s and 70 %: exactly ten; a hair of rounding must not cost an eleventh.
    policy = predictive(70.0, guard=False)
    assert ask(policy, seen()) == 10
    assert policy.predicted == 70.0
    assert ask(predictive(70.1, guard=False), seen()) == 11


def test_predictive_looks_to_the_end_of_its_lead_time():
    history = History(np.array([60.0, 120.0]), np.array([1.0, 1.0]), 60.0)
    policy = predictive(7.0, 7.0, 70.0, 7.0)
    # At 130 s with 90 s lead and two periods of 15 s: 250 s lies in the third bin after 120 s.
    assert ask(policy, seen(130.0, history=history, lead_time=90.0, rate=0.0)) == 10
    assert policy.forecaster.asked == [(2, 60.0, 3)]
    assert ask(predictive(7.0, 7.0, 70.0), seen(130.0, history=history, lead_time=30.0, rate=0.0)) == 1


def test_predictive_uses_the_quantile_of_the_residuals():
    policy = predictive(70.0, guard=False, quantile=1.0, spread=[-7.0, 0.0, 14.0])
    assert ask(policy, seen()) == 12
    assert policy.predicted == 84.0


def test_the_guard_rail_can_only_add():
    assert ask(predictive(70.0), seen(rate=7.0)) == 10
    policy = predictive(7.0)
    assert ask(policy, seen(rate=70.0)) == 10
    assert policy.reason == "guard-rail"
    assert ask(predictive(7.0, guard=False), seen(rate=70.0)) == 1


def test_the_guard_rail_works_off_the_backlog():
    assert ask(predictive(7.0), seen(rate=7.0, queued=420)) == 2


def test_predictive_with_short_history():
    policy = predictive()
    assert ask(policy, seen(rate=21.0)) == 3
    assert policy.reason == "short-history"
    assert np.isnan(policy.predicted)
    assert ask(predictive(guard=False), seen(wanted=6)) == 6


def test_predictive_comes_down_when_all_wishes_of_the_window_agree():
    policy = predictive(7.0, stabilisation=60.0)
    assert ask(policy, seen(0.0, rate=70.0)) == 10
    assert [ask(policy, seen(t, rate=0.0)) for t in (15.0, 45.0, 59.0, 60.0)] == [10, 10, 10, 1]


def test_predictive_needs_a_capacity():
    with pytest.raises(StratusError, match="capacity"):
        ask(predictive(7.0), seen(capacity=0.0))


class Known:
    """Foresees 10 calls/s, give or take five: errors of -5 to 5."""

    asked = 0

    def predict(self, rates, width, steps):
        self.asked += 1
        return Forecast(np.full(steps, 10.0), np.ones(steps), np.linspace(-5.0, 5.0, 101))


@pytest.mark.parametrize(
    ("quantile", "peak", "level", "high"), [(0.5, 10.0, 0.9, 14.0), (0.95, 14.5, 0.95, 14.5)]
)
def test_the_band_that_is_recorded_is_wide_even_where_the_median_decides(quantile, peak, level, high):
    policy = Predictive(Known(), quantile=quantile)
    ask(policy, seen())
    assert policy.predicted == pytest.approx(peak)
    assert policy.outlook.level == level
    assert (policy.outlook.expected, policy.outlook.high) == pytest.approx((10.0, high))
    assert policy.outlook.low == pytest.approx(20.0 - high)


def test_a_forecast_is_asked_for_once_a_bin():
    policy = Predictive(Known())
    times = np.array([60.0, 120.0])
    for now in (120.0, 135.0, 150.0):
        ask(policy, seen(now, history=History(times[:2], np.ones(2), 60.0)))
    # The horizon, two periods and a lead time of 30 s ahead, reaches a bin more from the second look on.
    assert policy.forecaster.asked == 2
