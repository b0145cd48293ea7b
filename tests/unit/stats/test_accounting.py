import math

import numpy as np
import pytest

from sim.stats import accounting
from sim.stats.steps import amounts


def steps(*points):
    return np.array([time for time, _ in points], float), np.array([value for _, value in points], float)


CURVE = [[0.0, 100.0], [0.5, 160.0], [1.0, 200.0]]


def test_scripted_pattern_to_the_joule():
    on = steps((0, 0), (10, 1), (110, 0), (150, 1), (170, 0))
    busy = steps((0, 0), (20, 1), (50, 0.25), (70, 0))
    # 10-20 idle 100 W, 20-50 full 200 W, 50-70 a quarter 130 W, 70-110 idle, 150-170 idle.
    assert accounting.energy(CURVE, on, busy, 0, 200) == 10 * 100 + 30 * 200 + 20 * 130 + 40 * 100 + 20 * 100
    assert accounting.energy(CURVE, on, busy, 45, 60) == 5 * 200 + 10 * 130


def test_a_node_that_is_off_draws_nothing_whatever_its_load_says():
    assert accounting.energy(CURVE, steps((0, 0)), steps((0, 1)), 0, 100) == 0


def test_power_before_the_first_record_is_none():
    assert accounting.energy(CURVE, steps((30, 1)), steps((40, 1)), 0, 50) == 10 * 100 + 10 * 200


@pytest.mark.parametrize(("start", "end", "shift", "edges", "hours"), [
    (0, 7200, 0, [0, 3600, 7200], [0, 1]),
    (600, 4200, 0, [600, 3600, 4200], [0, 1]),
    (600, 1200, 0, [600, 1200], [0]),
    (0, 7200, 22.5, [0, 1800, 5400, 7200], [22, 23, 0]),
    (86_000, 90_400, 0, [86_000, 86_400, 90_000, 90_400], [23, 0, 1]),
])  # fmt: skip
def test_windows_are_cut_at_full_hours(start, end, shift, edges, hours):
    found = accounting.hours(start, end, shift)
    assert found[0].tolist() == edges
    assert found[1].tolist() == hours


def test_carbon_follows_the_hour():
    hourly = [float(hour) for hour in range(24)]
    edges, hours = accounting.hours(1800, 9000)
    joules = amounts(accounting.power(CURVE, steps((0, 1)), steps((0, 0), (5400, 1))), edges)
    # Half an hour idle in hour 0, half idle and half full in hour 1, half an hour full in hour 2.
    assert joules.tolist() == [180_000, 180_000 + 360_000, 360_000]
    assert accounting.carbon(joules, hours, hourly) == 540_000 * 1 + 360_000 * 2


def test_a_window_of_no_length_holds_nothing():
    edges, hours = accounting.hours(50, 50)
    assert amounts(steps((0, 7)), edges).sum() == 0
    assert len(hours) == len(edges) - 1


def test_rent_and_traffic():
    assert accounting.rent(steps((0, 1), (30, 0)), 0.002, 10, 100) == pytest.approx(0.04)
    assert accounting.traffic([steps((0, 10), (5, 0)), steps((2, 1))], 0, 10) == 58
    assert not math.isnan(accounting.traffic([], 0, 10))
