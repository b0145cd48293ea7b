"""Ray Serve's autoscaler on the signals of a simulated service."""

from __future__ import annotations

from math import nan
from typing import Annotated

from annotated_types import Gt

from sim.paas.autoscaling import ray_serve
from sim.paas.policies.autoscalers.base import Observation
from sim.paas.policies.autoscalers.trailing import Trailing
from sim.registry import policy
from sim.units import PositiveSeconds, Seconds


@policy("autoscaler", "ray-serve")
class RayServe:
    """Ray Serve: so many ongoing requests per replica, in replicas and in queues together.

    The requests are averaged over `look_back`. A wish in one direction must last `upscale_delay` or
    `downscale_delay` (from one to none `downscale_to_zero_delay`) without a flip. The factors take
    only a share of the way. From zero a call wakes the service at once. Ray's control loop runs ten
    times a second; `period` is coarser, which changes delays by less than one period.
    """

    target_ongoing_requests: Annotated[float, Gt(0)] = 2.0
    upscale_delay: Seconds = 30.0
    downscale_delay: Seconds = 600.0
    downscale_to_zero_delay: Seconds | None = None
    upscaling_factor: Annotated[float, Gt(0)] = 1.0
    downscaling_factor: Annotated[float, Gt(0)] = 1.0
    look_back: PositiveSeconds = 30.0
    period: PositiveSeconds = 5.0

    signal = nan
    recommended = -1
    reason = ""

    def __post_init__(self) -> None:
        self._ongoing = Trailing(self.look_back)
        self._delay = ray_serve.Delay()

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        self.signal = self._ongoing.add(now, observation.in_system, self.period)
        config = ray_serve.AutoscalingConfig(
            self.target_ongoing_requests,
            observation.minimum,
            observation.maximum,
            self.upscale_delay,
            self.downscale_delay,
            self.downscale_to_zero_delay,
            self.upscaling_factor,
            self.downscaling_factor,
        )
        target = observation.wanted
        scaler = ray_serve.Autoscaler(config, self._delay, target)
        replicas = scaler.decide(self.signal, observation.ready, target, now)
        self.recommended = scaler.wish
        self.reason = ""
        if replicas != scaler.wish:
            held = replicas == target and self._delay.direction
            over = "maximum" if replicas < scaler.wish else "minimum"
            if replicas == 1 > max(scaler.wish, observation.minimum):
                over = "one-before-zero"
            self.reason = "delay" if held else over
        return replicas
