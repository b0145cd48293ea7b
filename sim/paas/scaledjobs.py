"""Jobs that a queue of work items starts, as KEDA's ScaledJob does: some at each look, by a strategy."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.paas.autoscaling import keda_jobs

if TYPE_CHECKING:
    from sim.kernel.kernel import Kernel
    from sim.paas.trainingjob import TrainingJob


@dataclass(frozen=True, slots=True)
class Scaled:
    """How items become jobs: the rules, seconds between two looks at the queue, and items per job."""

    rules: keda_jobs.ScaledJob
    polling: float = 30.0
    target: float = 1.0


class WorkItems:
    """The queue of one class: an item is a job that has arrived and that nobody has started.

    The length of the queue counts items until their job has its nodes: that is when it would take the
    message. A job is started for an item without one only, so that strategies which would start more
    find nothing to do.
    """

    def __init__(self, kernel: Kernel, scaled: Scaled) -> None:
        self._kernel = kernel
        self._scaled = scaled
        self._items: deque[TrainingJob] = deque()
        self._started: dict[int, TrainingJob] = {}
        self._due = False

    def push(self, job: TrainingJob) -> None:
        """An item has come."""
        self._items.append(job)
        self._look_again()

    def ended(self, job: TrainingJob) -> None:
        """A job is done."""
        self._started.pop(job.id, None)

    def _look_again(self) -> None:
        if not self._due and self._items:
            self._due = True
            polling = self._scaled.polling
            self._kernel.call_in(polling - self._kernel.now % polling, self._look)

    def _look(self) -> None:
        self._due = False
        pending = sum(job.group is None or not job.group.live for job in self._started.values())
        queue = len(self._items) + pending
        scaled = self._scaled
        count = keda_jobs.jobs_to_start(scaled.rules, queue, scaled.target, len(self._started), pending)
        for _ in range(min(count, len(self._items))):
            job = self._items.popleft()
            self._started[job.id] = job
            job.queue(job.gang())
        self._look_again()
