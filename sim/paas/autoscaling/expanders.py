"""Which node group a cluster autoscaler grows: expanders, one after the other until one option is left.

Source: kubernetes/autoscaler cluster-autoscaler/expander/, tag cluster-autoscaler-1.36.1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sim.paas.autoscaling.packing import Pod, Template, total

ExpanderName = Literal["least-waste", "random", "most-pods", "least-nodes", "price", "priority"]

#: GiB of memory per core, and cores, of the preferred node of the smallest cluster.
_PREFERRED_CORES = 1.0
_GPU_UNFITNESS = 1000.0
_NEW_GROUP_PENALTY = 2.0
#: The pod that keeps the price ratio of very small pods finite.
STABILISER = Pod("stabiliser", {"cpu": 0.5, "memory": 500.0 * 2**20})


@dataclass(frozen=True, slots=True)
class Option:
    """Growing one node group.

    Attributes:
        group: template of its nodes.
        nodes: that would be added.
        pods: that would find a place.
        exists: whether the group is there already.
    """

    group: Template
    nodes: int
    pods: Sequence[Pod]
    exists: bool = True


@dataclass(frozen=True)
class Pricing:
    """Prices for the expander of that name.

    Attributes:
        pod: price of a pod per hour.
        cluster: nodes in the cluster, which decide how large a node is preferred.
    """

    pod: Callable[[Pod], float]
    cluster: int = 1


@dataclass(frozen=True)
class Expander:
    """A chain of expanders; what is left of the options at its end is drawn from.

    Attributes:
        chain: names in the order of use.
        priorities: for `priority`: patterns of group names by priority.
        pricing: for `price`.
    """

    chain: Sequence[ExpanderName] = ("least-waste",)
    priorities: Mapping[int, Sequence[str]] = field(default_factory=dict)
    pricing: Pricing | None = None

    def best(self, options: Sequence[Option], draw: Callable[[int], int]) -> Option | None:
        """The option to carry out; None without options.

        Args:
            options: those possible.
            draw: a random whole number below its argument.
        """
        left = list(options)
        for name in self.chain:
            if len(left) <= 1:
                break
            left = self._filtered(name, left)
        return left[draw(len(left)) if len(left) > 1 else 0] if left else None

    def _filtered(self, name: ExpanderName, options: list[Option]) -> list[Option]:
        if name == "least-waste":
            return least(options, waste)
        if name == "most-pods":
            return least(options, lambda option: -len(option.pods))
        if name == "least-nodes":
            return least(options, lambda option: option.nodes)
        if name == "priority":
            return by_priority(options, self.priorities)
        if name == "price":
            if self.pricing is None:
                raise ValueError("expander price needs prices of pods")
            pricing = self.pricing
            return least(options, lambda option: price_score(option, pricing))
        return options


def least(options: Sequence[Option], score: Callable[[Option], float]) -> list[Option]:
    """The options of the smallest score."""
    scores = [score(option) for option in options]
    lowest = min(scores)
    return [option for option, value in zip(options, scores, strict=True) if value == lowest]


def waste(option: Option) -> float:
    """Unused share of the CPU plus unused share of the memory of the new nodes."""
    wasted = 0.0
    for resource in ("cpu", "memory"):
        available = option.group.capacity.get(resource, 0.0) * option.nodes
        if available > 0:
            wasted += (available - total(option.pods, resource)) / available
    return wasted


def by_priority(options: list[Option], priorities: Mapping[int, Sequence[str]]) -> list[Option]:
    """The options whose group matches a pattern of the highest priority; all if none matches any."""
    for priority in sorted(priorities, reverse=True):
        matched = [
            option
            for option in options
            if any(re.search(pattern, option.group.name) for pattern in priorities[priority])
        ]
        if matched:
            return matched
    return options


def price_score(option: Option, pricing: Pricing) -> float:
    """Price of the nodes over price of the pods, weighed by how unfit the node size is."""
    stabiliser = pricing.pod(STABILISER)
    nodes = option.group.price * option.nodes + stabiliser
    pods = sum(pricing.pod(pod) for pod in option.pods) + stabiliser
    score = nodes / pods * unfitness(option, pricing.cluster)
    return score if option.exists else score * _NEW_GROUP_PENALTY


def unfitness(option: Option, cluster: int) -> float:
    """1 for a node of the preferred size, more for others; less so when many are added."""
    if option.group.capacity.get("gpu", 0.0) > 0:
        return _GPU_UNFITNESS
    cores, preferred = option.group.capacity["cpu"], preferred_cores(cluster)
    raw = max(cores / preferred, preferred / cores)
    return (raw - 1.0) * (1.0 - math.tanh((option.nodes - 1) / 15.0)) + 1.0


def preferred_cores(cluster: int) -> float:
    """Cores of the node that suits a cluster of so many nodes: doubled for about every threefold."""
    doublings = sum(cluster > size for size in (2, 6, 20, 60, 200))
    return _PREFERRED_CORES * 2.0**doublings
