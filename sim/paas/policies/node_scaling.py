"""Which pools grow by how many nodes when pods wait: the ways of real node autoscalers.

A policy has `wait(now)`, the seconds from the first pod that waits to its plan, and
`plan(pods, groups, draw)`, nodes by name of the pool. Empty nodes go by the pool's `idle_timeout`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Annotated, Literal, Protocol

from annotated_types import Len

from sim.paas.autoscaling import cluster_autoscaler, karpenter
from sim.paas.autoscaling.cluster_autoscaler import NodeGroup
from sim.paas.autoscaling.expanders import Expander
from sim.paas.autoscaling.packing import Pod
from sim.registry import policy
from sim.units import PositiveSeconds, Seconds


class NodeScaling(Protocol):
    """What the scheduler asks of a node autoscaler."""

    def wait(self, now: float) -> float:
        """Seconds until the next plan."""

    def plan(
        self, pods: Sequence[Pod], groups: Sequence[NodeGroup], draw: Callable[[int], int]
    ) -> Mapping[str, int]:
        """Nodes to ask for, by name of the pool."""


@policy("node_scaling", "cluster-autoscaler")
class ClusterAutoscaler:
    """The Kubernetes cluster autoscaler: every `scan` the one pool grows that the expanders choose.

    For each pool the waiting pods are packed onto empty nodes, first fit in decreasing size; of these
    options each expander keeps its best and hands ties on; what is left in the end is drawn.
    `priorities` (for the expander of that name) are patterns of pool paths by priority.
    """

    expanders: Annotated[
        list[Literal["least-waste", "random", "most-pods", "least-nodes", "priority"]], Len(1)
    ] = field(default_factory=lambda: ["least-waste"])
    priorities: dict[str, list[str]] | None = None
    scan: PositiveSeconds = 10.0

    def __post_init__(self) -> None:
        given = self.priorities or {}
        if "priority" in self.expanders and not given:
            raise ValueError("the expander priority needs `priorities`, such as {10: [spot]}")
        if not all(key.removeprefix("-").isdecimal() for key in given):
            raise ValueError("priorities are whole numbers, such as {10: [spot], 5: ['.*']}")
        self._expander = Expander(self.expanders, {int(key): found for key, found in given.items()})

    def wait(self, now: float) -> float:
        """Seconds until the next plan."""
        return self.scan - now % self.scan

    def plan(
        self, pods: Sequence[Pod], groups: Sequence[NodeGroup], draw: Callable[[int], int]
    ) -> Mapping[str, int]:
        """Nodes to ask for, by name of the pool."""
        best = cluster_autoscaler.scale_up(pods, groups, self._expander, draw)
        return {} if best is None else {best.group.name: best.nodes}


@policy("node_scaling", "karpenter")
class Karpenter:
    """Karpenter: pods of one batch share new nodes, each of the cheapest type that takes its pods.

    A batch is closed `batch` seconds after its first pod (Karpenter waits 1 s for each further pod,
    10 s at most).
    """

    batch: Seconds = karpenter.BATCH_IDLE

    def wait(self, now: float) -> float:
        """Seconds until the next plan."""
        return self.batch

    def plan(
        self, pods: Sequence[Pod], groups: Sequence[NodeGroup], draw: Callable[[int], int]
    ) -> Mapping[str, int]:
        """Nodes to ask for, by name of the pool."""
        rooms = {group.template.name: group.maximum - group.size for group in groups}
        types = [group.template for group in groups if rooms[group.template.name] > 0]
        asked = Counter(template.name for template, _ in karpenter.provision(pods, types))
        return {name: min(count, rooms[name]) for name, count in asked.items()}
