"""A number of replicas that does not follow the load."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from sim.paas.policies.autoscalers.base import Observation
from sim.registry import policy
from sim.units import PositiveSeconds


@policy("autoscaler", "fixed")
class Fixed:
    """Keep the number of replicas the service began with, or the number given."""

    replicas: Annotated[int, Ge(0)] | None = None
    period: PositiveSeconds = 60.0

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        return observation.wanted if self.replicas is None else self.replicas
