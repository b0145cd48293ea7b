"""Fairness by hand, and against integrals made of loops."""

import math

import numpy as np
import pytest

from sim.stats.fairness import contention, finish_time_fairness, jain


def test_jain_by_hand():
    # Published example: (1, 2, 3, 4) has (10)^2 / (4 x 30) = 5/6.
    assert jain(np.array([1.0, 2, 3, 4])) == pytest.approx(5 / 6)
    assert jain(np.array([7.0, 7, 7])) == pytest.approx(1)
    assert jain(np.array([5.0, 0, 0, 0])) == pytest.approx(1 / 4)
    assert math.isnan(jain(np.zeros(3)))
    assert math.isnan(jain(np.zeros(0)))


def test_contention_by_hand():
    # Job 0 is there 0..4, job 1 2..4, job 2 from 3 on for ever, job 3 takes no time.
    found = contention(np.array([0.0, 2, 3, 3]), np.array([4.0, 4, math.nan, 3]))
    assert found[0] == pytest.approx((2 * 1 + 1 * 2 + 1 * 3) / 4)
    assert found[1] == pytest.approx((2 + 3) / 2)
    assert math.isnan(found[2])
    assert math.isnan(found[3])


def test_contention_against_loops():
    rng = np.random.default_rng(5)
    submitted = rng.uniform(0, 50, 40)
    finished = submitted + rng.uniform(0.1, 30, 40)
    finished[::7] = math.nan
    found = contention(submitted, finished)
    for i in range(40):
        if math.isnan(finished[i]):
            assert math.isnan(found[i])
            continue
        overlap = 0.0
        for j in range(40):
            end = math.inf if math.isnan(finished[j]) else finished[j]
            overlap += max(0.0, min(end, finished[i]) - max(submitted[j], submitted[i]))
        assert found[i] == pytest.approx(overlap / (finished[i] - submitted[i]), rel=1e-9)


def test_finish_time_fairness_by_hand():
    # Four accelerators, two jobs that both want all four and come together: one runs 0..10, the other
    # 10..20. Job 0 sees 2 jobs all the time, so alone on its half it would take 20: rho = 1/2. Job 1 sees
    # 2 for 10 s and 1 for 10 s, n = 1.5, so alone it would take 15: rho = 4/3.
    args = (np.array([0.0, 0]), np.array([10.0, 20]), np.array([10.0, 10]), np.array([4.0, 4]))
    assert finish_time_fairness(*args, 4.0) == pytest.approx([1 / 2, 4 / 3])
    # On eight accelerators half of them holds a job whole: 1.5 x 4 / 8 < 1, and job 1 has rho 20 / 10.
    assert finish_time_fairness(*args, 8.0) == pytest.approx([1, 2])
    assert np.isnan(finish_time_fairness(*args, 0.0)).all()


def test_a_job_without_work_has_no_finish_time_fairness():
    found = finish_time_fairness(np.zeros(1), np.ones(1), np.zeros(1), np.ones(1), 4.0)
    assert math.isnan(found[0])
