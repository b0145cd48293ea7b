"""Who runs, and where: the groups on nodes, their units by node, and when they are expected to end."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from sim.iaas.nodes import Cluster, Node
from sim.paas.backfill import Ending
from sim.paas.company import Census
from sim.paas.quota.ledger import Ledger
from sim.paas.units import Group, Knows, Unit


class Roster:
    """Keeps account of what a scheduler has bound.

    Args:
        cluster: the nodes.
        census: who runs where; kept up to date for rules about other units.
        quotas: what tenants use of their quotas; kept up to date too.

    Attributes:
        groups: groups with units on nodes, by id, in the order they were bound.
        endings: (estimated end, id, group) of those that have an estimate, by end.
        changes: units that came or left so far.
    """

    def __init__(self, cluster: Cluster, census: Census, quotas: Ledger | None = None) -> None:
        self.groups: dict[int, Group] = {}
        self.endings: list[Ending] = []
        self.changes = 0
        self._cluster = cluster
        self._census = census
        self._quotas = quotas
        self._units_on: dict[int, dict[int, Unit]] = {}
        self._node_of: dict[int, int] = {}

    def bind(self, group: Group, places: Sequence[int], now: float) -> None:
        """Put the units of a group on nodes, in turn."""
        nodes = self._cluster.nodes
        group.started = now
        group.live = len(group.units)
        self.changes += 1
        for unit, at in zip(group.units, places, strict=True):
            self._cluster.bind(unit, nodes[at], unit.wish)
            unit.where = nodes[at].name
            self._census.count(unit, at, 1)
            self._units_on.setdefault(at, {})[unit.id] = unit
            self._node_of[unit.id] = at
            unit.bound = now
        group.rate = group.speed.on_nodes([nodes[at] for at in places], group.asked)
        self.groups[group.id] = group
        if self._quotas is not None:
            self._quotas.take(group)
        if group.estimate is not None:
            insort(self.endings, (group.end(group.estimate), group.id, group))

    def leave(self, unit: Unit) -> None:
        """A unit leaves its node; nothing happens if it was evicted before."""
        at = self._node_of.pop(unit.id, None)
        if at is None:
            return
        self._forget(unit, at)
        if unit.node is not None:
            self._cluster.release(unit)

    def lost(self, node: Node) -> None:
        """A node is gone; the cluster has told the owners of its units already."""
        for unit in list(self._units_on.get(node.index, {}).values()):
            self._forget(unit, self._node_of.pop(unit.id))

    def repace(self, group: Group, pace: float, now: float) -> None:
        """A running group goes on at another share of its rate, and so ends at another moment."""
        if group.estimate is not None:
            del self.endings[bisect_left(self.endings, (group.end(group.estimate), group.id, group))]
        group.repace(pace, now)
        if group.estimate is not None:
            insort(self.endings, (group.end(group.estimate), group.id, group))

    def expected(self, knows: Knows) -> list[Ending]:
        """(end, id, group) of what runs and has an end, the next end first."""
        if knows == "estimate":
            return self.endings
        return sorted(
            (group.end(group.work), group.id, group)
            for group in self.groups.values()
            if group.work == group.work
        )

    def _forget(self, unit: Unit, at: int) -> None:
        del self._units_on[at][unit.id]
        self.changes += 1
        self._census.count(unit, at, -1)
        group = unit.group
        assert group is not None
        group.live -= 1
        if group.live == 0:
            del self.groups[group.id]
            if self._quotas is not None:
                self._quotas.give(group)
            if group.estimate is not None:
                ending = (group.end(group.estimate), group.id, group)
                del self.endings[bisect_left(self.endings, ending)]
