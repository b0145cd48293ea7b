"""Queues made of the kernel's parts alone, against their closed forms.

Each case runs 20 independent replications. The closed form must lie in the Student-t interval of the
replications' means at 99.9 % (two-sided, 19 degrees of freedom: 3.883 standard errors), so a case with
three figures raises a false alarm for fewer than 1 in 300 seeds. Seeds are fixed.
"""

import math

import numpy as np
import pytest

from sim.kernel.distributions import Constant, Distribution, Exponential
from sim.kernel.kernel import Kernel
from sim.kernel.lines import FifoLine
from sim.kernel.series import StepSeries, integrate, mean
from sim.kernel.streams import RandomStreams

REPLICATIONS, T_999 = 20, 3.883


class Station:
    """Poisson arrivals, one line, `servers` servers; ends empty."""

    def __init__(self, customers, rate, service: Distribution, servers, replication, grain=None):
        self.kernel = Kernel()
        streams = RandomStreams(20240, replication)
        gap = streams.sampler("arrivals", Exponential(1 / rate))
        work = streams.sampler("service", service)
        # With a grain, every moment is a multiple of it, and sums of moments are exact.
        self.gap = (lambda: math.ceil(gap() / grain) * grain) if grain else gap
        self.work = (lambda: math.ceil(work() / grain) * grain) if grain else work
        self.left = customers
        self.free = servers
        self.line = FifoLine()
        self.waits, self.sojourns = [], []
        self.inside = StepSeries(self.kernel)
        self.busy = StepSeries(self.kernel)
        self.waiting = StepSeries(self.kernel)
        self.kernel.call_in(self.gap(), self.arrive)
        self.kernel.run()

    def arrive(self):
        kernel = self.kernel
        self.inside.add(1)
        if self.free:
            self.free -= 1
            self.busy.add(1)
            self.serve(kernel.now)
        else:
            self.waiting.add(1)
            self.line.push(kernel.now)
        self.left -= 1
        if self.left:
            kernel.call_in(self.gap(), self.arrive)

    def serve(self, arrived):
        self.waits.append(self.kernel.now - arrived)
        self.kernel.call_in(self.work(), self.leave, arrived)

    def leave(self, arrived):
        self.sojourns.append(self.kernel.now - arrived)
        self.inside.add(-1)
        if self.line:
            self.waiting.add(-1)
            self.serve(self.line.pop())
        else:
            self.free += 1
            self.busy.add(-1)


def erlang_c(servers, load):
    """Probability of waiting in M/M/c (Erlang 1917), by the recursion over Erlang B."""
    blocked = 1.0
    for c in range(1, servers + 1):
        blocked = load * blocked / (c + load * blocked)
    return servers * blocked / (servers - load * (1 - blocked))


def inside_interval(estimates, expected):
    estimates = np.array(estimates)
    half = T_999 * estimates.std(ddof=1) / math.sqrt(len(estimates))
    assert half < 0.15 * expected, "the interval is too wide to prove anything"
    assert abs(estimates.mean() - expected) <= half


# Per case: mean wait by Pollaczek-Khinchine, lambda E[S^2] / (2 (1 - rho)), or by Erlang C,
# C / (c mu - lambda). A customer waits with probability rho, or C (arrivals see time averages).
CASES = {
    "M/M/1": (0.7, Exponential(1.0), 1, 0.7 / 0.3, 0.7),
    "M/D/1": (0.8, Constant(1.0), 1, 0.8 / (2 * 0.2), 0.8),
    "M/M/3": (2.1, Exponential(1.0), 3, erlang_c(3, 2.1) / 0.9, erlang_c(3, 2.1)),
    "M/M/10": (8.0, Exponential(1.0), 10, erlang_c(10, 8.0) / 2.0, erlang_c(10, 8.0)),
}


@pytest.mark.parametrize("case", CASES)
def test_waiting_and_utilisation_are_those_of_the_closed_form(case):
    rate, service, servers, wait, delayed = CASES[case]
    waits, shares, busy = [], [], []
    for replication in range(REPLICATIONS):
        station = Station(31_000, rate, service, servers, replication)
        settled = np.array(station.waits[1_000:])
        waits.append(settled.mean())
        shares.append(np.count_nonzero(settled) / len(settled))
        end = station.kernel.now
        busy.append(mean(station.busy.times, station.busy.values, 500.0, end - 100.0))
    inside_interval(waits, wait)
    inside_interval(shares, delayed)
    inside_interval(busy, rate * service.mean)


def test_erlang_c_gives_known_values():
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    # M/M/2: C = 2 rho^2 / (1 + rho).
    assert erlang_c(2, 1.2) == pytest.approx(2 * 0.36 / 1.6)


@pytest.mark.parametrize("servers", [1, 4])
def test_littles_law_holds_exactly(servers):
    """Over a run that ends empty, the area under "inside" is the sum of the times spent there.

    Moments are multiples of 2**-16 s, so all sums are exact and equality is equality.
    """
    station = Station(20_000, 0.9 * servers, Exponential(1.0), servers, 0, grain=2.0**-16)
    end = station.kernel.now
    assert station.inside.value == station.waiting.value == station.busy.value == 0
    assert len(station.sojourns) == 20_000
    for series, times in ((station.inside, station.sojourns), (station.waiting, station.waits)):
        assert integrate(series.times, series.values, 0.0, end) == sum(times)
    served = [
        sojourn - wait for sojourn, wait in zip(sorted(station.sojourns), sorted(station.waits), strict=True)
    ]
    assert integrate(station.busy.times, station.busy.values, 0.0, end) == sum(served)


def test_each_customer_costs_two_events():
    station = Station(5_000, 0.7, Exponential(1.0), 1, 0)
    assert station.kernel.events == 10_000
