import numpy as np
import pytest

from sim.paas.autoscaling.newsvendor import critical_ratio
from sim.paas.policies.autoscalers.predictive import Predictive


def test_the_quantile_has_the_least_mean_cost():
    demand = np.random.default_rng(4).gamma(9.0, 2.0, 20_000)
    for too_few, too_many in ((1.0, 1.0), (9.0, 1.0), (1.0, 3.0)):
        chosen = np.quantile(demand, critical_ratio(too_few, too_many))
        tried = np.quantile(demand, np.linspace(0.01, 0.99, 99))
        costs = [
            np.mean(too_few * np.maximum(demand - x, 0) + too_many * np.maximum(x - demand, 0)) for x in tried
        ]
        assert chosen == pytest.approx(tried[int(np.argmin(costs))], rel=0.02)


@pytest.mark.parametrize("costs", [(0, 1), (1, 0), (-1, 1)])
def test_costs_must_be_positive(costs):
    with pytest.raises(ValueError, match="above 0"):
        critical_ratio(*costs)


def test_predictive_takes_costs_or_a_quantile():
    assert Predictive().level == 0.9
    assert Predictive(quantile=0.7).level == 0.7
    assert Predictive(too_few=19.0, too_many=1.0).level == 0.95


@pytest.mark.parametrize(
    "given", [{"too_few": 3.0}, {"too_many": 3.0}, {"quantile": 0.5, "too_few": 3.0, "too_many": 1.0}]
)
def test_half_or_twice_said_is_refused(given):
    with pytest.raises(ValueError, match="too_few and too_many"):
        Predictive(**given)
