"""`swf`: the Standard Workload Format 2.2 of the Parallel Workloads Archive (Feitelson; cs.huji.ac.il).

Eighteen fields a line, divided by blanks; -1 says that a field is not known; comments begin with `;`.
A processor is one worker; what a worker occupies is for the class of jobs to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import nan
from typing import TextIO

from sim.saas.jobtraces import source
from sim.saas.jobtraces.ledger import Ledger
from sim.saas.jobtraces.record import BadRow, Job, LeftOut, Status
from sim.saas.jobtraces.rows import gang, number

FIELDS = 18

#: Field 11. Lines of 2, 3 and 4 are parts of a job that has a line of its own.
_STATUSES: dict[int, Status] = {0: "failed", 1: "completed", 5: "cancelled"}


class Swf:
    """The format, as `sim.saas.jobtraces.formats` lists it."""

    name = "swf"
    about = "Standard Workload Format, *.swf"
    clock = 0.0

    def jobs(self, file: TextIO, ledger: Ledger) -> Iterator[Job]:
        """Yield the jobs of a file in its own order; the ledger learns of the rest."""
        line = 0
        try:
            for line, text in enumerate(source.lines(file), 1):
                cells = text.split()
                if not cells or cells[0].startswith(";"):
                    continue
                ledger.rows += 1
                try:
                    job = _job(cells)
                except BadRow as error:
                    ledger.wrong(line, str(error))
                except LeftOut as reason:
                    ledger.left_out[str(reason)] += 1
                else:
                    yield job
        except ValueError as error:
            ledger.give_up(line + 1, str(error))


def _job(cells: list[str]) -> Job:
    if len(cells) != FIELDS:
        raise BadRow(f"expected {FIELDS} fields, got {len(cells)}")

    def field(position: int, name: str) -> float:
        return number(cells[position - 1], name, -1)

    work, submitted = field(4, "run time"), field(2, "submit time")
    allocated, requested = field(5, "allocated processors"), field(8, "requested processors")
    status = int(field(11, "status"))
    if status in (2, 3, 4):
        raise LeftOut("part of a job")
    if work < 0:
        raise LeftOut("never ran")
    processors = requested if requested > 0 else allocated
    if processors <= 0:
        raise LeftOut("no processors stated")
    if submitted < 0:
        raise BadRow("submit time: expected 0 or more, got -1")
    user, queue = field(12, "user"), field(15, "queue")
    return Job(
        arrival=submitted,
        work=work,
        workers=gang(processors, "processors"),
        memory=_known(field(10, "requested memory")) * 1024,
        estimate=_known(field(9, "requested time")),
        wait=_known(field(3, "wait time")),
        tenant=f"user{user:.0f}" if user >= 0 else "",
        model=f"queue{queue:.0f}" if queue >= 0 else "",
        status=_STATUSES.get(status, ""),
        id=cells[0],
    )


def _known(value: float) -> float:
    return value if value >= 0 else nan


SWF = Swf()
