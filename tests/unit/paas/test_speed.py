"""The rate of a gang by device, number of workers and distance, by hand."""

import pytest

from sim.paas.speed import PLAIN, Speed


def test_plain_work_is_proportional_to_the_workers():
    assert PLAIN.rate(8, 4, ["v100"], "sites") == 2.0
    assert PLAIN.best(2, 4) == 0.5


@pytest.mark.parametrize(
    ("workers", "speed_up"), [(1, 1.0), (2, 1.9), (3, 1.9 + 1.6 / 2), (4, 3.5), (8, 3.5), (100, 3.5)]
)
def test_a_curve_is_straight_between_its_points_and_flat_behind(workers, speed_up):
    curve = Speed(scaling=((1, 1.0), (2, 1.9), (4, 3.5)))
    assert curve.rate(workers, 1, [None], "node") == pytest.approx(speed_up)
    assert curve.rate(workers, 4, [None], "node") == pytest.approx(speed_up / 3.5)


def test_below_its_first_point_a_curve_begins_at_zero():
    assert Speed(scaling=((4, 3.0),)).rate(1, 4, [None], "node") == pytest.approx(0.25)


def test_gangs_go_at_the_pace_of_their_slowest_device():
    speed = Speed({"v100": 4.0, "k80": 1.0, "a100": 9.0})
    assert speed.rate(2, 2, ["v100", "a100"], "node") == 4.0
    assert speed.rate(2, 2, ["unknown", "a100"], "node") == 1.0
    assert speed.best(2, 2) == 9.0


@pytest.mark.parametrize(
    ("across", "factor"), [("node", 1.0), ("nvlink", 1.0), ("rack", 1.5), ("site", 1.5), ("sites", 4.0)]
)
def test_a_span_that_is_not_given_costs_as_much_as_the_next_closer_one(across, factor):
    speed = Speed({"v100": 2.0}, slowdown={"rack": 1.5, "sites": 4.0})
    assert speed.rate(4, 4, ["v100"], across) == pytest.approx(2.0 / factor)


def test_all_of_it_multiplies():
    speed = Speed({"v100": 2.0}, ((1, 1.0), (4, 3.0)), {"rack": 1.25})
    assert speed.rate(4, 1, ["v100"], "rack") == pytest.approx(2.0 * 3.0 / 1.25)
    assert speed.best(4, 1) == pytest.approx(6.0)
