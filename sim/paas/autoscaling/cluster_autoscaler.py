"""The Kubernetes cluster autoscaler: which group grows by how much, and which nodes may go.

Source: kubernetes/autoscaler cluster-autoscaler/core/, utils/backoff/ and simulator/utilization/, tag
cluster-autoscaler-1.36.1; defaults of its flags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from sim.paas.autoscaling.expanders import Expander, Option
from sim.paas.autoscaling.packing import Pod, Template, equivalence_groups, fits, pack, take

#: Most nodes added in one go.
MOST_PER_SCALE_UP = 1000
#: Pods of lower priority do not make the cluster grow, nor keep a node.
EXPENDABLE_BELOW = -10


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """A group of equal nodes.

    Attributes:
        template: an empty node of it.
        size: nodes now, those on their way included.
        minimum: nodes it keeps.
        maximum: nodes it may have.
        exists: whether the provider has it already.
    """

    template: Template
    size: int
    minimum: int = 0
    maximum: int = 1000
    exists: bool = True


@dataclass
class Backoff:
    """How long a group that could not grow is left alone.

    Attributes:
        first: seconds after the first failure; doubled by each further one.
        longest: most seconds.
        reset: seconds without failure after which the count begins anew.
    """

    first: float = 300.0
    longest: float = 1800.0
    reset: float = 10800.0
    _until: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    def failed(self, group: str, now: float) -> float:
        """Note a failure; returns the moment until which the group is left alone (s).

        A failure during a pause, as of nodes asked for at the same time, does not lengthen the next one.
        """
        wait = self.first
        if group in self._until:
            until, length, last = self._until[group]
            if until < now <= last + self.reset:
                wait = min(2.0 * length, self.longest)
        self._until[group] = (now + wait, wait, now)
        return now + wait

    def worked(self, group: str) -> None:
        """Forget the failures of a group."""
        self._until.pop(group, None)

    def blocks(self, group: str, now: float) -> bool:
        """Whether the group is left alone."""
        return group in self._until and now < self._until[group][0]


def options(
    pods: Sequence[Pod], groups: Sequence[NodeGroup], *, blocked: Callable[[str], bool] = lambda group: False
) -> list[Option]:
    """What growing each group would do for the pods that wait.

    Args:
        pods: unschedulable ones.
        groups: the node groups.
        blocked: whether a group is left alone at present.
    """
    waiting = equivalence_groups([pod for pod in pods if pod.priority >= EXPENDABLE_BELOW])
    found = []
    for group in groups:
        room = min(group.maximum - group.size, MOST_PER_SCALE_UP)
        if room <= 0 or blocked(group.template.name):
            continue
        suited = [each for each in waiting if fits(each[0], group.template.capacity, group.template.labels)]
        packed = pack(suited, group.template, room)
        if packed.nodes > 0:
            found.append(Option(group.template, packed.nodes, packed.pods, group.exists))
    return found


def scale_up(
    pods: Sequence[Pod],
    groups: Sequence[NodeGroup],
    expander: Expander,
    draw: Callable[[int], int],
    *,
    blocked: Callable[[str], bool] = lambda group: False,
) -> Option | None:
    """The one group that grows now, and by how much; None if none helps.

    Args:
        pods: unschedulable ones.
        groups: the node groups.
        expander: picks among those that help.
        draw: a random whole number below its argument, for ties.
        blocked: whether a group is left alone at present.
    """
    return expander.best(options(pods, groups, blocked=blocked), draw)


# ------------------------------------------------------------ scale down


@dataclass(frozen=True, slots=True)
class Node:
    """A node with its pods.

    Attributes:
        name: unique.
        group: name of its node group.
        allocatable: by resource.
        pods: on it.
        labels: it carries.
        ready: whether it is.
        protected: whether it is annotated as not to be scaled down.
    """

    name: str
    group: str
    allocatable: Mapping[str, float]
    pods: Sequence[Pod] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = True
    protected: bool = False

    def moving(self) -> list[Pod]:
        """Pods that need another place when it goes."""
        return [pod for pod in self.pods if not pod.daemon and pod.priority >= EXPENDABLE_BELOW]


def utilisation(node: Node, *, ignore_daemons: bool = False) -> float:
    """Requests over allocatable: the GPU's on a GPU node, else the larger of CPU and memory."""
    pods = [pod for pod in node.pods if not (ignore_daemons and pod.daemon)]
    resources = ("gpu",) if node.allocatable.get("gpu", 0.0) > 0 else ("cpu", "memory")
    shares = [0.0]
    for resource in resources:
        there = node.allocatable.get(resource, 0.0)
        if there > 0:
            shares.append(sum(pod.requests.get(resource, 0.0) for pod in pods) / there)
    return max(shares)


@dataclass(frozen=True)
class ScaleDownRules:
    """Flags of the way down (seconds; shares).

    Attributes:
        threshold: a node is a candidate below this utilisation.
        gpu_threshold: the same for GPU nodes.
        unneeded: a node must have been unneeded for longer than this.
        unready: the same for nodes that are not ready.
        after_add: no removal for so long after nodes came.
        after_delete: after a removal.
        after_failure: after a removal that failed.
        most_empty: empty nodes removed at once.
        most_drained: nodes with pods removed at once.
        most_candidates: nodes with pods found unneeded at once; more are not looked for.
    """

    threshold: float = 0.5
    gpu_threshold: float = 0.5
    unneeded: float = 600.0
    unready: float = 1200.0
    after_add: float = 600.0
    after_delete: float = 0.0
    after_failure: float = 180.0
    most_empty: int = 10
    most_drained: int = 1
    most_candidates: int = 30


@dataclass
class ScaleDown:
    """The memory of the way down.

    Attributes:
        rules: its flags.
        since: moment since which each node has been unneeded (s).
        last_add: moment of the last scale-up (s).
        last_delete: moment of the last removal (s).
        last_failure: moment of the last removal that failed (s).
    """

    rules: ScaleDownRules = field(default_factory=ScaleDownRules)
    since: dict[str, float] = field(default_factory=dict)
    last_add: float = -inf
    last_delete: float = -inf
    last_failure: float = -inf

    def update(self, names: Sequence[str], now: float) -> None:
        """Note which nodes are unneeded now."""
        self.since = {name: self.since.get(name, now) for name in names}

    def cooling(self, now: float) -> bool:
        """Whether a delay forbids any removal."""
        rules = self.rules
        return (
            now < self.last_add + rules.after_add
            or now < self.last_delete + rules.after_delete
            or now < self.last_failure + rules.after_failure
        )

    def removable(
        self,
        nodes: Sequence[Node],
        groups: Mapping[str, NodeGroup],
        now: float,
        names: Sequence[str] | None = None,
    ) -> list[str]:
        """Nodes to remove now: the empty ones, or else few with pods; never below a group's minimum.

        Args:
            nodes: those that run.
            groups: the node groups by name.
            now: s.
            names: the unneeded nodes, where they are known already.
        """
        names = unneeded(nodes, self.rules) if names is None else names
        self.update(names, now)
        if self.cooling(now):
            return []
        by_name = {node.name: node for node in nodes}
        left = {name: group.size - group.minimum for name, group in groups.items()}
        empty: list[str] = []
        drained: list[str] = []
        for name in names:
            node = by_name[name]
            wait = self.rules.unneeded if node.ready else self.rules.unready
            if not self.since[name] + wait < now or left.get(node.group, 0) <= 0:
                continue
            chosen, most = (
                (drained, self.rules.most_drained) if node.moving() else (empty, self.rules.most_empty)
            )
            if len(chosen) < most:
                chosen.append(name)
                left[node.group] -= 1
        return empty or drained


#: Why a node is kept, or that it is not needed.
UNNEEDED, PROTECTED, BUSY, FIXED, FULL, TAKING, LATER = (
    "unneeded",
    "protected",
    "well used",
    "holds what cannot move",
    "its pods fit nowhere else",
    "takes in pods of others",
    "enough candidates",
)


def unneeded(nodes: Sequence[Node], rules: ScaleDownRules) -> list[str]:
    """Names of the nodes that are not needed, empty ones first; see `verdicts`."""
    return [name for name, reason in verdicts(nodes, rules).items() if reason == UNNEEDED]


def verdicts(nodes: Sequence[Node], rules: ScaleDownRules) -> dict[str, str]:
    """Why each node is kept, or that it is unneeded: below the threshold, and its pods fit elsewhere.

    The pods of a node found unneeded are put in their new place before the next one is looked at;
    a node that takes them in is needed. Empty nodes are looked at first.
    """
    free = {node.name: _free(node) for node in nodes if node.ready}
    labels = {node.name: node.labels for node in nodes}
    found: dict[str, str] = {}
    taking: set[str] = set()
    candidates = 0
    for node in sorted(nodes, key=lambda node: bool(node.moving())):
        reason = _keeps(node, rules)
        moving = node.moving()
        if not reason and node.name in taking:
            reason = TAKING
        if not reason and moving and candidates >= rules.most_candidates:
            reason = LATER
        if not reason:
            mine = free.pop(node.name, None)
            moved = _move(moving, free, labels)
            if moved is None:
                reason = FULL
                if mine is not None:
                    free[node.name] = mine
            else:
                reason = UNNEEDED
                candidates += bool(moving)
                taking.update(moved)
                free.update(moved)
        found[node.name] = reason
    return found


def _keeps(node: Node, rules: ScaleDownRules) -> str:
    """Why a node is no candidate; nothing if it is."""
    if node.protected:
        return PROTECTED
    gpu = node.allocatable.get("gpu", 0.0) > 0
    if node.ready and utilisation(node) >= (rules.gpu_threshold if gpu else rules.threshold):
        return BUSY
    return "" if all(pod.movable for pod in node.moving()) else FIXED


def _free(node: Node) -> dict[str, float]:
    free = dict(node.allocatable)
    for pod in node.pods:
        take(pod, free)
    return free


def _move(
    pods: Sequence[Pod], free: Mapping[str, dict[str, float]], labels: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, float]] | None:
    """What would be free after the move on the nodes that take the pods; None if one finds no place."""
    trial: dict[str, dict[str, float]] = {}
    for pod in pods:
        for name, amounts in free.items():
            if fits(pod, trial.get(name, amounts), labels[name]):
                take(pod, trial.setdefault(name, dict(amounts)))
                break
        else:
            return None
    return trial
