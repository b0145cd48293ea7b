"""Training jobs: gangs of workers that come, wait, run for a time, may crash, and are done.

All that is random about a job - size, running time, how wrong its user's estimate is - is drawn at
its arrival from the class's own streams, so that every policy under comparison meets the same jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import floor, inf, nan
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Distribution
from sim.paas.rules import NO_RULES, Rules
from sim.paas.scheduler import Scheduler
from sim.paas.units import Group, Unit

#: What of one worker's resources, and what else of its class, a block may say about each job.
OCCUPIED = ("accelerators", "cpu", "memory")
SAID = (*OCCUPIED, "tenant", "priority", "deadline", "device")


class Block(Protocol):
    """Some arrivals: their times in order, and what a trace says about each."""

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds, not decreasing."""

    @property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Optional; used instead of what the class draws or says, except where they are NaN or "".

        "workers", "work" (s), "estimate" (s), "deadline" (s after the submission), "priority",
        "tenant", "device", and of one worker "accelerators", "cpu" and "memory" (bytes).
        """


@dataclass(frozen=True)
class JobClass:
    """A kind of job.

    Attributes:
        name: of the class.
        workers: how many units a gang has, rounded to whole ones, at least 1.
        resources: of one worker.
        duration: seconds a gang runs.
        estimate_error: factor by which the user's estimate differs from the duration; None: it is right.
        tenant: who owns the jobs.
        priority: larger goes first, where the order looks at it.
        deadline: seconds after submission by which a job should be done.
        checkpoint: seconds of work between checkpoints; None: a crash loses all work.
        site: the only site it may run at, None for any.
        pools: the only pools ("site/pool") it may run in, None for any.
        device: accelerator it needs, or several with "|" between them; None for any.
        accelerator_memory: bytes each worker needs on one accelerator.
        rules: what its workers say about labels, taints and other units.
    """

    name: str
    workers: Distribution
    resources: Resources
    duration: Distribution
    estimate_error: Distribution | None = None
    tenant: str = ""
    priority: float = 0.0
    deadline: float = inf
    checkpoint: float | None = None
    site: str | None = None
    pools: frozenset[str] | None = None
    device: str | None = None
    accelerator_memory: float = 0.0
    rules: Rules = NO_RULES


class TrainingJob:
    """One job from its submission to its end.

    Attributes:
        id: number in the run.
        workers: size of its gang.
        work: seconds it runs if nothing goes wrong.
        estimate: seconds its user stated.
        submitted: seconds.
        started: moment it first ran, NaN before.
        finished: moment its work was done, NaN before.
        kept: seconds of work that a crash now would not lose.
        lost: seconds of work done and lost again.
        evictions: times it lost its place.
    """

    __slots__ = (
        "_bound",
        "_jobs",
        "_run",
        "estimate",
        "evictions",
        "finished",
        "group",
        "id",
        "kept",
        "kind",
        "lost",
        "started",
        "submitted",
        "work",
        "workers",
    )

    def __init__(
        self, jobs: Jobs, kind: JobClass, number: int, workers: int, work: float, estimate: float
    ) -> None:
        self.id = number
        self.kind = kind
        self.workers = workers
        self.work = work
        self.estimate = estimate
        self.submitted = jobs.kernel.now
        self.started = nan
        self.finished = nan
        self.kept = 0.0
        self.lost = 0.0
        self.evictions = 0
        self.group: Group | None = None
        self._jobs = jobs
        self._bound = 0
        self._run = 0

    def gang(self) -> Group:
        """A group of new workers for the work that is left."""
        kind = self.kind
        owner = f"{kind.name}/{self.id}"
        units = [
            Unit(
                "worker",
                owner,
                kind.resources,
                site=kind.site,
                pools=kind.pools,
                device=kind.device,
                accelerator_memory=kind.accelerator_memory,
                rules=kind.rules,
                priority=kind.priority,
                on_bound=self._on_bound,
                on_evicted=self._on_evicted,
            )
            for _ in range(self.workers)
        ]
        return Group(
            units,
            submitted=self.submitted,
            priority=kind.priority,
            tenant=kind.tenant,
            estimate=max(0.0, self.estimate - self.kept),
            work=self.work - self.kept,
            deadline=self.submitted + kind.deadline,
        )

    def queue(self, group: Group) -> None:
        """Wait for places for this gang, then run."""
        self._bound = 0
        self.group = group
        self._jobs.scheduler.submit(group)

    def _on_bound(self, unit: Unit) -> None:
        self._bound += 1
        if self._bound < self.workers:
            return
        now = self._jobs.kernel.now
        if self.started != self.started:
            self.started = now
        assert self.group is not None
        for worker in self.group.units:
            worker.ready = now
            _use(worker, 1.0)
        self._jobs.running.add(1.0)
        # The end of a run that a crash cut short must not end the next one.
        self._run += 1
        self._jobs.kernel.call_in(self.work - self.kept, self._finish, self._run)

    def _finish(self, run: int) -> None:
        if run != self._run:
            return
        self.finished = self._jobs.kernel.now
        self._leave("completed")
        self._jobs.ended(self)

    def _on_evicted(self, unit: Unit, reason: str) -> None:
        """One worker's node was lost: the gang gives up its places and queues again."""
        group = self.group
        if unit.group is not group or group is None:
            return
        self.evictions += 1
        if unit.ready == unit.ready:
            done = self.kept + self._jobs.kernel.now - unit.ready
            every = self.kind.checkpoint
            # Rounding must not lose the checkpoint written at this very moment.
            kept = 0.0 if every is None else min(done, every * floor(done / every * (1 + 1e-12)))
            self.lost += done - kept
            self.kept = kept
        self._run += 1
        self._leave(reason)
        self.queue(self.gang())

    def _leave(self, reason: str) -> None:
        assert self.group is not None
        running = False
        for worker in self.group.units:
            running = running or worker.ready == worker.ready
            if worker.node is not None and worker.ready == worker.ready:
                _use(worker, -1.0)
            self._jobs.record_unit(worker, reason)
            self._jobs.scheduler.done(worker)
        if running:
            self._jobs.running.add(-1.0)
        self.group = None


def _use(worker: Unit, sign: float) -> None:
    node = worker.node
    assert node is not None
    node.use(sign * worker.resources[node.main])


class Jobs:
    """All jobs of a run: makes them as they arrive, writes their rows when they end.

    Args:
        ctx: clock, randomness, records.
        scheduler: gives the gangs their nodes.
        on_idle: called when all sources are exhausted and every job is done.

    Attributes:
        unfinished: jobs that have arrived and are not done, by id.
        submitted: jobs that have arrived so far.
        running: series of the number of running jobs.
        exhausted: whether no job will arrive any more.
    """

    def __init__(
        self, ctx: Context, scheduler: Scheduler, on_idle: Callable[[], object] | None = None
    ) -> None:
        self.kernel = ctx.kernel
        self.scheduler = scheduler
        self.on_idle = on_idle
        self.unfinished: dict[int, TrainingJob] = {}
        self.submitted = 0
        self.running = ctx.recorder.series("paas/jobs/running")
        self._ctx = ctx
        self._sources = 0
        self._rows = ctx.recorder.table("jobs")
        self._unit_rows = ctx.recorder.table("units")

    @property
    def exhausted(self) -> bool:
        """Whether no source has any job left to submit."""
        return self._sources == 0

    def add(self, kind: JobClass, blocks: Iterator[Block]) -> None:
        """Let jobs of a class arrive at the times in `blocks`."""
        self._sources += 1
        JobSource(self._ctx, self, kind, blocks)

    def submit(self, kind: JobClass, workers: int, work: float, estimate: float) -> TrainingJob:
        """A job arrives now; one that could not start even on empty nodes fails at once."""
        job = TrainingJob(self, kind, self.submitted, workers, work, estimate)
        self.submitted += 1
        gang = job.gang()
        if self.scheduler.possible(gang):
            self.unfinished[job.id] = job
            job.queue(gang)
        else:
            self._record(job, "failed")
        return job

    def ended(self, job: TrainingJob) -> None:
        """A job is done."""
        del self.unfinished[job.id]
        self._record(job, "completed")
        self._look_idle()

    def source_ended(self) -> None:
        """A source has no more jobs."""
        self._sources -= 1
        self._look_idle()

    def close(self) -> None:
        """Write the rows of jobs and workers that are still there; call it once, after the run."""
        for job in self.unfinished.values():
            group = job.group
            assert group is not None
            for worker in group.units:
                self.record_unit(worker, "", nan)
            self._record(job, "running" if group.live else "queued")

    def record_unit(self, unit: Unit, reason: str, ended: float | None = None) -> None:
        """Write the row of a worker that ends now (or, with NaN, has not ended)."""
        unit.ended = self.kernel.now if ended is None else ended
        times = (unit.submitted, unit.bound, unit.pulled, unit.loaded, unit.ready, unit.ended)
        self._unit_rows.add((unit.id, unit.kind, unit.owner, unit.where, *times, reason, *unit.resources))

    def _record(self, job: TrainingJob, status: str) -> None:
        kind = job.kind
        times = (job.submitted, job.started, job.finished, job.work, job.estimate)
        self._rows.add((job.id, kind.name, kind.tenant, job.workers, *times, job.evictions, job.lost, status))

    def _look_idle(self) -> None:
        if self.on_idle is not None and not self._sources and not self.unfinished:
            self.on_idle()


class JobSource:
    """Submits the jobs of one class at their arrival times; one event is pending at a time."""

    def __init__(self, ctx: Context, jobs: Jobs, kind: JobClass, blocks: Iterator[Block]) -> None:
        self._kernel = ctx.kernel
        self._jobs = jobs
        self._kind = kind
        self._blocks = blocks
        path = f"paas/jobs/{kind.name}"
        self._rngs = {name: ctx.streams.stream(f"{path}/{name}") for name in ("workers", "work", "estimate")}
        self._times: list[float] = []
        self._rows: list[tuple[JobClass, int, float, float]] = []
        self._next = 0
        #: Jobs that are told alike share a class; a trace has few kinds of them, but may have many.
        self._kind_of = lru_cache(4096)(self._varied)
        self._advance()

    def _advance(self) -> None:
        """Schedule the next arrival, from the next block that has one if this is used up."""
        while self._next == len(self._times):
            block = next(self._blocks, None)
            if block is None:
                # Not at once: other sources may still be about to be added at the start of a run.
                self._kernel.call_in(0.0, self._jobs.source_ended)
                return
            self._load(block)
        self._kernel.call_at(self._times[self._next], self._arrive)

    def _arrive(self) -> None:
        """Submit all jobs of this moment, so that one pass of the scheduler sees them together."""
        now = self._times[self._next]
        while self._next < len(self._times) and self._times[self._next] == now:
            kind, workers, work, estimate = self._rows[self._next]
            self._next += 1
            self._jobs.submit(kind, workers, work, estimate)
        self._advance()

    def _load(self, block: Block) -> None:
        kind, given, n = self._kind, block.columns, len(block.times)
        # Draw in any case, so that a column in the trace does not shift the other draws.
        workers = _known(given, "workers", kind.workers.sample(self._rngs["workers"], n))
        work = _known(given, "work", kind.duration.sample(self._rngs["work"], n))
        error = kind.estimate_error
        drawn = work if error is None else work * error.sample(self._rngs["estimate"], n)
        estimate = _known(given, "estimate", drawn)
        sizes = np.maximum(np.rint(workers), 1).astype(np.int64)
        columns = (self._kinds(given, n), sizes.tolist(), work.tolist(), estimate.tolist())
        self._rows = list(zip(*columns, strict=True))
        self._times = block.times.tolist()
        self._next = 0

    def _kinds(self, given: Mapping[str, NDArray[Any]], n: int) -> list[JobClass]:
        """The class of each job, changed by what the block says about it."""
        said = [name for name in SAID if name in given]
        if not said:
            return [self._kind] * n
        rows = zip(*(given[name].tolist() for name in said), strict=True)
        return [self._kind_of(tuple(said), row) for row in rows]

    def _varied(self, names: tuple[str, ...], values: tuple[Any, ...]) -> JobClass:
        kind = self._kind
        pairs = zip(names, values, strict=True)
        known = {name: value for name, value in pairs if value == value and value != ""}
        resources = kind.resources._replace(**{name: known.pop(name) for name in OCCUPIED if name in known})
        return replace(kind, resources=resources, **known)


def _known(given: Mapping[str, NDArray[Any]], name: str, drawn: NDArray[Any]) -> NDArray[Any]:
    """A column where the block has it, else what was drawn."""
    column = given.get(name)
    return drawn if column is None else np.where(np.isnan(column), drawn, column)
