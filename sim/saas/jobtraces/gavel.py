"""`gavel`: job traces of Gavel (Narayanan et al., OSDI'20) and of Shockwave, which took its format over.

A line of fields divided by tabs and no header. The number of fields tells the version (utils.py of
stanford-futuredata/gavel over time; 11 is Shockwave's):

    7   job type, command, steps argument, needs data, steps, arrival, scale factor
    9   job type, command, steps argument, needs data, steps, scale factor, weight, SLO, arrival
    10  job type, command, folder, steps argument, needs data, steps, scale factor, weight, SLO, arrival
    11  the same with a mode after the scale factor

Work is counted in steps: seconds follow from Gavel's table of measured throughputs
(`simulation_throughputs.json`: device -> "('job type', scale factor)" -> {"null": steps per second}).
An SLO is a factor on the time a job takes alone; below 0 there is none.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from math import inf, isnan, nan
from pathlib import Path
from typing import TextIO

from sim.errors import Fault, ScenarioError
from sim.saas.jobtraces import source
from sim.saas.jobtraces.ledger import Ledger
from sim.saas.jobtraces.record import BadRow, Job
from sim.saas.jobtraces.rows import gang, number

#: (job type, scale factor) -> steps per second.
Throughputs = Mapping[tuple[str, int], float]

#: Fields of a line -> places of steps, scale factor, weight, SLO, arrival; None where there is none.
_PLACES: dict[int, tuple[int, int, int | None, int | None, int]] = {
    7: (4, 6, None, None, 5),
    9: (4, 5, 6, 7, 8),
    10: (5, 6, 7, 8, 9),
    11: (5, 6, 8, 9, 10),
}

#: Numbers of fields a line may have.
WIDTHS = tuple(_PLACES)


class Gavel:
    """The format, as `sim.saas.jobtraces.formats` lists it.

    Attributes:
        speeds: of the device that stands for the work of a job; without it the work is not known.
    """

    name = "gavel"
    about = "Gavel and Shockwave, *.trace; seconds need the table of throughputs"
    clock = 0.0

    def __init__(self, speeds: Throughputs | None = None) -> None:
        self.speeds = speeds

    def jobs(self, file: TextIO, ledger: Ledger) -> Iterator[Job]:
        """Yield the jobs of a file in its own order; the ledger learns of the rest."""
        line = 0
        try:
            for line, text in enumerate(source.lines(file), 1):
                if not text.strip():
                    continue
                ledger.rows += 1
                try:
                    job = self._job(text.rstrip("\n").split("\t"))
                except BadRow as error:
                    ledger.wrong(line, str(error))
                else:
                    yield job
        except ValueError as error:
            ledger.give_up(line + 1, str(error))

    def _job(self, cells: list[str]) -> Job:
        if len(cells) not in _PLACES:
            raise BadRow(f"expected 7, 9, 10 or 11 fields divided by tabs, got {len(cells)}")
        at_steps, at_scale, at_weight, at_slo, at_arrival = _PLACES[len(cells)]
        steps, scale = number(cells[at_steps], "steps"), number(cells[at_scale], "scale factor", 1)
        workers = gang(scale, "scale factor")
        model, work = cells[0].strip(), nan
        if self.speeds is not None:
            speed = self.speeds.get((model, workers))
            if speed is None:
                raise BadRow(f"job type: the table has no throughput of {model!r} on {workers} workers")
            work = steps / speed
        slo = -1.0 if at_slo is None else number(cells[at_slo], "SLO", -inf)
        return Job(
            arrival=number(cells[at_arrival], "arrival"),
            work=work,
            workers=workers,
            accelerators=1.0,
            priority=nan if at_weight is None else number(cells[at_weight], "priority weight"),
            deadline=nan if slo < 0 or isnan(work) else slo * work,
            model=model,
        )


def throughputs(path: str | Path, device: str = "v100") -> Throughputs:
    """Steps per second of one device, from Gavel's own file.

    Raises:
        ScenarioError: it cannot be read or is something else.
    """
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(table, dict) or device not in table:
            known = ", ".join(table) if isinstance(table, dict) else "no devices"
            raise ValueError(f"has no device {device!r}, but {known}")
        return {_key(name): _speed(row) for name, row in table[device].items() if _speed(row) > 0}
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    except (ValueError, TypeError, AttributeError, KeyError, SyntaxError, RecursionError) as error:
        message = f"is not a table of throughputs: {error}"
    raise ScenarioError([Fault(str(path), 0, 0, "", message)])


def _key(text: str) -> tuple[str, int]:
    model, scale = ast.literal_eval(text)
    return str(model), int(scale)


def _speed(row: Mapping[str, float]) -> float:
    return float(row["null"])


GAVEL = Gavel()
