"""What happened in a run, in columns: rows are appended as tuples and sealed into arrays.

Memory is bounded: past the row budget, sealed columns go to one file on disk and are read back
when the run has ended.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.kernel.kernel import Kernel
from sim.kernel.series import Chunk, Floats, Kept, StepSeries
from sim.tables import TABLES, Column

#: Rows of a table kept as tuples before they are sealed into columns: few, while they are still in the
#: processor's cache and too young for the garbage collector to have looked at them.
SEAL = 4096

#: Type of a column; text is stored as codes.
_TYPES: dict[str, type[np.generic]] = {"float": np.float64, "int": np.int64, "text": np.int32}
_ARRAYS = {"float": "d", "int": "q"}


@dataclass(frozen=True, slots=True)
class TextColumn:
    """Text of few different values: `words[codes[i]]` is the text of row i."""

    codes: NDArray[np.int32]
    words: list[str]

    def __len__(self) -> int:
        return len(self.codes)

    def texts(self) -> list[str]:
        """The text of every row."""
        words = self.words
        return [words[code] for code in self.codes.tolist()]


Columns = dict[str, "NDArray[np.generic] | TextColumn"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """All that a run recorded, as plain arrays.

    Attributes:
        tables: every table of `sim.tables`, by column; tables without rows included.
        steps: (times, values) of every step series, by name.
        end: simulated second at which recording ended; the steps hold up to it.
    """

    tables: dict[str, Columns]
    steps: dict[str, tuple[Floats, Floats]]
    end: float


class _Words(dict[str, int]):
    """Numbers words in order of their first use."""

    def __missing__(self, word: str) -> int:
        if not isinstance(word, str):
            raise TypeError(f"not text: {word!r}")
        code = self[word] = len(self)
        return code


class _Disk:
    """A chunk that lies in the spool file."""

    __slots__ = ("_count", "_offset", "_path", "_type")

    def __init__(self, path: Path, offset: int, column: NDArray[np.generic]) -> None:
        self._path = path
        self._offset = offset
        self._count = len(column)
        self._type = column.dtype

    def load(self) -> NDArray[np.generic]:
        return np.fromfile(self._path, dtype=self._type, count=self._count, offset=self._offset)


class _Spool:
    """Keeps sealed columns in memory up to a budget of rows, then in one file.

    The file is opened for each chunk: that is rare, and a run that crashes leaves nothing open.
    """

    def __init__(self, folder: Path | None, row_budget: int) -> None:
        self._left = row_budget
        self._path = None if folder is None else folder / "columns.bin"

    def keep(self, columns: Sequence[NDArray[np.generic]]) -> list[Chunk]:
        self._left -= len(columns[0])
        if self._path is None or self._left >= 0:
            return [Kept(column) for column in columns]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        chunks: list[Chunk] = []
        with self._path.open("ab") as file:
            for column in columns:
                chunks.append(_Disk(self._path, file.tell(), column))
                file.write(column.tobytes())
        return chunks

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class Table:
    """Rows of one table of `sim.tables`. Made by `Recorder.table`."""

    __slots__ = ("_chunks", "_rows", "_schema", "_spool", "_words", "name")

    def __init__(self, name: str, schema: tuple[Column, ...], spool: _Spool) -> None:
        self.name = name
        self._schema = schema
        self._spool = spool
        self._rows: list[tuple[Any, ...]] = []
        self._words = {column.name: _Words() for column in schema if column.kind == "text"}
        self._chunks: list[list[Chunk]] = []

    def add(self, row: tuple[Any, ...]) -> None:
        """Append a row: its values in the order of the columns.

        Rows are checked when they are sealed, not here.
        """
        rows = self._rows
        rows.append(row)
        if len(rows) >= SEAL:
            self._seal()

    def _seal(self) -> None:
        """Turn the rows into columns.

        Raises:
            ValueError: a row has too many or too few values, or one of the wrong kind.
        """
        schema, rows = self._schema, self._rows
        if not rows:
            return
        widths = set(map(len, rows))
        if widths != {len(schema)}:
            wrong = next(row for row in rows if len(row) != len(schema))
            names = ", ".join(column.name for column in schema)
            raise ValueError(
                f"table {self.name!r}: a row has {len(wrong)} values, not {len(schema)} ({names}): {wrong!r}"
            )
        columns = [
            self._column(column, values)
            for column, values in zip(schema, zip(*rows, strict=True), strict=True)
        ]
        self._rows = []
        self._chunks.append(self._spool.keep(columns))

    def _column(self, column: Column, values: tuple[Any, ...]) -> NDArray[np.generic]:
        try:
            if column.kind == "text":
                words, first = self._words[column.name], values[0]
                # Most text is the same from row to row; that is compared far faster than looked up.
                if values.count(first) == len(values):
                    return np.full(len(values), words[first], np.int32)
                return np.fromiter(map(words.__getitem__, values), np.int32, len(values))
            # An array refuses what numpy would convert: text, None, and fractions where ints belong.
            return np.frombuffer(array(_ARRAYS[column.kind], values), _TYPES[column.kind])
        except (TypeError, OverflowError) as error:
            odd = next(value for value in values if not _fits(value, column.kind))
            where = f"table {self.name!r}, column {column.name!r} ({column.kind})"
            raise ValueError(f"{where}: got {odd!r}") from error

    def _finish(self) -> Columns:
        self._seal()
        columns: Columns = {}
        for column in self._schema:
            none = np.empty(0, _TYPES[column.kind])
            whole = np.concatenate([none, *(chunks[0].load() for chunks in self._chunks)])
            for chunks in self._chunks:
                del chunks[0]  # nothing is held twice for longer than a column takes
            if column.kind == "text":
                columns[column.name] = TextColumn(whole, list(self._words[column.name]))
            else:
                columns[column.name] = whole
        self._chunks = []
        return columns


def _fits(value: Any, kind: str) -> bool:
    """Whether a column of that kind takes the value."""
    if kind == "text":
        return isinstance(value, str)
    try:
        array(_ARRAYS[kind], (value,))
    except (TypeError, OverflowError):
        return False
    return True


class Recorder:
    """Tables and step series of one run.

    Args:
        kernel: the clock of the run.
        spool: folder (of this run alone) for what exceeds the budget; None keeps all in memory.
        row_budget: rows of tables and changes of series kept in memory in all.
    """

    def __init__(self, kernel: Kernel, *, spool: Path | None = None, row_budget: int = 2_000_000) -> None:
        self._kernel = kernel
        self._spool = _Spool(spool, row_budget)
        self._tables: dict[str, Table] = {}
        self._series: dict[str, StepSeries] = {}

    def table(self, name: str) -> Table:
        """The table of that name; the same object each time.

        Raises:
            KeyError: `sim.tables` has no such table.
        """
        if name not in self._tables:
            if name not in TABLES:
                raise KeyError(f"no table {name!r} in sim.tables; there are {', '.join(TABLES)}")
            self._tables[name] = Table(name, TABLES[name], self._spool)
        return self._tables[name]

    def series(self, name: str, initial: float = 0.0) -> StepSeries:
        """A new step series that begins now.

        Raises:
            ValueError: there is a series of that name.
        """
        if name in self._series:
            raise ValueError(f"step series {name!r} exists already")
        made = self._series[name] = StepSeries(self._kernel, initial, self._spool)
        return made

    def finish(self, end: float) -> Recorded:
        """Seal everything and hand it over as plain arrays. Called once, when the run has ended."""
        tables = {name: self.table(name)._finish() for name in TABLES}
        steps = {name: (series.times, series.values) for name, series in self._series.items()}
        self._spool.remove()
        return Recorded(tables, steps, end)
