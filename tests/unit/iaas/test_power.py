"""Power curves and energy by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import catalog
from sim.iaas import power

CURVE = ((0.0, 100.0), (0.5, 180.0), (1.0, 200.0))


@pytest.mark.parametrize(
    ("utilisation", "watts"),
    [(0, 100), (0.25, 140), (0.5, 180), (0.75, 190), (1, 200), (-0.1, 100), (1.1, 200)],
)
def test_watts_by_hand(utilisation, watts):
    assert power.watts(CURVE, utilisation) == pytest.approx(watts)


def test_one_point_is_a_constant():
    assert power.watts(((0.0, 42.0),), 0.7) == 42.0


def test_no_points_is_an_error():
    with pytest.raises(ValueError, match="at least one point"):
        power.watts((), 0.5)


def test_energy_of_a_step_pattern_to_the_joule():
    # 10 s idle, 5 s at a quarter, 20 s full, 5 s idle again
    joules = power.joules(CURVE, [0, 10, 15, 35], [0, 0.25, 1, 0], 40)
    assert joules == 10 * 100 + 5 * 140 + 20 * 200 + 5 * 100


def test_energy_needs_a_load_for_every_time():
    with pytest.raises(ValueError, match="zip"):
        power.joules(CURVE, [0, 1], [0.5], 2)


def test_simgrid_example():
    """SimGrid's energy example, a host of 100 to 200 W: 10 s idle, then 1 s at full load."""
    curve = ((0.0, 100.0), (1.0, 200.0))
    assert power.joules(curve, [0, 10], [0, 1], 11) == 1200


@pytest.mark.parametrize(
    "curve",
    [(), ((0.5, 10.0), (0.2, 20.0)), ((0.0, 10.0), (0.0, 20.0)), ((0.0, -1.0),), ((0.0, 1.0), (1.5, 2.0))],
)
def test_a_broken_curve_is_refused(curve):
    with pytest.raises(ValueError, match=r"points?|rise|negative"):
        power.check(curve)


@pytest.mark.parametrize("name", catalog.names("instance"))
def test_every_curve_of_the_catalog_is_sound(name):
    power.check(catalog.instance(name).power)


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_load_never_draws_less(a, b):
    low, high = sorted((a, b))
    assert power.watts(CURVE, low) <= power.watts(CURVE, high)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(0, 7))
def test_cutting_a_step_changes_no_energy(loads, place):
    times = [float(i) for i in range(len(loads))]
    end = float(len(loads))
    place %= len(loads)
    cut_times = sorted([*times, place + 0.5])
    cut_loads = [*loads[: place + 1], loads[place], *loads[place + 1 :]]
    assert power.joules(CURVE, cut_times, cut_loads, end) == pytest.approx(
        power.joules(CURVE, times, loads, end)
    )
