"""Several forecasters, weighed by how well they did of late."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le, Len

from sim import registry
from sim.kernel.streams import RandomStreams
from sim.paas.policies.forecasters.ar import Autoregressive
from sim.paas.policies.forecasters.base import Floats, Forecast, Forecaster
from sim.paas.policies.forecasters.ewma import Ewma
from sim.paas.policies.forecasters.holt_winters import HoltWinters
from sim.paas.policies.forecasters.seasonal_naive import SeasonalNaive
from sim.paas.policies.nested import OfKind
from sim.registry import policy


def weights(errors: Floats) -> Floats:
    """Weights of the columns of one-step errors: inverse to their mean squares, NaN left out.

    Bates and Granger, The Combination of Forecasts, Operational Research Quarterly 20 (1969), method
    (i). A column without errors gets the mean weight of the others; one whose errors are all 0
    shares everything with its equals.
    """
    counts = np.sum(~np.isnan(errors), axis=0)
    squares = np.nansum(errors**2, axis=0) / np.maximum(counts, 1)
    known = counts > 0
    if not np.any(known):
        return np.full(len(squares), 1.0 / len(squares))
    perfect = known & (squares == 0)
    if np.any(perfect):
        alike: Floats = perfect / np.sum(perfect)
        return alike
    merit = np.zeros(len(squares))
    merit[known] = 1.0 / squares[known]
    merit[~known] = np.mean(merit[known])
    found: Floats = merit / np.sum(merit)
    return found


@policy("forecaster", "ensemble")
class Ensemble:
    """A weighted mean of forecasters; who erred less over the last `window` bins weighs more.

    Weights are inverse to the mean squared errors of one-step forecasts (Bates and Granger, 1969,
    method i). Members whose history is too short take no part. The errors of the mean are those
    that it would have made over these bins with the present weights.
    """

    members: Annotated[list[Annotated[Forecaster, OfKind("forecaster", but=("ensemble",))]], Len(1, 16)] = (
        field(default_factory=lambda: [SeasonalNaive(), HoltWinters(), Autoregressive(), Ewma()])
    )
    window: Annotated[int, Ge(2), Le(1000)] = 60

    def __post_init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._seen = 0
        #: One-step forecasts of the members by number of the bin; NaN where there was none.
        self._foreseen: dict[int, list[float]] = {}

    def start(self, streams: RandomStreams, path: str) -> None:
        """Let the members acquire their state."""
        for index, member in enumerate(self.members):
            registry.start(member, streams, f"{path}/{index}")

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins; needs a member that can."""
        count = len(rates)
        if count < self._seen:
            self._forget()
        for before in range(max(self._seen, count - self.window), count):
            one = [member.predict(rates[:before], width, 1) for member in self.members]
            self._foreseen[before] = [np.nan if each is None else float(each.mean[0]) for each in one]
        self._seen = count
        self._foreseen = {at: made for at, made in self._foreseen.items() if at >= count - self.window}
        made = [member.predict(rates, width, steps) for member in self.members]
        able = [index for index, each in enumerate(made) if each is not None]
        if not able:
            return None
        past = np.array([rates[at] - np.array(each)[able] for at, each in self._foreseen.items()])
        errors = past.reshape(len(self._foreseen), len(able))
        share = weights(errors)
        forecasts = [each for each in made if each is not None]
        complete = errors[~np.any(np.isnan(errors), axis=1)]
        return Forecast(
            np.asarray(sum(w * each.mean for w, each in zip(share, forecasts, strict=True))),
            np.asarray(sum(w * each.widening for w, each in zip(share, forecasts, strict=True))),
            complete @ share if len(complete) else forecasts[int(np.argmax(share))].residuals,
        )
