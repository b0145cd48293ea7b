import numpy as np
import pytest

from sim.saas.slo import SLO, attainment, good, is_met

NAN = float("nan")
LATENCIES = np.array([0.1, 0.2, 0.2, 0.5])


def test_exactly_the_limit_is_still_good():
    assert good(LATENCIES, 0.2) == 3


def test_what_never_completed_counts_against_the_promise():
    assert attainment(LATENCIES, 4, 0.2) == 0.75
    assert attainment(LATENCIES, 8, 0.2) == 0.375
    assert attainment(np.array([0.1, NAN, NAN]), 3, 0.2) == pytest.approx(1 / 3)


def test_more_completed_than_finished_is_a_mistake():
    with pytest.raises(ValueError, match="only 3 finished"):
        attainment(LATENCIES, 3, 0.2)


def test_the_share_decides():
    assert is_met(SLO(0.2, 0.75), LATENCIES, 4)
    assert not is_met(SLO(0.2, 0.76), LATENCIES, 4)
    assert not is_met(SLO(0.2, 0.75), LATENCIES, 5)


def test_nothing_to_judge_breaks_no_promise():
    empty = np.empty(0)
    assert np.isnan(attainment(empty, 0, 1.0))
    assert is_met(SLO(1.0), empty, 0)
    assert not is_met(SLO(1.0), empty, 2)


@pytest.mark.parametrize(
    ("latency", "quantile"), [(0.0, 0.9), (-1.0, 0.9), (NAN, 0.9), (1.0, 0.0), (1.0, 1.1)]
)
def test_impossible_promises_are_refused(latency, quantile):
    with pytest.raises(ValueError):
        SLO(latency, quantile)
