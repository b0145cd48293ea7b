"""Reader of the Azure Functions trace of 2019 (Shahrad et al., USENIX ATC 2020), format of its CSV files.

One day is three files. Invocations: `HashOwner,HashApp,HashFunction,Trigger,1,...,1440`, counts by minute.
Durations: `HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum` and
`percentile_Average_{0,1,25,50,75,99,100}` in milliseconds, quantiles of averages over short intervals,
so single calls vary more. Memory: `HashOwner,HashApp[,HashFunction],SampleCount,AverageAllocatedMb` and
`AverageAllocatedMb_pct{1,5,25,50,75,95,99,100}` in MB, by application in the original.
"""

from __future__ import annotations

import csv
import heapq
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from sim.saas.blocks import Floats
from sim.saas.jobtraces.ledger import Ledger
from sim.saas.jobtraces.source import lines, opened

#: Seconds of a step, and most of them: the original has a day of 1440.
MINUTE = 60.0
MINUTES = 20_160

_WHO = ("HashOwner", "HashApp", "HashFunction")

#: Shares of the quantiles of durations and of memory.
DURATIONS = (0, 1, 25, 50, 75, 99, 100)
MEMORY = (1, 5, 25, 50, 75, 95, 99, 100)

Key: TypeAlias = tuple[str, ...]
Whole: TypeAlias = npt.NDArray[np.int64]


class Function(NamedTuple):
    """One function on one day: its key (owner, app, function), its trigger and its calls by minute."""

    key: Key
    trigger: str
    counts: Whole


def invocations(path: str | Path, most: int) -> list[Function]:
    """The functions called most often, the busiest first; among equals the earlier in the file.

    Args:
        path: the file of invocations.
        most: how many functions are kept.

    Raises:
        ScenarioError: the file is wrong; up to twenty faults, each with its line.
    """
    kept: list[tuple[int, int, Function]] = []

    def take(row: list[str], header: list[str], line: int, ledger: Ledger) -> None:
        try:
            counts = np.array(row[4:], dtype=np.int64)
        except (ValueError, OverflowError):
            bad = next(
                index for index, text in enumerate(row[4:]) if not text.strip().isdecimal() or len(text) > 15
            )
            ledger.wrong(line, f"minute {header[4 + bad]}: expected a whole number, got {row[4 + bad]!r}")
            return
        if counts.min() < 0 or counts.max() > 10**9:
            bad = int(np.argmax((counts < 0) | (counts > 10**9)))
            ledger.wrong(line, f"minute {header[4 + bad]}: expected 0 to 1e9 calls, got {row[4 + bad]!r}")
            return
        function = Function(tuple(row[:3]), row[3], counts)
        heapq.heappush(kept, (int(counts.sum()), -line, function))
        if len(kept) > most:
            heapq.heappop(kept)

    def check(header: list[str]) -> str:
        minutes = header[4:]
        if tuple(header[:4]) != (*_WHO, "Trigger") or not minutes:
            return f"expected {','.join(_WHO)},Trigger,1,2,..., got {','.join(header[:5])!r}"
        if minutes != [str(minute + 1) for minute in range(len(minutes))] or len(minutes) > MINUTES:
            return f"expected the minutes 1, 2, ... in order, at most {MINUTES}"
        return ""

    _each(path, check, take)
    return [function for _, _, function in sorted(kept, key=lambda entry: entry[:2], reverse=True)]


def durations(path: str | Path) -> dict[Key, Floats]:
    """Quantiles of the duration of a call in seconds, at the shares `DURATIONS`, by (owner, app, function).

    Raises:
        ScenarioError: as `invocations`.
    """
    return _quantiles(path, _WHO, [f"percentile_Average_{share}" for share in DURATIONS], 1e-3)


def memory(path: str | Path) -> dict[Key, Floats]:
    """Quantiles of the memory in bytes, at the shares `MEMORY`, by (owner, app) or (owner, app, function).

    Raises:
        ScenarioError: as `invocations`.
    """
    return _quantiles(path, _WHO[:2], [f"AverageAllocatedMb_pct{share}" for share in MEMORY], 1e6)


def _quantiles(path: str | Path, who: Sequence[str], names: Sequence[str], unit: float) -> dict[Key, Floats]:
    found: dict[Key, Floats] = {}

    def check(header: list[str]) -> str:
        missing = [name for name in (*who, *names) if name not in header]
        return f"no column {', '.join(missing)}" if missing else ""

    def take(row: list[str], header: list[str], line: int, ledger: Ledger) -> None:
        key = tuple(row[header.index(name)] for name in _WHO if name in header)
        try:
            values = np.array([row[header.index(name)] for name in names], dtype=np.float64)
        except ValueError:
            values = np.array([np.nan])
        # Catches what is not a number as well as NaN and what falls.
        if not (values[0] >= 0 and (np.diff(values) >= 0).all() and values[-1] < 1e12):
            ledger.wrong(line, f"{names[0]} to {names[-1]}: expected numbers from 0 on that do not fall")
        elif key in found:
            ledger.wrong(line, f"a second row of {'/'.join(part[:8] for part in key)}")
        else:
            found[key] = values * unit

    _each(path, check, take)
    return found


def _each(
    path: str | Path,
    check: Callable[[list[str]], str],
    take: Callable[[list[str], list[str], int, Ledger], None],
) -> None:
    """Hand every row of a CSV to `take`, once `check` finds nothing wrong with the header."""
    ledger = Ledger(Path(path))
    with opened(ledger.path) as file:
        rows: Iterator[list[str]] = csv.reader(lines(file))
        line = 1
        try:
            header = [name.strip() for name in next(rows, [])]
            if wrong := check(header):
                ledger.give_up(1, wrong)
            for row in rows:
                line = rows.line_num  # type: ignore[attr-defined]
                if not row:
                    continue
                ledger.jobs += 1
                if len(row) != len(header):
                    ledger.wrong(line, f"expected {len(header)} columns as in the header, got {len(row)}")
                else:
                    take(row, header, line, ledger)
        except (csv.Error, ValueError) as error:
            ledger.give_up(line, f"is not CSV: {error}")
    ledger.close()
