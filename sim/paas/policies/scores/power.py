"""By the watts, or the emissions, that a unit would add."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.iaas.resources import RESOURCE_NAMES
from sim.paas.policies.scores.base import Floats, Indices
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Unit

_CPU, _ACCELERATORS = RESOURCE_NAMES.index("cpu"), RESOURCE_NAMES.index("accelerators")


def added_watts(unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
    """Watts each node would draw more, with all that is allocated at work.

    From the power curve over the main resource (accelerators if the node has any, else cores). A node
    that stands empty adds its idle power too: without the unit it could be off.
    """
    kinds = nodes.kind_id[candidates]
    result = np.zeros(len(candidates))
    for kind in np.unique(kinds).tolist():
        here = kinds == kind
        node_type = nodes.kinds[kind]
        if not node_type.power:
            continue
        main = _ACCELERATORS if node_type.capacity.accelerators > 0 else _CPU
        used = 1.0 - nodes.free[candidates[here], main] / node_type.capacity[main]
        more = used + unit.resources[main] / node_type.capacity[main]
        at, watts = zip(*node_type.power, strict=True)
        before = np.interp(used, at, watts)
        empty = (nodes.free[candidates[here]] >= node_type.capacity).all(axis=1)
        result[here] = np.interp(more, at, watts) - np.where(empty, 0.0, before)
    return result


@policy("score", "energy-aware")
class EnergyAware:
    """Prefer nodes that would draw the fewest watts more: efficient ones, and those already on.

    Counts the power curve of the instance type with all that is allocated at work, and the idle
    power of a node that stands empty. Nodes without power figures count as 0 W.
    """

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated added watts."""
        return -added_watts(unit, nodes, candidates)


@policy("score", "carbon-aware")
class CarbonAware:
    """Prefer nodes that would emit the least more CO2e: energy-aware times the grid's present intensity.

    Knows the mean intensity of each hour of the day (UTC, the run begins at midnight) of the site's
    grid, and its PUE. A site without a grid counts like the dirtiest of the others.
    """

    def start(self, scheduler: Scheduler) -> None:
        """Take the clock."""
        self._kernel = scheduler.ctx.kernel

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated grams per second."""
        hour = int(self._kernel.now // 3600.0) % 24
        known = [kind.carbon[hour] if kind.carbon else np.nan for kind in nodes.kinds]
        intensity = np.array(known)[nodes.kind_id[candidates]]
        worst = np.nanmax(intensity) if not np.isnan(intensity).all() else 1.0
        return np.asarray(-added_watts(unit, nodes, candidates) * np.where(intensity >= 0, intensity, worst))
