"""Lepton's autoscaling on the signals of a simulated service."""

from __future__ import annotations

from math import nan
from typing import Annotated

from annotated_types import Gt

from sim.paas.autoscaling import lepton
from sim.paas.policies.autoscalers.base import Observation
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds


@policy("autoscaler", "lepton")
class Lepton:
    """Lepton AI / DGX Cloud Lepton: requests a minute per replica, or GPU utilisation, or no traffic.

    At most one of `per_minute` (requests that a replica should take) and `utilisation` (busy share of
    its servers) may be given; with neither the number stays. After `no_traffic_timeout` without a
    call (0: never) it goes to zero where the minimum of the service is zero; nothing but a person
    brings it back, so calls wait until their time-out.
    """

    per_minute: Annotated[float, Gt(0)] | None = None
    utilisation: Annotated[Fraction, Gt(0)] | None = None
    no_traffic_timeout: Seconds = lepton.NO_TRAFFIC_TIMEOUT
    period: PositiveSeconds = 15.0

    signal = nan
    reason = ""
    wakes = False

    def __post_init__(self) -> None:
        if self.per_minute is not None and self.utilisation is not None:
            raise ValueError("give either `per_minute` or `utilisation`, not both")
        self._idle = lepton.NoTraffic(self.no_traffic_timeout)

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        self.reason = ""
        current = observation.wanted
        traffic = observation.rate + observation.in_system
        if self._idle.expired(traffic, now) and observation.minimum == 0:
            self.reason = "no-traffic"
            return 0
        if current == 0:
            self.reason = "stays-at-zero"
            return 0
        if self.per_minute is not None:
            self.signal = 60.0 * observation.rate
            return max(1, lepton.by_throughput(observation.rate, self.per_minute))
        if self.utilisation is not None:
            self.signal = observation.utilisation
            if observation.ready == 0:
                return current
            wish = lepton.by_gpu_utilisation(observation.ready, self.signal, self.utilisation)
            return max(1, wish)
        return current
