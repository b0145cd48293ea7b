"""Lepton, step and scheduled rules."""

import pytest

from sim.paas.autoscaling.lepton import NoTraffic, by_gpu_utilisation, by_throughput
from sim.paas.autoscaling.scheduled import Window, bounds
from sim.paas.autoscaling.steps import Step, adjusted, step_for


def test_lepton_targets():
    assert by_throughput(2.5, 50.0) == 3  # 150 a minute
    assert by_throughput(0.0, 50.0) == 0
    assert by_throughput(0.7 * 3, 42.0) == 3  # 126.0 / 42 with a rounding error is three
    assert by_gpu_utilisation(4, 0.9, 0.6) == 6
    assert by_gpu_utilisation(4, 0.3, 0.6) == 2


def test_lepton_no_traffic():
    timer = NoTraffic(600.0)
    assert not timer.expired(3.0, 100.0)
    assert not timer.expired(0.0, 699.9)
    assert timer.expired(0.0, 700.0)
    assert not timer.expired(1.0, 701.0)
    assert not NoTraffic(0.0).expired(0.0, 1e9)


STEPS = [Step(-2, upper=30.0), Step(0, 30.0, 50.0), Step(1, 50.0, 80.0), Step(4, 80.0)]


@pytest.mark.parametrize(
    ("value", "by"), [(0.0, -2), (29.9, -2), (30.0, 0), (50.0, 1), (79.9, 1), (80.0, 4), (1e9, 4)]
)
def test_steps_are_half_open(value, by):
    assert step_for(value, STEPS).by == by


def test_no_step_holds():
    assert step_for(10.0, STEPS[2:]) is None


@pytest.mark.parametrize(
    ("current", "by", "kind", "expected"),
    [
        (4, 3, "change", 7),
        (4, -9, "change", 0),
        (4, 6, "exact", 6),
        (10, 25, "percent", 12),  # 2.5 towards zero
        (10, -25, "percent", 8),
        (3, 10, "percent", 4),  # 0.3 is one
        (3, -10, "percent", 2),
        (10, 0, "percent", 10),
        (0, 50, "percent", 0),
    ],
)
def test_adjustments(current, by, kind, expected):
    assert adjusted(current, Step(by), kind) == expected


def test_a_percentage_moves_the_least_given():
    assert adjusted(10, Step(10), "percent", least=3) == 13


HOUR, DAY = 3600.0, 86400.0
OFFICE = Window(8 * HOUR, 18 * HOUR, 5, 20, ["mon", "tue", "wed", "thu", "fri"])
NOON = Window(12 * HOUR, 13 * HOUR, 8)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (8 * HOUR - 1, (1, 30)),
        (8 * HOUR, (5, 20)),
        (12 * HOUR, (8, 20)),  # the larger minimum, the smaller maximum
        (18 * HOUR, (1, 30)),  # the end is exclusive
        (5 * DAY + 9 * HOUR, (1, 30)),  # Saturday
        (5 * DAY + 12 * HOUR, (8, 30)),
        (7 * DAY + 9 * HOUR, (5, 20)),  # Monday again
    ],
)
def test_windows(moment, expected):
    assert bounds([OFFICE, NOON], moment, 1, 30) == expected


def test_a_minimum_above_the_maximum_yields():
    assert bounds([Window(0.0, DAY, 9)], 0.0, 1, 4) == (4, 4)


@pytest.mark.parametrize(("start", "end"), [(22 * HOUR, 6 * HOUR), (5.0, 5.0), (0.0, DAY + 1)])
def test_a_window_lies_within_a_day(start, end):
    with pytest.raises(ValueError, match="midnight"):
        Window(start, end, 1)
