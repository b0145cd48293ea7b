import os
import subprocess
import sys

import numpy as np
import pytest

from sim.stats.steps import amounts, integral, mean, sampled, total

STEPS = np.array([1.0, 3.0, 4.0]), np.array([2.0, 5.0, 0.0])


def test_integrals_by_hand():
    assert integral(STEPS, 0, 10) == 2 * 2 + 5
    assert integral(STEPS, 2, 3.5) == 2 + 2.5
    assert amounts(STEPS, np.array([0.0, 2.0, 4.0, 9.0])).tolist() == [2, 7, 0]
    assert mean(STEPS, 0, 10) == 0.9


def test_over_no_time_there_is_no_mean():
    assert integral(STEPS, 3, 3) == 0
    assert np.isnan(mean(STEPS, 3, 3))


@pytest.mark.parametrize(("at", "value"), [(0.5, 0), (1, 2), (2.9, 2), (3, 5), (99, 0)])
def test_values_at_moments(at, value):
    assert sampled(STEPS, np.array([at]))[0] == value


def test_threads_do_not_change_a_bit():
    code = (
        "import numpy as np; from sim.stats.steps import integral; r = np.random.default_rng(0);"
        "t = np.sort(r.random(300_000)); print(repr(integral((t, r.random(300_000)), 0.1, 0.9)))"
    )
    found = set()
    for threads in ("1", "2", "4"):
        env = os.environ | {"OPENBLAS_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(sys.path)}
        found.add(
            subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout
        )
    assert len(found) == 1


def test_the_total_of_step_series_is_their_weighted_sum():
    first = np.array([0.0, 2.0, 5.0]), np.array([1.0, 3.0, 0.0])
    second = np.array([2.0, 4.0]), np.array([10.0, 20.0])
    times, values = total([(2.0, first), (-1.0, second)])
    assert times.tolist() == [0, 2, 4, 5]
    assert values.tolist() == [2, 6 - 10, 6 - 20, 0 - 20]
    assert [part.tolist() for part in total([])] == [[0.0], [0.0]]
