"""Forecasters: the rate of calls in the bins to come, from the rates of the bins so far.

A forecaster is a policy with `predict(rates, width, steps)`: `rates` are the mean rates (calls/s) of
equal, complete bins of `width` seconds, oldest first, and the answer covers the `steps` bins after
them. It may remember what it learnt of earlier bins (histories only grow), but its answer depends on
the history alone. None means that the history is too short. One that draws random numbers has
`start(streams, path)`.

Uncertainty comes from the residuals: the quantiles of the errors of one-step forecasts over the
past, widened for later steps by the growth of the model's error variance.
"""

from sim.paas.policies.forecasters.ar import Autoregressive
from sim.paas.policies.forecasters.base import Floats, Forecast, Forecaster
from sim.paas.policies.forecasters.boosting import GradientBoosting
from sim.paas.policies.forecasters.ensemble import Ensemble
from sim.paas.policies.forecasters.ewma import Ewma
from sim.paas.policies.forecasters.holt_winters import HoltWinters
from sim.paas.policies.forecasters.mlp import Perceptron
from sim.paas.policies.forecasters.seasonal_naive import SeasonalNaive

__all__ = [
    "Autoregressive",
    "Ensemble",
    "Ewma",
    "Floats",
    "Forecast",
    "Forecaster",
    "GradientBoosting",
    "HoltWinters",
    "Perceptron",
    "SeasonalNaive",
]
