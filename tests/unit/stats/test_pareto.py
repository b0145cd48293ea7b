from hypothesis import given
from hypothesis import strategies as st

from sim.stats.pareto import front


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
