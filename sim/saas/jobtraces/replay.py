"""From the jobs of a trace to blocks of arrivals: what the class of jobs draws for itself is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from math import ceil

import numpy as np

from sim.saas.blocks import BLOCK, Block, Columns
from sim.saas.jobtraces.record import Job

#: Numbers and texts of a job that a block can carry besides its time.
NUMBERS = ("workers", "work", "estimate", "accelerators", "cpu", "memory", "priority", "deadline")
TEXTS = ("tenant", "device")


def blocks(jobs: Iterable[Job], names: Iterable[str]) -> Iterator[Block]:
    """Yield jobs, sorted by arrival, in blocks with the columns of these names."""
    numbers = [name for name in NUMBERS if name in set(names)]
    texts = [name for name in TEXTS if name in set(names)]
    rest = iter(jobs)
    while part := list(islice(rest, BLOCK)):
        columns: Columns = {}
        for name in numbers:
            column = np.array([getattr(job, name) for job in part], dtype=np.float64)
            if not np.isnan(column).all():
                columns[name] = column
        for name in texts:
            words = np.array([getattr(job, name) for job in part], dtype=np.object_)
            if any(words):
                columns[name] = words
        yield Block(np.array([job.arrival for job in part], dtype=np.float64), columns)


def placeable(job: Job) -> Job:
    """The job with whole accelerators per worker, or a share of one: 2.5 of them need three devices."""
    if job.accelerators > 1 and job.accelerators != int(job.accelerators):
        return job._replace(accelerators=float(ceil(job.accelerators)))
    return job
