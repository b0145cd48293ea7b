"""The Kubernetes cluster autoscaler, upwards: which group grows, by how much, and when it rests.

Source: kubernetes/autoscaler cluster-autoscaler/core/ and utils/backoff/, tag
cluster-autoscaler-1.36.1; defaults of its flags. `scale_down` has the way down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sim.paas.autoscaling.expanders import Expander, Option
from sim.paas.autoscaling.packing import Pod, Template, equivalence_groups, fits, pack

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
