"""Readers of request traces: files of times, one request a row, read in chunks of bounded memory.

Two formats. `azure-llm` is the Azure LLM inference trace as published (github.com/Azure/AzurePublicDataset):
`TIMESTAMP,ContextTokens,GeneratedTokens`, times on the wall clock to 100 ns; the first row is time 0.
`csv` is plain: a column `time_s`, and any of `tokens_in`, `tokens_out`, `send`, `reply` (bytes) and `work`.
Rows must be in time order: sorting a file that does not fit in memory is not a reader's business.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from sim.errors import Fault, ScenarioError, did_you_mean
from sim.saas.blocks import Block, Columns, Floats

Format = Literal["auto", "azure-llm", "csv"]

#: Rows held in memory at once.
CHUNK = 16384

#: Faults after which a file is given up.
MANY = 20

_AZURE = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_EXTRA = ("tokens_in", "tokens_out", "send", "reply", "work")
_WHOLE = ("tokens_in", "tokens_out", "ContextTokens", "GeneratedTokens")
_TICKS = 10_000_000
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,7}))?Z?", re.ASCII)


class Summary(NamedTuple):
    """What a whole trace holds: its rows, its first and last time in seconds, its columns besides time."""

    format: str
    rows: int
    first: float
    last: float
    columns: tuple[str, ...]


def ticks(stamp: str) -> int:
    """A wall-clock time `YYYY-MM-DD HH:MM:SS[.fffffff]` in units of 100 ns, exactly.

    Raises:
        ValueError: it is not such a time.
    """
    match = _STAMP.fullmatch(stamp)
    if match is None:
        raise ValueError
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError
    seconds = ((date(year, month, day).toordinal() * 24 + hour) * 60 + minute) * 60 + second
    return seconds * _TICKS + int((match[7] or "").ljust(7, "0"))


def scan(path: str | Path, form: Format = "auto") -> Summary:
    """Read a whole trace and say what is in it.

    Raises:
        ScenarioError: the file is wrong; up to twenty faults, each with its line.
    """
    reader = _Reader(Path(path), form)
    rows, first, last = 0, 0.0, 0.0
    for block in reader.blocks():
        first = float(block.times[0]) if not rows else first
        last = float(block.times[-1])
        rows += len(block.times)
    return Summary(reader.format, rows, first, last, tuple(reader.names))


def read(path: str | Path, form: Format = "auto") -> Iterator[Block]:
    """Yield a trace in blocks of up to `CHUNK` rows; times are the file's own, in seconds.

    Raises:
        ScenarioError: the file is wrong; the faults of the first chunk that has any.
    """
    return _Reader(Path(path), form).blocks()


class _Reader:
    """One pass over one file."""

    def __init__(self, path: Path, form: Format) -> None:
        self.path = path
        self.format: str = form
        self.names: list[str] = []
        self._faults: list[Fault] = []
        self._origin: int | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield the rows; raise once all faults of a chunk are known."""
        try:
            # Bytes that are not UTF-8 become a field that is not a number, and so a fault with a line.
            with self.path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
                yield from self._parse(csv.reader(file))
        except OSError as error:
            fault = Fault(str(self.path), 0, 0, "", f"cannot be read: {error.strerror}")
            raise ScenarioError([fault]) from None

    def _parse(self, rows: Iterator[list[str]]) -> Iterator[Block]:
        header = self._next(rows)
        while header is not None and not any(header):
            header = self._next(rows)
        if header is None:
            self._fail(1, "the file is empty; expected a header, " + _expected(self.format))
            raise ScenarioError(self._faults)
        header = [name.strip() for name in header]
        places, time_of = self._columns(header)
        width, last, count = len(header), 0.0, 0
        times: list[float] = []
        columns: list[list[float]] = [[] for _ in self.names]
        while (row := self._next(rows)) is not None:
            if not row:
                continue
            if len(row) != width:
                self._fail(self._line, f"expected {width} columns as in the header, got {len(row)}")
                continue
            moment = time_of(row[places[0]].strip())
            if moment < last:
                self._fail(self._line, f"time goes back by {last - moment:g} s; sort the file by time")
            elif moment == moment:
                last = moment
            times.append(moment)
            for place, values in zip(places[1:], columns, strict=True):
                values.append(self._number(row[place].strip(), header[place]))
            if len(times) == CHUNK:
                count += CHUNK
                yield self._block(times, columns)
                times, columns = [], [[] for _ in self.names]
        if times or self._faults:
            yield self._block(times, columns)
        elif not count:
            self._fail(1, "the file has a header and no rows")
            raise ScenarioError(self._faults)

    def _block(self, times: list[float], columns: list[list[float]]) -> Block:
        if self._faults:
            raise ScenarioError(self._faults)
        extra: Columns = {}
        for name, values in zip(self.names, columns, strict=True):
            column = np.array(values)
            extra[name] = column.astype(np.int64) if name in _WHOLE else column.astype(np.float64)
        return Block(np.array(times), extra)

    def _next(self, rows: Iterator[list[str]]) -> list[str] | None:
        try:
            row = next(rows, None)
        except csv.Error as error:
            self._line = rows.line_num  # type: ignore[attr-defined]
            self._fail(self._line, f"is not CSV: {error}")
            raise ScenarioError(self._faults) from None
        self._line = rows.line_num  # type: ignore[attr-defined]
        return row

    def _columns(self, header: list[str]) -> tuple[list[int], Callable[[str], float]]:
        """Places of the time and of the other columns, and how a time is read."""
        if self.format == "auto":
            self.format = "azure-llm" if _AZURE[0] in header else "csv"
        azure = self.format == "azure-llm"
        wanted = _AZURE if azure else ("time_s",)
        faults = [name for name in wanted if name not in header]
        for name in faults:
            self._fail(self._line, f'no column "{name}"; expected {_expected(self.format)}')
        doubled = [name for name in dict.fromkeys(header) if header.count(name) > 1]
        for name in doubled:
            self._fail(self._line, f'column "{name}" stands twice in the header')
        unknown = [] if azure else [name for name in header if name not in ("time_s", *_EXTRA)]
        for name in () if faults else unknown:
            self._fail(self._line, f'unknown column "{name}"{did_you_mean(name, ("time_s", *_EXTRA))}')
        if self._faults:
            raise ScenarioError(self._faults)
        if azure:
            self.names = ["tokens_in", "tokens_out"]
            return [header.index(name) for name in _AZURE], self._stamp
        self.names = [name for name in _EXTRA if name in header]
        places = [header.index(name) for name in ("time_s", *self.names)]
        return places, lambda text: self._number(text, "time_s")

    def _stamp(self, text: str) -> float:
        try:
            moment = ticks(text)
        except ValueError:
            self._fail(self._line, f"TIMESTAMP: expected YYYY-MM-DD HH:MM:SS.fffffff, got {text!r}")
            return float("nan")
        if self._origin is None:
            self._origin = moment
        return (moment - self._origin) / _TICKS

    def _number(self, text: str, name: str) -> float:
        whole = name in _WHOLE
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = -1.0
        # Catches what is not a number as well as NaN, infinity and what is negative.
        if not 0 <= value < 1e18:
            kind = "a whole number" if whole else "a number"
            self._fail(self._line, f"{name}: expected {kind}, 0 or more, got {text!r}")
            return float("nan")
        return value

    def _fail(self, line: int, message: str) -> None:
        self._faults.append(Fault(str(self.path), line, 1, "", message))
        if len(self._faults) == MANY:
            self._faults.append(Fault(str(self.path), line, 2, "", "there may be more faults"))
            raise ScenarioError(self._faults)


def _expected(form: str) -> str:
    azure, plain = ",".join(_AZURE), "time_s and any of " + ", ".join(_EXTRA)
    return {"azure-llm": azure, "csv": plain}.get(form, f"{azure} or {plain}")


def clip(blocks: Iterator[Block], start: float, length: float | None) -> Iterator[Block]:
    """The part of a trace from `start` for `length` seconds (None: to its end), its begin being time 0."""
    end = float("inf") if length is None else start + length
    for block in blocks:
        first, last = np.searchsorted(block.times, (start, end))
        if first < last:
            columns = {name: values[first:last] for name, values in block.columns.items()}
            yield Block(block.times[first:last] - start, columns)
        if last < len(block.times):
            return


def thin(blocks: Iterator[Block], rng: np.random.Generator, share: float) -> Iterator[Block]:
    """Each request of a trace with probability `share`, independently."""
    for block in blocks:
        kept = rng.random(len(block.times)) < share
        if kept.any():
            yield Block(block.times[kept], {name: values[kept] for name, values in block.columns.items()})


def shift(block: Block, factor: float, offset: float) -> Block:
    """A block whose times are multiplied, then moved."""
    times: Floats = block.times * factor + offset
    return Block(times, block.columns)
