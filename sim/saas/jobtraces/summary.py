"""What a whole trace holds, in one pass: the numbers behind `stratus trace inspect`."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from math import isnan
from typing import Any

import numpy as np

from sim.saas.jobtraces.formats import Trace
from sim.saas.jobtraces.record import Job

#: Quantiles told of durations and waits, in percent.
PERCENTS = (1, 10, 25, 50, 75, 90, 95, 99)

#: Names told of tenants and models; the rest are counted together.
NAMES = 8


@dataclass
class Summary:
    """Counts and values of the jobs of a trace, gathered one by one.

    Attributes:
        first: earliest arrival, seconds on the trace's clock.
        last: latest arrival.
        sorted: whether the file is in the order of the arrivals.
        hours: arrivals by hour of the day.
        durations: seconds, of the jobs whose duration is known.
        waits: seconds waited in the real system, likewise.
        demands: accelerators of a job -> jobs.
        accelerator_seconds: accelerators times seconds, over all jobs that state both.
        workers: most workers of one job.
    """

    clock: float = 0.0
    first: float = float("inf")
    last: float = float("-inf")
    sorted: bool = True
    hours: list[int] = field(default_factory=lambda: [0] * 24)
    durations: array[float] = field(default_factory=lambda: array("d"))
    waits: array[float] = field(default_factory=lambda: array("d"))
    demands: Counter[float] = field(default_factory=Counter)
    accelerator_seconds: float = 0.0
    workers: int = 0
    columns: Counter[str] = field(default_factory=Counter)
    tenants: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    devices: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    _before: float = float("-inf")

    def add(self, job: Job) -> None:
        """Take note of a job."""
        self.first, self.last = min(self.first, job.arrival), max(self.last, job.arrival)
        self.sorted = self.sorted and job.arrival >= self._before
        self._before = job.arrival
        self.hours[int((job.arrival + self.clock) // 3600) % 24] += 1
        self.workers = max(self.workers, job.workers)
        if not isnan(job.work):
            self.durations.append(job.work)
        if not isnan(job.wait):
            self.waits.append(job.wait)
        demand = job.demand
        if not isnan(demand):
            self.demands[round(demand, 6)] += 1
            if not isnan(job.work):
                self.accelerator_seconds += demand * job.work
        self.tenants[job.tenant] += 1
        self.models[job.model] += 1
        self.devices[job.device] += 1
        self.statuses[job.status] += 1
        for name in _OPTIONAL:
            value = getattr(job, name)
            self.columns[name] += not isnan(value)


_OPTIONAL = ("work", "accelerators", "cpu", "memory", "estimate", "wait", "priority", "deadline")


def inspect(trace: Trace) -> dict[str, Any]:
    """Read a whole trace and say what is in it, as plain data.

    Raises:
        ScenarioError: the file is wrong.
    """
    found = Summary(clock=trace.format.clock)
    for job in trace.jobs():
        found.add(job)
    ledger = trace.ledger
    span = found.last - found.first
    return {
        "file": str(trace.path),
        "format": trace.format.name,
        "about": trace.format.about,
        "rows": ledger.rows,
        "jobs": ledger.jobs,
        "bad_rows": ledger.bad,
        "first_bad_row": None if ledger.first is None else str(ledger.first),
        "left_out": dict(sorted(ledger.left_out.items())),
        "sorted": found.sorted,
        "columns": {name: count for name, count in found.columns.items() if count},
        "span_s": span,
        "jobs_per_hour": ledger.jobs / span * 3600 if span else None,
        "share_by_hour": [count / ledger.jobs for count in found.hours],
        "duration_s": _quantiles(found.durations),
        "wait_s": _quantiles(found.waits),
        "accelerators": {f"{size:g}": count for size, count in sorted(found.demands.items())},
        "accelerator_hours": found.accelerator_seconds / 3600,
        "most_workers": found.workers,
        "tenants": _names(found.tenants),
        "models": _names(found.models),
        "devices": _names(found.devices),
        "statuses": _names(found.statuses),
    }


def _quantiles(values: array[float]) -> dict[str, float] | None:
    if not values:
        return None
    numbers = np.frombuffer(values)
    points = np.percentile(numbers, PERCENTS)
    named = {f"p{percent}": float(point) for percent, point in zip(PERCENTS, points, strict=True)}
    return {"mean": float(numbers.mean()), "min": float(numbers.min()), **named, "max": float(numbers.max())}


def _names(counts: Counter[str]) -> dict[str, Any] | None:
    """The most frequent names and how many others there are; None if no job has one."""
    named = {name: count for name, count in counts.items() if name}
    if not named:
        return None
    top = sorted(named.items(), key=lambda pair: (-pair[1], pair[0]))[:NAMES]
    return {"number": len(named), "jobs": sum(named.values()), "most": dict(top)}
