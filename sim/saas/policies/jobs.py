"""Arrivals of training jobs: a trace of a real cluster, or a preset fitted to one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from math import inf
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt

from sim import catalog
from sim.registry import policy
from sim.saas import retiming
from sim.saas.blocks import Block, Columns, Floats, level
from sim.saas.jobtraces import gavel, plain, replay, synthetic
from sim.saas.jobtraces.formats import FormatName, Trace
from sim.saas.jobtraces.ledger import OnBadRow
from sim.saas.jobtraces.ordering import ordered
from sim.saas.jobtraces.record import Job, Status, by_node
from sim.saas.presetrate import PresetRate
from sim.units import Fraction, PerSecond, PositiveSeconds, Seconds

#: What of a trace can be left to the class of jobs.
Part = Literal["estimate", "tenant", "priority", "deadline", "device", "accelerators", "cpu", "memory"]


@policy("arrivals", "job-trace")
class JobTrace:
    """Replay training jobs from a trace of a real cluster (`stratus trace inspect` shows what is in it).

    What the trace says of a job replaces what its class says: duration, workers, what one worker
    occupies, the user's estimate, tenant, priority, deadline, accelerator. The first job of the trace
    arrives at time 0; a file that is not in time order is sorted. Jobs that never ran are left out.

    file: path of the trace, plain or gzip; relative to the folder of the scenario, or else to the
        current one.
    format: format of the file; told by its beginning unless given.
    on_bad_row: stop with an error that names every bad row, or skip them.
    columns: for a CSV of one's own, column of the file -> column of the plain format
        (`{submit: arrival_s, gpus: workers}`); others are passed over.
    throughputs: Gavel's table of steps per second (JSON), for traces that count steps.
    start: second of the trace at which the replay begins.
    length: seconds of the trace to replay; to its end if nothing is said.
    jobs: most jobs to replay.
    scale: factor on the rate of arrivals: 2 plays the trace twice as fast, durations stay.
    duration_scale: factor on durations and estimates.
    thin: share of the jobs kept, each with this probability.
    repeat: begin again when the trace ends, as long as the run lasts.
    worker: what one worker has: one accelerator, or all that the job had on one node of those it asked for.
    statuses: only jobs that ended so in the trace; all if none is named.
    accelerators_only: leave out jobs without accelerators.
    devices: accelerator as the trace calls it -> accelerator of the catalog, or several with "|" between
        them. What is not named here counts if the catalog calls it so; a job none of whose accelerators
        is known may run on any.
    ignore: what to leave to the class of jobs even where the trace says it.
    """

    file: str
    format: FormatName = "auto"
    on_bad_row: OnBadRow = "stop"
    columns: dict[str, str] = field(default_factory=dict)
    throughputs: str | None = None
    start: Seconds = 0.0
    length: PositiveSeconds | None = None
    jobs: Annotated[int, Ge(1)] | None = None
    scale: Annotated[float, Gt(0)] = 1.0
    duration_scale: Annotated[float, Gt(0)] = 1.0
    thin: Fraction = 1.0
    repeat: bool = False
    worker: Literal["accelerator", "node"] = "accelerator"
    statuses: list[Status] = field(default_factory=list)
    accelerators_only: bool = False
    devices: dict[str, str] = field(default_factory=dict)
    ignore: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.columns:
            if self.format not in ("auto", "plain"):
                raise ValueError(f"columns: the format {self.format} has its own names")
            plain.renamed(self.columns)

    def trace(self) -> Trace:
        """The file, ready to be read."""
        speeds = None if self.throughputs is None else gavel.throughputs(self.throughputs)
        return Trace(self.file, self.format, self.on_bad_row, speeds, self.columns)

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the jobs before `until`, with the columns the trace has."""
        trace = self.trace()
        names = {*replay.NUMBERS, *replay.TEXTS} - set(self.ignore)
        offset = 0.0
        while users:
            rows, first, last = 0, 0.0, 0.0
            for block in replay.blocks(self._chosen(trace), names):
                first = float(block.times[0]) if not rows else first
                last = float(block.times[-1])
                rows += len(block.times)
                moved = retiming.shift(block, 1 / self.scale, offset)
                for kept in retiming.clip(iter([moved]), 0.0, until):
                    yield from retiming.thin(iter([kept]), rng, self.thin) if self.thin < 1 else [kept]
                if moved.times[-1] >= until:
                    return
            # Without a stated length a lap lasts as long as its jobs do, plus one mean gap.
            lap = self.length or (last + (last - first) / max(1, rows - 1))
            offset += lap / self.scale
            if not self.repeat or not rows or not lap or offset >= until:
                return

    def _chosen(self, trace: Trace) -> Iterator[Job]:
        """The jobs of the window, as this replay wants them; the window begins at time 0."""
        origin: float | None = None
        end = inf if self.length is None else self.start + self.length
        count = 0
        for job in ordered(trace.jobs()):
            origin = job.arrival if origin is None else origin
            since = job.arrival - origin
            if since >= end or count == self.jobs:
                return
            wanted = since >= self.start and (not self.statuses or job.status in self.statuses)
            if wanted and not (self.accelerators_only and not job.accelerators > 0):
                count += 1
                yield self._seen(job, since - self.start)

    def _seen(self, job: Job, arrival: float) -> Job:
        shaped = replay.placeable(by_node(job) if self.worker == "node" else job)
        return shaped._replace(
            arrival=arrival,
            work=job.work * self.duration_scale,
            estimate=job.estimate * self.duration_scale,
            device=self._device(job.device),
        )

    def _device(self, asked: str) -> str:
        """Accelerators of the catalog for what a job asked for, "" for any."""
        if not asked:
            return ""
        known = catalog.names("device")
        names = [self.devices.get(name, name if name in known else "") for name in asked.split("|")]
        return "|".join(dict.fromkeys(name for name in names if name))

    def expected(self, times: Floats, users: int) -> Floats:
        """NaN: the file is not read for this."""
        return level(float("nan"), times)


@policy("arrivals", "job-preset")
class JobPreset(PresetRate):
    """Training jobs drawn from a preset of the catalog: philly, helios, pai-v2020, acme-seren and others.

    Sizes, durations and the hours of the day follow the published figures of a real cluster, so that no
    file is needed (`stratus describe philly --kind preset` says what they are and how they were fitted).
    A job has one worker per accelerator, or one worker with a share of one; what else a worker occupies
    is for the class to say.

    name: name of the preset (`stratus list presets`); one of kind jobs.
    rate: jobs per second, averaged over the day; the preset's own if nothing is said.
    duration_scale: factor on durations.
    day: seconds that a day of the daily curve takes.
    """

    name: str
    rate: PerSecond | None = None
    duration_scale: Annotated[float, Gt(0)] = 1.0
    day: PositiveSeconds = 86400.0

    def blocks(self, rng: np.random.Generator, users: int, until: float) -> Iterator[Block]:
        """Yield the jobs before `until`, with their sizes and durations."""
        if not users or self.mean <= 0:
            return
        endless = synthetic.blocks(catalog.preset(self.name), rng, self.mean, self.day)
        for block in retiming.clip(endless, 0.0, until):
            work = np.asarray(block.columns["work"] * self.duration_scale, dtype=np.float64)
            columns: Columns = {**block.columns, "work": work}
            yield Block(block.times, columns)
