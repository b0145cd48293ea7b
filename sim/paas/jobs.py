"""Training jobs: gangs of workers that come, wait, run for a time, may crash, and are done.

All that is random about a job - size, running time, how wrong its user's estimate is - is drawn at
its arrival from the class's own streams, so that every policy under comparison meets the same jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, nan
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.distributions import Distribution
from sim.paas.rules import NO_RULES, Rules
from sim.paas.scaledjobs import Scaled, WorkItems
from sim.paas.scheduler import Scheduler
from sim.paas.speed import PLAIN, Speed
from sim.paas.trainingjob import TrainingJob
from sim.paas.units import Unit

if TYPE_CHECKING:
    from sim.paas.sharing import Sharing

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
        checkpoint: seconds of work between checkpoints; None: a crash loses all but what a graceful
            preemption saved.
        restart: seconds a gang that lost its place holds its new nodes before it works on.
        speed: how fast it works where; the duration is that on the workers asked for.
        elastic: fewest and most workers it can work with; None: exactly those it asked for.
        weight: of its claim to a fair share.
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
    restart: float = 0.0
    speed: Speed = PLAIN
    elastic: tuple[int, int] | None = None
    weight: float = 1.0
    site: str | None = None
    pools: frozenset[str] | None = None
    device: str | None = None
    accelerator_memory: float = 0.0
    rules: Rules = NO_RULES
    scaled: Scaled | None = None


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
        self,
        ctx: Context,
        scheduler: Scheduler,
        on_idle: Callable[[], object] | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        self.kernel = ctx.kernel
        self.scheduler = scheduler
        self.on_idle = on_idle
        self.sharing = sharing
        self.unfinished: dict[int, TrainingJob] = {}
        self.submitted = 0
        self.running = ctx.recorder.series("paas/jobs/running")
        self._ctx = ctx
        self._sources = 0
        self._items: dict[str, WorkItems] = {}
        self._rows = ctx.recorder.table("jobs")
        self._unit_rows = ctx.recorder.table("units")
        self._run_rows = ctx.recorder.table("runs")

    @property
    def exhausted(self) -> bool:
        """Whether no source has any job left to submit."""
        return self._sources == 0

    def add(self, kind: JobClass, blocks: Iterator[Block]) -> None:
        """Let jobs of a class arrive at the times in `blocks`."""
        self._sources += 1
        if kind.scaled is not None:
            self._items[kind.name] = WorkItems(self.kernel, kind.scaled)
        JobSource(self._ctx, self, kind, blocks)

    def submit(self, kind: JobClass, workers: int, work: float, estimate: float) -> TrainingJob:
        """A job arrives now; one that could not start even on empty nodes fails at once."""
        job = TrainingJob(self, kind, self.submitted, workers, work, estimate)
        self.submitted += 1
        gang = job.gang()
        if self.scheduler.possible(gang):
            self.unfinished[job.id] = job
            items = self._items.get(kind.name)
            if items is None:
                job.queue(gang)
            else:
                items.push(job)
        else:
            self._record(job, "failed")
        return job

    def ended(self, job: TrainingJob) -> None:
        """A job is done."""
        del self.unfinished[job.id]
        if job.kind.name in self._items:
            self._items[job.kind.name].ended(job)
        self.scheduler.learn(job.served * job.workers * (job.kind.resources.accelerators or 1.0))
        self._record(job, "completed")
        self._look_idle()

    def source_ended(self) -> None:
        """A source has no more jobs."""
        self._sources -= 1
        self._look_idle()

    def close(self) -> None:
        """Write the rows of jobs and workers that are still there; call it once, after the run."""
        now = self.kernel.now
        for job in self.unfinished.values():
            group = job.group
            if group is None:
                self._record(job, "queued")
                continue
            if group.live:
                job.served = group.attained(now)
                self.record_run(job, group.progress(now), 0.0, nan, "")
            for worker in group.units:
                self.record_unit(worker, "", nan)
            self._record(job, "running" if group.live else "queued")

    def record_run(self, job: TrainingJob, progress: float, lost: float, ended: float, reason: str) -> None:
        """Write the row of a stretch of a job on nodes."""
        group = job.group
        assert group is not None
        nodes = " ".join(dict.fromkeys(unit.where for unit in group.units))
        times = (group.started, group.started + group.restart, ended)
        rate = group.rate
        if not group.steady:
            # The mean, where others on its accelerators slowed it down at times.
            rate = progress / max(1e-9, ended - times[1])
        self._run_rows.add((job.id, *times, len(group.units), rate, progress, lost, reason, nodes))

    def record_unit(self, unit: Unit, reason: str, ended: float | None = None) -> None:
        """Write the row of a worker that ends now (or, with NaN, has not ended)."""
        unit.ended = self.kernel.now if ended is None else ended
        times = (unit.submitted, unit.bound, unit.pulled, unit.loaded, unit.ready, unit.ended)
        self._unit_rows.add((unit.id, unit.kind, unit.owner, unit.where, *times, reason, *unit.resources))

    def _record(self, job: TrainingJob, status: str) -> None:
        kind = job.kind
        times = (job.submitted, job.started, job.finished, job.work, job.estimate)
        demand = job.workers * kind.resources.accelerators
        claim = (demand, kind.priority, kind.weight, job.deadline)
        fate = (job.served, job.evictions, job.lost, status)
        self._rows.add((job.id, kind.name, kind.tenant, job.workers, *claim, *times, *fate))

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
