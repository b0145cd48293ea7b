"""Orders by the service a job has had: they need to know nothing about how long it will run."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import field
from math import floor, inf
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Gt

from sim.kernel.distribution import Distribution
from sim.registry import policy
from sim.units import Number, Quantity

if TYPE_CHECKING:
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Group

#: A running job comes before the waiting ones of its level, so that equals do not take turns.
_WAITING = 0.5

#: Rounding must not hide a threshold that is reached, nor let equals take turns.
_HAIR, _HAIR_MORE = 1 + 1e-12, 1 + 1e-9


@policy("order", "2d-las")
class TwoDimensionalLas:
    """Least attained service in levels: Tiresias' discretised 2D-LAS (NSDI 2019, section 3.3).

    Service is accelerators x time on nodes. A job begins in the first level and goes down one each
    time its service passes the next of `thresholds` (accelerator seconds; the defaults are those of
    Tiresias' simulator). Within a level running jobs come first, then by submission. With `promote`
    a job that lost its place goes back to the first level, its service forgotten, once it has waited
    `promote` times as long as it ran since it last began there (`dlas-gpu` with solve_starvation in
    Tiresias' simulator). Meant for `preemption: on-event`. Knows nothing of running times.
    """

    thresholds: list[Number] = field(default_factory=lambda: [3250.0, 7200.0])
    promote: Annotated[float, Gt(0)] | None = None

    time_dependent: ClassVar[bool] = False

    def start(self, scheduler: Scheduler) -> None:
        """Put the thresholds in order."""
        self._levels = sorted(self.thresholds)
        self._scheduler = scheduler
        #: By rank of a job: seconds of service that are forgotten.
        self._forgotten: dict[int, float] = {}
        #: By rank: (moment, service) when it first lost its place since it began in the first level.
        self._lost: dict[int, tuple[float, float]] = {}

    def key(self, group: Group, now: float) -> float:
        """The level, and half a level more for who waits."""
        level = bisect_right(self._levels, self._reached(group, now))
        return float(level) if group.live else level + _WAITING

    def changes(self, group: Group, now: float) -> float:
        """Seconds until a running job passes the next threshold."""
        level = bisect_right(self._levels, self._reached(group, now))
        if level == len(self._levels):
            return inf
        return max(0.0, self._levels[level] / group.size - self._counted(group, now))

    def queued(self, group: Group) -> None:
        """A group waits: see to it that it is promoted in time."""
        now = self._scheduler.ctx.kernel.now
        ran = self._counted(group, now)
        if self.promote is None or not ran > 0:
            return
        moment, served = self._lost.setdefault(_rank(group), (now, group.served))
        waited = now - moment - (group.served - served)
        self._scheduler.ctx.kernel.call_in(max(0.0, self.promote * ran - waited), self._promote, group)

    def _promote(self, group: Group) -> None:
        """It has waited long enough, unless it found a place meanwhile."""
        if group in self._scheduler.queue and self._reached(group, 0.0) >= self._levels[0]:
            self._forgotten[_rank(group)] = group.served
            del self._lost[_rank(group)]
            self._scheduler.reorder(group)

    def _counted(self, group: Group, now: float) -> float:
        """Seconds of service that are not forgotten."""
        return group.attained(now) - self._forgotten.get(_rank(group), 0.0)

    def _reached(self, group: Group, now: float) -> float:
        """Accelerator seconds of service that count."""
        return self._counted(group, now) * group.size * _HAIR


@policy("order", "gittins")
class Gittins:
    """The job most likely to end soon for the service it would take: Tiresias' Gittins index.

    G = P(S - a <= quantum | S > a) / E[min(S - a, quantum) | S > a], highest first, where a is the
    service a job has had and S what jobs need in all (accelerator seconds), distributed as
    `service` says (Gittins 1979; Tiresias, NSDI 2019, takes the next `quantum` of service). The
    index is reckoned anew whenever a job has had another quantum. Knows the distribution, but not
    the running time of any job; `gittins-history` learns it.
    """

    service: Annotated[Distribution, Quantity("count", gt=0)]
    quantum: Number = 3250.0

    time_dependent: ClassVar[bool] = False

    def start(self, scheduler: Scheduler) -> None:
        """Take a fine grid of quantiles for the distribution."""
        shares = (np.arange(4000) + 0.5) / 4000
        self._index = _Index(
            np.array([self.service.quantile(float(share)) for share in shares]), self.quantum
        )

    def key(self, group: Group, now: float) -> float:
        """The index, negated; a running job comes before waiting ones with the same index."""
        return self._index.key(group, now)

    def changes(self, group: Group, now: float) -> float:
        """Seconds until a running job has had another quantum."""
        return _next_quantum(group, now, self.quantum)


@policy("order", "gittins-history")
class GittinsFromHistory:
    """The Gittins index with the service that jobs needed that have ended so far in this run.

    As `gittins`, with the ended jobs for the distribution. A job that has had more service than any
    of them comes last; before any has ended, all are equal. Knows what has ended, no running time of
    any job that has not.
    """

    quantum: Number = 3250.0

    time_dependent: ClassVar[bool] = True

    def start(self, scheduler: Scheduler) -> None:
        """Nothing is known yet."""
        self._ended: list[float] = []
        self._index = _Index(np.array([]), self.quantum)

    def learn(self, service: float) -> None:
        """A job has ended after so many accelerator seconds."""
        self._ended.append(service)

    def renew(self, now: float) -> None:
        """Take in what has ended; the scheduler calls it before it goes through the queue."""
        if len(self._ended) != self._index.jobs:
            self._index = _Index(np.array(self._ended), self.quantum)

    def key(self, group: Group, now: float) -> float:
        """The index, negated; a running job comes before waiting ones with the same index."""
        return self._index.key(group, now)

    def changes(self, group: Group, now: float) -> float:
        """Seconds until a running job has had another quantum."""
        return _next_quantum(group, now, self.quantum)


class _Index:
    """Gittins indices under a sample of the service that jobs need, each worked out when first asked for."""

    def __init__(self, sizes: np.ndarray, quantum: float) -> None:
        self.jobs = len(sizes)
        self._sizes = np.sort(sizes)
        self._quantum = quantum
        self._known: dict[int, float] = {}

    def key(self, group: Group, now: float) -> float:
        """The index of a group, negated."""
        step = floor(_service(group, now) / self._quantum)
        if step not in self._known:
            self._known[step] = _index(self._sizes, step * self._quantum, self._quantum)
        index = self._known[step]
        return -index * _HAIR_MORE if group.live else -index


def _service(group: Group, now: float) -> float:
    """Accelerator seconds of service."""
    return group.attained(now) * group.size * _HAIR


def _next_quantum(group: Group, now: float, quantum: float) -> float:
    step = floor(_service(group, now) / quantum) + 1
    return max(0.0, step * quantum / group.size - group.attained(now))


def _rank(group: Group) -> int:
    """Number of a job that it keeps when it queues again."""
    return group.id if group.rank is None else group.rank


def _index(sizes: np.ndarray, attained: float, quantum: float) -> float:
    """Gittins index of a job that has had `attained`, with jobs of these sizes."""
    left = sizes[np.searchsorted(sizes, attained, side="right") :] - attained
    if not len(left):
        return 0.0
    return float((left <= quantum).mean() / np.minimum(left, quantum).mean())
