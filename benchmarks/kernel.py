"""How fast is the kernel? Ratios measured interleaved in one process: `python benchmarks/kernel.py`.

Every variant runs once per round, rounds are repeated, and the fastest and the median round count, so
that other work on the machine disturbs all variants alike. See README.md in this folder.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import simpy

from sim.kernel.distributions import Exponential
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams

PENDING = 200
RATE = 0.8

# ---------------------------------------------------------------- events: 200 clocks that tick for ever


def gaps(n: int) -> Callable[[], float]:
    """The same exponential gaps for every variant, as ready-made floats."""
    return iter(np.random.default_rng(1).exponential(1.0, n + PENDING + 1).tolist()).__next__


def bare_heap(n: int) -> float:
    """A heapq loop with nothing around it: the bound for any event list in Python."""
    heap: list[Any] = []
    push, pop, number, gap = heapq.heappush, heapq.heappop, itertools.count().__next__, gaps(n)
    now = 0.0

    def tick(i: int) -> None:
        push(heap, (now + gap(), number(), tick, i))

    for i in range(PENDING):
        tick(i)
    started = time.perf_counter()
    for _ in range(n):
        now, _, fn, argument = pop(heap)
        fn(argument)
    return time.perf_counter() - started


def kernel_calls(n: int) -> float:
    """Kernel.call_in, run by Kernel.run to its limit of events."""
    kernel = Kernel()
    call_in, gap = kernel.call_in, gaps(n)

    def tick(i: int) -> None:
        call_in(gap(), tick, i)

    for i in range(PENDING):
        tick(i)
    started = time.perf_counter()
    run_events(kernel, n)
    return time.perf_counter() - started


def kernel_timers(n: int) -> float:
    """Kernel.timer: as call_in, but each call could be cancelled."""
    kernel = Kernel()
    timer, gap = kernel.timer, gaps(n)

    def tick(i: int) -> None:
        timer(gap(), tick, i)

    for i in range(PENDING):
        tick(i)
    started = time.perf_counter()
    run_events(kernel, n)
    return time.perf_counter() - started


def run_events(kernel: Kernel, n: int) -> None:
    kernel.limits = type(kernel.limits)(events=n)
    kernel.run()
    assert (kernel.stopped, kernel.events) == ("events", n)


def timeouts(env: simpy.Environment, n: int) -> float:
    gap, left = gaps(n), n
    stop = env.event()

    def tick(_: simpy.Event) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            stop.succeed()
        env.timeout(gap()).callbacks.append(tick)

    for _ in range(PENDING):
        env.timeout(gap()).callbacks.append(tick)
    started = time.perf_counter()
    env.run(until=stop)
    return time.perf_counter() - started


def simpy_timeouts(n: int) -> float:
    """Callbacks on SimPy's Timeout, SimPy's Environment."""
    return timeouts(simpy.Environment(), n)


def processes(env: simpy.Environment, n: int) -> float:
    gap, left = gaps(n), n
    stop = env.event()

    def clock() -> Any:
        nonlocal left
        while True:
            yield env.timeout(gap())
            left -= 1
            if left == 0:
                stop.succeed()

    for _ in range(PENDING):
        env.process(clock())
    started = time.perf_counter()
    env.run(until=stop)
    return time.perf_counter() - started


def simpy_processes(n: int) -> float:
    """SimPy processes that yield timeouts, SimPy's Environment."""
    return processes(simpy.Environment(), n)


def kernel_processes(n: int) -> float:
    """The same SimPy processes on the Kernel."""
    return processes(Kernel(), n)


# ---------------------------------------------- M/M/1 at load 0.8: arrival, start and finish recorded


class Station:
    """What a customer of the M/M/1 leaves behind, in one of two ways.

    "rows": a tuple (customer, arrival, start, finish). "recorder": a row of the ten columns of `calls`
    and two exact step series, number inside and server busy, all turned into arrays at the end.
    """

    def __init__(self, env: simpy.Environment, full: bool) -> None:
        streams = RandomStreams(1)
        self.gap = streams.sampler("arrivals", Exponential(1 / RATE))
        self.work = streams.sampler("service", Exponential(1.0))
        self.full = full
        self.rows: list[tuple[int, float, float, float]] = []
        if full:
            self.recorder = Recorder(env)  # type: ignore[arg-type]
            self.table = self.recorder.table("calls")
            self.inside, self.busy = self.recorder.series("in_system"), self.recorder.series("busy")

    def finish(self, end: float) -> None:
        """Turn what the Recorder holds into arrays; this counts, as no result is had without it."""
        self.recorded = self.recorder.finish(end) if self.full else None

    def waits(self) -> np.ndarray:
        """Time in line of each customer (s)."""
        if self.recorded is not None:
            calls = self.recorded.tables["calls"]
            return calls["start"] - calls["enter"]
        return np.array([began - entered for _, entered, began, _ in self.rows])


def kernel_queue(n: int, full: bool) -> float:
    """M/M/1 with call_in and a deque, two events per customer."""
    kernel = Kernel()
    station = Station(kernel, full)
    gap, work, call_in = station.gap, station.work, kernel.call_in
    note = station.rows.append
    if full:
        add, inside, busy = station.table.add, station.inside, station.busy
    line: deque[tuple[int, float]] = deque()
    idle, number = True, 0

    def arrive() -> None:
        nonlocal idle, number
        now = kernel.now
        if full:
            inside.add(1)
        if idle:
            idle = False
            if full:
                busy.set(1)
            call_in(work(), leave, number, now, now)
        else:
            line.append((number, now))
        number += 1
        if number < n:
            call_in(gap(), arrive)

    def leave(customer: int, entered: float, began: float) -> None:
        nonlocal idle
        now = kernel.now
        if full:
            add((customer, customer, "server", 0, entered, began, now, 1, "completed", ""))
            inside.add(-1)
        else:
            note((customer, entered, began, now))
        if line:
            following, arrived = line.popleft()
            call_in(work(), leave, following, arrived, now)
        else:
            idle = True
            if full:
                busy.set(0)

    started = time.perf_counter()
    call_in(gap(), arrive)
    kernel.run()
    station.finish(kernel.now)
    elapsed = time.perf_counter() - started
    check(station.waits(), n)
    return elapsed


def simpy_queue(n: int, full: bool) -> float:
    """M/M/1 as SimPy's documentation does it: a process per customer and a Resource."""
    env = simpy.Environment()
    station = Station(env, full)
    server = simpy.Resource(env, capacity=1)
    gap, work = station.gap, station.work
    note = station.rows.append
    if full:
        add, inside, busy = station.table.add, station.inside, station.busy

    def customer(number: int) -> Any:
        entered = env.now
        if full:
            inside.add(1)
        with server.request() as turn:
            yield turn
            began = env.now
            if full:
                busy.set(1)
            yield env.timeout(work())
        if full:
            add((number, number, "server", 0, entered, began, env.now, 1, "completed", ""))
            inside.add(-1)
            busy.set(server.count)
        else:
            note((number, entered, began, env.now))

    def source() -> Any:
        for number in range(n):
            yield env.timeout(gap())
            env.process(customer(number))

    started = time.perf_counter()
    env.process(source())
    env.run()
    station.finish(env.now)
    elapsed = time.perf_counter() - started
    check(station.waits(), n)
    return elapsed


def simpy_rows(n: int) -> float:
    """The Resource idiom, a tuple per customer."""
    return simpy_queue(n, full=False)


def kernel_rows(n: int) -> float:
    """call_in, a tuple per customer."""
    return kernel_queue(n, full=False)


def simpy_recorder(n: int) -> float:
    """The Resource idiom with our Recorder."""
    return simpy_queue(n, full=True)


def kernel_recorder(n: int) -> float:
    """call_in with our Recorder."""
    return kernel_queue(n, full=True)


def ciw_records(n: int) -> float:
    """Ciw, which records by itself; its own random numbers."""
    import ciw

    ciw.seed(1)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(RATE)],
        service_distributions=[ciw.dists.Exponential(1.0)],
        number_of_servers=[1],
    )
    simulation = ciw.Simulation(network)
    started = time.perf_counter()
    simulation.simulate_until_max_customers(n, method="Finish")
    records = simulation.get_all_records()
    elapsed = time.perf_counter() - started
    assert len(records) >= n
    return elapsed


_waits: dict[int, float] = {}


def check(waits: np.ndarray, n: int) -> None:
    """All variants but Ciw play the same customers, so they must agree on the mean wait."""
    assert len(waits) == n
    mean = _waits.setdefault(n, float(waits.mean()))
    assert abs(waits.mean() - mean) <= 1e-6 * mean


# ---------------------------------------------------------------- measuring

EVENTS = [bare_heap, kernel_calls, kernel_timers, simpy_timeouts, kernel_processes, simpy_processes]
CUSTOMERS = [simpy_rows, kernel_rows, simpy_recorder, kernel_recorder]


def measure(variants: list[Callable[[int], float]], n: int, rounds: int) -> dict[str, list[float]]:
    """Seconds per item of each variant in each round; every other round goes backwards."""
    taken: dict[str, list[float]] = {variant.__name__: [] for variant in variants}
    for turn in range(rounds):
        for variant in variants if turn % 2 == 0 else variants[::-1]:
            taken[variant.__name__].append(variant(n) / n)
    return taken


def table(title: str, taken: dict[str, list[float]], unit: str) -> dict[str, dict[str, float]]:
    """Print speeds and their ratio to the first variant; both by the fastest and the median round."""
    first = next(iter(taken))
    print(f"\n{title}\n  {'variant':<17}{unit + '/s':>14}{'ns each':>10}{'x ' + first:>15}{'(median)':>11}")
    result = {}
    for name, times in taken.items():
        best = min(taken[first]) / min(times)
        middle = statistics.median(a / b for a, b in zip(taken[first], times, strict=True))
        print(f"  {name:<17}{1 / min(times):>14,.0f}{min(times) * 1e9:>10,.0f}{best:>15.2f}{middle:>11.2f}")
        result[name] = {"per_second": 1 / min(times), "ratio": best, "ratio_median": middle}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000, help="events a variant and round")
    parser.add_argument("--customers", type=int, default=20_000, help="customers a variant and round")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON at the end")
    args = parser.parse_args()
    customers = list(CUSTOMERS)
    try:
        import ciw  # noqa: F401

        customers.append(ciw_records)
    except ImportError:
        print("Ciw is not installed (pip install ciw): left out", file=sys.stderr)
    print(f"Python {sys.version.split()[0]}, SimPy {simpy.__version__}, {args.rounds} interleaved rounds")
    events = table(
        f"{PENDING} clocks, {args.events:,} events", measure(EVENTS, args.events, args.rounds), "events"
    )
    queue = table(
        f"M/M/1 at load {RATE}, {args.customers:,} customers, recorded",
        measure(customers, args.customers, args.rounds),
        "customers",
    )
    if args.json:
        print(json.dumps({"events": events, "customers": queue}, indent=2))


if __name__ == "__main__":
    main()
