"""The quotas of a scheduler's queues: who holds how much, and what of it is borrowed, on record."""

from __future__ import annotations

from collections.abc import Mapping

from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.paas.quota.reclaim import Held, Rules
from sim.paas.quota.tree import Amounts, Tree
from sim.paas.units import Group


class Ledger:
    """Keeps account of what groups use of the quota of their tenants' queues.

    Tenants without a queue, and replicas, are not limited.

    Args:
        ctx: records.
        tree: queues and cohorts; nothing of them is in use.
        rules: what each queue may do to others.

    Attributes:
        tree: with all that is in use.
    """

    def __init__(self, ctx: Context, tree: Tree, rules: Mapping[str, Rules] | None = None) -> None:
        self.tree = tree
        self._rules = dict(rules or {})
        self._columns = [Resources._fields.index(name) for name in tree.resources]
        self._held: dict[int, Held] = {}
        self._kernel = ctx.kernel
        self._series = {
            (name, resource): tuple(
                ctx.recorder.series(f"paas/queues/{name}/{kind}/{resource}") for kind in ("used", "borrowed")
            )
            for name in tree.queues
            for resource in tree.resources
        }

    def counts(self, group: Group) -> bool:
        """Whether the group needs quota."""
        return group.tenant in self.tree.queues

    def amounts(self, group: Group) -> Amounts:
        """What the group uses of each resource of the tree."""
        return tuple(sum(unit.resources[at] for unit in group.units) for at in self._columns)

    def short(self, group: Group) -> bool:
        """Whether its queue has too little left for the group."""
        return self.counts(group) and not self.tree.fits(group.tenant, self.amounts(group))

    def possible(self, group: Group) -> bool:
        """Whether its queue could ever have enough."""
        return not self.counts(group) or self.tree.possible(group.tenant, self.amounts(group))

    def take(self, group: Group) -> None:
        """A group was bound."""
        if self.counts(group):
            held = self._held[group.id] = self.held(group)
            self.tree.add(held.queue, held.amounts)
            self._record()

    def give(self, group: Group) -> None:
        """A group has left its nodes."""
        held = self._held.pop(group.id, None)
        if held is not None:
            self.tree.add(held.queue, held.amounts, -1)
            self._record()

    def holders(self) -> list[Held]:
        """All that is in use, in the order it was taken."""
        return list(self._held.values())

    def rules(self, group: Group) -> Rules:
        """What the queue of a group may do to others."""
        return self._rules.get(group.tenant, Rules())

    def held(self, group: Group) -> Held:
        """A group as the rules see it."""
        return Held(
            group.id, group.tenant, self.amounts(group), group.priority, group.submitted, self._kernel.now
        )

    def _record(self) -> None:
        for name, member in self.tree.queues.items():
            for at, resource in enumerate(self.tree.resources):
                used, borrowed = self._series[name, resource]
                used.set(member.used[at])
                borrowed.set(max(0.0, member.used[at] - member.owns[at]))
