"""Units and nodes as the rules of node autoscalers see them: pods with requests, and labels.

Which nodes the scheduler's filters allow a unit is put into labels: one for each shape of units, which
the nodes carry that would take it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from sim.iaas.resources import Resources
from sim.paas.autoscaling import scale_down
from sim.paas.autoscaling.packing import Pod
from sim.paas.placement import Placer
from sim.paas.units import Guard, Shape, Unit

if TYPE_CHECKING:
    from sim.iaas.nodes import Node


class PodView:
    """Makes pods of units, and keeps the labels.

    Args:
        placer: knows which nodes a unit may go to.
        suitable: per pool, whether the unit could go to an empty node of it.
    """

    def __init__(self, placer: Placer, suitable: Callable[[Unit], list[bool]]) -> None:
        self._placer = placer
        self._suitable = suitable
        self._labels: dict[Shape, str] = {}
        self._samples: dict[str, tuple[Unit, list[bool]]] = {}
        self._guards: dict[str, Guard] = {}

    def pod(self, unit: Unit, *, movable: bool = True, replaced: bool = False) -> Pod:
        """A unit as a pod."""
        label = self._labels.get(unit.shape)
        if label is None:
            label = self._labels[unit.shape] = f"shape-{len(self._labels)}"
            self._samples[label] = (unit, self._suitable(unit))
        budgets: dict[str, int] = {}
        if unit.guard is not None:
            self._guards[unit.owner] = unit.guard
            budgets[unit.owner] = unit.guard.allowed()
        name, requests = str(unit.id), amounts(unit.resources)
        return Pod(
            name, requests, {label: ""}, owner=label, movable=movable, budgets=budgets, replaced=replaced
        )

    def allowances(self) -> list[int]:
        """What the disruption budgets seen so far allow at present."""
        return [guard.allowed() for guard in self._guards.values()]

    def of_pool(self, index: int) -> dict[str, str]:
        """Labels of an empty node of a pool."""
        return {label: "" for label, (_, suits) in self._samples.items() if suits[index]}

    def node(
        self, node: Node, *, evict_jobs: bool, protected: bool, going: bool, held: Collection[int] = ()
    ) -> scale_down.Node:
        """A node with its pods; `learn` all units first, so that it carries their labels.

        Args:
            node: the node.
            evict_jobs: whether workers of jobs may move.
            protected: whether it may not go.
            going: whether it is on its way out.
            held: units that could not be taken off it yet; for the others on such a node another starts.
        """
        pods = [
            self.pod(
                unit,
                movable=unit.on_drained is not None or evict_jobs,
                replaced=going and unit.id not in held,
            )
            for unit in node.units.values()
        ]
        labels = {
            label: "" for label, (unit, _) in self._samples.items() if self._placer.allowed(unit)[node.index]
        }
        capacity = amounts(node.type.capacity)
        return scale_down.Node(node.name, node.pool, capacity, pods, labels, protected=protected, going=going)

    def learn(self, unit: Unit) -> None:
        """Know a unit's shape, so that nodes carry its label."""
        if unit.shape not in self._labels:
            self.pod(unit)


def amounts(resources: Resources) -> dict[str, float]:
    """Amounts by the names that the rules use."""
    return {
        "cpu": resources.cpu,
        "memory": resources.memory,
        "gpu": resources.accelerators,
        "disk": resources.disk,
    }
