"""Pods and nodes as node autoscalers see them, and first-fit packing of one onto the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

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
        budgets: disruptions that each PodDisruptionBudget over it allows at present, by name.
        replaced: whether another one stands in for it already, so that it needs no other place.
    """

    name: str
    requests: Amounts
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    owner: str = ""
    movable: bool = True
    deletion_cost: float = 0.0
    daemon: bool = False
    budgets: Mapping[str, int] = field(default_factory=dict)
    replaced: bool = False

    def kind(self) -> object:
        """Equal for pods that fit the same nodes."""
        return tuple(sorted(self.requests.items())), tuple(sorted(self.labels.items()))


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
            key = (pod.owner, pod.priority, pod.kind())
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
    # No node before this one takes a pod of the kind: what is free only shrinks.
    first: dict[object, int] = {}
    for group in sorted(groups, key=lambda group: -share(group[0], template)):
        for pod in group:
            kind = pod.kind()
            index = first.get(kind, 0)
            while index < len(nodes) and not fits(pod, nodes[index], template.labels):
                index += 1
            first[kind] = index
            if index == len(nodes):
                # An empty node that did not take its pod helps no other pod of the group either.
                if len(nodes) >= most or not fits(pod, template.capacity, template.labels):
                    break
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


class Room:
    """What is free on nodes in a row: first-fit trials of many pods on many nodes.

    Args:
        free: amounts by node.
        labels: that each of them carries.
    """

    def __init__(self, free: Sequence[Amounts], labels: Sequence[Mapping[str, str]]) -> None:
        self._names = sorted({name for amounts in free for name in amounts})
        rows = [[amounts.get(name, 0.0) for name in self._names] for amounts in free]
        self._free = np.array(rows, dtype=float).reshape(len(free), len(self._names))
        self._having: dict[tuple[str, str], list[int]] = {}
        for index, has in enumerate(labels):
            for label in has.items():
                self._having.setdefault(label, []).append(index)
        self._open = np.ones(len(free), dtype=bool)
        self._kinds: dict[object, _Kind | None] = {}

    def close(self, index: int) -> None:
        """Let a node take no more pods."""
        self._open[index] = False

    def seat(self, pods: Sequence[Pod], *, without: Sequence[int] = (), keep: bool = False) -> list[int]:
        """Put pods onto the first nodes that take them, one after the other.

        Args:
            pods: in the order of the trial.
            without: nodes that take none this time.
            keep: if all find a place what they take stays taken; the trial ends at the first that does not.

        Returns:
            The node of each pod, -1 for none; shorter where the trial ended.
        """
        closed = [index for index in without if self._open[index]]
        self._open[closed] = False
        before: dict[int, NDArray[np.float64]] = {}
        places: list[int] = []
        for pod in pods:
            kind = self._kind(pod)
            index = -1 if kind is None else self._first(kind)
            places.append(index)
            if kind is not None and index >= 0:
                before.setdefault(index, self._free[index].copy())
                self._free[index] -= kind.amounts
            elif keep:
                break
        self._open[closed] = True
        if -1 in places or not keep:
            for index, row in before.items():
                self._free[index] = row
        return places

    def _first(self, kind: _Kind) -> int:
        """The first open node that takes pods of a kind; -1 for none."""
        takes = self._open & kind.suited
        for column in kind.columns:
            takes &= self._free[:, column] + _SLACK >= kind.amounts[column]
        index = int(takes.argmax()) if len(takes) else 0
        return index if len(takes) and takes[index] else -1

    def _kind(self, pod: Pod) -> _Kind | None:
        """What a pod asks for, as rows of numbers; None if no node has some of it."""
        key = pod.kind()
        if key not in self._kinds:
            self._kinds[key] = self._made(pod)
        return self._kinds[key]

    def _made(self, pod: Pod) -> _Kind | None:
        if any(amount > _SLACK and name not in self._names for name, amount in pod.requests.items()):
            return None
        amounts = np.array([pod.requests.get(name, 0.0) for name in self._names])
        suited = np.ones(len(self._open), dtype=bool)
        for label in pod.labels.items():
            having = np.zeros(len(suited), dtype=bool)
            having[self._having.get(label, [])] = True
            suited &= having
        return _Kind(amounts, np.flatnonzero(amounts > 0).tolist(), suited)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Pods that are alike: amounts by resource, which of them count, and the nodes with their labels."""

    amounts: NDArray[np.float64]
    columns: list[int]
    suited: NDArray[np.bool_]
