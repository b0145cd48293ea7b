"""Gradient-boosted trees on lags and calendar."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from sim.paas.policies.forecasters.learned import Learned, Regressor, sklearn
from sim.registry import policy
from sim.units import Fraction, Seconds


@policy("forecaster", "gradient-boosting")
class GradientBoosting(Learned):
    """Many small regression trees, each fitted to what those before it left unexplained.

    Friedman, Greedy Function Approximation: A Gradient Boosting Machine, Annals of Statistics 29
    (2001); scikit-learn's GradientBoostingRegressor. Features are lags, the bins one season ago and
    the calendar. Fitted anew every `refit` bins on the last `window`.
    """

    season: Seconds = 86400.0
    lags: Annotated[int, Ge(1), Le(100)] = 6
    trees: Annotated[int, Ge(1), Le(1000)] = 60
    depth: Annotated[int, Ge(1), Le(10)] = 3
    rate: Fraction = 0.1
    refit: Annotated[int, Ge(1)] = 60
    window: Annotated[int, Ge(20), Le(20_000)] = 1440

    def _regressor(self, seed: int) -> Regressor:
        made: Regressor = sklearn("GradientBoostingRegressor", "ensemble")(
            n_estimators=self.trees,
            max_depth=self.depth,
            learning_rate=self.rate,
            subsample=0.7,
            min_samples_leaf=5,
            random_state=seed,
        )
        return made
