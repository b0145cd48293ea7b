"""Rules of thumb: a queue to work off, steps by alarm, a timetable."""

from __future__ import annotations

import math
from math import inf, nan
from typing import Annotated

from annotated_types import Gt, Len

from sim.paas.autoscaling.scheduled import Window, bounds
from sim.paas.autoscaling.steps import Adjustment, Step, adjusted, step_for
from sim.paas.policies.autoscalers.base import Observation
from sim.paas.policies.autoscalers.signals import Signal, read
from sim.registry import policy
from sim.units import PositiveSeconds, Seconds


@policy("autoscaler", "queue-length")
class QueueLength:
    """The replicas at work, and one more per `backlog` calls that wait.

    After a change downwards the next one waits `cooldown` seconds.
    """

    backlog: Annotated[float, Gt(0)] = 10.0
    cooldown: Seconds = 300.0
    period: PositiveSeconds = 15.0

    signal = nan
    recommended = -1
    reason = ""

    def __post_init__(self) -> None:
        self._fell = -inf

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        self.signal = float(observation.queued)
        at_work = math.ceil(observation.utilisation * observation.ready - 1e-9)
        wish = at_work + math.ceil(observation.queued / self.backlog)
        self.recommended, self.reason = wish, ""
        if wish >= observation.wanted:
            return wish
        if now - self._fell < self.cooldown:
            self.reason = "cooldown"
            return observation.wanted
        self._fell = now
        return wish


@policy("autoscaler", "steps")
class Steps:
    """Step scaling as in Amazon EC2 Auto Scaling: the interval a signal lies in decides the change.

    The signal is per ready replica unless `whole`: the mean busy share, the calls, the queue or the
    rate of one. The first step whose `lower <= value < upper` counts. After a change the next one in
    the same direction waits `cooldown` seconds.
    """

    steps: Annotated[list[Step], Len(1)]
    signal_of: Signal = "utilisation"
    whole: bool = False
    adjustment: Adjustment = "change"
    least: int = 1
    cooldown: Seconds = 60.0
    period: PositiveSeconds = 60.0

    signal = nan
    recommended = -1
    reason = ""

    def __post_init__(self) -> None:
        self._changed = {1: -inf, -1: -inf}

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        current = observation.wanted
        value = read(self.signal_of, observation)
        self.signal = value if self.whole else value / max(1, observation.ready)
        step = step_for(self.signal, self.steps)
        wish = current if step is None else adjusted(current, step, self.adjustment, self.least)
        self.recommended, self.reason = wish, ""
        if wish == current:
            return current
        direction = 1 if wish > current else -1
        if now - self._changed[direction] < self.cooldown:
            self.reason = "cooldown"
            return current
        self._changed[direction] = now
        return wish


@policy("autoscaler", "scheduled")
class Scheduled:
    """A number of replicas by the time of day and the day of the week.

    Each window states `min` (and `max`): there are as many as its minimum; `otherwise` outside of all
    windows (the service's minimum unless given). The run begins at `begins` after Monday 0:00.
    """

    windows: Annotated[list[Window], Len(1)]
    otherwise: int | None = None
    begins: Seconds = 0.0
    period: PositiveSeconds = 15.0

    signal = nan

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        least = observation.minimum if self.otherwise is None else self.otherwise
        low, _ = bounds(self.windows, self.begins + now, least, observation.maximum)
        self.signal = float(low)
        return low
