"""Every format of job traces by name, and how a file tells which one it has."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol, TextIO, get_args

from sim.errors import Fault, ScenarioError
from sim.saas.jobtraces import alibaba, gavel, philly, plain, source, swf, tables
from sim.saas.jobtraces.ledger import Ledger, OnBadRow
from sim.saas.jobtraces.record import Job

#: What a scenario and the command line may name.
FormatName = Literal[
    "auto",
    "philly",
    "philly-csv",
    "pai-v2020",
    "pai-v2020-sample",
    "openb-v2023",
    "dlrm-v2025",
    "spot-v2026",
    "helios",
    "acme",
    "swf",
    "gavel",
    "plain",
]


class Format(Protocol):
    """A format of job traces."""

    @property
    def name(self) -> str:
        """One of `FormatName`."""

    @property
    def about(self) -> str:
        """One line for people."""

    @property
    def clock(self) -> float:
        """Seconds to add to a time so that modulo a day it shows the time of day."""

    def jobs(self, file: TextIO, ledger: Ledger) -> Iterator[Job]:
        """Yield the jobs of a file in its own order; the ledger learns of the rest."""


_TABLES = (
    tables.HELIOS,
    tables.ACME,
    alibaba.OPENB,
    alibaba.DLRM,
    alibaba.SPOT,
    alibaba.PAI,
    alibaba.PAI_SAMPLE,
    tables.PHILLY_CSV,
    plain.PLAIN,
)

#: Every format by name, in the order of `FormatName`.
FORMATS: dict[str, Format] = {
    form.name: form
    for name in get_args(FormatName)
    for form in (philly.PHILLY, swf.SWF, gavel.GAVEL, *_TABLES)
    if form.name == name
}


def detect(path: str | Path) -> Format:
    """The format of a file, by its beginning.

    Raises:
        ScenarioError: it cannot be read, or is of no known format.
    """
    text = source.head(Path(path))
    form = _told(text)
    if form is None:
        known = ", ".join(FORMATS)
        message = f"is of no known format ({known}){_own_columns(text)}"
        if not text.strip():
            message = "the file is empty"
        raise ScenarioError([Fault(str(path), 1, 1, "", message)])
    return form


def _first(text: str) -> str:
    """The first line that holds anything."""
    return next((line for line in text.splitlines() if line.strip()), "")


def _own_columns(text: str) -> str:
    """How to read a table of jobs whose columns have names of their own."""
    cells = [cell.strip() for cell in _first(text).split(",")]
    if len(cells) < 2 or not all(cell.isidentifier() for cell in cells):
        return ""
    return (
        f"; if its columns ({', '.join(cells[:20])}) tell of jobs, say which is which with `columns`, "
        "such as --column submit_time=arrival_s"
    )


def _told(text: str) -> Format | None:
    line = _first(text)
    start = line.lstrip()[:1]
    if start == "[":
        return philly.PHILLY
    if start == ";" or (len(line.split()) == swf.FIELDS and _numeric(line.split())):
        return swf.SWF
    if len(line.split("\t")) in gavel.WIDTHS:
        return gavel.GAVEL
    try:
        cells = [cell.strip() for cell in next(csv.reader([line]), [])]
    except csv.Error:
        return None
    for form in _TABLES:
        if set(form.needed) <= set(cells):
            return form
    times = cells[4:6]
    if len(cells) == len(alibaba.TASK_COLUMNS) and _numeric([cell or "0" for cell in times]):
        return alibaba.PAI
    return None


def _numeric(cells: list[str]) -> bool:
    try:
        return bool([float(cell) for cell in cells])
    except ValueError:
        return False


class Trace:
    """One job trace: its format is told once; each `jobs()` is a pass with accounts of its own.

    `columns` reads any CSV as the plain format: column of the file -> plain column.

    Attributes:
        path: the file.
        format: of the file.
        ledger: accounts of the pass that was begun last.
    """

    def __init__(
        self,
        path: str | Path,
        form: FormatName = "auto",
        on_bad_row: OnBadRow = "stop",
        speeds: gavel.Throughputs | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.format: Format
        if columns:
            self.format = plain.renamed(columns)
        else:
            self.format = detect(path) if form == "auto" else FORMATS[form]
        if speeds is not None and self.format.name == "gavel":
            self.format = gavel.Gavel(speeds)
        self.ledger = Ledger(self.path, on_bad_row)

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs in the order of the file.

        Raises:
            ScenarioError: the file is wrong; with "stop" every bad row found, each with its line.
        """
        ledger = self.ledger = Ledger(self.path, self.ledger.on_bad_row)
        with source.opened(self.path) as file:
            for job in self.format.jobs(file, ledger):
                if not ledger.stopped:
                    ledger.jobs += 1
                    yield job
        ledger.close()
