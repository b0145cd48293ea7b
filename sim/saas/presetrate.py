"""The rate of a preset of the catalog: its mean, and its curve over a day."""

from __future__ import annotations

import numpy as np

from sim import catalog
from sim.saas.blocks import Floats, level


class PresetRate:
    """What arrivals made from a preset have in common.

    Attributes:
        name: of the preset.
        rate: arrivals per second, averaged over the day; None: the preset's own.
        day: seconds that a day of its curve takes.
    """

    name: str
    rate: float | None
    day: float

    @property
    def mean(self) -> float:
        """Arrivals per second of all users together, averaged over the day.

        Raises:
            ValueError: neither the preset nor the policy has a rate.
        """
        rate = catalog.preset(self.name).rate if self.rate is None else self.rate
        if rate is None:
            raise ValueError(f"preset {self.name!r} has no rate of its own: give one")
        return rate

    def expected(self, times: Floats, users: int) -> Floats:
        """Expected arrivals per second of all users together at each time."""
        curve = catalog.preset(self.name).curve
        if not curve or not users:
            return level(self.mean if users else 0.0, times)
        step = np.floor(np.asarray(times, dtype=float) / self.day % 1.0 * len(curve)).astype(np.int64)
        return self.mean * np.array(curve)[step]
