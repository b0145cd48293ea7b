"""Max-min fairness and transfers against brute force on generated networks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.iaas.fairshare import fair_rates
from sim.iaas.network import Link, Network
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.series import integrate
from sim.kernel.streams import RandomStreams


def progressive_filling(capacities, flows):
    """Raise all rates together; freeze the flows of each link that fills up. One rate per flow."""
    rates = [0.0] * len(flows)
    growing = set(range(len(flows)))
    while growing:
        room = {}
        for link, capacity in enumerate(capacities):
            users = [i for i in growing if link in flows[i]]
            if users:
                used = sum(rates[i] for i, path in enumerate(flows) if link in path)
                room[link] = max(0.0, capacity - used) / len(users)
        step = min(room.values())
        for i in growing:
            rates[i] += step
        full = [link for link, more in room.items() if more <= step * (1 + 1e-9) + 1e-12]
        growing -= {i for i in growing if any(link in flows[i] for link in full)}
    return rates


@st.composite
def problems(draw):
    links = draw(st.integers(1, 5))
    capacities = draw(
        st.lists(st.sampled_from([0.0, 1.0, 3.0, 7.5, 10.0, 1e3]), min_size=links, max_size=links)
    )
    path = st.lists(st.integers(0, links - 1), min_size=1, max_size=links, unique=True)
    paths = draw(st.lists(path, min_size=1, max_size=6))
    counts = draw(st.lists(st.integers(1, 4), min_size=len(paths), max_size=len(paths)))
    return capacities, paths, counts


@given(problems())
def test_rates_equal_progressive_filling(problem):
    capacities, paths, counts = problem
    flows = [path for path, count in zip(paths, counts, strict=True) for _ in range(count)]
    rates = [rate for rate, count in zip(fair_rates(*problem), counts, strict=True) for _ in range(count)]
    assert rates == pytest.approx(progressive_filling(capacities, flows), rel=1e-9, abs=1e-9)


@given(problems())
def test_rates_are_feasible_and_each_flow_has_a_bottleneck(problem):
    capacities, paths, counts = problem
    rates = fair_rates(capacities, paths, counts)
    loads = [0.0] * len(capacities)
    fastest = [0.0] * len(capacities)
    for rate, path, count in zip(rates, paths, counts, strict=True):
        assert rate >= 0.0
        for link in path:
            loads[link] += rate * count
            fastest[link] = max(fastest[link], rate)
    for load, capacity in zip(loads, capacities, strict=True):
        assert load <= capacity * (1 + 1e-12)
    for rate, path in zip(rates, paths, strict=True):
        assert any(
            loads[link] >= capacities[link] * (1 - 1e-12) and rate >= fastest[link] * (1 - 1e-12)
            for link in path
        )


SITES = ["a", "b", "c", "d"]


@st.composite
def worlds(draw):
    """A tree of sites, so that every pair has one way, and transfers over it."""
    links = []
    for i in range(1, len(SITES)):
        parent = SITES[draw(st.integers(0, i - 1))]
        bandwidth = draw(st.sampled_from([10.0, 25.0, 100.0]))
        links.append(Link(f"l{i}", parent, SITES[i], draw(st.sampled_from([0.0, 0.25])), bandwidth))
    start = st.one_of(st.integers(0, 10).map(float), st.floats(0, 10))
    size = st.one_of(st.integers(1, 200).map(float), st.floats(1e-3, 500))
    pair = st.permutations(SITES).map(lambda order: order[:2])
    transfers = draw(st.lists(st.tuples(start, pair, size), min_size=1, max_size=12))
    return links, [(at, src, dst, amount) for at, (src, dst), amount in transfers]


def simulate(links, transfers, outages=()):
    kernel = Kernel()
    ctx = Context(kernel, RandomStreams(1), Recorder(kernel))
    network = Network(ctx, SITES, links)
    done = [math.nan] * len(transfers)

    def deliver(i):
        assert math.isnan(done[i])
        done[i] = kernel.now

    for i, (at, src, dst, size) in enumerate(transfers):
        kernel.call_at(at, network.send, src, dst, size, deliver, i)
    for at, duration, link in outages:
        kernel.call_at(at, network.set_up, link, False)
        kernel.call_at(at + duration, network.set_up, link, True)
    kernel.run()
    return network, done, ctx.recorder.finish(kernel.now).steps


def directions(network, links, src, dst):
    """(link, from) of each hop."""
    at, hops = src, []
    for name in network.route(src, dst):
        link = next(link for link in links if link.name == name)
        hops.append((name, at))
        at = link.b if at == link.a else link.a
    return hops


def step_by_step(network, links, transfers):
    """Every flow by itself: rates by progressive filling, on to the next arrival or end."""
    index = {}
    for link in links:
        index[link.name, link.a] = len(index)
        index[link.name, link.b] = len(index)
    capacities = [link.bandwidth for link in links for _ in range(2)]
    paths = [{index[hop] for hop in directions(network, links, src, dst)} for _, src, dst, _ in transfers]
    left = [size for _, _, _, size in transfers]
    done = [math.nan] * len(transfers)
    arrivals = sorted((at, i) for i, (at, _, _, _) in enumerate(transfers))
    now, active = 0.0, []
    while arrivals or active:
        rates = progressive_filling(capacities, [paths[i] for i in active])
        ends = [left[i] / rate for i, rate in zip(active, rates, strict=True)]
        step = min([*ends, arrivals[0][0] - now if arrivals else math.inf])
        now += step
        for i, rate in zip(active, rates, strict=True):
            left[i] -= rate * step
        for i, end in zip(active, ends, strict=True):
            if end <= step * (1 + 1e-12) + 1e-12:
                done[i] = now + network.latency(transfers[i][1], transfers[i][2])
        active = [i for i in active if math.isnan(done[i])]
        while arrivals and arrivals[0][0] <= now:
            active.append(arrivals.pop(0)[1])
    return done


@given(worlds())
def test_deliveries_equal_a_simulation_of_every_flow_by_itself(world):
    links, transfers = world
    network, done, _ = simulate(links, transfers)
    assert done == pytest.approx(step_by_step(network, links, transfers), rel=1e-9, abs=1e-9)


OUTAGES = st.lists(
    st.tuples(st.floats(0, 10), st.floats(0.01, 20), st.sampled_from(["l1", "l2", "l3"])), max_size=4
)


@given(worlds(), OUTAGES)
def test_bytes_are_conserved_and_no_link_carries_more_than_it_can(world, outages):
    links, transfers = world
    network, done, steps = simulate(links, transfers, outages)
    assert not any(map(math.isnan, done))
    expected = {}
    for _, src, dst, size in transfers:
        for hop in directions(network, links, src, dst):
            expected[hop] = expected.get(hop, 0.0) + size
    for link in links:
        for start, end in ((link.a, link.b), (link.b, link.a)):
            times, values = steps[f"iaas/links/{link.name}/{start}->{end}/rate"]
            moved = integrate(times, values, 0.0, max(done) + 1.0)
            assert moved == pytest.approx(expected.get((link.name, start), 0.0), rel=1e-9, abs=1e-9)
            assert values.max() <= link.bandwidth * (1 + 1e-12)
            assert values.min() >= 0.0
            assert values[-1] == 0.0
