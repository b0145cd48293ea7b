"""Scheduling in rounds: every so often it is decided anew who holds which accelerators."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from sim.paas.claims import claim_of, kind_of, paced, supply_of
from sim.paas.policies.allocation.base import Allocation, Claim, Floats, Resizing, Supply, usable
from sim.paas.policies.filters import Mask
from sim.paas.policies.nested import OfKind
from sim.paas.queue import entry
from sim.paas.turns import Turns
from sim.registry import policy
from sim.units import PositiveSeconds

if TYPE_CHECKING:
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Group, Unit


class OnType:
    """A gate that lets a group on nodes of one accelerator type only."""

    until = -inf
    open = False

    def __init__(self, nodes: Mask) -> None:
        self._nodes = nodes

    def mask(self, unit: Unit) -> Mask:
        """Nodes of the type."""
        return self._nodes

    def take(self, unit: Unit, node: int) -> None:
        """Nothing to keep."""

    def undo(self, times: int) -> None:
        """Nothing to forget."""

    def ends_by(self, group: Group, now: float) -> bool:
        """Never: it holds for all."""
        return False

    def keeps(self, group: Group, places: Sequence[int], now: float) -> bool:
        """It does, where the mask was kept to."""
        return True


@policy("preemption", "rounds")
class Rounds:
    """Every `length` it is decided anew which jobs hold accelerators; between rounds none starts.

    Without an `allocation` the order decides: from its front, each job gets what it asks for while
    there is enough of one type. With one, jobs get turns on each type so that the time they hold it
    converges to their share (Gavel, OSDI 2020, section 5; 360 s is its round), or, if it sets
    numbers of workers (`goodput`), elastic jobs grow and shrink. A job that keeps type and workers
    keeps its nodes and pays no restart; the others save their state, lose no work, and pay it.
    Shares are worked out anew when jobs have come or gone. The discipline does not matter here: what
    does not fit is passed over. A gang is on one type at a time. Jobs
    without accelerators do not take part, and start as under `none`. When all is idle, a job that
    comes begins a new round at once.
    """

    length: PositiveSeconds = 360.0
    allocation: Annotated[Allocation, OfKind("allocation")] | None = None

    evicts: ClassVar[bool] = False
    graceful: ClassVar[bool] = True

    def start(self, scheduler: Scheduler) -> None:
        """Follow a scheduler's groups."""
        self._scheduler = scheduler
        self._ticking = False
        self._last = 0.0
        self._turns = Turns()
        self._solved: tuple[object, Floats] | None = None
        begin = getattr(self.allocation, "start", None)
        if begin is not None:
            begin(scheduler)

    def paces(self, group: Group) -> bool:
        """Whether a waiting group starts in rounds only."""
        return paced(group)

    def queued(self, group: Group) -> None:
        """A group waits: it may be the first after an idle time."""
        if not self._ticking:
            self._ticking = True
            self._last = self._scheduler.ctx.kernel.now
            self._scheduler.ctx.kernel.call_in(0.0, self._round)

    def bound(self, group: Group, scheduler: Scheduler) -> None:
        """Nothing to note."""

    def victims(self, group: Group, scheduler: Scheduler, now: float) -> Sequence[Group]:
        """Nobody between rounds."""
        return ()

    def _tick(self) -> None:
        # What else happens in this moment, such as the end of a job, comes first.
        self._scheduler.ctx.kernel.call_in(0.0, self._round)

    def _round(self) -> None:
        scheduler = self._scheduler
        now = scheduler.ctx.kernel.now
        running = [group for group in scheduler.roster.groups.values() if paced(group)]
        waiting = [group for group in scheduler.queue.groups() if paced(group)]
        self._charge(running, now)
        if not running and not waiting:
            self._ticking = False
            return
        if scheduler.order.time_dependent:
            scheduler.queue.refresh(now)
        groups = sorted([*running, *waiting], key=lambda group: entry(scheduler.order, group, now))
        claims = [claim_of(group, scheduler.placer, now) for group in groups]
        supply = supply_of(scheduler.cluster, running)
        if isinstance(self.allocation, Resizing):
            self._resize(groups, claims, self.allocation.workers(claims, supply))
        else:
            if self.allocation is None:
                chosen = self._by_order(groups, claims, supply)
            else:
                spare = getattr(self.allocation, "spare", True)
                shares = self._shares(claims, supply)
                chosen = self._turns.pick(claims, shares, supply, self.length, spare=spare)
            self._take_turns(groups, chosen)
        scheduler.ctx.kernel.call_in(self.length, self._tick)

    def _charge(self, running: Sequence[Group], now: float) -> None:
        """Note who held what in the round that ends."""
        for group in running:
            assert group.rank is not None
            kind = kind_of(group, self._scheduler.cluster)
            self._turns.charge(group.rank, kind, now - max(self._last, group.started))
        self._last = now

    def _shares(self, claims: Sequence[Claim], supply: Supply) -> Floats:
        """Shares of time by claim, from the last solution where nobody has come or gone."""
        assert self.allocation is not None
        state = (supply, sorted((claim.id, claim.size, claim.rates) for claim in claims))
        if self._solved is None or self._solved[0] != state:
            in_order = sorted(claims, key=lambda claim: claim.id)
            self._solved = (state, self.allocation.allocate(in_order, supply))
        ranks = np.argsort(np.argsort([claim.id for claim in claims]))
        return self._solved[1][ranks]

    def _by_order(self, groups: Sequence[Group], claims: Sequence[Claim], supply: Supply) -> dict[int, int]:
        """Jobs from the front of the order, on their own type or the fastest that has enough."""
        free = list(supply.counts)
        able = usable(claims, supply)
        chosen: dict[int, int] = {}
        for i, (group, claim) in enumerate(zip(groups, claims, strict=True)):
            own = kind_of(group, self._scheduler.cluster) if group.live else -1
            for j in sorted(range(len(free)), key=lambda j: (j != own, -claim.rates[j], j)):
                if able[i, j] and claim.size <= free[j] + 1e-9:
                    chosen[i] = j
                    free[j] -= claim.size
                    break
        return chosen

    def _take_turns(self, groups: Sequence[Group], chosen: dict[int, int]) -> None:
        """Who was not chosen makes room, then the others get their nodes, the largest first."""
        scheduler = self._scheduler
        cluster = scheduler.cluster
        for i, group in enumerate(groups):
            if group.live and chosen.get(i) != kind_of(group, cluster):
                scheduler.preempt(group, "end of its round")
        waiting = {group.rank: group for group in scheduler.queue.groups()}
        gates = [OnType(cluster.device_id == kind) for kind in range(len(cluster.device_names))]
        plan = [(waiting[groups[i].rank], gates[j]) for i, j in chosen.items() if not groups[i].live]
        scheduler.start_groups(sorted(plan, key=lambda each: -each[0].size))

    def _resize(self, groups: Sequence[Group], claims: Sequence[Claim], workers: Sequence[int]) -> None:
        """Give jobs their numbers of workers; who finds no room for all makes do with fewer."""
        scheduler = self._scheduler
        kept = [bool(group.live) and len(group.units) == n for group, n in zip(groups, workers, strict=True)]
        for group, keeps in zip(groups, kept, strict=True):
            if group.live and not keeps:
                scheduler.preempt(group, "its number of workers changes")
        waiting = {group.rank: group for group in scheduler.queue.groups()}
        order = sorted(range(len(groups)), key=lambda i: (-workers[i], i))
        for i in order:
            if kept[i]:
                continue
            group = waiting[groups[i].rank]
            for n in range(workers[i], claims[i].elastic[0] - 1, -1) if workers[i] else ():
                if n != len(group.units):
                    scheduler.resize(group, n)
                if scheduler.start_groups([(group, None)]):
                    break
