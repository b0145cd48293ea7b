"""Orders that share the accelerators between tenants, or between jobs by when they would end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar

from sim.iaas.resources import Resources
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Group


class _Filling(ABC):
    """Progressive filling: a group's key is what its tenant would hold before it, per weight.

    The groups of a tenant stand behind each other, those that run first; so taking the smallest key
    again and again is the same as giving the next place to the tenant that holds least. A running
    group counts as it did when it started: a tenant never takes away what would put it ahead.
    """

    weights: dict[str, float]
    time_dependent: ClassVar[bool] = True

    def start(self, scheduler: Scheduler) -> None:
        """Follow a scheduler's groups."""
        self._scheduler = scheduler
        self._keys: dict[int, float] = {}

    def renew(self, now: float) -> None:
        """Work out all keys; the scheduler calls it before it goes through the queue."""
        total = self._total()
        held: dict[str, list[float]] = {}
        self._keys = {}
        for group in self._in_line():
            mine = held.setdefault(group.tenant, [0.0] * len(total))
            weight = self.weights.get(group.tenant, 1.0)
            self._keys[group.id] = max(_shares(mine, total)) / weight
            for at, amount in enumerate(self._demand(group)):
                mine[at] += amount

    def key(self, group: Group, now: float) -> float:
        """Share of its tenant before it, per weight."""
        # First until the next look, so that whoever comes causes one.
        return self._keys.get(group.id, -1.0)

    def _in_line(self) -> Iterator[Group]:
        running = self._scheduler.roster.groups.values()
        yield from sorted(running, key=lambda group: (group.started, group.submitted, group.id))
        yield from sorted(self._scheduler.queue.groups(), key=lambda group: (group.submitted, group.id))

    @abstractmethod
    def _total(self) -> list[float]:
        """What there is of each resource that counts."""

    @abstractmethod
    def _demand(self, group: Group) -> list[float]:
        """What a group takes of each."""


def _shares(held: list[float], total: list[float]) -> Iterator[float]:
    for mine, all_there_is in zip(held, total, strict=True):
        yield mine / all_there_is if all_there_is > 0 else 0.0


def _needs(group: Group) -> list[float]:
    """Sum of the resources of its units."""
    return [sum(column) for column in zip(*(unit.resources for unit in group.units), strict=True)]


@policy("order", "fair-share")
class FairShare(_Filling):
    """The tenant that holds the fewest accelerators for its weight goes first (weighted max-min).

    Within a tenant the oldest job goes first. `weights` are those of tenants, 1 where not given. Jobs
    that need no accelerator count by their cores. With preemption, a job is taken off only if its
    tenant still holds no less than the other afterwards (Volcano's rule for `drf`). Knows
    what is held, no running times.
    """

    weights: dict[str, float] = field(default_factory=dict)

    time_dependent: ClassVar[bool] = True

    def _total(self) -> list[float]:
        return [float(self._scheduler.cluster.total[:, 2].sum() or 1.0)]

    def _demand(self, group: Group) -> list[float]:
        return [group.size]


@policy("order", "drf")
class DominantShare(_Filling):
    """Dominant resource fairness: the tenant with the smallest dominant share goes first.

    A tenant's dominant share is the largest of its shares of the cluster's cores, memory, accelerators
    and disk, divided by its weight (Ghodsi et al., NSDI 2011, section 4). Within a tenant the oldest
    job goes first. `weights` are those of tenants, 1 where not given. With preemption, a job is taken
    off only if its tenant still holds no less than the other afterwards (Volcano's `drf`).
    Knows what is held, no running times.
    """

    weights: dict[str, float] = field(default_factory=dict)

    time_dependent: ClassVar[bool] = True

    def _total(self) -> list[float]:
        capacity = self._scheduler.cluster.total
        return [float(capacity[:, at].sum()) for at in range(len(Resources._fields))]

    def _demand(self, group: Group) -> list[float]:
        return _needs(group)


@policy("order", "finish-time-fairness")
class FinishTimeFairness:
    """The job whose finish time suffers most from sharing goes first.

    Key is rho = (age + time left) / (length x n x accelerators asked / accelerators there are, but at
    least its length), where n jobs share the cluster: finish time shared over finish time with 1/n of
    the cluster (Themis, NSDI 2020, section 3). Simplified: Themis lets the jobs with the worst rho bid
    in an auction, here they go first; n is the number of jobs now. Knows users' estimates; what runs
    for ever comes last.
    """

    time_dependent: ClassVar[bool] = True

    def start(self, scheduler: Scheduler) -> None:
        """Follow a scheduler's groups."""
        self._scheduler = scheduler

    def key(self, group: Group, now: float) -> float:
        """Rho, negated."""
        if group.stated is None:
            return 0.0
        scheduler = self._scheduler
        jobs = len(scheduler.roster.groups) + len(scheduler.queue)
        there = float(scheduler.cluster.total[:, 2].sum()) or 1.0
        alone = max(group.stated, 1e-9) * max(1.0, jobs * group.size / there)
        return -(now - group.submitted + group.remaining(now)) / alone
