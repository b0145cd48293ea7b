"""Kubernetes' choice of victims, put to work on groups: `sim.paas.victims` holds the rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from sim.iaas.room import Floats, fits, give
from sim.paas.units import Group
from sim.paas.victims import Plan, Runner, pick, plan

if TYPE_CHECKING:
    from sim.paas.placement import Placer
    from sim.paas.scheduler import Scheduler


def victims_by_priority(group: Group, scheduler: Scheduler) -> list[Group]:
    """Running groups of lower priority that have to go for `group`; none if that does not help.

    For a single unit the choice is made node by node, for a gang over the cluster as a whole.
    """
    running = scheduler.roster.groups
    lower = [each for each in running.values() if each.priority < group.priority]
    if not lower:
        return []
    if len(group.units) == 1:
        found = _on_one_node(group, lower, scheduler)
    else:
        found = _anywhere(group, lower, scheduler.placer)
    return [] if found is None else [running[victim.id] for victim in found.victims]


def _on_one_node(group: Group, lower: list[Group], scheduler: Scheduler) -> Plan | None:
    placer, cluster, unit = scheduler.placer, scheduler.cluster, group.units[0]
    there: dict[int, dict[int, Group]] = {}
    for each in lower:
        for other in each.units:
            if other.node is not None:
                there.setdefault(other.node.index, {})[each.id] = each
    plans: dict[int, Plan] = {}
    for at in np.flatnonzero(placer.allowed(unit) & cluster.ready).tolist():
        groups = there.get(at, {})

        def keeps(stay: Sequence[Runner], at: int = at, groups: dict[int, Group] = groups) -> bool:
            room = cluster.room[at : at + 1].copy()
            kept = {each.id for each in stay}
            for each in groups.values():
                if each.id not in kept:
                    for other in each.units:
                        if other.node is not None and other.node.index == at:
                            give(room, 0, other.resources, other.devices)
            return fits(room, 0, unit.resources)

        found = plan(group.priority, _runners(groups.values()), keeps, _allowed(groups.values()))
        if found is not None and found.victims:
            plans[at] = found
    return plans[pick(plans)] if plans else None


def _anywhere(group: Group, lower: list[Group], placer: Placer) -> Plan | None:
    def keeps(stay: Sequence[Runner]) -> bool:
        kept = {each.id for each in stay}
        with without([each for each in lower if each.id not in kept], placer):
            return placer.place(group) is not None

    return plan(group.priority, _runners(lower), keeps, _allowed(lower))


@contextmanager
def without(groups: Iterable[Group], placer: Placer) -> Iterator[None]:
    """A trial: the room on the nodes as if these groups did not run."""
    free = placer.cluster.room
    before: dict[int, Floats] = {}
    try:
        for group in groups:
            for unit in group.units:
                if unit.node is not None:
                    at = unit.node.index
                    before.setdefault(at, free[at].copy())
                    give(free, at, unit.resources, unit.devices)
        yield
    finally:
        for at, row in before.items():
            free[at] = row


def _runners(groups: Iterable[Group]) -> list[Runner]:
    return [Runner(each.id, each.priority, each.started, tuple(_allowed([each]))) for each in groups]


def _allowed(groups: Iterable[Group]) -> dict[str, int]:
    """What the disruption budgets over these groups allow at present, by owner."""
    units = [unit for group in groups for unit in group.units]
    return {unit.owner: unit.guard.allowed() for unit in units if unit.guard is not None}
