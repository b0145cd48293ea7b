"""How pools grow when pods wait, and which nodes go again: the ways of real node autoscalers.

A policy has `wait(now)`, the seconds from the first pod that waits to its plan, and
`plan(pods, groups, draw)`, nodes by name of the pool. One that also removes nodes has `look(now)`,
the seconds to its next look, and `shrink(nodes, groups, now)`; while it `shrinks` the `idle_timeout`
of pools does not count. Its attributes `eviction_timeout` and `graceful_termination`, if it has them, are
the seconds after which a node that a disruption budget holds is let off, and after which one that is
drained is cut off; `failed(now)` hears of the former.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from annotated_types import Ge, Le, Len

from sim.paas.autoscaling import cluster_autoscaler, karpenter
from sim.paas.autoscaling.cluster_autoscaler import Backoff, NodeGroup
from sim.paas.autoscaling.expanders import Expander, ExpanderName, Pricing
from sim.paas.autoscaling.packing import Pod, Template
from sim.paas.autoscaling.scale_down import LATER, UNNEEDED, Node, ScaleDown, ScaleDownRules
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds

#: Bytes of a GiB.
_GIB = 2.0**30


@dataclass(frozen=True, slots=True)
class Shrink:
    """What a look at the nodes came to.

    Attributes:
        remove: nodes to drain and give back.
        reasons: by node: why it goes, or stays.
        replacement: pool that gets one node more before they go; None: none.
    """

    remove: Sequence[str] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    replacement: str | None = None


class NodeScaling(Protocol):
    """What the scheduler asks of a node autoscaler."""

    def wait(self, now: float) -> float:
        """Seconds until the next plan."""

    def plan(
        self, pods: Sequence[Pod], groups: Sequence[NodeGroup], draw: Callable[[int], int]
    ) -> Mapping[str, int]:
        """Nodes to ask for, by name of the pool."""


@runtime_checkable
class Shrinking(NodeScaling, Protocol):
    """One that also removes nodes; `shrinks` says whether it does."""

    @property
    def shrinks(self) -> bool:
        """Whether it removes nodes."""

    def look(self, now: float) -> float:
        """Seconds until the next look at the nodes."""

    def shrink(self, nodes: Sequence[Node], groups: Mapping[str, NodeGroup], now: float) -> Shrink:
        """Nodes to remove. `nodes` is the same list as long as nothing has changed."""


@policy("node_scaling", "cluster-autoscaler")
class ClusterAutoscaler:
    """The Kubernetes cluster autoscaler: one pool grows at a time, and little used nodes go.

    For each pool the waiting pods are packed onto empty nodes, first fit in decreasing size; of these
    options each expander keeps its best and hands ties on; what is left in the end is drawn.
    `priorities` (for the expander of that name) are patterns of pool paths by priority; `pod_prices`
    (for `price`) USD per hour of a core (`cpu`), a GiB (`memory`) and a `gpu`. A node that is not
    ready `provision_timeout` after it was asked for is given up, and its pool left alone for 5 min,
    doubling up to 30. With `scale_down` a node goes that was used by less than `threshold` (`gpu_threshold`
    of its accelerators where it has any) for `unneeded`, and whose pods fit elsewhere: `most_at_once` are on
    their way out at a time, `most_drained` of them with pods. Nodes with workers of jobs stay, unless
    `evict_jobs`. A node from which a disruption budget keeps pods for `eviction_timeout` stays after all, and
    nothing is removed for `delay_after_failure`; calls that a drained node still serves after
    `graceful_termination` are cut off.
    """

    expanders: Annotated[list[ExpanderName], Len(1)] = field(default_factory=lambda: ["least-waste"])
    priorities: dict[str, list[str]] | None = None
    pod_prices: dict[Literal["cpu", "memory", "gpu"], Annotated[float, Ge(0), Le(1e6)]] | None = None
    scan: PositiveSeconds = 10.0
    provision_timeout: PositiveSeconds = 900.0
    scale_down: bool = True
    threshold: Fraction = 0.5
    gpu_threshold: Fraction = 0.5
    unneeded: Seconds = 600.0
    delay_after_add: Seconds = 600.0
    delay_after_delete: Seconds = 0.0
    delay_after_failure: Seconds = 180.0
    most_at_once: Annotated[int, Ge(1)] = 10
    most_drained: Annotated[int, Ge(1)] = 1
    eviction_timeout: Seconds = 120.0
    graceful_termination: Seconds = 600.0
    evict_jobs: bool = False

    def __post_init__(self) -> None:
        given = self.priorities or {}
        if "priority" in self.expanders and not given:
            raise ValueError("the expander priority needs `priorities`, such as {10: [spot]}")
        if not all(key.removeprefix("-").isdecimal() for key in given):
            raise ValueError("priorities are whole numbers, such as {10: [spot], 5: ['.*']}")
        if "price" in self.expanders and not self.pod_prices:
            raise ValueError("the expander price needs `pod_prices`, such as {cpu: 0.03, memory: 0.004}")
        self._priorities = {int(key): found for key, found in given.items()}
        self._rules = ScaleDownRules(
            self.threshold,
            self.gpu_threshold,
            self.unneeded,
            after_add=self.delay_after_add,
            after_delete=self.delay_after_delete,
            after_failure=self.delay_after_failure,
            most_at_once=self.most_at_once,
            most_drained=self.most_drained,
        )

    def start(self) -> None:
        """Forget all failures and all nodes."""
        self.backoff = Backoff()
        self._down = ScaleDown(self._rules)
        self._seen: Sequence[Node] = ()
        self._verdicts: dict[str, str] = {}

    def wait(self, now: float) -> float:
        """Seconds until the next plan."""
        return self.scan - now % self.scan

    def plan(
        self, pods: Sequence[Pod], groups: Sequence[NodeGroup], draw: Callable[[int], int]
    ) -> Mapping[str, int]:
        """Nodes to ask for, by name of the pool."""
        pricing = Pricing(self._price, sum(group.size for group in groups)) if self.pod_prices else None
        expander = Expander(self.expanders, self._priorities, pricing)
        best = cluster_autoscaler.scale_up(pods, groups, expander, draw)
        return {} if best is None else {best.group.name: best.nodes}

    def _price(self, pod: Pod) -> float:
        prices: Mapping[Any, float] = self.pod_prices or {}
        amounts = {**pod.requests, "memory": pod.requests.get("memory", 0.0) / _GIB}
        return sum(price * amounts.get(name, 0.0) for name, price in prices.items())

    def added(self, now: float) -> None:
        """Nodes were asked for."""
        self._down.last_add = now

    def failed(self, now: float) -> None:
        """A node could not be drained."""
        self._down.last_failure = now

    @property
    def shrinks(self) -> bool:
        """As `scale_down`."""
        return self.scale_down

    def look(self, now: float) -> float:
        """Seconds until the next look at the nodes."""
        return self.scan

    def shrink(self, nodes: Sequence[Node], groups: Mapping[str, NodeGroup], now: float) -> Shrink:
        """Nodes to remove, and why the others stay."""
        if nodes is not self._seen or LATER in self._verdicts.values():
            self._seen = nodes
            self._verdicts = self._down.look(nodes, now, self.scan)
        names = [name for name, reason in self._verdicts.items() if reason == UNNEEDED]
        gone = self._down.removable(nodes, groups, now, names)
        if gone:
            self._down.last_delete = now
            self._seen = ()
        return Shrink(gone, self._verdicts)


@policy("node_scaling", "karpenter")
class Karpenter:
    """Karpenter: pods of one batch share new nodes of the cheapest type; consolidation takes nodes away.

    A batch is closed `batch` seconds after its first pod (Karpenter waits 1 s for each further pod,
    10 s at most). Every 10 s a `consolidation` looks for nodes to remove: empty ones, else several
    whose pods fit on the others or on one cheaper node more, else one such. It is carried out when it
    still holds `validation` later. `budget` is the share of a pool's nodes on their way out at once.
    Nodes with workers of jobs stay, unless `evict_jobs`. A node that is not ready `provision_timeout`
    after it was asked for is given up.
    """

    batch: Seconds = karpenter.BATCH_IDLE
    provision_timeout: PositiveSeconds = 900.0
    consolidation: Literal["off", "WhenEmpty", "WhenEmptyOrUnderutilized"] = "WhenEmptyOrUnderutilized"
    consolidate_after: Seconds = 0.0
    validation: Seconds = 15.0
    budget: Annotated[Fraction, Ge(0.001)] = 0.1
    evict_jobs: bool = False

    def start(self) -> None:
        """Forget what was found."""
        self._found: karpenter.Command | None = None
        self._changed: dict[str, tuple[tuple[str, ...], float]] = {}

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

    @property
    def shrinks(self) -> bool:
        """Whether there is any consolidation."""
        return self.consolidation != "off"

    def look(self, now: float) -> float:
        """Seconds until the next look at the nodes."""
        return karpenter.LOOK if self._found is None else self.validation

    def shrink(self, nodes: Sequence[Node], groups: Mapping[str, NodeGroup], now: float) -> Shrink:
        """Nodes to remove, and the one that replaces them; only what was found before and still holds."""
        command = self._command(nodes, groups, now)
        found, self._found = self._found, None
        if command is None:
            return Shrink()
        if command != found and self.validation > 0:
            self._found = command
            return Shrink()
        replacement = command.replacement
        reason = "consolidated" if replacement is None else f"replaced by {replacement.name}"
        empty = {node.name for node in nodes if not node.moving()}
        reasons = {name: "empty" if name in empty else reason for name in command.remove}
        return Shrink(command.remove, reasons, None if replacement is None else replacement.name)

    def _command(
        self, nodes: Sequence[Node], groups: Mapping[str, NodeGroup], now: float
    ) -> karpenter.Command | None:
        templates = {name: group.template for name, group in groups.items()}
        types = [group.template for group in groups.values() if group.size < group.maximum]
        found = [
            karpenter.Node(
                node.name,
                templates[node.group] if node.group in templates else _unpriced(node),
                node.pods,
                node.labels,
                self._may_go(node, now),
                node.ready and not node.going,
            )
            for node in nodes
        ]
        sizes = {name: group.size - group.minimum for name, group in groups.items()}
        return karpenter.consolidate(
            found,
            types,
            disrupting=sum(node.going or not node.ready for node in nodes),
            percent=100.0 * self.budget,
            policy="WhenEmpty" if self.consolidation == "WhenEmpty" else "WhenEmptyOrUnderutilized",
            spare=sizes,
        )

    def _may_go(self, node: Node, now: float) -> bool:
        """Whether a node is ready, free to go, and its pods have not changed for long enough."""
        pods = tuple(pod.name for pod in node.pods)
        before, since = self._changed.get(node.name, ((), -inf))
        if before != pods or since == -inf:
            since = now
            self._changed[node.name] = (pods, since)
        able = node.ready and not node.going and not node.protected
        return able and now - since >= self.consolidate_after


def _unpriced(node: Node) -> Template:
    """The type of a node that is no part of an elastic pool."""
    return Template(node.group, node.allocatable)
