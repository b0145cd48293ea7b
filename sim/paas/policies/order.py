"""In which order the queue is tried: `key(group, now)`, smaller first; ties go by submission, then id.

An order whose keys drift against each other as time passes says so with `time_dependent`: then
the scheduler computes all keys anew before a pass, otherwise once per group.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from sim.paas.units import Group, Knows
from sim.registry import policy
from sim.units import PerSecond

_FOREVER = float("inf")


class Order(Protocol):
    """What the scheduler needs of an order."""

    time_dependent: ClassVar[bool]

    def key(self, group: Group, now: float) -> float:
        """Place of a group in the queue; smaller is tried earlier."""
        ...


def _length(group: Group, knows: Knows) -> float:
    if knows == "truth":
        return group.length if group.length == group.length else _FOREVER
    return _FOREVER if group.stated is None else group.stated


def _estimate(group: Group) -> float:
    return _FOREVER if group.estimate is None else group.estimate


@policy("order", "fifo")
class Fifo:
    """First come, first served: by the moment of submission."""

    time_dependent: ClassVar[bool] = False

    def key(self, group: Group, now: float) -> float:
        """Seconds at which the group was submitted."""
        return group.submitted


@policy("order", "sjf")
class ShortestFirst:
    """Shortest job first, by the running time its user stated; what runs for ever comes last.

    Knows estimates, or with `knows: truth` the true running times. Least mean waiting time on one
    server (Smith 1956), at the risk of starving long jobs.
    """

    knows: Knows = "estimate"

    time_dependent: ClassVar[bool] = False

    @property
    def clairvoyant(self) -> bool:
        """Whether it looks at the truth."""
        return self.knows == "truth"

    def key(self, group: Group, now: float) -> float:
        """Seconds the group is stated to run."""
        return _length(group, self.knows)


@policy("order", "ljf")
class LongestFirst:
    """Longest job first, by the running time its user stated; what runs for ever comes first."""

    knows: Knows = "estimate"

    time_dependent: ClassVar[bool] = False

    @property
    def clairvoyant(self) -> bool:
        """Whether it looks at the truth."""
        return self.knows == "truth"

    def key(self, group: Group, now: float) -> float:
        """Seconds the group is stated to run, negated."""
        return -_length(group, self.knows)


@policy("order", "smallest-first")
class SmallestFirst:
    """The gang with the fewest workers first."""

    time_dependent: ClassVar[bool] = False

    def key(self, group: Group, now: float) -> float:
        """Number of units."""
        return float(len(group.units))


@policy("order", "priority")
class ByPriority:
    """Highest priority first (Kubernetes PrioritySort); waiting may raise it.

    With `ageing` a group gains that much priority per second in the queue. All grow alike, so
    the order between two groups never changes and keys stay fixed.
    """

    ageing: PerSecond = 0.0

    time_dependent: ClassVar[bool] = False

    def key(self, group: Group, now: float) -> float:
        """Negated priority, less the head start of having come earlier."""
        return self.ageing * group.submitted - group.priority


@policy("order", "edf")
class EarliestDeadline:
    """Earliest deadline first (Liu and Layland 1973); what has no deadline comes last."""

    time_dependent: ClassVar[bool] = False

    def key(self, group: Group, now: float) -> float:
        """Seconds at which the group should be done."""
        return group.deadline


@policy("order", "response-ratio")
class ResponseRatio:
    """Highest response ratio next: (waited + running time) / running time, as stated for the work left.

    Short jobs first, but no job waits for ever (Brinch Hansen 1971).
    """

    time_dependent: ClassVar[bool] = True

    def key(self, group: Group, now: float) -> float:
        """The ratio, negated."""
        estimate = max(_estimate(group), 1e-9)
        return -(1.0 + (now - group.submitted) / estimate)
