"""Which pods count for a HorizontalPodAutoscaler: ready, unready, missing or ignored; and their requests.

Source: kubernetes/pkg/controller/podautoscaler/replica_calculator.go (`groupPods`,
`calculateRequests`), read mid-2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sim.errors import StratusError

#: Seconds after its start in which a pod's CPU use may be that of its initialisation.
CPU_INITIALIZATION = 300.0
#: Seconds after its start in which a change to unready counts as "never was ready".
READINESS_DELAY = 30.0


class MetricError(StratusError):
    """A metric gives no number of replicas; the text is close to the controller's."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured of one pod.

    Attributes:
        value: thousandths of the unit (millicores, milli-requests).
        time: end of the measurement (s).
        window: its length (s).
    """

    value: int
    time: float = 0.0
    window: float = 60.0


@dataclass(frozen=True, slots=True)
class Container:
    """A container and what it requests of each resource (thousandths)."""

    name: str
    requests: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as its status shows it.

    Attributes:
        name: unique among the pods.
        phase: Pending, Running, Succeeded, Failed or Unknown.
        ready: value of the Ready condition; None if there is none.
        started: moment it was started (s); None if it was not.
        changed: moment at which the Ready condition last changed (s).
        deleted: whether it is being deleted.
        containers: with their requests, sidecars (restartable init containers) included.
        requests: those of the pod as a whole (thousandths); they replace the sum of its containers.
    """

    name: str
    phase: str = "Running"
    ready: bool | None = True
    started: float | None = 0.0
    changed: float = 0.0
    deleted: bool = False
    containers: tuple[Container, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Groups:
    """Names of the pods of each kind, in the order given."""

    ready: list[str]
    unready: list[str]
    missing: list[str]
    ignored: list[str]


def group_pods(
    pods: Iterable[Pod],
    samples: Mapping[str, Sample],
    resource: str = "",
    now: float = 0.0,
    *,
    cpu_initialization: float = CPU_INITIALIZATION,
    readiness_delay: float = READINESS_DELAY,
) -> Groups:
    """Sort pods by how they count.

    Args:
        pods: those of the workload.
        samples: what was measured, by name of the pod.
        resource: the resource measured; only `cpu` looks at readiness.
        now: moment (s).
        cpu_initialization: see `CPU_INITIALIZATION`.
        readiness_delay: see `READINESS_DELAY`.
    """
    groups = Groups([], [], [], [])
    for pod in pods:
        if pod.deleted or pod.phase in ("Failed", "Succeeded"):
            groups.ignored.append(pod.name)
        elif pod.phase == "Pending":
            groups.unready.append(pod.name)
        elif pod.name not in samples:
            groups.missing.append(pod.name)
        elif resource == "cpu" and _initialises(
            pod, samples[pod.name], now, cpu_initialization, readiness_delay
        ):
            groups.unready.append(pod.name)
        else:
            groups.ready.append(pod.name)
    return groups


def _initialises(pod: Pod, sample: Sample, now: float, initialization: float, delay: float) -> bool:
    """Whether the sample may show a start and not work."""
    if pod.ready is None or pod.started is None:
        return True
    if now < pod.started + initialization:
        return not pod.ready or sample.time < pod.changed + sample.window
    return not pod.ready and pod.started + delay > pod.changed


def requested(pod: Pod, resource: str, container: str = "") -> int:
    """What a pod, or one container of it, requests (thousandths).

    Raises:
        MetricError: a container that counts requests none, or there is none of that name.
    """
    if not container and resource in pod.requests:
        return pod.requests[resource]
    total = 0
    for each in pod.containers:
        if container in ("", each.name):
            if resource not in each.requests:
                raise MetricError(f"missing request for {resource} in container {each.name} of {pod.name}")
            total += each.requests[resource]
    if container and all(each.name != container for each in pod.containers):
        raise MetricError(f"container {container} not found in {pod.name}")
    return total
