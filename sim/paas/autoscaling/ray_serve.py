"""Ray Serve: replicas for ongoing requests, smoothed by factors and held back by delays.

Source: ray python/ray/serve/autoscaling_policy.py, config.py and _private/autoscaling_state.py, read
mid-2026 (delays by elapsed time; older versions count rounds of the control loop).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Slack of a delay, against rounding of clock differences (s).
SLACK = 1e-6


@dataclass(frozen=True)
class AutoscalingConfig:
    """Ray Serve's `autoscaling_config`.

    Attributes:
        target_ongoing_requests: wished per replica.
        min_replicas: fewest.
        max_replicas: most.
        upscale_delay: seconds that a wish for more must last.
        downscale_delay: seconds that a wish for less must last.
        downscale_to_zero_delay: the same from one to none; None: as `downscale_delay`.
        upscaling_factor: share of the difference that is added.
        downscaling_factor: share of the difference that is removed.
        target_capacity: per cent of the bounds that apply during a rolling change; None for all.
    """

    target_ongoing_requests: float = 2.0
    min_replicas: int = 1
    max_replicas: int = 1
    upscale_delay: float = 30.0
    downscale_delay: float = 600.0
    downscale_to_zero_delay: float | None = None
    upscaling_factor: float = 1.0
    downscaling_factor: float = 1.0
    target_capacity: float | None = None

    def bounds(self) -> tuple[int, int]:
        """(fewest, most) after the target capacity."""
        return (
            at_capacity(self.min_replicas, self.target_capacity),
            at_capacity(self.max_replicas, self.target_capacity),
        )


def at_capacity(replicas: int, percent: float | None) -> int:
    """Replicas at a target capacity: half up, at least one unless there are none."""
    if percent is None or percent == 100 or replicas == 0:
        return replicas
    if percent == 0:
        return 0
    return max(1, math.floor(replicas * percent / 100 + 0.5))


def desired(total_requests: float, current: int, config: AutoscalingConfig) -> float:
    """Replicas at which each has its target, not rounded."""
    return current * (total_requests / (config.target_ongoing_requests * current))


def smoothed(wish: float, current: int, config: AutoscalingConfig) -> int:
    """A share of the way from `current` to the wish; a way down moves by one at least."""
    if current == 0:
        return math.ceil(wish)
    change = wish - current
    factor = config.upscaling_factor if change > 0 else config.downscaling_factor
    scaled = math.ceil(current + factor * change)
    if math.ceil(wish) < current and scaled == current:
        return scaled - 1
    return scaled


def gang_multiple(replicas: int, gang: int) -> int:
    """The next multiple of the gang's size."""
    return -(-replicas // gang) * gang


@dataclass
class Delay:
    """How long a decision in one direction has lasted.

    Attributes:
        direction: 1 up, -1 down, 0 none.
        since: moment of the first decision in that direction (s).
    """

    direction: int = 0
    since: float = 0.0

    def apply(self, wish: int, target: int, config: AutoscalingConfig, now: float) -> int:
        """The target after the delay.

        Args:
            wish: decision.
            target: replicas asked for at present.
            config: the delays.
            now: moment (s).
        """
        direction = (wish > target) - (wish < target)
        if direction != self.direction:
            self.direction, self.since = direction, now
        if direction == 0:
            return target
        delay = config.upscale_delay
        if direction < 0:
            delay = config.downscale_delay
            if target == 1:
                if config.downscale_to_zero_delay is not None:
                    delay = config.downscale_to_zero_delay
            else:
                # Zero is reached from one only.
                wish = max(1, wish)
        if now - self.since + SLACK >= delay:
            self.direction = 0
            return wish
        return target


@dataclass
class Autoscaler:
    """One deployment's autoscaler.

    Attributes:
        config: its settings.
        delay: its memory.
        wish: last decision before delays.
    """

    config: AutoscalingConfig
    delay: Delay
    wish: int = 0

    def decide(self, total_requests: float, running: int, target: int, now: float) -> int:
        """Replicas to ask for.

        Args:
            total_requests: running in replicas and queued at handles, time-weighted over the look-back.
            running: replicas that run.
            target: replicas asked for at present.
            now: moment (s).
        """
        config = self.config
        low, high = config.bounds()
        if running == 0:
            if total_requests > 0:
                self.wish = max(math.ceil(config.upscaling_factor), target)
            else:
                self.wish = target
            return max(low, min(high, self.wish))
        self.wish = smoothed(desired(total_requests, running, config), running, config)
        return max(low, min(high, self.delay.apply(max(0, self.wish), target, config, now)))
