"""What happens behind a group that does not fit: `hold(head, scheduler)`.

The scheduler asks once a pass, for the first group in the queue that does not fit. The answer is a
gate that later groups must pass, or None: then nothing behind it starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Annotated, ClassVar, Protocol

import numpy as np
from annotated_types import Ge

from sim.paas.policies.filters import Mask
from sim.paas.units import Group, Knows, Unit
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Gate
    from sim.paas.scheduler import Scheduler


class Discipline(Protocol):
    """What the scheduler needs of a discipline; `overtaking`: a later group may start before the head."""

    overtaking: ClassVar[bool]

    def hold(self, head: Group, scheduler: Scheduler) -> Gate | None:
        """What the groups behind `head` must respect while it waits."""
        ...


class Open:
    """A gate that lets everything pass: the waiting group has no claim."""

    until = inf
    open = True

    def mask(self, unit: Unit) -> Mask:
        """Never asked, since all groups end by `until`."""
        return np.ones(1, dtype=np.bool_)

    def take(self, unit: Unit, node: int) -> None:
        """Nothing to keep."""

    def undo(self, times: int) -> None:
        """Nothing to forget."""

    def ends_by(self, group: Group, now: float) -> bool:
        """Always."""
        return True

    def keeps(self, group: Group, places: Sequence[int], now: float) -> bool:
        """Always."""
        return True


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


@policy("discipline", "conservative")
class Conservative:
    """Conservative backfilling: every group that waits is promised a start, and nobody may delay it.

    In order of the queue each group gets the first hole it fits into by the ends of what runs and of
    what was promised before; a later group may start now only if that moves no promise (Mu'alem and
    Feitelson 2001). The plan is made anew whenever something comes or ends. `depth` groups are
    promised a start; behind them a group starts only where it is in nobody's way. With
    `knows: truth` it is told the true running times instead of those stated, as no real system is.
    """

    knows: Knows = "estimate"
    depth: Annotated[int, Ge(1)] = 1000

    overtaking: ClassVar[bool] = True

    @property
    def clairvoyant(self) -> bool:
        """Whether it looks at the truth."""
        return self.knows == "truth"

    def hold(self, head: Group, scheduler: Scheduler) -> Gate | None:
        """A plan with the head's start in it."""
        return scheduler.plan(self.knows, self.depth)


@policy("discipline", "easy")
class Easy:
    """EASY backfilling: later groups may start if they do not delay the first that waits.

    The head gets a reservation at the first moment it fits by the estimates of what runs; a later
    group starts if it ends by then or leaves enough for the head (Lifka 1995; Mu'alem and
    Feitelson 2001). With `knows: truth` it is told the true running times instead, as no real
    system is.
    """

    knows: Knows = "estimate"

    overtaking: ClassVar[bool] = True

    @property
    def clairvoyant(self) -> bool:
        """Whether it looks at the truth."""
        return self.knows == "truth"

    def hold(self, head: Group, scheduler: Scheduler) -> Gate | None:
        """The head's reservation."""
        return scheduler.reserve(head, self.knows)
