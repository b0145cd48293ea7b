import numpy as np
import pytest

from sim.stats.multiple import holm


def test_holm_by_hand():
    # 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1, each at least as large as the one before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def test_what_is_undefined_does_not_count():
    assert holm([None, 0.02, None, 0.5]) == [None, 0.04, None, 0.5]


def test_false_alarms_stay_at_the_level():
    # Ten true null hypotheses a family, 4,000 families: at most 5 % with any false call, plus three
    # standard deviations (0.34 %); the check itself fails by chance once in 700.
    values = np.random.default_rng(3).uniform(size=(4000, 10))
    alarms = sum(min(holm(row.tolist())) <= 0.05 for row in values)
    assert alarms / 4000 <= 0.05 + 3 * 0.0034
    # Without the correction 40 % of the families would have one.
    assert np.mean(values.min(axis=1) <= 0.05) == pytest.approx(1 - 0.95**10, abs=0.03)
