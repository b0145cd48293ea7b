"""Closed forms of queueing theory, through the whole platform: from the YAML text to the metrics.

Every figure is the mean of `REPLICATIONS` independent runs; the truth must lie in its 99.9 % interval
(Student's t), so each comparison would fail by chance once in a thousand seeds. The seed is fixed: a
test that passes goes on passing. An interval must also be narrow enough to tell something.
Little's law and the utilisation law are not statistical: they hold to rounding in any single run.
"""

from functools import cache

import numpy as np
import pytest

from sim.stats import theory
from sim.stats.intervals import of_mean
from sim.stats.metrics import measure
from tests.platforms import check_station, column, simulate, station

SERVICE = 0.1
REPLICATIONS = 16


def servers(count, more=""):
    return f"engine: {{policy: concurrent, servers: {count}}}{more}"


# Text of the scenario; the closed form; how far the interval of a mean wait may reach (share of the truth).
CASES = {
    "M/M/1": (station(7), theory.mm1(7, SERVICE), 0.15),
    "M/M/4": (station(30, service=servers(4), duration=600), theory.mmc(30, SERVICE, 4), 0.15),
    "M/M/3/7": (
        # Four may wait; the load of 1.2 is no trouble for a bounded line.
        station(36, service=servers(3, ", queue: 4"), duration=500),
        theory.mmck(36, SERVICE, 3, 7),
        0.05,
    ),
    "M/M/5/5": (
        station(40, service=servers(5, ", queue: 0"), duration=500),
        theory.mmck(40, SERVICE, 5, 5),
        0.05,
    ),
    "M/D/1": (station(7, work="1"), theory.md1(7, SERVICE), 0.15),
    "M/G/1": (
        station(5, work="{dist: lognormal, mean: 1, cv: 1.2}", duration=3000),
        theory.mg1(5, SERVICE, 1.2),
        0.15,
    ),
}


@cache
def runs(case):
    """Per replication: the metrics, and the share of the calls of the window that waited."""
    found = []
    for replication in range(REPLICATIONS):
        outcome = simulate(CASES[case][0], replication=replication)
        check_station(outcome, "station")
        waits = column(outcome, "calls", "start") - column(outcome, "calls", "enter")
        waits = waits[(column(outcome, "calls", "enter") >= outcome.facts["window"][0]) & ~np.isnan(waits)]
        found.append(measure(outcome) | {"waited": np.count_nonzero(waits > 0) / len(waits)})
    return found


def agrees(case, metric, truth, reach):
    interval = of_mean([metrics[metric] for metrics in runs(case)], 0.999)
    rounding = 1e-9 * truth
    assert interval.low - rounding <= truth <= interval.high + rounding, (metric, interval, truth)
    assert interval.high - interval.low < 2 * reach * truth, "the interval is too wide to tell anything"


@pytest.mark.parametrize("case", CASES)
def test_the_platform_agrees_with_the_closed_form(case):
    _, truth, reach = CASES[case]
    agrees(case, "apps.users.latency.mean", truth.time, reach)
    agrees(case, "services.station.in_system", truth.number, reach)
    agrees(case, "services.station.utilisation", truth.utilisation, 0.05)
    agrees(case, "apps.users.compute.mean", SERVICE, 0.03)
    if truth.wait:
        agrees(case, "services.station.wait.mean", truth.wait, 1.5 * reach)
        agrees(case, "apps.users.queue.mean", truth.wait, 1.5 * reach)
    else:
        assert all(metrics["services.station.wait.mean"] == 0 for metrics in runs(case))


@pytest.mark.parametrize(("case", "rate", "count"), [("M/M/1", 7, 1), ("M/M/4", 30, 4), ("M/D/1", 7, 1)])
def test_so_many_must_wait(case, rate, count):
    # Poisson arrivals see time averages: with one server the load, with more Erlang's C.
    truth = theory.erlang_c(rate * SERVICE, count)
    agrees(case, "waited", truth, 0.08)


@pytest.mark.parametrize("case", ["M/M/3/7", "M/M/5/5"])
def test_so_many_are_turned_away(case):
    agrees(case, "apps.users.dropped", CASES[case][1].lost, 0.1)
    for metrics in runs(case):
        assert metrics["apps.users.rejected"] == metrics["apps.users.dropped"] * metrics["apps.users.arrived"]


def test_a_loss_system_loses_what_erlang_b_says_whatever_the_work():
    # Insensitive to the distribution of the service time: the same share as for exponential work.
    text = station(
        40, service=servers(5, ", queue: 0"), work="{dist: lognormal, mean: 1, cv: 2}", duration=500
    )
    lost = [measure(simulate(text, replication=r))["apps.users.dropped"] for r in range(REPLICATIONS)]
    interval = of_mean(lost, 0.999)
    assert interval.low <= theory.erlang_b(40 * SERVICE, 5) <= interval.high
    assert interval.high - interval.low < 0.15 * interval.mean


def test_nobody_waits_longer_than_the_timeout():
    text = station(14, service=servers(1, ", timeout: 300ms"), duration=500)
    outcome = simulate(text)
    check_station(outcome, "station")
    assert np.isnan(column(outcome, "calls", "finish")).any(), "nobody was inside at the end"
    status = column(outcome, "calls", "status")
    wait = column(outcome, "calls", "start") - column(outcome, "calls", "enter")
    spent = column(outcome, "calls", "finish") - column(outcome, "calls", "enter")
    late = status == "timeout"
    assert np.nanmax(wait) <= 0.3 + 1e-9
    assert np.allclose(spent[late], 0.3, rtol=0, atol=1e-9)
    metrics = measure(outcome)
    assert metrics["services.station.utilisation"] > 0.9
    # A server that is always busy serves 10 per second of the 14 that come.
    served = metrics["apps.users.completed"] / (metrics["apps.users.arrived"] * 10 / 14)
    assert served == pytest.approx(metrics["services.station.utilisation"], rel=0.05)


TWO_SERVICES = """
name: two-services
seed: 3
duration: 300s
infrastructure:
  instances: {box: {cpu: 8, memory: 64Gi}}
  sites: {here: {kind: cloud, pools: {boxes: {instance: box, nodes: 2}}}}
  faults: {crashes: {here/boxes: {mtbf: 60s, mttr: 5s}}}
platform:
  services:
    first:
      {site: here, time: {policy: linear, base: 30ms, per_item: 5ms}, replicas: 3, queue: 5, timeout: 200ms,
       engine: {policy: dynamic-batch, max_batch: 4, max_delay: 10ms, instances: 2}, warmup: 1s,
       router: random}
    second:
      {site: here, time: {policy: constant, value: 60ms}, replicas: {initial: 2, min: 0, max: 4}, queue: 20,
       autoscaler: {policy: hpa, utilisation: 60%}, warmup: 3s}
applications:
  users:
    users: {here: 30}
    arrivals: {process: mmpp, rates: [0.5/s, 4/s], dwell: [20s, 5s]}
    work: {dist: gamma, mean: 1, cv: 0.5}
    calls: {ask: {to: first}, refine: {to: second, probability: 60%}}
"""


def test_little_holds_exactly_for_batches_bounds_timeouts_crashes_and_scaling():
    outcome = simulate(TWO_SERVICES)
    for service in ("first", "second"):
        check_station(outcome, service)
    # The case is worth something only if all of this happens in it.
    found = set(column(outcome, "calls", "status"))
    assert found >= {"completed", "rejected", "timeout", "failed"}
    assert set(column(outcome, "calls", "batch")) >= {1, 2, 3, 4}


def test_the_metrics_are_the_laws_of_the_window():
    """in_system, utilisation and throughput of the window against sums over the calls, cut at its edges."""
    outcome = simulate(station(8, duration=400, warmup=50))
    metrics = measure(outcome)
    enter, start, finish = (column(outcome, "calls", name) for name in ("enter", "start", "finish"))

    def spent(since):
        until = np.where(np.isnan(finish), 400.0, finish)
        return np.nansum(np.clip(until, 50, 400) - np.clip(since, 50, 400)) / 350

    assert metrics["services.station.in_system"] == pytest.approx(spent(enter), rel=1e-9)
    assert metrics["services.station.utilisation"] == pytest.approx(spent(start), rel=1e-9)
    assert metrics["apps.users.throughput"] == np.count_nonzero((finish >= 50) & (finish < 400)) / 350


BATCHES = """
name: batches
duration: 10s
infrastructure:
  instances: {box: {cpu: 64, memory: 64Gi}}
  sites: {here: {kind: cloud, pools: {boxes: {instance: box}}}}
platform:
  services:
    station: {site: here, time: {policy: linear, base: 10ms, per_item: 1ms},
              engine: {policy: dynamic-batch, max_batch: 4, max_delay: 5ms}}
applications:
  users:
    users: {here: 10}
    arrivals: {process: periodic, period: 1s, phase: aligned}
    calls: {ask: {to: station}}
"""


def test_batches_by_hand():
    # Ten come at once: four are served at once until 14 ms, four until 28 ms, and the last two, which
    # have waited longer than the delay by then, until 40 ms.
    metrics = measure(simulate(BATCHES))
    assert metrics["apps.users.latency.mean"] == pytest.approx((4 * 0.014 + 4 * 0.028 + 2 * 0.040) / 10)
    assert metrics["apps.users.latency.max"] == pytest.approx(0.040)
    assert metrics["services.station.batch"] == pytest.approx(10 / 3)
    assert metrics["services.station.utilisation"] == pytest.approx(0.040)


def test_a_lone_call_waits_for_company_as_long_as_it_may():
    metrics = measure(simulate(BATCHES, "applications.users.users.here=1"))
    assert metrics["apps.users.latency.max"] == pytest.approx(0.005 + 0.011)
    assert metrics["services.station.batch"] == 1


def test_batches_carry_a_load_that_single_service_cannot():
    # 300/s against 91/s one by one, but 4 / 14 ms = 286/s in fours and 444/s in eights.
    text = BATCHES.replace("period: 1s", "period: 33.3ms").replace("aligned", "random")
    assert measure(simulate(text, "duration=200s"))["services.station.unstable"] == 1
    eights = ("duration=200s", "platform.services.station.engine.max_batch=8")
    metrics = measure(simulate(text, *eights))
    assert metrics["services.station.unstable"] == 0
    assert metrics["apps.users.throughput"] == pytest.approx(10 / 0.0333, rel=0.01)
