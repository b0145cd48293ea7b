"""Recommenders: from the value of a signal to a number of replicas, with no memory of earlier ones.

A recommender is a policy with `recommend(value, observation)`; the autoscaler `composed` hands it the
signal, or its forecast, for the service as a whole.
"""

from __future__ import annotations

import math
from typing import Annotated, Protocol

from annotated_types import Gt

from sim.paas.policies.autoscalers.base import Observation
from sim.registry import policy
from sim.units import Fraction


class Recommender(Protocol):
    """What `composed` asks of a recommender."""

    def recommend(self, value: float, observation: Observation) -> int:
        """Replicas for a value of the signal."""


@policy("recommender", "target")
class Target:
    """So many replicas that each has its target of the signal, rounded up.

    Within `tolerance` of the present number nothing changes.
    """

    per_replica: Annotated[float, Gt(0)] = 1.0
    tolerance: Fraction = 0.0

    def recommend(self, value: float, observation: Observation) -> int:
        """Replicas for a value of the signal."""
        wish = math.ceil(value / self.per_replica - 1e-9)
        current = observation.wanted
        if current > 0:
            ratio = value / (self.per_replica * current)
            if 1.0 - self.tolerance <= ratio <= 1.0 + self.tolerance:
                return current
        return wish


@policy("recommender", "capacity")
class Capacity:
    """So many replicas that a rate (calls/s) fills a share of what they can serve.

    What a replica can serve is told by the service's time model and the calls seen so far.
    """

    share: Annotated[Fraction, Gt(0)] = 0.7

    def recommend(self, value: float, observation: Observation) -> int:
        """Replicas for a value of the signal."""
        return math.ceil(value / (self.share * observation.capacity) - 1e-9)


@policy("recommender", "square-root")
class SquareRoot:
    """Square-root staffing: the load a in servers, and `beta` times its root as a reserve.

    Halfin and Whitt (1981): with a constant beta the probability to wait hardly depends on the load.
    The signal is a rate (calls/s); a server's capacity is that of a replica over its servers.
    """

    beta: Annotated[float, Gt(0)] = 1.0

    def recommend(self, value: float, observation: Observation) -> int:
        """Replicas for a value of the signal."""
        servers = observation.servers_per_replica
        load = value * servers / observation.capacity
        return math.ceil((load + self.beta * math.sqrt(load)) / servers - 1e-9)
