from dataclasses import replace

import numpy as np
import pytest

from sim.errors import StratusError
from sim.paas.policies import hpa
from sim.paas.policies.autoscalers import Fixed, History, Hpa, Observation, Predictive
from sim.paas.policies.forecasters import Forecast
from sim.paas.policies.hpa import RatePolicy, Rules, Tolerance

# ---------------------------------------------------------------- the arithmetic of the HPA


@pytest.mark.parametrize(
    ("current", "usage", "requests", "target", "expected"),
    [
        (3, 1500, [1000] * 3, 50, 3),  # at the target
        (3, 1800, [1000] * 3, 30, 6),  # twice the target
        (3, 1650, [1000] * 3, 50, 3),  # ratio 1.1: the edge of the tolerance belongs to it
        (3, 1680, [1000] * 3, 50, 4),  # 1.12
        (3, 1679, [1000] * 3, 50, 3),  # 55.97 % is cut to 55 %: still the edge
        (10, 4500, [1000] * 10, 50, 10),  # 0.9: the lower edge
        (10, 4490, [1000] * 10, 50, 9),  # 44.9 % is cut to 44 %: 0.88
        (5, 600, [1000] * 5, 50, 2),  # 12 % of 50 %: ceil(1.2)
        (4, 0, [1000] * 4, 50, 0),  # nothing used
        (10, 5500, [1000] * 10, 50, 10),
        (4, 1500, [500, 500, 1000, 1000], 50, 4),  # requests weigh
        (7, 0, [], 50, 7),  # nobody measured: nothing changes
        (8, 1600, [1000] * 2, 50, 4),  # the ratio counts on measured pods, not on `current`
    ],
)
def test_utilisation(current, usage, requests, target, expected):
    assert hpa.by_utilisation(current, usage, requests, target) == expected


@pytest.mark.parametrize(
    ("current", "usage", "ready", "target", "unready", "missing", "expected"),
    [
        # Up: unready pods count as using nothing.
        (4, 2400, 3, 50, 1, 0, 5),  # 80 % -> 1.6; over four 60 % -> 1.2 x 4 = 4.8
        (4, 1800, 3, 50, 1, 0, 4),  # 1.2; over four 45 % -> within tolerance: stay
        (4, 1500, 2, 30, 2, 0, 5),  # 75 % -> 2.5; over four 37 % -> 1.23 x 4 = 4.9
        (4, 1200, 2, 50, 2, 0, 4),  # 1.2; over four 30 % -> would shrink: stay
        # Down: unready pods are not looked at.
        (4, 600, 3, 50, 1, 0, 2),  # 20 % -> 0.4 x 3 = 1.2
        # Missing pods: on the way down they use all they request, on the way up nothing.
        (4, 600, 3, 50, 0, 1, 4),  # over four 40 % -> 0.8 x 4 = 3.2 -> 4: stays
        (4, 300, 3, 50, 0, 1, 3),  # over four 32 % -> 0.64 x 4 = 2.56
        (4, 2400, 3, 50, 0, 1, 5),  # over four 60 % -> 4.8
        (4, 1800, 3, 50, 0, 1, 4),  # over four 45 %: stay
        (4, 1500, 3, 50, 0, 1, 4),  # at the target exactly
        (3, 240, 2, 120, 0, 1, 2),  # 12 %; the missing one counts 120 %: 48 % -> 0.4 x 3 = 1.2
        # Both.
        (5, 2700, 3, 30, 1, 1, 9),  # 90 % -> 3; over five 54 % -> 1.8 x 5 = 9
    ],
)
def test_unready_and_missing_pods(current, usage, ready, target, unready, missing, expected):
    got = hpa.by_utilisation(
        current, usage, [1000] * ready, target, unready=[1000] * unready, missing=[1000] * missing
    )
    assert got == expected


@pytest.mark.parametrize(
    ("current", "total", "pods", "target", "unready", "missing", "expected"),
    [
        (3, 60_000, 3, 20_000, 0, 0, 3),
        (3, 90_000, 3, 20_000, 0, 0, 5),
        (3, 66_000, 3, 20_000, 0, 0, 3),  # 1.1 inclusive
        (3, 66_003, 3, 20_000, 0, 0, 4),  # one thousandth more a pod
        (3, 66_002, 3, 20_000, 0, 0, 3),  # the mean is cut to a whole thousandth
        (4, 90_000, 3, 20_000, 1, 0, 5),  # over four 22.5 -> 1.125 x 4 = 4.5
        (4, 30_000, 3, 20_000, 0, 1, 3),  # the missing one counts as the target: 12.5 -> 0.625 x 4 = 2.5
        (4, 0, 0, 20_000, 4, 0, 4),
    ],
)
def test_value_per_pod(current, total, pods, target, unready, missing, expected):
    assert hpa.by_value(current, total, pods, target, unready=unready, missing=missing) == expected


def test_tolerance_is_inclusive_and_by_direction():
    assert Tolerance(0.1, 0.2).holds(1.2)
    assert not Tolerance(0.1, 0.2).holds(1.2000001)
    assert Tolerance(0.1, 0.2).holds(0.9)
    assert not Tolerance(0.1, 0.2).holds(0.8999)


@pytest.mark.parametrize(
    ("desired", "current", "log", "up", "down", "expected"),
    [
        (3, 5, [], 0, 0, 3),
        (3, 5, [(0.0, 5)], 0, 300, 5),  # the number there was holds it up
        (3, 5, [(0.0, 4), (50.0, 2)], 0, 300, 4),  # the highest of the window
        (3, 5, [(-200.0, 9), (0.0, 4)], 0, 300, 4),  # exactly as old as the window: out
        (3, 5, [(-199.9, 9), (0.0, 4)], 0, 300, 5),
        (8, 5, [(90.0, 6)], 60, 300, 6),  # the lowest of the up window
        (8, 5, [(90.0, 4)], 60, 300, 5),  # a lower one holds it down, not below current
        (8, 5, [(90.0, 4)], 0, 300, 8),
        (5, 5, [(90.0, 9)], 0, 300, 5),  # an older, higher wish does not push up
        (5, 5, [(90.0, 2)], 60, 0, 5),
    ],
)
def test_stabilise(desired, current, log, up, down, expected):
    assert hpa.stabilise(desired, current, log, 100.0, up, down) == expected


PODS4, DOUBLE = RatePolicy("pods", 4, 15.0), RatePolicy("percent", 100, 15.0)


@pytest.mark.parametrize(
    ("current", "rules", "added", "removed", "expected"),
    [
        (5, hpa.default_up(), [], [], 10),
        (3, hpa.default_up(), [], [], 7),
        (5, hpa.default_up(), [(90.0, 3)], [], 6),  # two 15 s ago: max(2 + 4, 2 x 2)
        (5, hpa.default_up(), [(85.0, 3)], [], 10),  # exactly one period old: forgotten
        (5, hpa.default_up(), [], [(95.0, 2)], 14),  # seven 15 s ago: those removed count too
        (10, hpa.default_up(), [(95.0, 9)], [], 10),  # never below current
        (5, Rules(0.0, [PODS4, DOUBLE], "min"), [], [], 9),
        (5, Rules(0.0, [PODS4, DOUBLE], "disabled"), [], [], 5),
        (10, Rules(0.0, [RatePolicy("percent", 10, 60.0)]), [], [], 11),
        (3, Rules(0.0, [RatePolicy("percent", 10, 60.0)]), [], [], 4),
    ],
)
def test_up_limit(current, rules, added, removed, expected):
    assert hpa.up_limit(current, rules, added, removed, 100.0) == expected


@pytest.mark.parametrize(
    ("current", "rules", "added", "removed", "expected"),
    [
        (10, hpa.default_down(), [], [], 0),
        (10, Rules(300.0, [RatePolicy("pods", 2, 60.0)]), [], [], 8),
        (10, Rules(300.0, [RatePolicy("percent", 10, 60.0)]), [], [], 9),
        (9, Rules(300.0, [RatePolicy("percent", 10, 60.0)]), [], [], 8),  # 8.1 is cut
        (8, Rules(300.0, [RatePolicy("pods", 2, 60.0)]), [], [(50.0, 2)], 8),  # ten a minute ago
        (8, Rules(300.0, [RatePolicy("pods", 2, 60.0)]), [(50.0, 3)], [], 3),
        (
            10,
            Rules(300.0, [RatePolicy("pods", 2, 60.0), RatePolicy("percent", 50, 60.0)]),
            [],
            [],
            5,
        ),  # the larger drop
        (10, Rules(300.0, [RatePolicy("pods", 2, 60.0), RatePolicy("percent", 50, 60.0)], "min"), [], [], 8),
        (10, Rules(300.0, [RatePolicy("pods", 2, 60.0)], "disabled"), [], [], 10),
    ],
)
def test_down_limit(current, rules, added, removed, expected):
    assert hpa.down_limit(current, rules, added, removed, 100.0) == expected


@pytest.mark.parametrize(
    ("desired", "current", "expected"),
    [
        (30, 5, (10, "scale-up-rate")),
        (30, 12, (20, "maximum")),
        (8, 5, (8, "")),
        (0, 5, (2, "minimum")),
        (3, 5, (3, "")),
        (5, 5, (5, "")),
    ],
)
def test_limit(desired, current, expected):
    got = hpa.limit(desired, current, 2, 20, hpa.default_up(), hpa.default_down(), [], [], 100.0)
    assert got == expected


def test_a_slow_way_down_is_said():
    slow = Rules(300.0, [RatePolicy("pods", 1, 60.0)])
    assert hpa.limit(0, 5, 0, 9, hpa.default_up(), slow, [], [], 0.0) == (4, "scale-down-rate")


# ---------------------------------------------------------------- the policies

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
    policy = Hpa(concurrency=1.0)
    assert ask(policy, seen(0.0, wanted=1, in_system=40.0)) == 5
    assert policy.reason == "scale-up-rate"
    assert ask(policy, seen(15.0, wanted=5, in_system=40.0)) == 10
    assert ask(policy, seen(30.0, wanted=10, in_system=40.0)) == 20
    assert ask(policy, seen(35.0, wanted=20, in_system=40.0)) == 20
    assert ask(policy, seen(45.0, wanted=20, in_system=40.0)) == 40


def test_hpa_goes_down_only_after_the_window_agrees():
    policy = Hpa(utilisation=0.5)
    got = {}
    for now in range(0, 400, 15):
        load = 0.5 if now < 60 else 0.1
        got[now] = ask(policy, seen(float(now), wanted=10, utilisation=load))
    # The last look that asked for 10 was at 45 s; at 345 s it is exactly 300 s old and out.
    assert [now for now, count in got.items() if count == 10] == list(range(0, 345, 15))
    assert got[345] == 2


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
    assert policy.reason == "bounds"


def test_hpa_counts_a_return_into_bounds_as_scaling():
    policy = Hpa(concurrency=1.0)
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
