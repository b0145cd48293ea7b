"""The demand curve against simulation: so many replicas meet the SLO, and one fewer does not.

Demand is reckoned from theory for one line and all servers; replicas here have lines of their own, the
shortest of which each call joins.
"""

from functools import cache

import numpy as np
import pytest

from sim.paas.policies.autoscalers.foresight import replicas as wished
from sim.stats.demand import demand, least
from sim.stats.view import View
from tests.platforms import area, column, simulate, station

EXPONENTIAL, CONSTANT = "{dist: exponential, mean: 1}", "{dist: constant, value: 1}"
HEAVY = "{dist: lognormal, mean: 1, cv: 1.5}"

#: Calls per second to services of 100 ms, servers of a replica, latency and share of the SLO.
CASES = [(8, 1, 0.5, 0.95), (30, 1, 0.4, 0.95), (30, 2, 0.3, 0.9), (5, 1, 0.5, 0.9)]


@cache
def times(rate, count, servers, work):
    """Latencies and service times of about 6,000 calls with so many replicas."""
    service = f"engine: {{policy: concurrent, servers: {servers}}}, replicas: {count}, router: least-load"
    outcome = simulate(station(rate, service=service, work=work, duration=50 + 6000 // rate, warmup=50))
    enter, start, finish = (column(outcome, "calls", name) for name in ("enter", "start", "finish"))
    served = (enter >= 50) & (column(outcome, "calls", "status") == "completed")
    return (finish - enter)[served], (finish - start)[served]


def in_time(rate, count, servers, work, latency):
    return float(np.mean(times(rate, count, servers, work)[0] <= latency)) if count else 0.0


def needed(rate, servers, work, latency, share):
    _, services = times(rate, rate // (5 * servers) + 8, servers, work)
    thinned = np.sort(services)[:: max(1, len(services) // 1000)]
    return int(least(np.array([float(rate)]), thinned, servers, latency, share)[0])


@pytest.mark.parametrize(("rate", "servers", "latency", "share"), CASES)
@pytest.mark.parametrize("work", [EXPONENTIAL, CONSTANT])
def test_demand_is_enough_and_one_fewer_is_not(rate, servers, latency, share, work):
    count = needed(rate, servers, work, latency, share)
    assert in_time(rate, count, servers, work, latency) >= share
    assert in_time(rate, count - 1, servers, work, latency) < share


@pytest.mark.parametrize(("rate", "servers", "latency", "share"), CASES[1:3])
def test_demand_of_heavy_tails_is_short_by_one_at_most(rate, servers, latency, share):
    """A correction of the mean wait is put on its tail, and lines are not shared: 2 % may be late."""
    count = needed(rate, servers, HEAVY, latency, share)
    assert in_time(rate, count, servers, HEAVY, latency) >= share - 0.02
    assert in_time(rate, count + 1, servers, HEAVY, latency) >= share
    assert in_time(rate, count - 1, servers, HEAVY, latency) < share


def keeping_up(count):
    """A run of a service that batches, 200 calls/s; what it served per second in the last half."""
    engine = "{policy: dynamic-batch, max_batch: 8, max_delay: 50ms}"
    service = f"engine: {engine}, replicas: {count}, router: least-load"
    outcome = simulate(station(200, service=service, work=CONSTANT, duration=60, warmup=20))
    finish = column(outcome, "calls", "finish")
    done = finish[column(outcome, "calls", "status") == "completed"]
    return outcome, np.count_nonzero(done > 30.0) / 30.0


def test_who_batches_keeps_up_with_demand_and_not_with_one_fewer():
    outcome, _ = keeping_up(9)
    _, values = demand(View(outcome), "station")
    count = int(np.median(values))
    assert count == 3  # eight calls a tenth of a second each
    assert keeping_up(count)[1] == pytest.approx(200, rel=0.05)
    assert keeping_up(count - 1)[1] < 0.95 * 200


@pytest.mark.parametrize(("rate", "target"), [(12, 0.7), (30, 0.5), (44, 0.9)])
def test_a_forecast_becomes_the_replicas_that_are_as_busy_as_aimed_at(rate, target):
    # One server of 100 ms a replica: ten calls a second, of which the target is aimed at.
    count = wished(float(rate), 10.0 * target)

    def busy(replicas):
        service = f"engine: {{policy: concurrent, servers: 1}}, replicas: {replicas}"
        outcome = simulate(station(rate, service=service, duration=200, warmup=0))
        return area(outcome, "paas/station/busy") / 200 / replicas

    assert busy(count) <= target * 1.05
    assert busy(count - 1) > target
