"""Replicas that one metric of a HorizontalPodAutoscaler asks for.

Amounts are integers in thousandths, because the controller truncates: 80.9 % of a request counts as
80 %. Source: kubernetes/pkg/controller/podautoscaler/replica_calculator.go and
metrics/utilization.go, read in v1.20.2 and mid-2026; the newer rule where they differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sim.paas.autoscaling.hpa_pods import MetricError, Pod, Sample, group_pods, requested

#: More replicas or a larger metric than this are cut to it (Go's int32 and int64).
MOST_REPLICAS = 2**31 - 1
MOST_USAGE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far the ratio of measured to wished may be from 1 before anything is done; inclusive."""

    down: float = 0.1
    up: float = 0.1

    def holds(self, ratio: float) -> bool:
        """Whether the ratio counts as 1."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Proposal(NamedTuple):
    """What a metric asks for.

    Attributes:
        replicas: wished.
        usage: the metric as the controller reports it: mean per pod, or the total for a `value` target.
        utilisation: per cent of the requests; -1 for metrics without requests.
    """

    replicas: int
    usage: int
    utilisation: int = -1


# ------------------------------------------------------------ per pod


def by_utilisation(
    current: int,
    usage: int,
    requests: Sequence[int],
    target: int,
    *,
    unready: Sequence[int] = (),
    missing: Sequence[int] = (),
    tolerance: Tolerance = Tolerance(),
) -> int:
    """Replicas for a resource utilisation target.

    Args:
        current: replicas now asked for.
        usage: sum of usage over the pods that are ready and measured (thousandths).
        requests: what each of those pods requests (thousandths).
        target: wished usage in per cent of the requests, an integer.
        unready: requests of the pods not ready yet.
        missing: requests of the ready pods without a measurement.
        tolerance: band in which nothing changes.

    Raises:
        MetricError: nothing was measured, or nothing requested.
    """
    if not requests:
        raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
    ratio = _per_cent(usage, sum(requests)) / target
    pods = len(requests)
    starting = bool(unready) and ratio > 1.0
    if not starting and not missing:
        return current if tolerance.holds(ratio) else math.ceil(ratio * pods)
    filled, total = usage, sum(requests)
    if ratio < 1.0:
        filled += sum(request * max(100, target) // 100 for request in missing)
    if ratio != 1.0:
        total, pods = total + sum(missing), pods + len(missing)
    if starting:
        total, pods = total + sum(unready), pods + len(unready)
    return _cautious(current, ratio, _per_cent(filled, total) / target, pods, tolerance)


def by_value(
    current: int,
    total: int,
    pods: int,
    target: int,
    *,
    unready: int = 0,
    missing: int = 0,
    tolerance: Tolerance = Tolerance(),
) -> int:
    """Replicas for a mean value per pod.

    Args:
        current: replicas now asked for.
        total: sum of the metric over the pods that are ready and measured (thousandths).
        pods: number of those.
        target: wished mean per pod (thousandths).
        unready: pods not ready yet.
        missing: ready pods without a measurement.
        tolerance: band in which nothing changes.

    Raises:
        MetricError: nothing was measured.
    """
    if pods == 0:
        raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
    ratio = (total // pods) / target
    starting = unready > 0 and ratio > 1.0
    if not starting and not missing:
        return current if tolerance.holds(ratio) else math.ceil(ratio * pods)
    if ratio < 1.0:
        total += missing * target
    if ratio != 1.0:
        pods += missing
    if starting:
        pods += unready
    return _cautious(current, ratio, (total // pods) / target, pods, tolerance)


def _per_cent(usage: int, requests: int) -> int:
    if requests == 0:
        raise MetricError("no metrics returned matched known pods")
    return 100 * usage // requests


def _cautious(current: int, ratio: float, filled: float, pods: int, tolerance: Tolerance) -> int:
    """The ratio after filling in unknown pods must still point the same way, else nothing changes."""
    if tolerance.holds(filled) or (ratio < 1.0 < filled) or (filled < 1.0 < ratio):
        return current
    wished = math.ceil(filled * pods)
    against = wished > current if filled < 1.0 else wished < current
    return current if against else wished


def resource_utilisation(
    current: int,
    target: int,
    resource: str,
    samples: Mapping[str, Sample],
    pods: Sequence[Pod],
    now: float = 0.0,
    *,
    container: str = "",
    tolerance: Tolerance = Tolerance(),
    cpu_initialization: float = 300.0,
    readiness_delay: float = 30.0,
) -> Proposal:
    """A Resource or (with `container`) ContainerResource metric with `averageUtilization`.

    Args:
        current: replicas now asked for.
        target: per cent of the requests.
        resource: `cpu`, `memory`, ...
        samples: usage by name of the pod, of the container only if one is given.
        pods: those of the workload.
        now: moment (s).
        container: the one that counts; all unless given.
        tolerance: band in which nothing changes.
        cpu_initialization: seconds in which CPU samples of a start are doubted.
        readiness_delay: seconds in which unreadiness counts as that of a start.

    Raises:
        MetricError: no pods, no requests or no samples.
    """
    if not pods:
        raise MetricError("no pods returned by selector while calculating replica count")
    groups = group_pods(
        pods,
        samples,
        resource,
        now,
        cpu_initialization=cpu_initialization,
        readiness_delay=readiness_delay,
    )
    requests = {pod.name: requested(pod, resource, container) for pod in pods}
    left = _measured(samples, [*groups.unready, *groups.ignored])
    known = [name for name in left if name in requests]
    usage = sum(left[name].value for name in known)
    wished = requests_of(known, requests)
    utilisation = _per_cent(usage, sum(wished))
    replicas = by_utilisation(
        current,
        usage,
        wished,
        target,
        unready=requests_of(groups.unready, requests),
        missing=requests_of(groups.missing, requests),
        tolerance=tolerance,
    )
    return Proposal(replicas, usage // len(known), utilisation)


def requests_of(names: Sequence[str], requests: Mapping[str, int]) -> list[int]:
    """Requests of some pods, in their order."""
    return [requests[name] for name in names]


def average_value(
    current: int,
    target: int,
    samples: Mapping[str, Sample],
    pods: Sequence[Pod],
    resource: str = "",
    now: float = 0.0,
    *,
    tolerance: Tolerance = Tolerance(),
    cpu_initialization: float = 300.0,
    readiness_delay: float = 30.0,
) -> Proposal:
    """A Pods metric, or a Resource metric with `averageValue`.

    Args:
        current: replicas now asked for.
        target: wished mean per pod (thousandths).
        samples: the metric by name of the pod.
        pods: those of the workload.
        resource: of a Resource metric; only `cpu` looks at readiness.
        now: moment (s).
        tolerance: band in which nothing changes.
        cpu_initialization: seconds in which CPU samples of a start are doubted.
        readiness_delay: seconds in which unreadiness counts as that of a start.

    Raises:
        MetricError: no pods or no samples.
    """
    if not pods:
        raise MetricError("no pods returned by selector while calculating replica count")
    groups = group_pods(
        pods,
        samples,
        resource,
        now,
        cpu_initialization=cpu_initialization,
        readiness_delay=readiness_delay,
    )
    left = _measured(samples, [*groups.unready, *groups.ignored])
    total = sum(sample.value for sample in left.values())
    replicas = by_value(
        current,
        total,
        len(left),
        target,
        unready=len(groups.unready),
        missing=len(groups.missing),
        tolerance=tolerance,
    )
    return Proposal(replicas, total // len(left))


def _measured(samples: Mapping[str, Sample], without: Sequence[str]) -> dict[str, Sample]:
    left = {name: sample for name, sample in samples.items() if name not in set(without)}
    if not left:
        raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
    return left


# ------------------------------------------------------------ per service


def total_value(
    current: int, usage: int, target: int, ready: int, *, tolerance: Tolerance = Tolerance()
) -> Proposal:
    """An Object or External metric with a `value` target.

    Args:
        current: replicas now asked for; from 0 the tolerance does not count.
        usage: the metric, summed over its series (thousandths).
        target: wished value (thousandths).
        ready: pods that run and are ready.
        tolerance: band in which nothing changes.
    """
    usage = min(usage, MOST_USAGE)
    ratio = usage / target
    if current == 0:
        return Proposal(min(math.ceil(ratio), MOST_REPLICAS), usage)
    if tolerance.holds(ratio):
        return Proposal(current, usage)
    return Proposal(min(math.ceil(ratio * ready), MOST_REPLICAS), usage)


def total_average(replicas: int, usage: int, target: int, *, tolerance: Tolerance = Tolerance()) -> Proposal:
    """An Object or External metric with an `averageValue` target.

    Args:
        replicas: as the status of the workload says.
        usage: the metric, summed over its series (thousandths).
        target: wished value per replica (thousandths).
        tolerance: band in which nothing changes.
    """
    usage = min(usage, MOST_USAGE)
    # Without replicas the ratio is infinite (or not a number), which is outside of any band.
    held = replicas > 0 and tolerance.holds(usage / (target * replicas))
    wished = replicas if held else min(math.ceil(usage / target), MOST_REPLICAS)
    if usage == MOST_USAGE:
        return Proposal(wished, MOST_USAGE)
    return Proposal(wished, math.ceil(usage / replicas) if replicas else 0)
