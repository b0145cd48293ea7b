"""Elasticity against hand-made cases, and the demand curve against queueing theory."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.stats.demand import demand, least
from sim.stats.elasticity import elasticity
from sim.stats.metrics import measure
from sim.stats.theory import erlang_c
from sim.stats.view import View


def steps(*points):
    return np.array([time for time, _ in points], float), np.array([value for _, value in points], float)


def test_by_hand():
    demand_ = steps((0, 2), (10, 4), (20, 1))
    supply = steps((0, 2), (12, 3), (16, 5), (26, 1))
    found = elasticity(supply, demand_, 0.0, 30.0, np.array([5.0, 15.0, 25.0]))
    # Too few: 2 of 4 for 2 s, 1 of 4 for 4 s. Too many: 1 of 4 for 4 s, 4 of 1 for 6 s.
    assert found.demand == pytest.approx(7 / 3)
    assert found.under == pytest.approx((2 * 2 / 4 + 4 * 1 / 4) / 30)
    assert found.over == pytest.approx((4 * 1 / 4 + 6 * 4) / 30)
    assert found.under_time == pytest.approx(6 / 30)
    assert found.over_time == pytest.approx(10 / 30)
    # At 5, 15 and 25 s supply has 2, 3 and 5, demand 2, 4 and 1: once alike, once not.
    assert found.instability == 0.5
    # Supply moves 1 + 2 + 4, demand 2 + 3, in half a minute.
    assert found.jitter == pytest.approx((7 - 5) * 2)
    parts = [found.under, found.over, found.under_time, found.over_time, found.instability]
    assert found.deviation == pytest.approx(math.hypot(*parts))


@pytest.mark.parametrize(
    ("supply", "demand_", "under", "over", "under_time", "over_time"),
    [
        (steps((0, 3)), steps((0, 3)), 0, 0, 0, 0),
        (steps((0, 3)), steps((0, 2)), 0, 0.5, 0, 1),
        (steps((0, 0)), steps((0, 2)), 1, 0, 1, 0),
        (steps((0, 2)), steps((0, 0)), 0, 2, 0, 1),
        (steps((0, 0)), steps((0, 0)), 0, 0, 0, 0),
        (steps((-5, 1), (4, 2)), steps((-9, 2)), 0.2, 0, 0.4, 0),
    ],
)
def test_corners(supply, demand_, under, over, under_time, over_time):
    found = elasticity(supply, demand_, 0.0, 10.0, np.array([5.0]))
    assert (found.under, found.over, found.under_time, found.over_time) == pytest.approx(
        (under, over, under_time, over_time)
    )
    assert found.instability == 0


def test_over_no_time_nothing_is_known():
    assert all(math.isnan(value) for value in elasticity(steps((0, 1)), steps((0, 1)), 5.0, 5.0, np.zeros(0)))


CURVES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 9)), min_size=1, max_size=9, unique_by=lambda point: point[0]
)


@given(CURVES, CURVES)
def test_properties(first, second):
    supply, demand_ = steps((0, 1), *sorted(first)[1:]), steps((0, 2), *sorted(second)[1:])
    moments = np.arange(0.5, 60.0)
    found = elasticity(supply, demand_, 0.0, 60.0, moments)
    # All changes are at whole seconds, so the middles of the seconds see every value for its second.
    there = np.array([supply[1][supply[0] <= at][-1] for at in moments])
    needed = np.array([demand_[1][demand_[0] <= at][-1] for at in moments])
    assert found.under == pytest.approx(np.mean(np.maximum(needed - there, 0) / np.maximum(needed, 1)))
    assert found.over == pytest.approx(np.mean(np.maximum(there - needed, 0) / np.maximum(needed, 1)))
    assert found.under_time == pytest.approx(np.mean(there < needed))
    assert found.over_time == pytest.approx(np.mean(there > needed))
    assert found.jitter == pytest.approx(np.abs(np.diff(there)).sum() - np.abs(np.diff(needed)).sum())
    assert 0 <= found.under <= found.under_time <= 1
    assert 0 <= found.instability <= 1
    # The demand as supply is perfect, and a supply at its peak never lacks anything.
    assert elasticity(demand_, demand_, 0.0, 60.0, moments).deviation == 0
    peak = steps((0, demand_[1].max()))
    assert elasticity(peak, demand_, 0.0, 60.0, moments).under_time == 0


# ---------------------------------------------------------------- demand

#: Quantiles of an exponential service of 1 s; their mean is 0.9995.
EXPONENTIAL = -np.log(1 - (np.arange(20000) + 0.5) / 20000)


def in_time(rate, servers, latency):
    """P(wait + service <= latency) in M/M/c with service rate 1 (Kleinrock 1975, section 3.5)."""
    waits, spare = erlang_c(rate, servers), servers - rate
    if rate >= servers:
        return 0.0
    if math.isclose(spare, 1.0):
        return 1 - math.exp(-latency) - waits * latency * math.exp(-latency)
    late = waits * (math.exp(-latency) - math.exp(-spare * latency)) / (spare - 1)
    return 1 - math.exp(-latency) - late


@pytest.mark.parametrize("servers", [1, 3])
@pytest.mark.parametrize(("latency", "share"), [(3.0, 0.9), (5.0, 0.99), (2.5, 0.9)])
def test_least_replicas_are_those_of_the_closed_form(servers, latency, share):
    rates = np.array([0.0, 0.05, 0.5, 2.0, 7.3, 40.0, 200.0])
    found = least(rates, EXPONENTIAL, servers, latency, share)
    for rate, replicas in zip(rates.tolist(), found.tolist(), strict=True):
        if not rate:
            assert replicas == 0
            continue
        assert in_time(rate, int(replicas) * servers, latency) > share - 2e-4
        if replicas > 1:
            assert in_time(rate, (int(replicas) - 1) * servers, latency) < share + 2e-4


def test_demand_never_falls_as_the_rate_rises():
    found = least(np.linspace(0, 90, 400), EXPONENTIAL, 2, 4.0, 0.95)
    assert (np.diff(found) >= 0).all()


def test_what_no_number_of_replicas_can_keep_is_not_answered():
    assert least(np.array([1.0]), np.array([1.0, 5.0]), 1, 2.0, 0.9) is None
    assert least(np.array([1.0]), np.array([1.0, 5.0]), 1, 2.0, 0.5 - 1e-9) is not None


def calls(rate, begin, end):
    return [
        {"service": "s", "enter": at, "start": at, "finish": at + 0.5, "status": "completed"}
        for at in np.arange(begin, end, 1 / rate) + 1e-6
    ]


def facts(**more):
    return {"services": {"s": {"site": "x"} | more}}


def test_without_an_slo_demand_is_what_keeps_up(outcome):
    found = outcome(
        window=(0.0, 180.0),
        calls=calls(5, 0, 60) + calls(9, 60, 120) + calls(1, 120, 180),
        facts=facts(capacity=2.0),
    )
    times, needed = demand(View(found), "s")
    assert (times.tolist(), needed.tolist()) == ([0, 60, 120], [3, 5, 1])


def test_without_capacity_there_is_no_demand(outcome):
    found = outcome(calls=calls(5, 0, 10), facts=facts())
    assert demand(View(found), "s") is None
    assert math.isnan(measure(found)["services.s.elasticity.under"])


def test_with_an_slo_waiting_counts(outcome):
    slo = {"slo": {"latency": 0.6, "quantile": 0.9}, "engine": "concurrent", "servers": 1, "capacity": 2.0}
    found = outcome(window=(0.0, 60.0), calls=calls(5, 0, 60), facts=facts(**slo))
    # Constant service of 0.5 s: 2.5 busy servers; at 3 and 4 too many wait for more than 0.1 s.
    _, needed = demand(View(found), "s")
    late = {n: erlang_c(2.5, n) * math.exp(-2 * (n - 2.5) / 0.5 * 0.1) for n in (3, 4, 5)}
    assert needed.tolist() == [next(n for n, share in late.items() if share <= 0.1)] == [5]


def test_fewer_calls_give_wider_bins(outcome):
    found = outcome(window=(0.0, 600.0), calls=calls(0.5, 0, 600), facts=facts(capacity=0.1))
    times, _ = demand(View(found), "s")
    # 300 calls make three bins of the ten minutes.
    assert set(times) <= {0.0, 200.0, 400.0}


# ---------------------------------------------------------------- the rest of the metrics


def test_what_replicas_hold_and_who_pays_for_their_start(outcome):
    units = [
        {
            "id": 0,
            "kind": "replica",
            "owner": "s",
            "bound": 0.0,
            "ready": 0.0,
            "ended": 6.0,
            "accelerators": 2.0,
        },
        {
            "id": 1,
            "kind": "replica",
            "owner": "s",
            "bound": 4.0,
            "ready": 7.0,
            "ended": math.nan,
            "accelerators": 2.0,
        },
        {"id": 2, "kind": "replica", "owner": "s", "bound": math.nan, "ready": math.nan, "accelerators": 2.0},
        {"id": 3, "kind": "worker", "owner": "s", "bound": 0.0, "ready": 9.0, "accelerators": 2.0},
    ]
    served = [
        {"service": "s", "replica": 0, "enter": 3.0, "start": 3.0},
        {"service": "s", "replica": 1, "enter": 5.0, "start": 7.0},
        {"service": "s", "replica": 1, "enter": 7.5, "start": 8.0},
        {"service": "s", "replica": -1, "enter": 5.0, "start": math.nan},
    ]
    changes = [(1, 2), (2, 2), (2, 1), (1, 3), (3, 4), (4, 1)]
    scaling = [
        {"time": 3.0 + at, "service": "s", "current": a, "applied": b} for at, (a, b) in enumerate(changes)
    ]
    found = measure(outcome(window=(2.0, 10.0), units=units, calls=served, scaling=scaling, facts=facts()))
    assert found["services.s.held_hours"] == pytest.approx((4 + 6) / 3600)
    assert found["services.s.accelerator_hours"] == pytest.approx(20 / 3600)
    assert found["services.s.cold_calls"] == pytest.approx(1 / 3)
    # Up, down, up, up, down.
    assert found["services.s.reversals"] == 3


def test_minutes_within_the_slo(outcome):
    def request(at, latency, status="completed"):
        return {"app": "a", "arrival": at, "done": at + latency, "status": status}

    rows = [
        *[request(5.0 + k, 1.0) for k in range(9)], request(50.0, 3.0),  # nine of ten: kept
        *[request(65.0 + k, 1.0) for k in range(8)], request(80.0, 1.0, "rejected"),  # eight of nine: not
        request(185.0, 1.0),  # a minute of nobody does not count
    ]  # fmt: skip
    apps = {"apps": {"a": {"slo": {"latency": 2.0, "quantile": 0.9}}, "b": {"slo": None}}}
    found = measure(outcome(window=(0.0, 240.0), requests=rows, facts=apps))
    assert found["apps.a.slo_time"] == pytest.approx(2 / 3)
    assert found["apps.a.slo_violated"] == pytest.approx(2 / 20)
    assert found["apps.a.slo_violated"] == pytest.approx(1 - found["apps.a.slo_met"])
    assert math.isnan(found["apps.b.slo_time"])
