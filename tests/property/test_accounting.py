"""Accounting against plain sums over every stretch in which nothing changes."""

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.stats import accounting
from sim.stats.steps import amounts

CURVE = [[0.0, 50.0], [0.3, 90.0], [1.0, 300.0]]
moments = st.lists(st.integers(0, 20_000), min_size=1, max_size=8, unique=True).map(sorted)


def series(draw, values):
    times = draw(moments)
    return np.array(times, float), np.array(
        draw(st.lists(values, min_size=len(times), max_size=len(times))), float
    )


@st.composite
def nodes(draw):
    on = series(draw, st.sampled_from([0.0, 1.0]))
    busy = series(draw, st.floats(0, 1, width=32))
    start, end = sorted(draw(st.lists(st.integers(0, 25_000), min_size=2, max_size=2, unique=True)))
    return on, busy, float(start), float(end)


def value_at(steps, time):
    found = 0.0
    for moment, value in zip(*steps, strict=True):
        if moment <= time:
            found = value
    return found


def watts(load):
    for (low, base), (high, top) in itertools.pairwise(CURVE):
        if load <= high:
            return base + (top - base) * (load - low) / (high - low)
    raise AssertionError(load)


def stretches(on, busy, start, end):
    hours = [hour * 3600.0 for hour in range(8)]
    cuts = sorted({start, end, *(t for t in [*on[0], *busy[0], *hours] if start < t < end)})
    for left, right in itertools.pairwise(cuts):
        yield left, (right - left) * value_at(on, left) * watts(value_at(busy, left))


@given(nodes())
def test_energy_is_the_integral_of_power(node):
    on, busy, start, end = node
    expected = math.fsum(joules for _, joules in stretches(on, busy, start, end))
    assert math.isclose(accounting.energy(CURVE, on, busy, start, end), expected, rel_tol=1e-9, abs_tol=1e-6)


@given(nodes(), st.lists(st.floats(0, 1e-3), min_size=24, max_size=24))
def test_carbon_is_energy_times_the_intensity_of_its_hour(node, hourly):
    on, busy, start, end = node
    expected = math.fsum(
        joules * hourly[int(left // 3600)] for left, joules in stretches(on, busy, start, end)
    )
    edges, hours = accounting.hours(start, end)
    joules = amounts(accounting.power(CURVE, on, busy), edges)
    assert math.isclose(accounting.carbon(joules, hours, hourly), expected, rel_tol=1e-9, abs_tol=1e-9)


@given(nodes(), st.floats(0, 1))
def test_a_window_is_the_sum_of_its_parts(node, share):
    on, busy, start, end = node
    cut = start + (end - start) * share
    whole = accounting.energy(CURVE, on, busy, start, end)
    parts = accounting.energy(CURVE, on, busy, start, cut) + accounting.energy(CURVE, on, busy, cut, end)
    assert math.isclose(whole, parts, rel_tol=1e-9, abs_tol=1e-6)


@given(nodes())
def test_energy_lies_between_idle_and_full(node):
    on, busy, start, end = node
    powered = accounting.rent(on, 1.0, start, end)
    joules = accounting.energy(CURVE, on, busy, start, end)
    assert powered * 50 - 1e-6 <= joules <= powered * 300 + 1e-6
