"""Lepton AI (DGX Cloud Lepton): a load per replica, or a GPU utilisation, and none without traffic.

Source: leptonai CLI and API models (autoscaler: `scale_down`, `target_gpu_utilization_percentage`,
`target_throughput.qpm`), read mid-2026. The controller itself is not published: that it tracks its
target proportionally and without tolerance is our reading of the documentation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Seconds without traffic before the default deployment goes to zero.
NO_TRAFFIC_TIMEOUT = 3600.0


def by_throughput(rate: float, per_minute: float) -> int:
    """Replicas for a rate (requests/s) at so many requests a minute each."""
    return _ceil(rate * 60.0 / per_minute)


def by_gpu_utilisation(current: int, utilisation: float, target: float) -> int:
    """Replicas at which the mean GPU utilisation (0 to 1) meets the target (0 to 1)."""
    return _ceil(current * utilisation / target)


def _ceil(value: float) -> int:
    """A hair more than a whole number, from rounding, does not cost another replica."""
    return math.ceil(value - 1e-9)


@dataclass
class NoTraffic:
    """Zero replicas after a time without requests; only a person brings it back.

    Attributes:
        timeout: seconds; 0 never goes to zero.
        last: moment of the last request seen (s).
    """

    timeout: float = NO_TRAFFIC_TIMEOUT
    last: float = 0.0

    def expired(self, requests: float, now: float) -> bool:
        """Whether there has been no traffic for the time-out.

        Args:
            requests: seen since the last look, or still in the system.
            now: moment (s).
        """
        if requests > 0:
            self.last = now
        return self.timeout > 0 and now - self.last >= self.timeout
