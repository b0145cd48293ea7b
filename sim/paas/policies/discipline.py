"""What happens behind a group that does not fit: `hold(head, scheduler)`.

The scheduler asks once a pass, for the first group in the queue that does not fit. The answer is a
gate that later groups must pass, or None: then nothing behind it starts.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from sim.paas.policies.filters import Mask
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Gate
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Group, Unit


class Discipline(Protocol):
    """What the scheduler needs of a discipline; `overtaking`: a later group may start before the head."""

    overtaking: ClassVar[bool]

    def hold(self, head: Group, scheduler: Scheduler) -> Gate | None:
        """What the groups behind `head` must respect while it waits."""
        ...


class Open:
    """A gate that lets everything pass: the waiting group has no claim."""

    until = inf

    def mask(self, unit: Unit) -> Mask:
        """Never asked, since all groups end by `until`."""
        return np.ones(1, dtype=np.bool_)

    def take(self, unit: Unit, node: int) -> None:
        """Nothing to keep."""

    def undo(self, times: int) -> None:
        """Nothing to forget."""


@policy("discipline", "strict")
class Strict:
    """Nothing overtakes: the first group that does not fit blocks all behind it.

    No job starves, but nodes stand idle while the head waits (Kueue StrictFIFO).
    """

    overtaking: ClassVar[bool] = False

    def hold(self, head: Group, scheduler: Scheduler) -> Gate | None:
        """None: the pass ends."""
        return None


@policy("discipline", "skip")
class Skip:
    """What does not fit is passed over and the next in order is tried, without any reservation.

    Fills the nodes, but large gangs may starve (Kueue BestEffortFIFO, Volcano allocate).
    """

    overtaking: ClassVar[bool] = True

    def hold(self, head: Group, scheduler: Scheduler) -> Gate | None:
        """A gate that is open to all."""
        return Open()


@policy("discipline", "easy")
class Easy:
    """EASY backfilling: later groups may start if they do not delay the first that waits.

    The head gets a reservation at the first moment it fits by the estimates of what runs; a later
    group starts if it ends by then or leaves enough for the head (Lifka 1995; Mu'alem and
    Feitelson 2001). Knows estimates only.
    """

    overtaking: ClassVar[bool] = True

    def hold(self, head: Group, scheduler: Scheduler) -> Gate | None:
        """The head's reservation."""
        return scheduler.reserve(head)
