"""Knative's windows, by the cases of knative/serving pkg/autoscaler/aggregation/bucketing_test.go."""

import pytest

from sim.paas.autoscaling.kpa_window import Window, weighted_average, window_average


def filled(length, *values, granularity=1.0):
    """A window with a value a second."""
    window = Window(length, granularity)
    for second, value in enumerate(values):
        window.record(second, value)
    return window


def test_window_averages():
    assert window_average([], 6) == 0.0
    assert window_average([4.0, 5.0], 6) == 4.5  # partial window: those there are
    assert window_average([9.0, 1.0, 2.0, 3.0], 3) == 2.0
    assert window_average([2.0, 0.0, 0.0], 6) == 0.666666  # down, not to the nearest
    assert window_average([3.6e-17], 1) == 0.0


def test_weights():
    # The sum of a geometric series: 1 - 0.8^3 of a constant, with the smallest weight 0.2.
    assert weighted_average([5.0] * 3, 60) == pytest.approx(5.0 * (1 - 0.8**3))
    assert weighted_average([0.0, 10.0], 60) > weighted_average([10.0, 0.0], 60)
    seen = [1.0, 3.0, 5.0, 4.0, 6.0, 7.0, 2.0, 8.0, 10.0, 20.0]
    assert filled(10, *seen).weighted(9) == pytest.approx(15.430728028666296)
    assert filled(3, *seen).weighted(9) == pytest.approx(19.530732247258655)
    late = filled(10, *seen)  # a second without a record: all weigh less, and the oldest is out
    weight = 1 - 0.0001**0.1
    lost = weight * (1 - weight) ** 10
    assert late.weighted(10) == pytest.approx((1 - weight) * late.weighted(9) - lost)


@pytest.mark.parametrize(
    ("granularity", "records", "expected"),
    [
        (1.0, [(0.0, 1.0), (0.1, 10.0), (1.0, 1.0), (3.0, 1.0)], [11.0, 1.0, 0.0, 1.0]),
        (5.0, [(0.0, 1.0), (3.0, 11.0), (6.0, 1.0)], [12.0, 1.0]),
        (1.0, [], []),
        (1.0, [(at, n + k) for n, at in enumerate([0, 3, 2, 1, 4]) for k in range(5)], [10, 25, 20, 15, 30]),
    ],
)
def test_values_of_a_bucket_add_up(granularity, records, expected):
    window = Window(120.0, granularity)
    assert window.empty(0.0)
    for time, value in records:
        window.record(time, value)
    assert window.recent(60.0) == expected


def test_average():
    window = filled(5, 1.0)
    assert window.average(0) == 1.0  # by the seconds since the first record, not 0.2
    window = filled(5, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert window.average(4) == 3.0
    assert window.average(3.6) == 3.0  # the clock lags behind
    assert window.average(6) == 4.0  # two seconds unknown
    assert window.average(10) == 0.0  # nothing known
    window.record(6, 91.0)  # now the second between is known to be 0
    assert window.average(6) == (3 + 4 + 5 + 0 + 91) / 5
    window.record(60, 1984.0)  # after more than a window: as the first
    assert window.average(60) == 1984.0
    window.record(57, 4.0)
    assert window.average(60) == (4 + 1984) / 4
    window.record(61, 5.0)
    assert window.average(61) == (4 + 1984 + 5) / 5
    window.record(58, 10.0)
    assert window.average(61) == (4 + 10 + 1984 + 5) / 5
    window.record(55, 10.0)  # too old
    assert window.average(61) == (4 + 10 + 1984 + 5) / 5


def test_records_in_descending_order():
    window = Window(5)
    for second in range(8, -1, -1):
        window.record(second, 5.0)
    assert window.average(5) == 5.0


def test_holes():
    window = filled(5, 1.0, 2.0, 3.0, 4.0, 5.0)
    window.record(8, 2.0)
    assert sum(window.recent(8)) == 7.0


def test_resize():
    window = filled(5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert window.average(5) == 4.0
    window.resize(10, 5)
    assert (window.buckets, sum(window.recent(5)), window.average(5)) == (10, 20.0, 4.0)
    window.record(6, 7.0)
    assert (sum(window.recent(6)), window.average(6)) == (27.0, 4.5)
    window.resize(4, 6)
    assert (window.buckets, sum(window.recent(6)), window.average(6)) == (4, 22.0, 5.5)
    window.resize(4, 6)
    assert window.recent(6) == [4.0, 5.0, 6.0, 7.0]
    window.resize(9, 60)  # all is old
    assert window.empty(60)


def test_buckets_of_three_seconds():
    window = filled(5, 10.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, granularity=3.0)
    assert (window.buckets, sum(window.recent(6))) == (2, 22.0)  # the first three are out
    window.resize(10, 6)
    assert (window.buckets, sum(window.recent(6))) == (4, 22.0)
    window.record(9.3, 42.0)
    assert sum(window.recent(9)) == 64.0
    window.resize(4, 9)
    assert (window.buckets, sum(window.recent(9))) == (2, 49.0)
