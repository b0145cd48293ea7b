"""Bounds by the time of day and the day of the week.

Windows follow AIBrix's daily schedules (vllm-project/aibrix, read mid-2026): the end is exclusive
and no window crosses midnight; a window for the night is written as two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from sim.units import Seconds

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 86400.0


@dataclass
class Window:
    """Replicas allowed between two times of day; the run begins at midnight before Monday.

    Without `max` the service's own maximum holds. `days` unless given: all.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    start: Seconds
    end: Seconds
    min: Annotated[int, Ge(0)]
    max: Annotated[int, Ge(0)] | None = None
    days: list[Day] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= _DAY:
            raise ValueError("a window needs start < end within one day: write one over midnight as two")
        if self.max is not None and self.max < self.min:
            raise ValueError("max is below min")

    def holds(self, moment: float) -> bool:
        """Whether a moment (s since Monday 0:00) lies in it."""
        day = DAYS[int(moment // _DAY) % 7]
        return (self.days is None or day in self.days) and self.start <= moment % _DAY < self.end


def bounds(windows: Sequence[Window], moment: float, minimum: int, maximum: int) -> tuple[int, int]:
    """(fewest, most) replicas at a moment.

    Args:
        windows: where several hold, the largest minimum and the smallest maximum count.
        moment: seconds since Monday 0:00.
        minimum: where no window holds.
        maximum: where no window holds, or those that do state none.
    """
    active = [window for window in windows if window.holds(moment)]
    if not active:
        return minimum, maximum
    low = max(window.min for window in active)
    high = min([maximum, *(window.max for window in active if window.max is not None)])
    return min(low, high), high
