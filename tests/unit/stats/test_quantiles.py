import numpy as np
import pytest

from sim.stats.quantiles import CURVE, by_bin, of_sorted, quantile


def test_a_quantile_is_an_observed_value():
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert of_sorted(values, [0.0, 0.25, 0.26, 0.5, 0.75, 0.99, 1.0]).tolist() == [1, 1, 2, 2, 3, 4, 4]


def test_rounding_does_not_move_a_rank():
    # 0.07 * 100 is 7.000000000000001 in floating point.
    assert of_sorted(np.arange(1.0, 101.0), [0.07])[0] == 7.0


def test_quantile_says_the_same_as_the_share_within_it():
    values = np.random.default_rng(2).exponential(size=1237)
    bound = quantile(values, 0.99)
    assert np.mean(values <= bound) >= 0.99
    assert np.mean(values < bound) < 0.99
    assert bound == np.quantile(values, 0.99, method="inverted_cdf")


def test_nothing_has_no_quantile():
    assert np.isnan(quantile(np.zeros(0), 0.5))
    assert np.isnan(of_sorted(np.zeros(0), [0.5])[0])


def test_bins_match_one_by_one():
    rng = np.random.default_rng(3)
    values, bins = rng.exponential(size=500), rng.integers(0, 9, 500)
    bins[bins == 4] = 5
    found = by_bin(values, bins, 9, [0.5, 0.99])
    for position in range(9):
        mine = values[bins == position]
        if len(mine):
            assert found[:, position].tolist() == [quantile(mine, 0.5), quantile(mine, 0.99)]
        else:
            assert position == 4
            assert np.isnan(found[:, position]).all()


def test_curve_rises_and_is_small():
    assert list(CURVE) == sorted(set(CURVE))
    assert (CURVE[0], CURVE[-1]) == (0.0, 1.0)
    assert len(CURVE) <= 400
    assert sum(share > 0.9995 for share in CURVE) > 20
    assert CURVE[100] == pytest.approx(0.5)
