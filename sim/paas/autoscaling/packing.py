"""Pods and nodes as node autoscalers see them, and first-fit packing of one onto the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Amounts by resource: `cpu` (cores), `memory` (bytes), `gpu` (accelerators), ...
Amounts = Mapping[str, float]

#: Slack of a comparison, against rounding of sums.
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Pod:
    """What a node autoscaler knows of a pod.

    Attributes:
        name: unique among the pods.
        requests: by resource.
        labels: a node needs all of these to take it.
        priority: higher is more important.
        owner: pods of one owner with equal requests and labels are interchangeable.
        movable: whether it may be evicted and run elsewhere.
        deletion_cost: its `controller.kubernetes.io/pod-deletion-cost`.
        daemon: whether every node runs one, so that it needs no other place.
    """

    name: str
    requests: Amounts
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    owner: str = ""
    movable: bool = True
    deletion_cost: float = 0.0
    daemon: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """An empty node of a group or type.

    Attributes:
        name: of the group or type.
        capacity: by resource.
        price: of one node per hour.
        labels: it carries.
    """

    name: str
    capacity: Amounts
    price: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)


def fits(pod: Pod, free: Amounts, labels: Mapping[str, str]) -> bool:
    """Whether a node with this much free and these labels takes the pod."""
    if any(labels.get(key) != value for key, value in pod.labels.items()):
        return False
    return all(free.get(name, 0.0) + _SLACK >= amount for name, amount in pod.requests.items() if amount > 0)


def take(pod: Pod, free: dict[str, float]) -> None:
    """Reserve what the pod requests."""
    for name, amount in pod.requests.items():
        free[name] = free.get(name, 0.0) - amount


def total(pods: Sequence[Pod], resource: str) -> float:
    """Sum of one resource's requests."""
    return sum(pod.requests.get(resource, 0.0) for pod in pods)


def equivalence_groups(pods: Sequence[Pod]) -> list[list[Pod]]:
    """Interchangeable pods together, in order of their first; a pod without an owner stands alone."""
    groups: dict[object, list[Pod]] = {}
    for pod in pods:
        key: object = pod.name
        if pod.owner:
            spec = tuple(sorted(pod.requests.items())), tuple(sorted(pod.labels.items()))
            key = (pod.owner, pod.priority, spec)
        groups.setdefault(key, []).append(pod)
    return list(groups.values())


@dataclass(frozen=True, slots=True)
class Packed:
    """Outcome of a packing: nodes used, and the pods that found a place."""

    nodes: int
    pods: list[Pod]


def pack(groups: Sequence[Sequence[Pod]], template: Template, most: int) -> Packed:
    """First-fit-decreasing of equivalence groups onto new nodes of one template.

    Groups are ordered by the share of a node that their first pod takes (CPU plus memory), the
    largest first. Source: kubernetes/autoscaler cluster-autoscaler/estimator/
    {binpacking_estimator,decreasing_pod_orderer}.go, tag cluster-autoscaler-1.36.1.

    Args:
        groups: of interchangeable pods.
        template: the empty node.
        most: nodes there may be.
    """
    nodes: list[dict[str, float]] = []
    used: set[int] = set()
    placed: list[Pod] = []
    for group in sorted(groups, key=lambda group: -share(group[0], template)):
        for pod in group:
            index = next((i for i, free in enumerate(nodes) if fits(pod, free, template.labels)), None)
            if index is None:
                # An empty node that did not take its pod helps no other pod of the group either.
                if len(nodes) >= most or not fits(pod, template.capacity, template.labels):
                    break
                index = len(nodes)
                nodes.append(dict(template.capacity))
            take(pod, nodes[index])
            used.add(index)
            placed.append(pod)
    return Packed(len(used), placed)


def share(pod: Pod, template: Template) -> float:
    """Share of a node's CPU plus share of its memory that a pod takes."""
    score = 0.0
    for resource in ("cpu", "memory"):
        capacity = template.capacity.get(resource, 0.0)
        if capacity > 0:
            score += pod.requests.get(resource, 0.0) / capacity
    return score
