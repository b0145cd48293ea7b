"""Service-level objectives: what latency was promised to which share of the requests.

A request counts as good if it completed within the latency. One that was rejected, failed or timed
out counts against the objective: dropping work must never make a service look better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class SLO:
    """A promise: the share `quantile` of all requests completes within `latency` seconds."""

    latency: float
    quantile: float = 0.99

    def __post_init__(self) -> None:
        if not self.latency > 0:
            raise ValueError(f"latency must be more than 0 s, got {self.latency!r}")
        if not 0 < self.quantile <= 1:
            raise ValueError(f"quantile must lie above 0 and at most at 1, got {self.quantile!r}")


def good(latencies: npt.NDArray[np.float64], latency: float) -> int:
    """How many completed requests took at most `latency` seconds; NaN (not completed) never counts."""
    return int(np.count_nonzero(latencies <= latency))


def attainment(latencies: npt.NDArray[np.float64], finished: int, latency: float) -> float:
    """Share of the finished requests that were good; NaN if none finished.

    Args:
        latencies: seconds from arrival to reply of those that completed.
        finished: how many completed, were rejected, failed or timed out.
        latency: the promise, in seconds.
    """
    if finished < len(latencies):
        raise ValueError(f"{len(latencies)} requests completed, but only {finished} finished")
    return good(latencies, latency) / finished if finished else float("nan")


def is_met(slo: SLO, latencies: npt.NDArray[np.float64], finished: int) -> bool:
    """Whether the promise was kept; with nothing to judge it was not broken."""
    return not finished or attainment(latencies, finished, slo.latency) >= slo.quantile
