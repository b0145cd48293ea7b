"""KEDA's ScaledJob: how many jobs to start for a queue.

Source: kedacore/keda pkg/scaling/executor/scale_jobs.go, read mid-2026.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Strategy = Literal["default", "custom", "accurate", "eager"]
#: How several triggers are taken together.
Calculation = Literal["max", "min", "avg", "sum"]


@dataclass(frozen=True)
class ScaledJob:
    """Fields of a ScaledJob.

    Attributes:
        maximum: `maxReplicaCount`.
        minimum: `minReplicaCount`: jobs that always run.
        strategy: how running and pending jobs are taken off.
        deduction: of strategy `custom`: messages that need no job.
        running_share: of strategy `custom`: share of the running jobs that is taken off.
        activation: the queue must be longer than this for any job to start, unless some always run.
    """

    maximum: int = 100
    minimum: int = 0
    strategy: Strategy = "default"
    deduction: int = 0
    running_share: float = 0.0
    activation: float = 0.0


class Measured(NamedTuple):
    """What one trigger measures, or all of them together.

    Attributes:
        queue: length of its queue.
        most: jobs for it, not rounded.
        active: whether it is above its activation threshold.
    """

    queue: float
    most: float
    active: bool


def together(
    triggers: Sequence[Measured], calculation: Calculation, *, minimum: int = 0, maximum: int = 100
) -> Measured:
    """Several triggers as one (`multipleScalersCalculation`); those that are not active do not count.

    The jobs are at most `maximum`; with a `minimum` above 0 it is always active. Source:
    pkg/scaling/scaledjob/scale_metrics.go.
    """
    active = [each for each in triggers if each.active]
    queue = most = 0.0
    if active and calculation in ("min", "max"):
        # The first trigger with a shortest (longest) queue; a longest one of 0 counts as nothing.
        chosen = (min if calculation == "min" else max)(active, key=lambda each: each.queue)
        if calculation == "min" or chosen.queue > 0:
            queue, most = chosen.queue, chosen.most
        else:
            active = []
    elif active:
        parts = len(active) if calculation == "avg" else 1
        queue = sum(each.queue for each in active) / parts
        most = sum(each.most for each in active) / parts
    return Measured(queue, min(most, float(maximum)), bool(active) or minimum > 0)


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
    if queue <= scaled.activation and scaled.minimum == 0:
        return 0
    most = max_scale(queue, target, scaled.maximum)
    asked = scaled.maximum if scaled.strategy == "eager" else math.ceil(queue)
    return max(0, min(asked, effective_max(scaled, most, running - scaled.minimum, pending)))
