"""Replicas for the load that will come: the bound that no forecast can beat."""

from __future__ import annotations

import math
from math import nan
from typing import Annotated

import numpy as np
from annotated_types import Gt

from sim.errors import StratusError
from sim.paas.policies.autoscalers.base import Observation, Surroundings
from sim.paas.policies.autoscalers.foresight import horizon, replicas
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds


@policy("autoscaler", "oracle")
class Oracle:
    """Knows all arrivals of the run: what `predictive` would do if its forecasts were true.

    A bound, not a choice. replicas = ceil(rate / (target x calls per second of one replica)), where
    rate is the largest that comes in any bin of `bin` seconds until a replica asked for at the next
    look would be ready. The arrivals are drawn a second time from the streams of the same names. It
    does not know how long each call will take, nor how long a start will.
    """

    target: Annotated[Fraction, Gt(0)] = 0.7
    bin: PositiveSeconds = 60.0
    period: PositiveSeconds = 15.0

    #: Nobody has it: studies show it and never choose it.
    bound = True
    signal = nan
    predicted = nan
    recommended = -1
    reason = ""

    def start(self, surroundings: Surroundings) -> None:
        """Look into the future."""
        if surroundings.arrivals is None:
            raise StratusError("autoscaler oracle: nobody can tell it what will come")
        self._rates = surroundings.arrivals(self.bin)

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        capacity = observation.capacity * self.target
        if not capacity > 0:
            raise StratusError("autoscaler oracle: the service's time model gives no capacity")
        first = math.floor(now / self.bin)
        last = math.ceil(horizon(observation, now, self.period) / self.bin)
        self.signal = observation.rate
        self.predicted = float(np.max(self._rates[first:last], initial=0.0))
        self.recommended = replicas(self.predicted, capacity)
        return self.recommended
