"""Forecasters: the rate of calls in the bins to come, from the rates of the bins so far.

A forecaster is a policy with `predict(rates, width, steps)`: `rates` are the mean rates (calls/s) of
equal, complete bins of `width` seconds, oldest first, and the answer covers the `steps` bins after
them. It may remember what it learnt of earlier bins (histories only grow), but its answer depends on
the history alone. None means that the history is too short.

Uncertainty comes from the residuals: the quantiles of the errors of one-step forecasts over the
past, widened for later steps by the growth of the model's error variance.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import numpy as np
from annotated_types import Ge
from numpy.typing import ArrayLike, NDArray

from sim import registry
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

Floats = NDArray[np.float64]

#: Residuals kept: enough for a 99 % quantile, few enough to follow a change of regime.
_RESIDUALS = 512


@dataclass(frozen=True, slots=True)
class Forecast:
    """Rates of the bins to come.

    Attributes:
        mean: expected rate of each bin (calls/s), not below 0.
        widening: factor on the residuals for each bin; 1 for the first.
        residuals: errors (actual minus forecast) of one-step forecasts in the past (calls/s).
    """

    mean: Floats
    widening: Floats
    residuals: Floats

    def quantile(self, q: float) -> Floats:
        """Rate of each bin that is exceeded with probability 1 - q, not below 0."""
        if len(self.residuals) == 0:
            return self.mean
        shift = float(np.quantile(self.residuals, q))
        return np.asarray(np.maximum(0.0, self.mean + shift * self.widening), dtype=float)


class Forecaster(Protocol):
    """What the predictive autoscaler asks of a forecaster."""

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins."""


def _forecast(mean: ArrayLike, variance: ArrayLike, residuals: ArrayLike) -> Forecast:
    """A forecast whose widening is the root of the relative error variances."""
    center = np.maximum(0.0, np.asarray(mean, dtype=np.float64))
    widening = np.sqrt(np.asarray(variance, dtype=np.float64))
    return Forecast(center, widening, np.asarray(residuals, dtype=np.float64))


def _season(season: float, width: float) -> int:
    """Bins of one season, at least 2."""
    return max(2, round(season / width))


@policy("forecaster", "seasonal-naive")
class SeasonalNaive:
    """The rate one season ago; the plain benchmark that every other forecast has to beat.

    The error variance grows by one unit per whole season ahead (Hyndman and Athanasopoulos,
    Forecasting: Principles and Practice, 3rd ed., sect. 5.5).
    """

    season: PositiveSeconds = 86400.0

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins; needs one season."""
        season = _season(self.season, width)
        if len(rates) < season:
            return None
        ahead = np.arange(steps)
        mean = rates[len(rates) - season + ahead % season]
        residuals = (rates[season:] - rates[:-season])[-_RESIDUALS:]
        return _forecast(mean, 1.0 + ahead // season, residuals)


@policy("forecaster", "ewma")
class Ewma:
    """Simple exponential smoothing: the same rate for all bins to come, recent bins weigh most.

    level = alpha x rate + (1 - alpha) x level, begun with the first rate. The error variance h steps
    ahead is 1 + (h - 1) alpha^2 (op. cit., sect. 8.7).
    """

    alpha: Fraction = 0.3

    def __post_init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._seen = 0
        self._level = 0.0
        self._residuals: deque[float] = deque(maxlen=_RESIDUALS)

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins; needs two bins."""
        if len(rates) < self._seen:
            self._forget()
        for rate in rates[self._seen :].tolist():
            if self._seen == 0:
                self._level = rate
            else:
                error = rate - self._level
                self._residuals.append(error)
                self._level += self.alpha * error
            self._seen += 1
        if self._seen < 2:
            return None
        variance = 1.0 + np.arange(steps) * self.alpha**2
        return _forecast(np.full(steps, self._level), variance, self._residuals)


@policy("forecaster", "holt-winters")
class HoltWinters:
    """Level, trend and additive season, each smoothed exponentially, bin by bin.

    level  l = alpha (y - s') + (1 - alpha) (l' + b')
    trend  b = beta (l - l') + (1 - beta) b'
    season s = gamma (y - l' - b') + (1 - gamma) s'     where s' is one season back
    h ahead: l + h b + the season of that bin (op. cit., sect. 8.3). The first season only begins it:
    its mean is the level, the deviations from it are the season, the trend is zero. The error
    variance h ahead is 1 + sum over j < h of (alpha (1 + j beta) + gamma [season divides j])^2
    (Hyndman et al., Forecasting with Exponential Smoothing, 2008, table 6.1).
    """

    season: PositiveSeconds = 86400.0
    alpha: Fraction = 0.3
    beta: Fraction = 0.02
    gamma: Fraction = 0.3

    def __post_init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._seen = 0
        self._level = 0.0
        self._trend = 0.0
        self._seasonal: list[float] = []
        self._residuals: deque[float] = deque(maxlen=_RESIDUALS)

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins; needs one season."""
        season = _season(self.season, width)
        if len(rates) < season:
            return None
        if len(rates) < self._seen or (self._seasonal and len(self._seasonal) != season):
            self._forget()
        if self._seen == 0:
            self._level = float(np.mean(rates[:season]))
            self._seasonal = (rates[:season] - self._level).tolist()
            self._seen = season
        for rate in rates[self._seen :].tolist():
            self._learn(rate, self._seen % season)
            self._seen += 1
        ahead = np.arange(1, steps + 1)
        seasonal = np.asarray(self._seasonal)[(self._seen - 1 + ahead) % season]
        mean = self._level + ahead * self._trend + seasonal
        return _forecast(mean, self._variance(steps, season), self._residuals)

    def _learn(self, rate: float, phase: int) -> None:
        level, trend, seasonal = self._level, self._trend, self._seasonal[phase]
        self._residuals.append(rate - (level + trend + seasonal))
        self._level = self.alpha * (rate - seasonal) + (1 - self.alpha) * (level + trend)
        self._trend = self.beta * (self._level - level) + (1 - self.beta) * trend
        self._seasonal[phase] = self.gamma * (rate - level - trend) + (1 - self.gamma) * seasonal

    def _variance(self, steps: int, season: int) -> Floats:
        later = np.arange(1, steps)
        weights = self.alpha * (1 + later * self.beta) + self.gamma * (later % season == 0)
        return np.concatenate(([1.0], 1.0 + np.cumsum(weights**2)))


@policy("forecaster", "ar")
class Autoregressive:
    """A linear function of the last bins (and of the bin one season ago), fitted by least squares.

    Fitted anew for each new bin on the last `window` bins. Forecasts further ahead feed on nearer
    ones, held between 0 and twice the largest rate seen so that an unstable fit cannot run away.
    The error variance h ahead is the sum of the squares of the first h impulse responses.
    """

    order: Annotated[int, Ge(1)] = 6
    season: Seconds = 0.0
    window: Annotated[int, Ge(8)] = 1024

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins; needs twice as many equations as coefficients."""
        lags = list(range(1, self.order + 1))
        season = _season(self.season, width) if self.season > 0 else 0
        if season > self.order:
            lags.append(season)
        recent = rates[-(self.window + lags[-1]) :]
        rows = len(recent) - lags[-1]
        if rows < 2 * (len(lags) + 1):
            return None
        columns = [np.ones(rows)] + [recent[lags[-1] - lag : len(recent) - lag] for lag in lags]
        matrix = np.column_stack(columns)
        target = recent[lags[-1] :]
        fitted = np.linalg.lstsq(matrix, target, rcond=None)[0]
        residuals = target - matrix @ fitted
        intercept, weights = float(fitted[0]), [float(weight) for weight in fitted[1:]]
        return _forecast(
            self._ahead(rates, lags, intercept, weights, steps),
            np.cumsum(_impulse(lags, weights, steps) ** 2),
            residuals[-_RESIDUALS:],
        )

    def _ahead(
        self, rates: Floats, lags: list[int], intercept: float, weights: list[float], steps: int
    ) -> Floats:
        values = rates[-lags[-1] :].tolist()
        highest = 2.0 * float(np.max(rates))
        for _ in range(steps):
            value = intercept + math.fsum(w * values[-lag] for lag, w in zip(lags, weights, strict=True))
            values.append(min(max(0.0, value), highest))
        return np.asarray(values[-steps:])


def _impulse(lags: list[int], weights: list[float], steps: int) -> Floats:
    """What one unit of error now adds to the forecasts 0, 1, ... steps - 1 bins later."""
    response = [1.0]
    for step in range(1, steps):
        response.append(
            math.fsum(w * response[step - lag] for lag, w in zip(lags, weights, strict=True) if lag <= step)
        )
    return np.asarray(response)


@dataclass(frozen=True, slots=True)
class OfKind:
    """Marks a field that holds a policy of a kind: its name, or a mapping with the key `policy`.

    Pydantic calls the method when it builds a schema, after plug-ins have registered theirs.
    """

    kind: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        from pydantic_core import core_schema

        known = dict(registry.classes(self.kind))
        plain = [name for name, cls in known.items() if not _required(cls)]
        short = core_schema.no_info_after_validator_function(
            lambda name: known[name](), core_schema.literal_schema(plain)
        )
        full = core_schema.tagged_union_schema(
            {name: handler.generate_schema(cls) for name, cls in known.items()}, registry.tag(self.kind)
        )
        return core_schema.union_schema([short, full])


def _required(cls: type[Any]) -> bool:
    """Whether a policy has a parameter without a default."""
    return any(f.default is MISSING and f.default_factory is MISSING for f in fields(cls))
