"""Who has to make room for a group that does not fit: `victims(group, scheduler, now)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from sim.paas.evicting import victims_by_priority, without
from sim.paas.quota.reclaim import Held, classic, fair
from sim.paas.running import RunningLine, make_room
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Group


class Preemption(Protocol):
    """What the scheduler needs of a preemption policy.

    With an attribute `reclaims` that is true it is asked also for a group whose queue lacks quota.

    Attributes:
        evicts: whether a waiting group may take the place of a running one.
        graceful: whether who makes room saves its state first; else it is killed.
    """

    evicts: ClassVar[bool]
    graceful: ClassVar[bool]

    def bound(self, group: Group, scheduler: Scheduler) -> None:
        """A group was bound to nodes."""
        ...

    def victims(self, group: Group, scheduler: Scheduler, now: float) -> Sequence[Group]:
        """Running groups to take off their nodes so that `group` fits; none if that is not to be."""
        ...


@policy("preemption", "none")
class NoPreemption:
    """What runs stays where it is until it is done."""

    evicts: ClassVar[bool] = False
    graceful: ClassVar[bool] = True

    def bound(self, group: Group, scheduler: Scheduler) -> None:
        """Nothing to note."""

    def victims(self, group: Group, scheduler: Scheduler, now: float) -> Sequence[Group]:
        """Nobody."""
        return ()


@policy("preemption", "on-event")
class OnEvent:
    """The order decides who runs, anew at every arrival and end: who falls behind makes room.

    A group that does not fit takes the place of running groups behind it in the order, the last of
    them first; those whose nodes it does not need after all stay. On a plain number of
    accelerators this is the rule of Tiresias' simulator (NSDI 2019): sort all unfinished jobs, give
    each what it asks for while there is enough, pause the rest. Whoever makes room saves its state,
    loses no work, and pays its restart when it goes on. Behind a reservation (`easy`) nothing is
    preempted.
    """

    evicts: ClassVar[bool] = True
    graceful: ClassVar[bool] = True

    def start(self, scheduler: Scheduler) -> None:
        """Follow what runs."""
        self._line = RunningLine(scheduler)

    def bound(self, group: Group, scheduler: Scheduler) -> None:
        """One more runs."""
        self._line.add(group)

    def victims(self, group: Group, scheduler: Scheduler, now: float) -> Sequence[Group]:
        """As few as needed of those behind it in the order, from the back."""
        with self._line.behind(group, now) as candidates:
            return make_room(group, candidates, scheduler.placer)


@policy("preemption", "priority")
class ByPriority:
    """Only for the sake of a strictly higher priority, by force: the rules of Kubernetes' DefaultPreemption.

    Who makes room is killed and goes back to its last checkpoint. A gang falls whole. Of the groups
    of lower priority as many are given back as still leave room, the most important first (higher
    priority, then earlier start); for a single unit the node is taken whose victims are the least
    important (v1.30; there are no disruption budgets).
    """

    evicts: ClassVar[bool] = True
    graceful: ClassVar[bool] = False

    def bound(self, group: Group, scheduler: Scheduler) -> None:
        """Nothing to note."""

    def victims(self, group: Group, scheduler: Scheduler, now: float) -> Sequence[Group]:
        """Groups of lower priority, on one node for a single unit, anywhere for a gang."""
        return victims_by_priority(group, scheduler)


@policy("preemption", "quota")
class ByQuota:
    """A queue gets back what others borrow of its quota: Kueue's preemption, for `scheduler.queues`.

    A workload that lacks quota takes it from those that borrow what is its queue's own, and by
    priority from others, as the `preemption` of its queue allows. `classic` takes from the least
    important first; `fair` from the queue with the largest dominant share, as long as the other's
    stays below it. Who gives way saves its state. A workload that has quota but finds no nodes waits.
    """

    sharing: Literal["classic", "fair"] = "classic"

    evicts: ClassVar[bool] = True
    graceful: ClassVar[bool] = True
    reclaims: ClassVar[bool] = True

    def bound(self, group: Group, scheduler: Scheduler) -> None:
        """Nothing to note."""

    def victims(self, group: Group, scheduler: Scheduler, now: float) -> Sequence[Group]:
        """Groups of the cohort that have to go, once the group finds nodes without them."""
        quotas = scheduler.quotas
        if quotas is None or not quotas.short(group):
            return ()
        groups = scheduler.roster.groups

        def fits(gone: Sequence[Held]) -> bool:
            with without([groups[each.id] for each in gone], scheduler.placer):
                return scheduler.placer.place(group) is not None

        choose = fair if self.sharing == "fair" else classic
        held = [each for each in quotas.holders() if groups[each.id].preemptible]
        chosen = choose(quotas.tree, quotas.held(group), held, quotas.rules(group), fits)
        return [groups[each.id] for each in chosen]
