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

from sim.paas.autoscaling.packing import Pod, Template, fits, take

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

    Pods in order of size (CPU, then memory), each onto the first planned node of which a type is
    left that takes all its pods together; of each plan's types the cheapest is bought.
    """
    plans: list[tuple[list[Template], list[Pod]]] = []
    order = sorted(pods, key=lambda pod: (-pod.requests.get("cpu", 0.0), -pod.requests.get("memory", 0.0)))
    for pod in order:
        for index, (suited, held) in enumerate(plans):
            left = [each for each in suited if _takes(each, [*held, pod])]
            if left:
                plans[index] = (left, [*held, pod])
                break
        else:
            suited = [each for each in types if _takes(each, [pod])]
            if suited:
                plans.append((suited, [pod]))
    return [(min(suited, key=lambda each: each.price), held) for suited, held in plans]


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
    """Nodes that may go, those whose price saves most per disruption first."""
    able = [node for node in nodes if node.able and all(pod.movable for pod in node.moving())]
    return sorted(able, key=lambda node: -node.template.price / disruption_cost(node))


def emptiness(nodes: Sequence[Node], budget: int) -> Command | None:
    """Remove empty nodes, as many as the budget allows."""
    empty = [node.name for node in nodes if node.able and not node.moving()][:budget]
    return Command(empty) if empty else None


def replace(gone: Sequence[Node], nodes: Sequence[Node], types: Sequence[Template]) -> Command | None:
    """Whether these nodes can go at a saving: their pods fit on the others, or on one cheaper node more.

    Args:
        gone: the candidates.
        nodes: all nodes.
        types: what could be bought.
    """
    names = {node.name for node in gone}
    kept = [node for node in nodes if node.open and node.name not in names]
    free = []
    for node in kept:
        amounts = dict(node.template.capacity)
        for pod in node.pods:
            take(pod, amounts)
        free.append(amounts)
    left = []
    for pod in (pod for node in gone for pod in node.moving()):
        for node, amounts in zip(kept, free, strict=True):
            if fits(pod, amounts, {**node.template.labels, **node.labels}):
                take(pod, amounts)
                break
        else:
            left.append(pod)
    if not left:
        return Command(sorted(names))
    price = sum(node.template.price for node in gone)
    cheaper = [each for each in types if each.price < price and _takes(each, left)]
    if not cheaper:
        return None
    return Command(sorted(names), min(cheaper, key=lambda each: each.price))


def multi_node(nodes: Sequence[Node], types: Sequence[Template], budget: int) -> Command | None:
    """The longest prefix of the candidates that can go together, by bisection; two nodes at least."""
    able = [node for node in candidates(nodes) if node.moving()][: min(budget, MOST_CANDIDATES)]
    low, high = 2, len(able)
    best = None
    while low <= high:
        middle = (low + high) // 2
        command = replace(able[:middle], nodes, types)
        if command is not None:
            best, low = command, middle + 1
        else:
            high = middle - 1
    return best


def single_node(nodes: Sequence[Node], types: Sequence[Template], budget: int) -> Command | None:
    """The first candidate that can go alone."""
    if budget < 1:
        return None
    for node in candidates(nodes):
        command = replace([node], nodes, types) if node.moving() else None
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
    return multi_node(nodes, types, budget) or single_node(nodes, types, budget)


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
