"""The order that shares between queues and cohorts as Kueue's fair sharing does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from sim.paas.quota.tree import Member
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.quota.ledger import Ledger
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Group


@policy("order", "fair-sharing")
class FairSharing:
    """The queue whose dominant share would be smallest goes first, cohort by cohort from the root down.

    A tournament as Kueue holds it: of the members of a cohort the one goes on whose share, with its next
    job admitted, is smallest; equals by priority, then by submission. Within a queue higher
    priority goes first, then the oldest. A job without a queue comes before those that have one. Knows
    what is held, no running times. For `scheduler.queues`; without them, priority and age decide.
    """

    time_dependent: ClassVar[bool] = True

    def start(self, scheduler: Scheduler) -> None:
        """Follow a scheduler's groups and quotas."""
        self._scheduler = scheduler
        self._keys: dict[int, float] = {}

    def key(self, group: Group, now: float) -> float:
        """Its place in the tournament, first until that is held."""
        return self._keys.get(group.id, -1.0)

    def renew(self, now: float) -> None:
        """Hold the tournament; the scheduler calls it before it goes through the queue."""
        quotas = self._scheduler.quotas
        waiting = sorted(self._scheduler.queue.groups(), key=_by_age)
        lines: dict[Member | None, list[Group]] = {}
        for group in waiting:
            counted = quotas is not None and quotas.counts(group)
            member = quotas.tree.queues[group.tenant] if quotas is not None and counted else None
            lines.setdefault(member, []).append(group)
        self._keys = {}
        for group in lines.pop(None, []):
            self._place(group)
        if quotas is not None:
            self._tournament(quotas, {member: line for member, line in lines.items() if member is not None})

    def _tournament(self, quotas: Ledger, lines: dict[Member, list[Group]]) -> None:
        """Give places one by one, each counted as held for those after it."""
        tops = list(dict.fromkeys([*member.above()][-1] if member.parent else member for member in lines))
        admitted: list[Group] = []
        rest: list[Group] = []
        try:
            while lines:
                winner = self._winner(quotas, lines, tops)
                assert winner is not None
                if quotas.short(lines[winner][0]):
                    # Its queue can get no further; what is behind may only slip in beside the others.
                    rest += lines.pop(winner)
                    continue
                group = lines[winner].pop(0)
                if not lines[winner]:
                    del lines[winner]
                self._place(group)
                quotas.tree.add(group.tenant, quotas.amounts(group))
                admitted.append(group)
        finally:
            for group in reversed(admitted):
                quotas.tree.add(group.tenant, quotas.amounts(group), -1)
        for group in sorted(rest, key=_by_age):
            self._place(group)

    def _winner(
        self, quotas: Ledger, lines: dict[Member, list[Group]], members: Iterable[Member]
    ) -> Member | None:
        """The queue that goes on from some members: of each cohort its own winner takes part."""
        best: tuple[tuple[float, float, float, int], Member] | None = None
        for member in members:
            queue = member if member in lines else self._winner(quotas, lines, member.children)
            if queue is None:
                continue
            head = lines[queue][0]
            amounts = quotas.amounts(head)
            quotas.tree.add(head.tenant, amounts)
            rank = (member.share(), -head.priority, head.submitted, head.id)
            quotas.tree.add(head.tenant, amounts, -1)
            if best is None or rank < best[0]:
                best = (rank, queue)
        return None if best is None else best[1]

    def _place(self, group: Group) -> None:
        self._keys[group.id] = float(len(self._keys))


def _by_age(group: Group) -> tuple[float, float, int]:
    return -group.priority, group.submitted, group.id
