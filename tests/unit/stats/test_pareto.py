import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from sim.stats.pareto import cheapest, front


def test_the_front_by_hand():
    points = [(1, 9), (2, 5), (3, 6), (4, 1), (5, 1)]
    assert front(points, ["low", "low"]) == [0, 1, 3]
    assert front(points, ["low", "high"]) == [0]
    assert front(points, ["high", "low"]) == [4]


def test_equal_points_are_both_on_it():
    assert front([(1, 1), (1, 1), (2, 0)], ["low", "low"]) == [0, 1, 2]


coordinates = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)


@given(coordinates)
def test_every_point_off_the_front_is_beaten_by_one_on_it(points):
    best = front(points, ["low", "low"])
    assert best
    for index, (x, y) in enumerate(points):
        beaten = [i for i in best if points[i] != (x, y) and points[i][0] <= x and points[i][1] <= y]
        assert (index in best) == (not beaten)


@given(coordinates, st.floats(0, 50))
def test_at_every_price_the_named_point_is_the_cheapest(points, price):
    ranges = cheapest(points)
    assert ranges[0][1] == 0.0
    assert ranges[-1][2] == math.inf
    assert all(one[2] == two[1] for one, two in itertools.pairwise(ranges))
    assert all(low < high for _, low, high in ranges)
    (chosen,) = [index for index, low, high in ranges if low <= price < high]
    least = min(x + price * y for x, y in points)
    assert points[chosen][0] + price * points[chosen][1] <= least + 1e-9


def test_prices_by_hand():
    # From 10 for 4 violations to 20 for 0: 2.5 each. The point between lies above the line.
    assert cheapest([(10, 4), (16, 2), (20, 0), (30, 0)]) == [(0, 0.0, 2.5), (2, 2.5, math.inf)]
    assert cheapest([]) == []
