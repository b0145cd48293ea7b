import numpy as np
import pytest

from sim.stats.stability import growth


def station(load, arrivals, seed):
    """Number in an M/M/1 station over time, service rate 1, from its stationary start if it has one."""
    rng = np.random.default_rng(seed)
    waiting = rng.geometric(1 - load) - 1 if load < 1 else 0
    total = int(arrivals * 2.2)
    gaps = rng.exponential(1 / (load + 1), total)
    moves = np.where(rng.random(total) < load / (load + 1), 1, -1)
    # A departure from an empty station does not happen: Lindley's reflection.
    walk = waiting + np.cumsum(moves)
    numbers = walk - np.minimum(0, np.minimum.accumulate(walk))
    times = np.concatenate(([0.0], np.cumsum(gaps)))
    return times, np.concatenate(([waiting], numbers)).astype(float), np.count_nonzero(moves == 1)


def share_flagged(load, arrivals, runs=300):
    flagged = 0
    for seed in range(runs):
        times, numbers, came = station(load, arrivals, seed)
        flagged += growth((times, numbers), came, 0.0, times[-1]).unstable
    return flagged / runs


@pytest.mark.parametrize("arrivals", [200, 2_000, 20_000])
def test_false_alarms_at_95_percent_load(arrivals):
    # Seeded, so exact here; at most 1 in 100 is what the rule promises.
    assert share_flagged(0.95, arrivals) <= 0.01


def test_alarms_at_the_very_edge_are_rare():
    assert share_flagged(1.0, 5_000) <= 0.08


@pytest.mark.parametrize(
    ("load", "arrivals", "power"), [(1.1, 5_000, 0.99), (1.1, 2_500, 0.7), (1.5, 300, 0.95)]
)
def test_power_at_overload(load, arrivals, power):
    assert share_flagged(load, arrivals) >= power


def test_a_line_that_fills_to_its_bound_is_not_growing():
    times = np.arange(0.0, 1000.0)
    assert not growth((times, np.minimum(times * 10, 2000.0)), 20_000, 0.0, 1000.0).unstable
    assert growth((times, times * 2), 20_000, 0.0, 1000.0).unstable


def test_a_burst_already_served_is_not_growing():
    times = np.arange(0.0, 1000.0)
    assert not growth(
        (times, np.where((times > 300) & (times < 700), 5000.0, 3.0)), 20_000, 0.0, 1000.0
    ).unstable


def test_growth_by_hand():
    found = growth((np.array([0.0, 50.0]), np.array([10.0, 250.0])), 800, 0.0, 100.0)
    assert (found.growth, found.limit, found.unstable) == (240.0, 80.0, True)


@pytest.mark.parametrize(("arrivals", "end"), [(29, 100.0), (1000, 0.0)])
def test_too_little_to_judge(arrivals, end):
    times = np.arange(0.0, 100.0)
    assert not growth((times, times * 100), arrivals, 0.0, end).unstable
