"""What the jobs of a scheduler claim, and the accelerators they claim it on: facts for an allocation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.iaas.nodes import Cluster
from sim.iaas.room import ACCELERATORS
from sim.paas.policies.allocation.base import Claim, Supply
from sim.paas.units import Group

if TYPE_CHECKING:
    from sim.paas.placement import Placer


def paced(group: Group) -> bool:
    """Whether a group takes turns: it can be preempted whole and holds accelerators."""
    return group.preemptible and group.units[0].resources.accelerators > 0


def kind_of(group: Group, cluster: Cluster) -> int:
    """Number of the accelerator type that a running group is on."""
    node = group.units[0].node
    assert node is not None
    return int(cluster.device_id[node.index])


def supply_of(cluster: Cluster, running: Sequence[Group]) -> Supply:
    """The accelerators of ready nodes that are free or held by groups that take turns, by type."""
    kinds = len(cluster.device_names)
    counts, prices = np.zeros(kinds), np.zeros(kinds)
    for kind in range(kinds):
        nodes = cluster.ready & (cluster.device_id == kind)
        counts[kind] = cluster.free[nodes, ACCELERATORS].sum()
        all_of_them = cluster.total[: len(nodes)][nodes, ACCELERATORS].sum()
        prices[kind] = cluster.price[nodes].sum() / all_of_them if all_of_them else 0.0
    for group in running:
        for unit in group.units:
            if unit.node is not None and cluster.ready[unit.node.index]:
                counts[cluster.device_id[unit.node.index]] += unit.resources.accelerators
    return Supply(tuple(cluster.device_names), tuple(counts.tolist()), tuple(prices.tolist()))


def claim_of(group: Group, placer: Placer, now: float) -> Claim:
    """What an allocation may know of a job."""
    cluster, unit = placer.cluster, group.units[0]
    nodes: NDArray[np.int64] = cluster.device_id[placer.allowed(unit)]
    suits = set(nodes.tolist())
    rates = tuple(
        group.speed.on(name) if kind in suits else 0.0 for kind, name in enumerate(cluster.device_names)
    )
    remaining = group.remaining(now)
    return Claim(
        id=group.id if group.rank is None else group.rank,
        size=unit.resources.accelerators * group.asked,
        rates=rates,
        weight=group.weight,
        remaining=remaining,
        done=0.0 if group.stated is None else max(0.0, group.stated - remaining),
        age=now - group.submitted,
        patience=inf if group.deadline == inf else group.deadline - now,
        workers=group.asked,
        elastic=group.elastic or (group.asked, group.asked),
        speed_up=partial(group.speed.scale, asked=group.asked),
    )
