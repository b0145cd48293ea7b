"""What a learning autoscaler is paid: the costs of waiting, of idle replicas and of changes."""

from __future__ import annotations

from dataclasses import dataclass

from sim.paas.policies.autoscalers.base import Observation
from sim.units import Number, PositiveSeconds


@dataclass
class Reward:
    """Minus a weighted sum of three costs, each look; as in Rossi (2020), with waits instead of latencies.

    slow: weight of waiting: the wait of the backlog over `patience`, at most 1.
    idle: weight of replicas beyond those busy: their number over that of the busy ones, at most 2.
    churn: weight of a change of the number of replicas, in steps.
    patience: seconds of wait that count as a failure.
    """

    slow: Number = 1.0
    idle: Number = 0.3
    churn: Number = 0.01
    patience: PositiveSeconds = 10.0

    def of(self, seen: Observation, steps: int) -> float:
        """The reward of the time since the last look.

        Args:
            seen: what the action before led to.
            steps: size of that action.
        """
        wait = seen.queued / (seen.capacity * max(1, seen.ready))
        busy = max(seen.rate / seen.capacity, 1.0)
        excess = min(2.0, max(0.0, seen.wanted / busy - 1.0))
        return -(self.slow * min(1.0, wait / self.patience) + self.idle * excess + self.churn * abs(steps))
