"""Formats that are CSV tables: how a table is walked, and the clusters that published one.

* `helios`: SenseTime Helios 2020, `cluster_log.csv` (Hu et al., SC'21; github S-Lab-System-Group/HeliosData).
* `acme`: Shanghai AI Lab 2023, `trace_seren.csv`, `trace_kalos.csv` (Hu et al., NSDI'24; InternLM/AcmeTrace).
* `philly-csv`: the reduction of Microsoft Philly that Pollux and Sia replay (siasosp23/artifacts).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isnan, nan
from typing import TextIO

from sim.errors import did_you_mean
from sim.saas.jobtraces import source
from sim.saas.jobtraces.ledger import Ledger
from sim.saas.jobtraces.record import BadRow, Job, LeftOut, Status, per_accelerator, waited
from sim.saas.jobtraces.rows import Row

#: States of Slurm, and of those who name theirs alike, in our words.
STATES: dict[str, Status] = {
    "COMPLETED": "completed",
    "CANCELLED": "cancelled",
    "FAILED": "failed",
    "TIMEOUT": "failed",
    "NODE_FAIL": "failed",
    "OUT_OF_MEMORY": "failed",
    "PREEMPTED": "cancelled",
    "RUNNING": "running",
    "SUSPENDED": "running",
}


@dataclass(frozen=True)
class Table:
    """A format of comma-separated values.

    Attributes:
        name: of the format.
        about: one line for people.
        needed: columns it cannot do without; they also tell the format.
        job: a row's job.
        bare: names of the columns of a file without a header line, empty where there always is one.
        clock: seconds by which the trace's clock shows another time of day than its numbers modulo a day.
        known: all columns, where others are an error; empty where others are passed over.
        renamed: column of the file -> column of the format.
    """

    name: str
    about: str
    needed: tuple[str, ...]
    job: Callable[[Row], Job]
    bare: tuple[str, ...] = ()
    clock: float = 0.0
    known: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)

    def jobs(self, file: TextIO, ledger: Ledger) -> Iterator[Job]:
        """Yield the jobs of a file in its own order; the ledger learns of the rest."""
        reader = csv.reader(source.lines(file))
        try:
            cells = next((row for row in reader if any(row)), None)
            if cells is None:
                ledger.give_up(1, f"the file is empty; expected {self._expected()}")
            header = [self.renamed.get(cell.strip(), cell.strip()) for cell in cells]
            bare = bool(self.bare) and len(header) == len(self.bare) and self.needed[0] not in header
            row = Row(self._places(list(self.bare) if bare else header, ledger, reader.line_num))
            if bare:
                yield from self._job(row, cells, ledger, reader.line_num)
            width = len(header)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != width:
                    ledger.rows += 1
                    ledger.wrong(reader.line_num, f"expected {width} columns, got {len(cells)}")
                    continue
                yield from self._job(row, cells, ledger, reader.line_num)
        except (csv.Error, ValueError) as error:
            ledger.give_up(reader.line_num + 1, f"is not CSV: {error}")

    def _job(self, row: Row, cells: list[str], ledger: Ledger, line: int) -> Iterator[Job]:
        ledger.rows += 1
        try:
            job = self.job(row.take(cells))
        except BadRow as error:
            ledger.wrong(line, str(error))
        except LeftOut as reason:
            ledger.left_out[str(reason)] += 1
        else:
            yield job

    def _places(self, header: list[str], ledger: Ledger, line: int) -> dict[str, int]:
        missing = [name for name in self.needed if name not in header]
        if missing:
            ledger.give_up(line, f"no column {missing[0]!r}; expected {self._expected()}")
        unknown = [name for name in header if self.known and name not in self.known]
        if unknown:
            ledger.give_up(line, f"unknown column {unknown[0]!r}{did_you_mean(unknown[0], self.known)}")
        places: dict[str, int] = {}
        for place, name in enumerate(header):
            if name in places and name in (*self.needed, *self.known):
                ledger.give_up(line, f"column {name!r} stands twice in the header")
            places.setdefault(name, place)
        return places

    def _expected(self) -> str:
        return f"{self.name}, a table with the columns " + ", ".join(self.needed)


def _slurm(row: Row, tenant: str, model: str) -> Job:
    """A job of Helios or Acme: both logs come from Slurm, or look as if they did."""
    submitted, started = row.moment("submit_time"), row.moment("start_time")
    if isnan(submitted):
        raise BadRow("submit_time: expected YYYY-MM-DD HH:MM:SS, got ''")
    if isnan(started):
        raise LeftOut("never started")
    ended, stated = row.moment("end_time"), row.known("duration")
    # The `duration` of Kalos counts the wait as well, whatever its description says.
    work = stated if isnan(ended) else ended - started
    if isnan(work):
        raise LeftOut("not ended")
    if work < 0:
        raise BadRow("end_time: is before start_time")
    state = row.text("state").upper().split(" ")[0]
    job = Job(
        arrival=submitted,
        work=work,
        nodes=row.workers("node_num", 0) if row.text("node_num") else 0,
        wait=waited(submitted, started),
        tenant=row.text(tenant),
        model=row.text(model),
        status=STATES.get(state, ""),
        id=row.text("job_id"),
    )
    return per_accelerator(job, row.workers("gpu_num", 0), row.known("cpu_num"))


def _helios(row: Row) -> Job:
    return _slurm(row, tenant="vc", model="")


def _acme(row: Row) -> Job:
    return _slurm(row, tenant="user", model="type")


def _philly(row: Row) -> Job:
    """Whether `timestamp` is the submission or the start is not documented; it is taken as the submission."""
    arrival = row.moment("timestamp")
    if isnan(arrival):
        raise BadRow("timestamp: expected YYYY-MM-DD HH:MM:SS, got ''")
    job = Job(arrival, work=row.number("duration"), tenant=row.text("cluster"))
    return per_accelerator(job, row.workers("num_gpus"), nan)


HELIOS = Table(
    "helios",
    "SenseTime Helios 2020, cluster_log.csv",
    ("submit_time", "start_time", "end_time", "duration", "gpu_num", "node_num", "state", "vc"),
    _helios,
)
ACME = Table(
    "acme",
    "Shanghai AI Lab Acme 2023, trace_seren.csv and trace_kalos.csv",
    ("submit_time", "start_time", "end_time", "duration", "gpu_num", "node_num", "state", "type"),
    _acme,
)
PHILLY_CSV = Table(
    "philly-csv",
    "Microsoft Philly 2017 as reduced for Pollux and Sia, philly.csv",
    ("timestamp", "duration", "num_gpus", "cluster"),
    _philly,
)
