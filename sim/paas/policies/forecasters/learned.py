"""What the forecasters share that learn a function of lags and calendar from the past.

A model foresees the bin after the last from its features: the last `lags` bins less their mean, that
mean and, with a season, the bin one season before the one foreseen and its neighbours, less the mean
of the `lags` bins before it, and the moment in the season and in a week of seven seasons as sine and
cosine. It answers with the difference from the mean of the last bins, so that a level never seen
before is followed. Forecasts further ahead feed on nearer ones.

A model is fitted anew whenever the number of bins is a multiple of `refit`, on the last `window`
bins, so that the work is bounded and depends on the history alone. Errors come from a model fitted
on the first four fifths of them and tried on the last fifth, which it has not seen, recursively as
far as the forecast reaches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np

from sim.errors import StratusError
from sim.kernel.streams import RandomStreams
from sim.paas.policies.forecasters.base import Floats, Forecast, season_bins

#: Seasons of a week, where a season is a day.
_WEEK = 7

#: Examples below which nothing is learnt.
FEWEST = 20


class Regressor(Protocol):
    """What is needed of a scikit-learn estimator."""

    def fit(self, features: Floats, target: Floats) -> Any:
        """Learn."""

    def predict(self, features: Floats) -> Floats:
        """Answer, one number a row."""


class Learned(ABC):
    """A forecaster around a regressor; subclasses are policies and say which with `_regressor`."""

    lags: int
    season: float
    refit: int
    window: int

    def __post_init__(self) -> None:
        self._seed = 0
        self._forget()

    def _forget(self) -> None:
        self._fitted_at = -1
        self._width = 0.0
        self._model: _Model | None = None

    def start(self, streams: RandomStreams, path: str) -> None:
        """Take a seed from the stream of its name."""
        self._seed = int(streams.stream(path).integers(2**31))

    @abstractmethod
    def _regressor(self, seed: int) -> Regressor:
        """What learns, not fitted yet."""

    def predict(self, rates: Floats, width: float, steps: int) -> Forecast | None:
        """Forecast the next `steps` bins; needs a season, the lags and `FEWEST` bins to learn from."""
        until = len(rates) // self.refit * self.refit
        if until != self._fitted_at or width != self._width:
            self._forget()
            self._fitted_at, self._width = until, width
            self._model = self._fit(rates[:until], width)
        model = self._model
        if model is None:
            return None
        mean = model.ahead(rates, steps)
        return Forecast(mean, model.widening(steps), model.residuals)

    def _fit(self, rates: Floats, width: float) -> _Model | None:
        season = season_bins(self.season, width) if self.season > 0 else 0
        frame = _Frame(self.lags, season)
        recent = rates[-(self.window + frame.reach) :]
        count = len(recent) - frame.reach
        if count < FEWEST:
            return None
        return _Model(self, frame, recent, len(rates) - len(recent))

    def fitted(self, features: Floats, target: Floats) -> Regressor:
        """A model of some examples; one that answers 0 where there is nothing to learn."""
        if not np.any(target):
            return _Zero()
        return self._regressor(self._seed).fit(features, target)  # type: ignore[no-any-return]


class _Zero:
    """No bin ever differed from the mean before it."""

    def fit(self, features: Floats, target: Floats) -> _Zero:
        return self

    def predict(self, features: Floats) -> Floats:
        return np.zeros(len(features))


class _Frame:
    """From histories to features; `reach` bins are needed before the one foreseen."""

    def __init__(self, lags: int, season: int) -> None:
        self.lags = lags
        self.season = season
        self.reach = lags + season

    def features(self, histories: Floats, at: Floats) -> tuple[Floats, Floats]:
        """Features and mean, one row a history; `at` is the number of the bin foreseen."""
        last = histories[:, -self.lags :]
        mean = last.mean(axis=1)
        columns = [last - mean[:, None], mean[:, None]]
        if self.season:
            before = histories[:, : self.lags]
            # A season is two bins at least: its neighbour is known.
            around = histories[:, self.lags - 1 : self.lags + 2]
            columns.append(around - before.mean(axis=1)[:, None])
            for period in (self.season, self.season / 2, self.season * _WEEK):
                angle = 2 * np.pi * at / period
                columns += [np.sin(angle)[:, None], np.cos(angle)[:, None]]
        return np.concatenate(columns, axis=1), mean


class _Model:
    """A fitted model and the errors it made on bins that it had not seen."""

    def __init__(self, owner: Learned, frame: _Frame, rates: Floats, first: int) -> None:
        self._frame = frame
        self._rates = rates
        self._first = first
        windows = np.lib.stride_tricks.sliding_window_view(rates, frame.reach)[:-1]
        at = first + np.arange(frame.reach, len(rates), dtype=float)
        features, mean = frame.features(windows, at)
        target = rates[frame.reach :] - mean
        self._held = len(target) * 4 // 5
        self._trial = owner.fitted(features[: self._held], target[: self._held])
        self._final = owner.fitted(features, target)
        self._windows, self._at = windows[self._held :], at[self._held :]
        self._spread: list[float] = []
        self._histories = np.array(self._windows)
        self.residuals = self._errors()

    def ahead(self, rates: Floats, steps: int) -> Floats:
        """The mean of each of the bins to come."""
        # Twice what was ever seen: errors that feed on themselves cannot run away.
        highest = 2.0 * float(np.max(rates))
        history = np.array(rates[None, -self._frame.reach :])
        found = []
        for step in range(steps):
            value = self._next(self._final, history, np.array([float(len(rates) + step)]), highest)
            found.append(float(value[0]))
            history = np.concatenate((history[:, 1:], value[:, None]), axis=1)
        return np.asarray(found)

    def widening(self, steps: int) -> Floats:
        """Root mean square error of each step over that of the first, never falling."""
        while len(self._spread) < steps and len(self._windows) - len(self._spread) >= 2:
            self._errors()
        known = np.maximum.accumulate(np.asarray(self._spread))
        known = np.concatenate((known, np.full(max(0, steps - len(known)), known[-1])))[:steps]
        return known / known[0] if known[0] > 0 else np.ones(steps)

    def _errors(self) -> Floats:
        """Errors of the trial model one step further ahead than before, from each bin held back."""
        step = len(self._spread)
        foreseen = self._next(self._trial, self._histories, self._at + step, 2.0 * float(np.max(self._rates)))
        self._histories = np.concatenate((self._histories[:, 1:], foreseen[:, None]), axis=1)
        truth = self._rates[self._frame.reach + self._held + step :]
        errors: Floats = truth - foreseen[: len(truth)]
        self._spread.append(float(np.sqrt(np.mean(errors**2))))
        return errors

    def _next(self, model: Regressor, histories: Floats, at: Floats, highest: float) -> Floats:
        features, mean = self._frame.features(histories, at)
        found: Floats = np.clip(mean + model.predict(features), 0.0, highest)
        return found


def sklearn(name: str, module: str) -> Any:
    """An estimator of scikit-learn, imported when it is needed.

    Raises:
        StratusError: scikit-learn is not installed.
    """
    from importlib import import_module

    try:
        return getattr(import_module(f"sklearn.{module}"), name)
    except ImportError as error:
        raise StratusError(
            "this forecaster needs scikit-learn, which is not installed: pip install scikit-learn"
        ) from error
