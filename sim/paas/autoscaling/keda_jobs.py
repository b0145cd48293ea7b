"""KEDA's ScaledJob: how many jobs to start for a queue.

Source: kedacore/keda pkg/scaling/executor/scale_jobs.go, read mid-2026.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Strategy = Literal["default", "custom", "accurate", "eager"]


@dataclass(frozen=True)
class ScaledJob:
    """Fields of a ScaledJob.

    Attributes:
        maximum: `maxReplicaCount`.
        minimum: `minReplicaCount`: jobs that always run.
        strategy: how running and pending jobs are taken off.
        deduction: of strategy `custom`: messages that need no job.
        running_share: of strategy `custom`: share of the running jobs that is taken off.
    """

    maximum: int = 100
    minimum: int = 0
    strategy: Strategy = "default"
    deduction: int = 0
    running_share: float = 0.0


def max_scale(queue: float, target: float, maximum: int) -> int:
    """Jobs for a queue: `ceil(queue / target)`, at most `maximum`."""
    return min(maximum, math.ceil(queue / target))


def effective_max(scaled: ScaledJob, most: int, running: int, pending: int) -> int:
    """Jobs that the strategy allows to start; may be negative.

    Args:
        scaled: the ScaledJob.
        most: result of `max_scale`.
        running: jobs that have not finished, pending ones included.
        pending: those of them without a running pod.
    """
    if scaled.strategy == "custom":
        return min(most - scaled.deduction - int(running * scaled.running_share), scaled.maximum)
    if scaled.strategy == "accurate":
        if most + running - pending > scaled.maximum:
            return scaled.maximum - running
        return most - pending
    if scaled.strategy == "eager":
        return min(scaled.maximum - running - pending, most)
    return most - running


def jobs_to_start(scaled: ScaledJob, queue: float, target: float, running: int, pending: int) -> int:
    """Jobs to start at one look.

    Args:
        scaled: the ScaledJob.
        queue: length of the queue.
        target: messages per job.
        running: jobs that have not finished.
        pending: those of them without a running pod.
    """
    if running < scaled.minimum:
        return scaled.minimum - running
    if queue <= 0:
        return 0
    most = max_scale(queue, target, scaled.maximum)
    return max(0, min(most, effective_max(scaled, most, running - scaled.minimum, pending)))
