"""What a learning autoscaler is paid: minus the cost of replicas, of calls that are late, and of changes."""

from __future__ import annotations

from dataclasses import dataclass

from sim.paas.policies.autoscalers.base import Observation
from sim.units import Number, PositiveSeconds


@dataclass
class Reward:
    """Minus the cost of the time since the last look, in hours of a replica, without a ceiling.

    An hour of a replica costs 1; those that the calls themselves need are the same whoever decides and
    are left out. A call that comes while the backlog needs longer than `patience` will be late; one that
    comes while it needs less than half of that will not; in between its chance rises in a straight line.
    No autoscaler sees in time how late calls really are.

    late: cost of a call that is late, in hours of a replica: what one violation is worth.
    churn: cost of a step.
    patience: seconds of wait that make a call late.
    """

    late: Number = 0.05
    churn: Number = 0.0
    patience: PositiveSeconds = 10.0

    def of(self, seen: Observation, steps: int, span: float) -> float:
        """The reward of the time since the last look.

        Args:
            seen: what the action before led to.
            steps: size of that action.
            span: seconds between the looks.
        """
        wait = seen.queued / (seen.capacity * max(1, seen.ready))
        share = min(1.0, max(0.0, 2.0 * wait / self.patience - 1.0))
        hours = (seen.wanted - seen.rate / seen.capacity) * span / 3600.0
        return -(hours + self.late * share * seen.rate * span + self.churn * abs(steps))
