"""Closed forms of queueing theory: what a station must do, computed without simulating it.

Rates are per second, times in seconds. A station offered more than it can serve has no steady
state: its waits and numbers are infinite. The tests hold the simulator against these formulas and
the formulas against the balance equations solved directly.

Sources: L. Kleinrock, Queueing Systems, vol. 1 (1975), ch. 3 (birth-death systems) and 5 (M/G/1);
A. O. Allen, Probability, Statistics and Queueing Theory, 2nd ed. (1990), sect. 5.3 (Allen-Cunneen);
M. Harchol-Balter, Performance Modeling and Design of Computer Systems (2013), ch. 14, 23 and 30.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Station:
    """Steady state of one station.

    Attributes:
        utilisation: share of the servers that is busy, 0 to 1.
        wait: mean seconds before service, of the customers that got in.
        time: mean seconds in the station, service included.
        queue: mean number that wait.
        number: mean number in the station.
        lost: share of the customers that are turned away.
    """

    utilisation: float
    wait: float
    time: float
    queue: float
    number: float
    lost: float = 0.0


def _check(rate: float, service: float, servers: int = 1) -> None:
    if not (rate >= 0 and service > 0 and servers >= 1):
        raise ValueError(f"no such station: {rate=}, {service=}, {servers=}")


def _open(rate: float, service: float, servers: int, wait: float) -> Station:
    """A station that loses nobody, from its mean wait, by Little's law."""
    load = rate * service
    return Station(min(1.0, load / servers), wait, wait + service, rate * wait, rate * wait + load)


def _overloaded() -> Station:
    return Station(1.0, math.inf, math.inf, math.inf, math.inf)


def erlang_b(load: float, servers: int) -> float:
    """Share of calls lost by `servers` servers without a waiting line (Erlang's B formula).

    Args:
        load: offered load in Erlang, arrival rate times mean service time.
        servers: number of servers, at least 0.

    The recursion B(n) = a B(n-1) / (n + a B(n-1)) is stable for thousands of servers
    (Kleinrock 1975, sect. 3.6). It holds for any distribution of the service time.
    """
    if load < 0 or servers < 0:
        raise ValueError(f"no such station: {load=}, {servers=}")
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(load: float, servers: int) -> float:
    """Share of calls that must wait in M/M/c (Erlang's C formula); 1 when overloaded.

    From B: C = B / (1 - rho (1 - B)) with rho = load / servers (Kleinrock 1975, sect. 3.5).
    """
    if servers < 1:
        raise ValueError(f"no such station: {servers=}")
    if load >= servers:
        return 1.0
    blocked = erlang_b(load, servers)
    return blocked / (1 - load / servers * (1 - blocked))


def mm1(rate: float, service: float) -> Station:
    """M/M/1: Poisson arrivals, exponential service, one server (Kleinrock 1975, sect. 3.2)."""
    return mmc(rate, service, 1)


def mmc(rate: float, service: float, servers: int) -> Station:
    """M/M/c: one line before `servers` equal servers (Kleinrock 1975, sect. 3.5)."""
    _check(rate, service, servers)
    load = rate * service
    if load >= servers:
        return _overloaded()
    return _open(rate, service, servers, erlang_c(load, servers) * service / (servers - load))


def mmc_wait_quantile(rate: float, service: float, servers: int, q: float) -> float:
    """Quantile of the wait in M/M/c, from P(wait > t) = C exp(-(c - a) t / service).

    Source: Harchol-Balter 2013, ch. 14.
    """
    _check(rate, service, servers)
    load = rate * service
    if load >= servers:
        return math.inf
    waits = erlang_c(load, servers)
    return 0.0 if 1 - q >= waits else math.log(waits / (1 - q)) * service / (servers - load)


def mmck(rate: float, service: float, servers: int, capacity: int) -> Station:
    """M/M/c/K: at most `capacity` customers in the station, those in service included.

    The stationary probabilities are products of birth-death ratios (Kleinrock 1975, sect. 3.6),
    summed after scaling by the largest so that a long line does not overflow. `capacity` equal to
    `servers` is Erlang's loss system. It has a steady state at any load.
    """
    _check(rate, service, servers)
    if capacity < servers:
        raise ValueError(f"a capacity of {capacity} cannot hold {servers} servers")
    if rate == 0:
        return Station(0.0, 0.0, service, 0.0, 0.0)
    logs = [0.0]
    for count in range(1, capacity + 1):
        logs.append(logs[-1] + math.log(rate * service / min(count, servers)))
    top = max(logs)
    weights = [math.exp(value - top) for value in logs]
    total = math.fsum(weights)
    states = [weight / total for weight in weights]
    lost = states[-1]
    accepted = rate * (1 - lost)
    queue = math.fsum(max(0, count - servers) * share for count, share in enumerate(states))
    number = math.fsum(count * share for count, share in enumerate(states))
    return Station(accepted * service / servers, queue / accepted, number / accepted, queue, number, lost)


def mg1(rate: float, service: float, cv: float) -> Station:
    """M/G/1, first come first served, by Pollaczek and Khinchine (Kleinrock 1975, sect. 5.6).

    Args:
        rate: arrivals per second.
        service: mean service time in seconds.
        cv: coefficient of variation of the service time (0 constant, 1 exponential).
    """
    _check(rate, service)
    load = rate * service
    if load >= 1:
        return _overloaded()
    return _open(rate, service, 1, load / (1 - load) * (1 + cv * cv) / 2 * service)


def md1(rate: float, service: float) -> Station:
    """M/D/1: constant service time, half the wait of M/M/1 (Kleinrock 1975, sect. 5.6)."""
    return mg1(rate, service, 0.0)


def mg1_ps(rate: float, service: float) -> Station:
    """M/G/1 with processor sharing: the mean depends on the mean service time alone.

    `wait` is the delay the sharing adds to the service time (Harchol-Balter 2013, ch. 30).
    """
    return mm1(rate, service)


def ggc(rate: float, service: float, servers: int, cv_arrivals: float, cv_service: float) -> Station:
    """G/G/c by the approximation of Allen and Cunneen (Allen 1990, sect. 5.3).

    The wait of M/M/c times (ca^2 + cs^2) / 2: exact for M/M/c and M/G/1, within some ten per cent
    elsewhere at high load.
    """
    exact = mmc(rate, service, servers)
    if math.isinf(exact.wait):
        return exact
    return _open(rate, service, servers, exact.wait * (cv_arrivals**2 + cv_service**2) / 2)
