"""Orders by the service a job has had: they need to know nothing about how long it will run."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import field
from math import floor, inf
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from sim.kernel.distribution import Distribution
from sim.registry import policy
from sim.units import Number, Quantity

if TYPE_CHECKING:
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Group

#: A running job comes before the waiting ones of its level, so that equals do not take turns.
_WAITING = 0.5


@policy("order", "2d-las")
class TwoDimensionalLas:
    """Least attained service in levels: Tiresias' discretised 2D-LAS (NSDI 2019, section 3.3).

    Service is accelerators x time on nodes. A job begins in the first level and goes down one each
    time its service passes the next of `thresholds` (accelerator seconds; the defaults are those of
    Tiresias' simulator). Within a level running jobs come first, then by submission. Meant for
    `preemption: on-event`. Knows nothing of running times.
    """

    thresholds: list[Number] = field(default_factory=lambda: [3250.0, 7200.0])

    time_dependent: ClassVar[bool] = False

    def start(self, scheduler: Scheduler) -> None:
        """Put the thresholds in order."""
        self._levels = sorted(self.thresholds)

    def key(self, group: Group, now: float) -> float:
        """The level, and half a level more for who waits."""
        level = bisect_right(self._levels, _reached(group, now))
        return float(level) if group.live else level + _WAITING

    def changes(self, group: Group, now: float) -> float:
        """Seconds until a running job passes the next threshold."""
        level = bisect_right(self._levels, _reached(group, now))
        if level == len(self._levels):
            return inf
        return max(0.0, self._levels[level] / group.size - group.attained(now))


@policy("order", "gittins")
class Gittins:
    """The job most likely to end soon for the service it would take: Tiresias' Gittins index.

    G = P(S - a <= quantum | S > a) / E[min(S - a, quantum) | S > a], highest first, where a is the
    service a job has had and S what jobs need in all (accelerator seconds), distributed as
    `service` says (Gittins 1979; Tiresias, NSDI 2019, takes the next `quantum` of service). The
    index is reckoned anew whenever a job has had another quantum. Knows the distribution, but not
    the running time of any job.
    """

    service: Annotated[Distribution, Quantity("count", gt=0)]
    quantum: Number = 3250.0

    time_dependent: ClassVar[bool] = False

    def start(self, scheduler: Scheduler) -> None:
        """Take a fine grid of quantiles for the distribution."""
        shares = (np.arange(4000) + 0.5) / 4000
        self._sizes = np.sort(np.array([self.service.quantile(float(share)) for share in shares]))
        self._known: dict[int, float] = {}

    def key(self, group: Group, now: float) -> float:
        """The index, negated; a running job comes before waiting ones with the same index."""
        step = floor(_reached(group, now) / self.quantum)
        if step not in self._known:
            self._known[step] = _index(self._sizes, step * self.quantum, self.quantum)
        index = self._known[step]
        return -index * (1 + 1e-9) if group.live else -index

    def changes(self, group: Group, now: float) -> float:
        """Seconds until a running job has had another quantum."""
        step = floor(_reached(group, now) / self.quantum) + 1
        return max(0.0, step * self.quantum / group.size - group.attained(now))


def _reached(group: Group, now: float) -> float:
    """Accelerator seconds of service so far; rounding must not hide a threshold that is reached."""
    return group.attained(now) * group.size * (1 + 1e-12)


def _index(sizes: np.ndarray, attained: float, quantum: float) -> float:
    """Gittins index of a job that has had `attained`, with jobs of these sizes."""
    left = sizes[sizes > attained] - attained
    if not len(left):
        return 0.0
    return float((left <= quantum).mean() / np.minimum(left, quantum).mean())
