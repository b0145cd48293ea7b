"""The plain format of Stratus: a CSV of one job a row, as `stratus trace convert` writes it.

`arrival_s` is needed. What a row leaves empty, or a file has no column for, the class of jobs draws.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import floor, isnan, nan
from typing import IO, Any, get_args

from sim.errors import did_you_mean
from sim.saas.jobtraces.record import BadRow, Job, Status
from sim.saas.jobtraces.rows import MOST, Row
from sim.saas.jobtraces.tables import Table

#: Column of the file -> field of a job.
COLUMNS = {
    "id": "id",
    "arrival_s": "arrival",
    "duration_s": "work",
    "workers": "workers",
    "accelerators": "accelerators",
    "cpu": "cpu",
    "memory_bytes": "memory",
    "nodes": "nodes",
    "estimate_s": "estimate",
    "wait_s": "wait",
    "tenant": "tenant",
    "priority": "priority",
    "deadline_s": "deadline",
    "device": "device",
    "model": "model",
    "status": "status",
}

_TEXTS = ("tenant", "device", "model", "id")
_NUMBERS = ("duration_s", "accelerators", "cpu", "memory_bytes", "estimate_s", "wait_s", "deadline_s")


def _arrival(row: Row) -> float:
    """Seconds, or a time of the wall clock as files of others have it."""
    text = row.text("arrival_s")
    return row.moment("arrival_s") if ":" in text else row.number("arrival_s")


def _job(row: Row) -> Job:
    numbers: dict[str, Any] = {COLUMNS[name]: row.known(name) for name in _NUMBERS if row.has(name)}
    texts: dict[str, Any] = {name: row.text(name) for name in _TEXTS if row.has(name)}
    status = row.text("status")
    if status and status not in get_args(Status):
        raise BadRow(f"status: expected one of {', '.join(get_args(Status))}, got {status!r}")
    return Job(
        arrival=_arrival(row),
        workers=row.workers("workers") if row.text("workers") else 1,
        nodes=row.whole("nodes") if row.text("nodes") else 0,
        priority=row.known("priority", -MOST) if row.has("priority") else nan,
        status=status,
        **numbers,
        **texts,
    )


PLAIN = Table(
    "plain", "one job a row, as `stratus trace convert` writes it", ("arrival_s",), _job, known=tuple(COLUMNS)
)


def renamed(columns: Mapping[str, str]) -> Table:
    """The plain format for a CSV with other names: column of the file -> plain column; the rest is ignored.

    Raises:
        ValueError: there is no such plain column.
    """
    for given in columns.values():
        if given not in COLUMNS:
            raise ValueError(f"no plain column is called {given!r}{did_you_mean(given, COLUMNS)}")
    return replace(PLAIN, known=(), renamed=dict(columns))


def write(jobs: Iterable[Job], file: IO[str]) -> int:
    """Write jobs in time order; arrivals count from the midnight before the first. Returns their number."""
    writer = csv.writer(file, lineterminator="\n")
    midnight, count = nan, 0
    for job in jobs:
        if not count:
            # Not before the first job: a trace that cannot be read must leave nothing behind.
            writer.writerow(COLUMNS)
        if isnan(midnight):
            midnight = floor(job.arrival / 86400) * 86400.0
        shown = job._replace(arrival=job.arrival - midnight)
        writer.writerow([_cell(getattr(shown, field)) for field in COLUMNS.values()])
        count += 1
    return count


def _cell(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if isnan(value):
        return ""
    return str(int(value)) if value == int(value) else repr(value)
