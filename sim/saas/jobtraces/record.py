"""One job of a trace, whatever format it came from, and why a row may not become one."""

from __future__ import annotations

from math import isnan, nan
from typing import Literal, NamedTuple

#: What became of a job in the trace, in our words; "" where the trace does not say.
Status = Literal["completed", "failed", "cancelled", "running"]


class Job(NamedTuple):
    """A job as its trace tells it. NaN, "" and 0 nodes mean that the trace does not say.

    Attributes:
        arrival: submission, seconds on the clock of the trace.
        work: seconds it ran.
        workers: how many equal workers it had.
        accelerators: of one worker; below 1 a share of one device.
        cpu: cores of one worker.
        memory: bytes of main memory of one worker.
        nodes: machines it asked for.
        estimate: seconds its user stated.
        wait: seconds it waited in the real system.
        priority: larger goes first.
        deadline: seconds after its submission.
        tenant: who owns it: a user, a virtual cluster.
        device: accelerator it asked for, as the trace calls it; alternatives are joined by "|".
        model: what it trained, or its class.
        status: what became of it.
        id: its name in the trace.
    """

    arrival: float
    work: float = nan
    workers: int = 1
    accelerators: float = nan
    cpu: float = nan
    memory: float = nan
    nodes: int = 0
    estimate: float = nan
    wait: float = nan
    priority: float = nan
    deadline: float = nan
    tenant: str = ""
    device: str = ""
    model: str = ""
    status: str = ""
    id: str = ""

    @property
    def demand(self) -> float:
        """Accelerators of the whole job, NaN where the trace does not say."""
        return self.workers * self.accelerators


class BadRow(Exception):
    """A row that is not of its format; the text says what was expected."""


class LeftOut(Exception):
    """A row that is right but is no job to replay; the text says why."""


def waited(submitted: float, started: float) -> float:
    """Seconds from submission to start; NaN where the clocks of a log put the start first."""
    return started - submitted if started >= submitted else nan


def per_accelerator(job: Job, gpus: int, cpus: float) -> Job:
    """The job as a gang of one worker per accelerator; one without any has one worker per node."""
    workers = gpus or max(1, job.nodes)
    share = nan if isnan(cpus) else cpus / workers
    return job._replace(workers=workers, accelerators=1.0 if gpus else 0.0, cpu=share)


def by_node(job: Job) -> Job:
    """The job as a gang of one worker per node, where it divides evenly; else as it is."""
    if not job.nodes or job.nodes == job.workers or job.workers % job.nodes or isnan(job.accelerators):
        return job
    each = job.workers // job.nodes
    return job._replace(
        workers=job.nodes,
        accelerators=job.accelerators * each,
        cpu=job.cpu * each,
        memory=job.memory * each,
    )
