import math

import numpy as np
import pytest

from sim.stats.intervals import batch_means, of_mean, paired


def test_interval_by_hand():
    # mean 4, standard deviation 2, t(0.975, 2) = 4.302653: half width 4.302653 * 2 / sqrt(3).
    found = of_mean([2.0, 4.0, 6.0])
    half = 4.302652729911275 * 2 / math.sqrt(3)
    assert (found.mean, found.n) == (4.0, 3)
    assert (found.low, found.high) == (pytest.approx(4 - half), pytest.approx(4 + half))


def test_one_value_has_no_interval():
    found = of_mean([3.0])
    assert (found.mean, found.low, found.high, found.n) == (3.0, None, None, 1)
    assert not found.excludes_zero()


def test_nothing_has_no_mean():
    found = of_mean([math.nan])
    assert math.isnan(found.mean)
    assert found.n == 0


def test_undefined_values_are_left_out_and_not_counted():
    assert of_mean([2.0, math.nan, 6.0]).n == 2
    assert of_mean([2.0, math.nan, 6.0]).mean == 4.0


def test_infinite_values_have_no_bounds():
    assert of_mean([1.0, math.inf]).high is None


def test_equal_values_have_a_sharp_interval():
    found = of_mean([5.0, 5.0, 5.0])
    assert (found.low, found.high) == (5.0, 5.0)
    assert found.excludes_zero()


def test_pairs_cancel_what_both_saw():
    world = np.array([10.0, 50.0, 90.0, 20.0])
    shift = np.array([1.0, 2.0, 1.0, 2.0])
    found = paired((world + shift).tolist(), world.tolist())
    # differences 1, 2, 1, 2: mean 1.5, sd 0.57735, t(0.975, 3) = 3.182446
    half = 3.182446305284263 * 0.5773502691896257 / 2
    assert found.difference.mean == 1.5
    assert found.difference.low == pytest.approx(1.5 - half)
    assert found.relative == pytest.approx(1.5 / 42.5)
    # t = 1.5 / (0.57735 / 2) = 5.19615 with 3 degrees of freedom
    assert found.p == pytest.approx(0.013847, abs=1e-5)
    assert found.difference.excludes_zero()


def test_pairs_against_scipy():
    from scipy import stats

    ours, theirs = [3.1, 2.9, 3.6, 3.3, 2.2], [2.9, 2.8, 3.7, 2.9, 2.0]
    found = paired(ours, theirs, level=0.9)
    expected = stats.ttest_rel(ours, theirs)
    bounds = expected.confidence_interval(0.9)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.difference.low, found.difference.high) == (
        pytest.approx(bounds.low),
        pytest.approx(bounds.high),
    )


def test_undefined_pairs_are_left_out():
    found = paired([1.0, math.nan, 3.0], [0.0, 1.0, 1.0])
    assert found.difference.n == 2
    assert found.relative == pytest.approx(3.0)


def test_equal_arms_differ_by_nothing():
    found = paired([4.0, 4.0], [4.0, 4.0])
    assert found.p == 1.0
    assert not found.difference.excludes_zero()
    assert paired([5.0, 5.0], [4.0, 4.0]).p == 0.0


def test_difference_to_nothing_has_no_share():
    assert math.isnan(paired([1.0, 2.0], [0.0, 0.0]).relative)


def test_unpaired_values_are_refused():
    with pytest.raises(ValueError, match="paired"):
        paired([1.0], [1.0, 2.0])


def test_batches_by_hand():
    # 20 batches of 2: means 0.5, 2.5 ... 38.5; the 41st observation is left out.
    found = batch_means(np.append(np.arange(40.0), 1e9))
    expected = of_mean(np.arange(0.5, 40.0, 2.0))
    assert found == expected


def test_too_few_observations_for_batches():
    found = batch_means([1.0, 3.0])
    assert (found.mean, found.low, found.n) == (2.0, None, 2)


def test_coverage_of_the_interval():
    # 2,000 intervals of nominal 95 %: the covered share lies within 4 sd = 0.0195 of it
    # (false alarm below 1e-4, and the seed is fixed).
    rng = np.random.default_rng(1)
    hits = 0
    for sample in rng.normal(3.0, 2.0, (2000, 6)):
        found = of_mean(sample)
        hits += found.low <= 3.0 <= found.high
    assert abs(hits / 2000 - 0.95) < 0.0195
