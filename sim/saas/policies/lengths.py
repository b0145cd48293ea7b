"""Token lengths as measured, by the name of a preset."""
# ruff: noqa: D102 - what mean, cv, sample and quantile do is said once, in Distribution.

from __future__ import annotations

from math import exp, sqrt
from typing import Literal

import numpy as np

from sim import catalog
from sim.kernel.distribution import Distribution, Floats, check_q
from sim.registry import policy


@policy("distribution", "preset")
class PresetLengths(Distribution):
    """Lengths of prompts or answers as in a published trace.

    `tokens_in: {dist: preset, name: azure-llm-conv, of: tokens_in}`. They are drawn from the quantiles of
    the preset (`stratus list presets`), joined by straight lines on a logarithmic scale; below the lowest
    and above the highest the value stays. The page on traces of requests says how far each is from its trace.

    name: of the preset.
    of: tokens_in (the prompt) or tokens_out (the answer).
    scale: factor on the lengths.
    """

    name: str
    of: Literal["tokens_in", "tokens_out"]
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.scale < 1e6:
            raise ValueError(f"scale must be above 0, got {self.scale:g}")
        self._table()

    def _table(self) -> tuple[Floats, Floats]:
        """Probabilities from 0 to 1, and logarithms of the lengths not exceeded with them."""
        known = [each for each in catalog.names("preset") if "tokens_in" in catalog.preset(each).quantiles]
        if self.name not in known:
            raise ValueError(f"no preset with lengths is called {self.name!r}; there are {', '.join(known)}")
        table = catalog.preset(self.name).quantiles[self.of]
        points = sorted((float(share[1:]) / 100, value) for share, value in table.items())
        shares = np.array([0.0, *(share for share, _ in points), 1.0])
        values = np.array([points[0][1], *(value for _, value in points), points[-1][1]])
        return shares, np.log(np.maximum(1.0, values) * self.scale)

    def _moment(self, power: int) -> float:
        """Mean of a power: the integral of the quantile function, piece by piece."""
        shares, logs = self._table()
        total = 0.0
        for width, low, high in zip(np.diff(shares), logs[:-1] * power, logs[1:] * power, strict=True):
            total += width * (exp(low) if high == low else (exp(high) - exp(low)) / (high - low))
        return float(total)

    @property
    def mean(self) -> float:
        return self._moment(1)

    @property
    def cv(self) -> float:
        return sqrt(max(0.0, self._moment(2) / self._moment(1) ** 2 - 1.0))

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return np.exp(np.interp(rng.random(n), *self._table()))

    def quantile(self, q: float) -> float:
        check_q(q)
        return float(np.exp(np.interp(q, *self._table())))
