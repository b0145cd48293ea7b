"""Readers of traces that count: requests by step of time, as load balancers and web logs are published.

Three formats of CSV, plain or gzip, told by their header: `worldcup98` (`period,count`, by minute, as the
logs of the 1998 World Cup site are passed on), `nab` (`timestamp,value`, Numenta's benchmark) and `csv`
(`time_s,count`). Time stamps are `YYYY-MM-DD HH:MM:SS`, `time_s` is in seconds. The step is the usual
distance of two rows; rows must be in order of time, steps without a row are gaps.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from sim.saas.blocks import Floats
from sim.saas.jobtraces.ledger import Ledger
from sim.saas.jobtraces.source import lines, opened
from sim.saas.traces import ticks

Format = Literal["auto", "worldcup98", "nab", "csv"]

#: Columns of time and count of each format.
FORMATS = {"worldcup98": ("period", "count"), "nab": ("timestamp", "value"), "csv": ("time_s", "count")}

#: Rows, and steps from the first row to the last, that are read at most.
MOST = 5_000_000

_TICK = 1e-7


@dataclass(frozen=True, slots=True)
class Counts:
    """A trace of counts.

    Attributes:
        format: how it was written.
        step: seconds that a count is of.
        counts: requests in each step from the first on; NaN in a gap.
    """

    format: str
    step: float
    counts: Floats

    @property
    def gaps(self) -> int:
        """Steps without a row."""
        return int(np.count_nonzero(np.isnan(self.counts)))


def read(path: str | Path, form: Format = "auto", step: float | None = None) -> Counts:
    """Read a trace of counts; kept in memory until the file changes.

    Args:
        path: the file.
        form: its format; "auto" looks at the header.
        step: seconds that a count is of; the median distance of the rows unless given.

    Raises:
        ScenarioError: the file is wrong; up to twenty faults, each with its line.
    """
    return _read(Path(path), form, step, state(path))


def state(path: str | Path) -> tuple[int, int]:
    """When a file was changed and its size, by which a changed one is told; zeros where it is missing."""
    try:
        found = Path(path).stat()
    except OSError:
        return 0, 0  # opening it says what is wrong
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=8)
def _read(path: Path, form: Format, step: float | None, key: tuple[int, int]) -> Counts:
    ledger = Ledger(path)
    with opened(path) as file:
        rows = csv.reader(lines(file))
        try:
            found, moments, counts, places = _rows(rows, form, ledger)
        except (csv.Error, ValueError) as error:
            ledger.give_up(rows.line_num, f"is not CSV: {error}")
    ledger.close()
    return _placed(found, np.array(moments), np.array(counts), step, places, ledger)


def _rows(
    rows: Iterator[list[str]], form: Format, ledger: Ledger
) -> tuple[str, list[float], list[float], list[int]]:
    """Format, moments, counts and line of each row."""
    header = [name.strip() for name in next(rows, [])]
    found = form if form != "auto" else next((f for f, names in FORMATS.items() if {*names} <= {*header}), "")
    wanted = FORMATS.get(found)
    if wanted is None or not {*wanted} <= {*header}:
        known = " or ".join(",".join(names) for names in FORMATS.values())
        ledger.give_up(
            1, f"expected the columns {','.join(wanted) if wanted else known}, got {','.join(header)!r}"
        )
    when, count = (header.index(name) for name in wanted)
    moments: list[float] = []
    counts: list[float] = []
    places: list[int] = []
    last = -np.inf
    for row in rows:
        line: int = rows.line_num  # type: ignore[attr-defined]
        if not row:
            continue
        ledger.rows += 1
        if ledger.rows > MOST:
            ledger.give_up(line, f"more than {MOST} rows")
        if len(row) != len(header):
            ledger.wrong(line, f"expected {len(header)} columns as in the header, got {len(row)}")
            continue
        moment = _moment(row[when].strip(), found == "csv", wanted[0], line, ledger)
        number = _number(row[count].strip(), wanted[1], line, ledger)
        if moment is None or number is None:
            continue
        if moment <= last:
            ledger.wrong(
                line, f"{wanted[0]}: {row[when].strip()!r} is not after the row before; sort the file"
            )
            continue
        last = moment
        ledger.jobs += 1
        moments.append(moment)
        counts.append(number)
        places.append(line)
    return found, moments, counts, places


def _moment(text: str, seconds: bool, name: str, line: int, ledger: Ledger) -> float | None:
    if seconds:
        return _number(text, name, line, ledger)
    try:
        return ticks(text) * _TICK
    except ValueError:
        ledger.wrong(line, f"{name}: expected YYYY-MM-DD HH:MM:SS, got {text!r}")
        return None


def _number(text: str, name: str, line: int, ledger: Ledger) -> float | None:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    # Catches NaN and infinity as well as what is negative.
    if not 0 <= value < 1e15:
        ledger.wrong(line, f"{name}: expected a number, 0 or more, got {text!r}")
        return None
    return value


def _placed(
    form: str, moments: Floats, counts: Floats, step: float | None, places: list[int], ledger: Ledger
) -> Counts:
    """Each count in its step since the first row."""
    if step is None:
        if len(moments) < 2:
            ledger.give_up(places[0], "a single row does not tell the length of a step: give `step`")
        step = float(round(np.median(np.diff(moments)), 6))
    index = np.rint((moments - moments[0]) / step).astype(np.int64)
    for row in np.flatnonzero(np.diff(index) == 0) + 1:
        ledger.wrong(places[row], f"a second row in one step of {step:g} s")
    if index[-1] >= MOST:
        ledger.give_up(places[-1], f"more than {MOST} steps of {step:g} s from the first row to the last")
    ledger.close()
    placed = np.full(int(index[-1]) + 1, np.nan)
    placed[index] = counts
    placed.setflags(write=False)
    return Counts(form, step, placed)
