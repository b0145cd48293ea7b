"""Jobs in the order of their arrivals, in bounded memory: files are not always sorted by time.

A stretch of jobs is sorted in memory. A file longer than that is sorted in stretches that wait on disk and
are merged (external merge sort).
"""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import TextIO

from sim.saas.jobtraces.record import Job

#: Jobs sorted in memory at once.
STRETCH = 200_000


def ordered(jobs: Iterable[Job], stretch: int = STRETCH) -> Iterator[Job]:
    """The jobs by arrival; those of one moment keep the order they came in."""
    rest = iter(jobs)
    first = _sorted(rest, stretch)
    if len(first) < stretch:
        yield from first
        return
    with ExitStack() as files:
        stored = [_stored(first, files)]
        while more := _sorted(rest, stretch):
            stored.append(_stored(more, files))
        yield from heapq.merge(*map(_loaded, stored), key=_arrival)


def _arrival(job: Job) -> float:
    return job.arrival


def _sorted(jobs: Iterator[Job], stretch: int) -> list[Job]:
    return sorted(islice(jobs, stretch), key=_arrival)


def _stored(jobs: list[Job], files: ExitStack) -> TextIO:
    file = files.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))  # noqa: SIM115
    for job in jobs:
        file.write(json.dumps(job) + "\n")
    file.seek(0)
    return file


def _loaded(file: TextIO) -> Iterator[Job]:
    for line in file:
        yield Job(*json.loads(line))
