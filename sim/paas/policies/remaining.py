"""Orders by what is left of a job: made for preemption, fine without."""

from __future__ import annotations

from typing import ClassVar

from sim.paas.units import Group, Knows
from sim.registry import policy


def _left(group: Group, knows: Knows, now: float) -> float:
    return group.remaining_true(now) if knows == "truth" else group.remaining(now)


@policy("order", "srtf")
class ShortestRemainingTime:
    """The job with the least running time left first; with `preemption: on-event` the classic SRTF.

    Least mean time in the system on one server (Schrage 1968). Left is what the user stated less the
    progress made, or with `knows: truth` what is really left, as no real system can tell.
    """

    knows: Knows = "estimate"

    time_dependent: ClassVar[bool] = False

    @property
    def clairvoyant(self) -> bool:
        """Whether it looks at the truth."""
        return self.knows == "truth"

    def key(self, group: Group, now: float) -> float:
        """Seconds of work left."""
        return _left(group, self.knows, now)


@policy("order", "srsf")
class SmallestRemainingService:
    """The job with the least service left first: running time left x accelerators (Tiresias, NSDI 2019).

    Left is what the user stated less the progress made, or with `knows: truth` what is really left.
    """

    knows: Knows = "estimate"

    time_dependent: ClassVar[bool] = False

    @property
    def clairvoyant(self) -> bool:
        """Whether it looks at the truth."""
        return self.knows == "truth"

    def key(self, group: Group, now: float) -> float:
        """Accelerator seconds of work left."""
        return _left(group, self.knows, now) * group.size
