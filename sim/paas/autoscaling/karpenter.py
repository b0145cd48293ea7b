"""Karpenter: one cheapest node for what waits, and consolidation of what runs.

Source: kubernetes-sigs/karpenter pkg/controllers/{provisioning,disruption}/, read mid-2026. Kept
simple where the original looks at whole clouds: prices are those of the templates, spot nodes are
templates like others.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sim.paas.autoscaling.packing import Pod, Room, Template, fits, take

#: Seconds without a new pod, and seconds since the first, after which a batch of pods is closed.
BATCH_IDLE = 1.0
BATCH_MOST = 10.0
#: Seconds between two looks for nodes to disrupt.
LOOK = 10.0
#: Candidates that a consolidation of several nodes looks at.
MOST_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class Node:
    """A node as consolidation sees it.

    Attributes:
        name: unique.
        template: its type.
        pods: on it.
        labels: it carries beside those of its type.
        able: whether it may go.
        open: whether it takes pods of others; not if it is on its way out.
    """

    name: str
    template: Template
    pods: Sequence[Pod] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    able: bool = True
    open: bool = True

    def moving(self) -> list[Pod]:
        """Pods that need another place when it goes."""
        return [pod for pod in self.pods if not pod.daemon]


@dataclass(frozen=True, slots=True)
class Command:
    """What a consolidation does: nodes that go, and the one that replaces them, if any."""

    remove: list[str]
    replacement: Template | None = None


def eviction_cost(pod: Pod) -> float:
    """1 + deletion cost / 2^27 + priority / 2^25, within -10 and 10."""
    return min(10.0, max(-10.0, 1.0 + pod.deletion_cost / 2**27 + pod.priority / 2**25))


def disruption_cost(node: Node) -> float:
    """1 and the positive eviction costs of its pods."""
    return 1.0 + sum(max(0.0, eviction_cost(pod)) for pod in node.moving())


def provision(pods: Sequence[Pod], types: Sequence[Template]) -> list[tuple[Template, list[Pod]]]:
    """New nodes for a batch of pods, and which pods each takes.

    Pods in order of size (CPU, then memory), each onto the planned node with the fewest pods of which
    a type is left that takes all its pods together; of each plan's types the cheapest is bought.
    """
    plans: list[tuple[list[tuple[Template, dict[str, float]]], list[Pod]]] = []
    order = sorted(pods, key=lambda pod: (-pod.requests.get("cpu", 0.0), -pod.requests.get("memory", 0.0)))
    empty = [(each, dict(each.capacity)) for each in types]
    for pod in order:
        for index in sorted(range(len(plans)), key=lambda index: len(plans[index][1])):
            left = _takers(plans[index][0], pod)
            if left:
                plans[index] = (left, [*plans[index][1], pod])
                break
        else:
            suited = _takers(empty, pod)
            if suited:
                plans.append((suited, [pod]))
    return [(min(suited, key=lambda each: each[0].price)[0], held) for suited, held in plans]


def _takers(
    types: Sequence[tuple[Template, dict[str, float]]], pod: Pod
) -> list[tuple[Template, dict[str, float]]]:
    """The types, with what is free on a node of each, that take one pod more; with that pod on it."""
    found = []
    for template, free in types:
        if fits(pod, free, template.labels):
            rest = dict(free)
            take(pod, rest)
            found.append((template, rest))
    return found


def _takes(template: Template, pods: Sequence[Pod]) -> bool:
    free = dict(template.capacity)
    for pod in pods:
        if not fits(pod, free, template.labels):
            return False
        take(pod, free)
    return True


def allowed_disruptions(nodes: int, disrupting: int = 0, percent: float = 10.0) -> int:
    """Nodes that a budget of so many per cent lets go at present; rounded up."""
    return max(0, math.ceil(nodes * percent / 100.0 - 1e-9) - disrupting)


def candidates(nodes: Sequence[Node]) -> list[Node]:
    """Nodes that may go, those whose price saves most per disruption first.

    Not one with a pod that cannot move, or that a disruption budget holds at present.
    """
    able = [node for node in nodes if node.able and _lets_go(node)]
    return sorted(able, key=lambda node: -node.template.price / disruption_cost(node))


def _lets_go(node: Node) -> bool:
    return all(pod.movable and min(pod.budgets.values(), default=1) > 0 for pod in node.moving())


def emptiness(nodes: Sequence[Node], budget: int) -> Command | None:
    """Remove empty nodes, as many as the budget allows."""
    empty = [node.name for node in nodes if node.able and not node.moving()][:budget]
    return Command(empty) if empty else None


class Fleet:
    """Nodes and what is free on them, for trials of what could go.

    Args:
        nodes: all nodes.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self._index = {node.name: index for index, node in enumerate(nodes)}
        free = []
        for node in nodes:
            amounts = dict(node.template.capacity)
            for pod in node.pods:
                take(pod, amounts)
            free.append(amounts)
        self._room = Room(free, [{**node.template.labels, **node.labels} for node in nodes])
        for index, node in enumerate(nodes):
            if not node.open:
                self._room.close(index)

    def left(self, gone: Sequence[Node]) -> list[Pod]:
        """Pods of these nodes that the others do not take."""
        pods = [pod for node in gone for pod in node.moving()]
        places = self._room.seat(pods, without=[self._index[node.name] for node in gone])
        return [pod for pod, place in zip(pods, places, strict=True) if place < 0]


def replace(gone: Sequence[Node], fleet: Fleet, types: Sequence[Template]) -> Command | None:
    """Whether these nodes can go at a saving: their pods fit on the others, or on one cheaper node more.

    Args:
        gone: the candidates.
        fleet: all nodes.
        types: what could be bought.
    """
    left = fleet.left(gone)
    names = sorted(node.name for node in gone)
    if not left:
        return Command(names)
    price = sum(node.template.price for node in gone)
    cheaper = [each for each in types if each.price < price and _takes(each, left)]
    if len(gone) > 1:
        # One of a type that goes would be the same as keeping one: only what is cheaper than that counts.
        names_left = {each.name for each in cheaper}
        kept = [node.template.price for node in gone if node.template.name in names_left]
        cheaper = [each for each in cheaper if each.price < min(kept, default=price)]
    if not cheaper:
        return None
    return Command(names, min(cheaper, key=lambda each: each.price))


def multi_node(fleet: Fleet, types: Sequence[Template], budget: int) -> Command | None:
    """The longest prefix of the candidates that can go together, by bisection; two nodes at least."""
    able = [node for node in candidates(fleet.nodes) if node.moving()][: min(budget, MOST_CANDIDATES)]
    low, high = 2, len(able)
    best = None
    while low <= high:
        middle = (low + high) // 2
        command = replace(able[:middle], fleet, types)
        if command is not None:
            best, low = command, middle + 1
        else:
            high = middle - 1
    return best


def single_node(fleet: Fleet, types: Sequence[Template], budget: int) -> Command | None:
    """The first candidate that can go alone."""
    if budget < 1:
        return None
    for node in candidates(fleet.nodes):
        command = replace([node], fleet, types) if node.moving() else None
        if command is not None:
            return command
    return None


def consolidate(
    nodes: Sequence[Node],
    types: Sequence[Template],
    *,
    disrupting: int = 0,
    percent: float = 10.0,
    policy: Literal["WhenEmpty", "WhenEmptyOrUnderutilized"] = "WhenEmptyOrUnderutilized",
    spare: Mapping[str, int] | None = None,
) -> Command | None:
    """One round of disruption: empty nodes, else several at once, else one.

    Args:
        nodes: those of the pool.
        types: what could be bought.
        disrupting: nodes on their way out already.
        percent: the disruption budget.
        policy: whether nodes with pods may go.
        spare: nodes of each type that may go before its pool is at its minimum; those of other types
            stay; None: any number.
    """
    if spare is not None:
        nodes = _within(nodes, spare)
    mine = [node for node in nodes if spare is None or node.template.name in spare]
    budget = allowed_disruptions(len(mine), disrupting, percent)
    if budget == 0:
        return None
    command = emptiness(nodes, budget)
    if command is not None or policy == "WhenEmpty":
        return command
    fleet = Fleet(nodes)
    return multi_node(fleet, types, budget) or single_node(fleet, types, budget)


def _within(nodes: Sequence[Node], spare: Mapping[str, int]) -> list[Node]:
    """The nodes, of which no more are able to go than their pools can spare: empty ones, then the best."""
    order = [node for node in nodes if node.able and not node.moving()]
    order += [node for node in candidates(nodes) if node.moving()]
    left = dict(spare)
    able: set[str] = set()
    for node in order:
        if left.get(node.template.name, 0) > 0:
            left[node.template.name] -= 1
            able.add(node.name)
    return [dataclasses.replace(node, able=node.name in able) for node in nodes]
