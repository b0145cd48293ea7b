import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.kernel import series as series_module
from sim.kernel.kernel import Kernel
from sim.kernel.series import StepSeries, bin_means, integrate, mean, quantile_over_time

# Quarters are exact in binary, so sums of them can be compared for equality.
quarters = st.integers(0, 40).map(lambda n: n / 4)
changes = st.lists(st.tuples(st.sampled_from([0, 0.25, 1, 2.5]), st.integers(-2, 3)), max_size=40)


def recorded(changes, initial=0.0, start=0.0):
    kernel = Kernel(initial_time=start)
    series = StepSeries(kernel, initial)
    at = start
    for gap, value in changes:
        at += gap
        kernel.call_at(at, series.set, value)
    kernel.run()
    return series


def by_definition(changes, initial, start):
    """Value at every quarter second, the last change of a moment winning; 0 before the beginning."""
    ticks = {}
    at = start
    for gap, value in [(0, initial), *changes]:
        at += gap
        ticks[at] = value

    def value_at(t):
        past = [moment for moment in ticks if moment <= t]
        return ticks[max(past)] if past else 0.0

    return value_at


@given(changes, st.integers(-1, 1), quarters)
def test_the_series_is_the_shortest_list_of_changes(changes, initial, start):
    series = recorded(changes, initial, start)
    times, values = series.times, series.values
    assert np.all(np.diff(times) > 0)
    assert np.all(np.diff(values) != 0)
    value_at = by_definition(changes, initial, start)
    for t in np.arange(start, start + 60, 0.25):
        assert values[np.searchsorted(times, t, side="right") - 1] == value_at(t)
    assert series.value == values[-1]


@given(changes, st.integers(-1, 1), st.integers(2, 6))
def test_sealing_changes_nothing(changes, initial, seal):
    whole = recorded(changes, initial)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_module, "SEAL", seal)
        chunked = recorded(changes, initial)
    assert len(chunked._times) <= seal
    assert (chunked.times.tolist(), chunked.values.tolist()) == (whole.times.tolist(), whole.values.tolist())


@given(changes, st.integers(-1, 1), quarters, quarters, quarters)
def test_integrals_are_exact(changes, initial, begin, start, length):
    series = recorded(changes, initial, begin)
    value_at = by_definition(changes, initial, begin)
    end = start + length
    expected = sum(value_at(t) * 0.25 for t in np.arange(start, end, 0.25))
    assert integrate(series.times, series.values, start, end) == expected
    if length:
        assert mean(series.times, series.values, start, end) == expected / length
    else:
        assert math.isnan(mean(series.times, series.values, start, end))


@given(changes, quarters, st.lists(quarters, min_size=2, max_size=10, unique=True))
def test_bin_means_are_the_means_of_the_bins(changes, begin, edges):
    series = recorded(changes, 1.0, begin)
    edges = sorted(edges)
    got = bin_means(series.times, series.values, edges)
    expected = [mean(series.times, series.values, a, b) for a, b in itertools.pairwise(edges)]
    assert got == pytest.approx(expected, abs=1e-12)


@given(changes, quarters, st.integers(1, 40), st.sampled_from([0, 0.25, 0.5, 0.9, 1]))
def test_quantiles_over_time_by_counting_quarters(changes, start, quarters_long, q):
    series = recorded(changes, 1.0, 2.0)
    end = start + quarters_long / 4
    value_at = by_definition(changes, 1.0, 2.0)
    held = sorted(value_at(t) for t in np.arange(start, end, 0.25))
    rank = min(max(math.ceil(q * len(held) - 1e-9), 1), len(held))
    assert quantile_over_time(series.times, series.values, q, start, end) == held[rank - 1]


def test_changes_at_one_moment_merge_and_undo():
    kernel = Kernel()
    series = StepSeries(kernel, 1.0)
    series.set(5.0)
    series.add(-2.0)
    kernel.run(until=4)
    series.add(1.0)
    series.add(-1.0)
    kernel.run(until=6)
    series.set(3.0)
    series.set(0.0)
    kernel.run(until=8)
    series.add(0.0)
    series.set(0.0)
    assert series.times.tolist() == [0.0, 6.0]
    assert series.values.tolist() == [3.0, 0.0]


def test_a_change_can_be_undone_just_after_it_was_sealed():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_module, "SEAL", 3)
        series = recorded([(1, 1), (1, 2), (1, 3), (0, 2), (1, 5), (1, 6), (1, 7), (0, 6), (0, 8)])
    assert series._chunks
    assert series.times.tolist() == [0, 1, 2, 4, 5, 6]
    assert series.values.tolist() == [0, 1, 2, 5, 6, 8]


def test_odd_requests():
    times, values = np.array([0.0, 1.0]), np.array([2.0, 3.0])
    empty = np.array([])
    assert integrate(times, values, 5, 5) == 0
    assert integrate(empty, empty, 0, 5) == 0
    assert bin_means(empty, empty, [0, 1, 2]).tolist() == [0, 0]
    assert quantile_over_time(empty, empty, 0.5, 0, 1) == 0
    assert math.isnan(quantile_over_time(times, values, 0.5, 3, 3))
    with pytest.raises(ValueError, match="q must"):
        quantile_over_time(times, values, 1.5, 0, 1)
    for wrong in ([0], [0, 0], [1, 0]):
        with pytest.raises(ValueError, match="rising"):
            bin_means(times, values, wrong)
