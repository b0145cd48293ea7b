"""Readers of request traces: files of times, one request a row, read in chunks of bounded memory.

Formats, each as published:

- `azure-llm`: Azure LLM inference traces of 2023 and 2024 (github.com/Azure/AzurePublicDataset):
  `TIMESTAMP,ContextTokens,GeneratedTokens`, times on the wall clock to 100 ns; the first row is time 0.
- `burstgpt`: BurstGPT (github.com/HPMLL/BurstGPT): `Timestamp` in seconds, `Request tokens`, `Response
  tokens` (0 of a request that failed: it is replayed with one token) and, in its second version, `Session
  ID`; other columns are passed over.
- `vidur`: Vidur's processed traces (github.com/microsoft/vidur): `arrived_at`, `num_prefill_tokens`,
  `num_decode_tokens`. Without `arrived_at` a file has lengths only, ShareGPT's and arXiv's among them: its
  requests need a rate.
- `mooncake`: JSON lines (github.com/kvcache-ai/Mooncake): `timestamp` (ms), `input_length`,
  `output_length` and `hash_ids` of the prompt's blocks of 512 tokens. Its conversations have times to 3 s.
- `llmservingsim`: JSON lines (github.com/casys-kaist/LLMServingSim): `input_toks`, `output_toks`,
  `arrival_time_ns`.
- `csv` is plain: a column `time_s`, and any of `tokens_in`, `tokens_out`, `send`, `reply` (bytes), `work` and
  `session`.

Where a prefix cache looks, requests of one session are the turns of a conversation, each prompt beginning
with those before, and Mooncake's prompts are alike as far as their hashes are.

Rows must be in time order: sorting a file that does not fit in memory is not a reader's business.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO

import numpy as np

from sim.errors import Fault, ScenarioError, did_you_mean
from sim.saas.blocks import Block, Columns
from sim.saas.jobtraces.source import head, opened

Format = Literal["auto", "azure-llm", "burstgpt", "vidur", "mooncake", "llmservingsim", "csv"]

#: Rows held in memory at once.
CHUNK = 16384

#: Faults after which a file is given up.
MANY = 20

#: Bytes of one line of JSON.
LONGEST = 4_000_000

#: Columns of the plain format besides the time.
PLAIN = ("tokens_in", "tokens_out", "send", "reply", "work")
_WHOLE = ("tokens_in", "tokens_out")


class _Form(NamedTuple):
    """The columns of a format: of the time, of what a row says besides, and how many ticks make a second."""

    time: str
    columns: Mapping[str, str]
    ticks: float = 1.0


_FORMS = {
    "azure-llm": _Form("TIMESTAMP", {"ContextTokens": "tokens_in", "GeneratedTokens": "tokens_out"}),
    "burstgpt": _Form("Timestamp", {"Request tokens": "tokens_in", "Response tokens": "tokens_out"}),
    "vidur": _Form("arrived_at", {"num_prefill_tokens": "tokens_in", "num_decode_tokens": "tokens_out"}),
    "csv": _Form("time_s", {}),
}
#: The column that says which requests belong together, where a format may have one.
_SESSIONS = {"burstgpt": "Session ID", "csv": "session"}
_LINES = {
    "mooncake": _Form("timestamp", {"input_length": "tokens_in", "output_length": "tokens_out"}, 1e3),
    "llmservingsim": _Form("arrival_time_ns", {"input_toks": "tokens_in", "output_toks": "tokens_out"}, 1e9),
}

_TICKS = 10_000_000
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,7}))?(?:Z|\+00:00)?", re.ASCII)


class Summary(NamedTuple):
    """What a whole trace holds: its rows, its first and last time in seconds, its columns besides time.

    `timed` is False where rows have no times of their own; they are then 1 s apart.
    """

    format: str
    rows: int
    first: float
    last: float
    columns: tuple[str, ...]
    timed: bool = True


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


def scan(path: str | Path, form: Format = "auto", keep: Mapping[str, str] | None = None) -> Summary:
    """Read a whole trace, or the rows that have these texts in these columns, and say what is in it.

    Raises:
        ScenarioError: the file is wrong; up to twenty faults, each with its line.
    """
    reader = _Reader(Path(path), form, keep)
    rows, first, last = 0, 0.0, 0.0
    for block in reader.blocks():
        first = float(block.times[0]) if not rows else first
        last = float(block.times[-1])
        rows += len(block.times)
    return Summary(reader.format, rows, first, last, tuple(reader.names), reader.timed)


def read(path: str | Path, form: Format = "auto", keep: Mapping[str, str] | None = None) -> Iterator[Block]:
    """Yield a trace in blocks of up to `CHUNK` rows; times are the file's own, in seconds.

    Args:
        path: the file, plain or packed by gzip.
        form: its format.
        keep: column of the file -> text that a row must have there.

    Raises:
        ScenarioError: the file is wrong; the faults of the first chunk that has any.
    """
    return _Reader(Path(path), form, keep).blocks()


class _Reader:
    """One pass over one file."""

    def __init__(self, path: Path, form: Format, keep: Mapping[str, str] | None = None) -> None:
        self.path = path
        self._keep = dict(keep or {})
        self.format: str = form
        self.names: list[str] = []
        self.timed = True
        self._faults: list[Fault] = []
        self._origin: int | None = None
        self._session: int | None = None
        self._sessions: list[str] = []

    def blocks(self) -> Iterator[Block]:
        """Yield the rows; raise once all faults of a chunk are known."""
        lines = self.format in _LINES or (
            self.format == "auto" and head(self.path)[:512].lstrip().startswith("{")
        )
        # Bytes that are not UTF-8 become a field that is not a number, and so a fault with a line.
        with opened(self.path) as file:
            if lines and self._keep:
                self._fail(0, "`keep` is for files with columns, not for lines of JSON")
                raise ScenarioError(self._faults)
            yield from self._lines(file) if lines else self._parse(csv.reader(file))

    def _lines(self, file: TextIO) -> Iterator[Block]:
        """The rows of a file of JSON lines."""
        self.names = ["tokens_in", "tokens_out"]
        times: list[float] = []
        columns: list[list[float]] = [[], []]
        hashes: list[list[int]] = []
        last, count, self._line = 0.0, 0, 0
        while text := file.readline(LONGEST):
            self._line += 1
            row = self._object(text)
            if row is None:
                continue
            if self.format == "auto":
                known = [name for name, form in _LINES.items() if form.time in row]
                if not known:
                    expected = " or ".join(_expected(name) for name in _LINES)
                    self._fail(self._line, f"unknown keys {', '.join(sorted(row)[:5])}; expected {expected}")
                    raise ScenarioError(self._faults)
                self.format = known[0]
            form = _LINES[self.format]
            moment = self._value(row, form.time) / form.ticks
            if moment < last:
                self._fail(self._line, f"time goes back by {last - moment:g} s; sort the file by time")
            elif moment == moment:
                last = moment
            times.append(moment)
            for name, values in zip(form.columns, columns, strict=True):
                values.append(self._value(row, name))
            if self.format == "mooncake":
                hashes.append(self._hashes(row))
            if len(times) == CHUNK:
                count += CHUNK
                yield self._hashed(self._block(times, columns), hashes)
                times, columns, hashes = [], [[], []], []
        if times or self._faults:
            yield self._hashed(self._block(times, columns), hashes)
        elif not count:
            self._fail(1, "the file has no rows")
            raise ScenarioError(self._faults)

    def _object(self, text: str) -> dict[str, Any] | None:
        if not text.strip():
            return None
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            self._fail(self._line, f"expected a JSON object, got {text.strip()[:40]!r}")
            return None
        return row

    def _value(self, row: dict[str, Any], name: str) -> float:
        value = row.get(name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 <= value < 1e18
            or (name != "timestamp" and value != int(value))
        ):
            self._fail(self._line, f"{name}: expected a whole number, 0 or more, got {value!r:.40}")
            return float("nan")
        return value

    def _hashes(self, row: dict[str, Any]) -> list[int]:
        found = row.get("hash_ids")
        if not isinstance(found, list) or not all(type(item) is int for item in found):
            self._fail(self._line, "hash_ids: expected a list of whole numbers")
            return []
        return found

    def _hashed(self, block: Block, hashes: list[list[int]]) -> Block:
        if hashes:
            column = np.empty(len(hashes), dtype=object)
            column[:] = hashes
            block.columns["hash_ids"] = column
        return block

    def _parse(self, rows: Iterator[list[str]]) -> Iterator[Block]:
        header = self._next(rows)
        while header is not None and not any(header):
            header = self._next(rows)
        if header is None:
            self._fail(1, "the file is empty; expected a header, " + _expected(self.format))
            raise ScenarioError(self._faults)
        header = [name.strip() for name in header]
        place, places, time_of = self._columns(header)
        width, last, count = len(header), 0.0, 0
        kept = [(header.index(name), text) for name, text in self._keep.items()]
        times: list[float] = []
        columns: list[list[float]] = [[] for _ in self.names]
        kinds: list[Callable[[str], float]] = [int if name in _WHOLE else float for name in self.names]
        while (row := self._next(rows)) is not None:
            if not row:
                continue
            if len(row) != width:
                self._fail(self._line, f"expected {width} columns as in the header, got {len(row)}")
                continue
            if kept and any(row[at].strip() != text for at, text in kept):
                continue
            moment = time_of(row[place].strip()) if self.timed else float(count + len(times))
            if moment < last:
                self._fail(self._line, f"time goes back by {last - moment:g} s; sort the file by time")
            elif moment == moment:
                last = moment
            times.append(moment)
            for at, kind, values in zip(places, kinds, columns, strict=True):
                try:
                    value = kind(row[at])
                except ValueError:
                    value = -1.0
                if not 0 <= value < 1e18:
                    value = self._number(row[at].strip(), header[at], kind is int)  # says what is wrong
                values.append(value)
            if self._session is not None:
                self._sessions.append(row[self._session].strip())
            if len(times) == CHUNK:
                count += CHUNK
                yield self._block(times, columns)
                times, columns = [], [[] for _ in self.names]
        if times or self._faults:
            yield self._block(times, columns)
        elif not count:
            self._fail(1, "no row is to be kept" if kept else "the file has a header and no rows")
            raise ScenarioError(self._faults)

    def _block(self, times: list[float], columns: list[list[float]]) -> Block:
        if self._faults:
            raise ScenarioError(self._faults)
        extra: Columns = {}
        for name, values in zip(self.names, columns, strict=True):
            column = np.array(values)
            extra[name] = column.astype(np.int64) if name in _WHOLE else column.astype(np.float64)
        if self._sessions:
            extra["session"] = np.array(self._sessions, dtype=object)
            self._sessions = []
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

    def _columns(self, header: list[str]) -> tuple[int, list[int], Callable[[str], float]]:
        """Place of the time, places of the other columns, and how a time is read."""
        if self.format == "auto":
            told = [
                name
                for name, form in _FORMS.items()
                if form.time in header or (form.columns and form.columns.keys() <= set(header))
            ]
            self.format = told[0] if told else "csv"
        form, plain = _FORMS[self.format], self.format == "csv"
        self.timed = self.format != "vidur" or form.time in header
        wanted = [form.time, *form.columns] if self.timed else list(form.columns)
        faults = [name for name in wanted if name not in header]
        for name in faults:
            self._fail(self._line, f'no column "{name}"; expected {_expected(self.format)}')
        for name in self._keep:
            if name not in header:
                self._fail(self._line, f'keep: no column "{name}"{did_you_mean(name, header)}')
        doubled = [name for name in dict.fromkeys(header) if header.count(name) > 1]
        for name in doubled:
            self._fail(self._line, f'column "{name}" stands twice in the header')
        known = ("time_s", *PLAIN, "session")
        unknown = [name for name in header if name not in known] if plain else []
        for name in () if faults else unknown:
            self._fail(self._line, f'unknown column "{name}"{did_you_mean(name, known)}')
        if self._faults:
            raise ScenarioError(self._faults)
        named = {name: name for name in PLAIN if name in header} if plain else form.columns
        session = _SESSIONS.get(self.format)
        self._session = header.index(session) if session in header else None
        self.names = list(named.values())
        place = header.index(form.time) if self.timed else 0
        stamped = self.format == "azure-llm"
        read = self._stamp if stamped else lambda text: self._number(text, form.time, False)
        return place, [header.index(name) for name in named], read

    def _stamp(self, text: str) -> float:
        try:
            moment = ticks(text)
        except ValueError:
            self._fail(self._line, f"TIMESTAMP: expected YYYY-MM-DD HH:MM:SS.fffffff, got {text!r}")
            return float("nan")
        if self._origin is None:
            self._origin = moment
        return (moment - self._origin) / _TICKS

    def _number(self, text: str, name: str, whole: bool) -> float:
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


def told(text: str) -> str | None:
    """The format of a trace of requests that begins with this text; None: it is no such trace."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if first.startswith("{"):
        return next((name for name, form in _LINES.items() if f'"{form.time}"' in first), None)
    header = [name.strip() for name in first.split(",")]
    for name, form in _FORMS.items():
        if form.time in header or (form.columns and form.columns.keys() <= set(header)):
            return name
    return None


def timed(text: str, form: str) -> bool:
    """Whether the rows of a trace of a format that begins with this text have times of their own."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return form != "vidur" or _FORMS["vidur"].time in [name.strip() for name in first.split(",")]


def _expected(form: str) -> str:
    every = _FORMS | _LINES
    if form in every and form != "csv":
        return ",".join((every[form].time, *every[form].columns))
    plain = "time_s and any of " + ", ".join((*PLAIN, "session"))
    others = ", ".join(_expected(name) for name in _FORMS if name != "csv")
    return plain if form == "csv" else f"{others} or {plain}"
