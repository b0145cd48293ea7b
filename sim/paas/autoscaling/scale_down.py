"""The Kubernetes cluster autoscaler, downwards: which nodes are not needed, and which of them go now.

Source: kubernetes/autoscaler cluster-autoscaler/core/scaledown/{eligibility,unneeded,planner,budgets}/ and
simulator/utilization/, tag cluster-autoscaler-1.36.1; defaults of its flags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from sim.paas.autoscaling.cluster_autoscaler import EXPENDABLE_BELOW, NodeGroup
from sim.paas.autoscaling.disruption import Remaining
from sim.paas.autoscaling.packing import Pod, Room, take


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
        going: whether it is on its way out already.
    """

    name: str
    group: str
    allocatable: Mapping[str, float]
    pods: Sequence[Pod] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = True
    protected: bool = False
    going: bool = False

    def moving(self) -> list[Pod]:
        """Pods that need another place when it goes."""
        return [pod for pod in self.pods if not pod.daemon and pod.priority >= EXPENDABLE_BELOW]


def utilisation(node: Node, *, ignore_daemons: bool = False) -> float:
    """Requests over allocatable: the GPU's on a GPU node, else the larger of CPU and memory.

    Daemons that are ignored count neither as requests nor as allocatable.
    """
    resources = ("gpu",) if node.allocatable.get("gpu", 0.0) > 0 else ("cpu", "memory")
    shares = [0.0]
    for resource in resources:
        there = node.allocatable.get(resource, 0.0)
        used = 0.0
        for pod in node.pods:
            amount = pod.requests.get(resource, 0.0)
            if ignore_daemons and pod.daemon:
                there -= amount
            else:
                used += amount
        if there > 0:
            shares.append(used / there)
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
        most_at_once: nodes on their way out at a time.
        most_drained: those of them with pods.
        recheck: seconds in which a node that could not go is not looked at again.
        ignore_daemons: whether daemons are left out of the utilisation.
    """

    threshold: float = 0.5
    gpu_threshold: float = 0.5
    unneeded: float = 600.0
    unready: float = 1200.0
    after_add: float = 600.0
    after_delete: float = 0.0
    after_failure: float = 180.0
    most_at_once: int = 10
    most_drained: int = 1
    recheck: float = 300.0
    ignore_daemons: bool = False


#: Why a node is kept, or that it is not needed.
UNNEEDED, PROTECTED, BUSY, FIXED, FULL, LATER, GUARDED = (
    "unneeded",
    "protected",
    "well used",
    "holds what cannot move",
    "its pods fit nowhere else",
    "enough candidates",
    "a disruption budget holds its pods",
)


def unneeded(nodes: Sequence[Node], rules: ScaleDownRules) -> list[str]:
    """Names of the nodes that are not needed, empty ones first; see `verdicts`."""
    return [name for name, reason in verdicts(nodes, rules).items() if reason == UNNEEDED]


def verdicts(
    nodes: Sequence[Node],
    rules: ScaleDownRules,
    *,
    known: Collection[str] = (),
    recent: Mapping[str, str] | None = None,
    limit: float = inf,
) -> dict[str, str]:
    """Why each node is kept, or that it is unneeded: below the threshold, and its pods fit elsewhere.

    The pods of a node found unneeded are put in their new place, and taken off their disruption
    budgets, before the next one is looked at; a node that takes them in must find room for them too if
    it is to go. Empty nodes are looked at first, then those unneeded before, nodes on their way out
    not at all: their pods take up room elsewhere before anything else, as far as they fit.

    Args:
        nodes: those that run.
        rules: flags.
        known: nodes that were unneeded at the last look.
        recent: why nodes that could not go lately are kept; they are not looked at.
        limit: unneeded nodes after which no more are looked for.
    """
    recent = recent or {}
    room = Room([_free(node) for node in nodes], [node.labels for node in nodes])
    for index, node in enumerate(nodes):
        if node.going or not node.ready:
            room.close(index)
    moving = [node.moving() for node in nodes]
    order = sorted(range(len(nodes)), key=lambda index: (bool(moving[index]), nodes[index].name not in known))
    arriving = [pod for index, node in enumerate(nodes) if node.going for pod in moving[index]]
    for pod in arriving:
        if not pod.replaced and (place := room.seat([pod], keep=True)[0]) >= 0:
            moving[place].append(pod)
    budgets = Remaining()
    found: dict[str, str] = {}
    count = 0
    for index in order:
        node, pods = nodes[index], moving[index]
        if node.going:
            continue
        reason = _keeps(node, rules) or recent.get(node.name, "")
        if not reason and count >= limit:
            reason = LATER
        if not reason and not all(pod.movable for pod in pods):
            reason = FIXED
        if not reason and not budgets.can_remove(pods).any:
            reason = GUARDED
        if not reason:
            places = room.seat(pods, without=(index,), keep=True)
            if -1 in places:
                reason = FULL
            else:
                reason = UNNEEDED
                count += 1
                room.close(index)
                budgets.remove(pods)
                for pod, place in zip(pods, places, strict=True):
                    moving[place].append(pod)
        found[node.name] = reason
    return found


def candidates_limit(known: int, rules: ScaleDownRules, interval: float) -> int:
    """Unneeded nodes after which a look finds no more: twice what can go at once beyond those known.

    Never more than can go within the time that they must be unneeded, and one round.

    Args:
        known: unneeded nodes at the last look.
        rules: flags.
        interval: seconds between two looks.
    """
    once = rules.most_at_once
    rounds = int(max(rules.unneeded, interval) / interval)
    return min(known + 2 * once, once * rounds + once)


def _keeps(node: Node, rules: ScaleDownRules) -> str:
    """Why a node is no candidate; nothing if it is."""
    if node.protected:
        return PROTECTED
    gpu = node.allocatable.get("gpu", 0.0) > 0
    threshold = rules.gpu_threshold if gpu else rules.threshold
    used = utilisation(node, ignore_daemons=rules.ignore_daemons)
    return BUSY if node.ready and used >= threshold else ""


def _free(node: Node) -> dict[str, float]:
    free = dict(node.allocatable)
    for pod in node.pods:
        take(pod, free)
    return free


def crop(
    empty: Sequence[str],
    drained: Sequence[str],
    rules: ScaleDownRules,
    *,
    empty_going: int = 0,
    drained_going: int = 0,
) -> tuple[list[str], list[str]]:
    """The empty nodes and those with pods of which removal may begin, given those on their way out.

    Empty ones come first; both share `most_at_once`, and those with pods have `most_drained` besides.
    """
    budget = max(0, rules.most_at_once - empty_going - drained_going)
    first = list(empty[:budget])
    left = min(budget - len(first), rules.most_drained - drained_going)
    return first, list(drained[: max(0, left)])


def _risky_last(nodes: Sequence[Node]) -> list[str]:
    """Names, those last whose pods can only be evicted one after the other."""
    budgets = Remaining()
    safe: list[str] = []
    risky: list[str] = []
    for node in nodes:
        pods = node.moving()
        (safe if budgets.can_remove(pods).at_once else risky).append(node.name)
        budgets.remove(pods)
    return safe + risky


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
    _resting: dict[str, tuple[float, str]] = field(default_factory=dict)

    def look(self, nodes: Sequence[Node], now: float, interval: float) -> dict[str, str]:
        """Why each node is kept, or that it is unneeded, given what was found at earlier looks.

        Args:
            nodes: those that run.
            now: moment (s).
            interval: seconds between two looks.
        """
        self._resting = {name: rest for name, rest in self._resting.items() if now < rest[0]}
        recent = {name: reason for name, (_, reason) in self._resting.items()}
        limit = candidates_limit(len(self.since), self.rules, interval)
        found = verdicts(nodes, self.rules, known=self.since, recent=recent, limit=limit)
        for name, reason in found.items():
            if reason in (FIXED, FULL, GUARDED) and name not in recent:
                self._resting[name] = (now + self.rules.recheck, reason)
        return found

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
        """Nodes to remove now: empty ones, then few with pods; never below a group's minimum.

        Args:
            nodes: those that run, those on their way out included.
            groups: the node groups by name.
            now: s.
            names: the unneeded nodes, where they are known already.
        """
        names = unneeded(nodes, self.rules) if names is None else names
        self.update(names, now)
        if self.cooling(now):
            return []
        by_name = {node.name: node for node in nodes}
        names = _risky_last([by_name[name] for name in names])
        going = [node for node in nodes if node.going]
        leaving = Counter(node.group for node in going)
        left = {name: group.size - group.minimum - leaving[name] for name, group in groups.items()}
        empty: list[str] = []
        drained: list[str] = []
        for name in names:
            node = by_name[name]
            wait = self.rules.unneeded if node.ready else self.rules.unready
            if not self.since[name] + wait < now or left.get(node.group, 0) <= 0:
                continue
            left[node.group] -= 1
            (drained if node.moving() else empty).append(name)
        busy = sum(bool(node.moving()) for node in going)
        first, then = crop(empty, drained, self.rules, empty_going=len(going) - busy, drained_going=busy)
        return first + then
