"""A small neural network on lags and calendar."""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le

from sim.paas.policies.forecasters.base import Floats
from sim.paas.policies.forecasters.learned import Learned, Regressor, sklearn
from sim.registry import policy
from sim.units import Seconds


@policy("forecaster", "mlp")
class Perceptron(Learned):
    """A multilayer perceptron with one hidden layer of `neurons`.

    scikit-learn's MLPRegressor on standardised features, fitted by L-BFGS in at most `iterations`
    steps. Features are lags, the bins one season ago and the calendar. Fitted anew every `refit`
    bins on the last `window`.
    """

    season: Seconds = 86400.0
    lags: Annotated[int, Ge(1), Le(100)] = 6
    neurons: Annotated[int, Ge(1), Le(500)] = 16
    iterations: Annotated[int, Ge(1), Le(10_000)] = 100
    refit: Annotated[int, Ge(1)] = 60
    window: Annotated[int, Ge(20), Le(20_000)] = 1440

    def _regressor(self, seed: int) -> Regressor:
        network = sklearn("MLPRegressor", "neural_network")(
            hidden_layer_sizes=(self.neurons,),
            activation="tanh",
            solver="lbfgs",
            alpha=1.0,
            max_iter=self.iterations,
            random_state=seed,
        )
        return _Standardised(network)


class _Standardised:
    """A network on features and target of mean 0 and spread 1; features stay in the range it learnt from."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def fit(self, features: Floats, target: Floats) -> _Standardised:
        self._centre, self._spread = features.mean(axis=0), features.std(axis=0)
        self._spread[self._spread == 0] = 1.0
        self._low, self._high = features.min(axis=0), features.max(axis=0)
        self._level, self._scale = float(target.mean()), float(target.std()) or 1.0
        with warnings.catch_warnings():
            # Stopping at `iterations` is meant.
            warnings.simplefilter("ignore")
            self._network.fit((features - self._centre) / self._spread, (target - self._level) / self._scale)
        return self

    def predict(self, features: Floats) -> Floats:
        known = np.clip(features, self._low, self._high)
        scaled: Floats = self._network.predict((known - self._centre) / self._spread)
        return self._level + self._scale * scaled
