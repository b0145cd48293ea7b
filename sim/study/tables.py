"""A run's tables as Parquet and CSV files, byte for byte the same for the same content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.kernel.outcome import Outcome
from sim.kernel.recorder import TextColumn
from sim.study.results import STEPS, table_path
from sim.tables import TABLES, Column

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns of the table of step changes.
_STEP_COLUMNS = (
    Column("name", "text", "", "path of the quantity"),
    Column("time", "float", "s", "moment of the change"),
    Column("value", "float", "", "value from that moment on"),
)

Columns = dict[str, Any]


def write(
    root: Path, folder: str, replication: int, outcome: Outcome, *, keep: bool, csv: bool
) -> dict[str, Any]:
    """Write the tables of a run that have rows.

    Args:
        root: folder of the results.
        folder: the cell's part of the path.
        replication: number of the run.
        outcome: what the run recorded.
        keep: write the files; without it only count and sum up.
        csv: also write each table as CSV under `csv/`.

    Returns:
        `rows` and `sha256` by table.
    """
    rows: dict[str, int] = {}
    sums: dict[str, str] = {}
    for name, columns in [*outcome.tables.items(), (STEPS, _steps(outcome))]:
        schema = _schema(name)
        rows[name] = len(columns[schema[0].name])
        sums[name] = digest(name, columns)
        if not keep or not rows[name]:
            continue
        table = _arrow(schema, columns)
        path = root / table_path(name, folder, replication)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_parquet(table, schema, path)
        if csv:
            from pyarrow import csv as arrow_csv

            text = root / "csv" / name / folder / f"replication={replication}.csv"
            text.parent.mkdir(parents=True, exist_ok=True)
            arrow_csv.write_csv(table, str(text))
    return {"rows": rows, "sha256": sums}


def digest(name: str, columns: Columns) -> str:
    """SHA-256 of a table's content: names, types and values of its columns, not of any file."""
    total = hashlib.sha256()
    for column in _schema(name):
        values = columns[column.name]
        total.update(f"{column.name}:{column.kind}:{len(values)}\n".encode())
        if isinstance(values, TextColumn):
            total.update("".join(f"{len(word)}:{word}\n" for word in values.words).encode())
            total.update(values.codes.astype("<i4").tobytes())
        elif column.kind == "int":
            total.update(np.asarray(values).astype("<i8").tobytes())
        else:
            numbers = np.asarray(values).astype("<f8")
            # A NaN has many bit patterns, which differ between processors.
            total.update(np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes())
    return total.hexdigest()


def read(path: Path) -> pa.Table:
    """One file, text columns dictionary-encoded, without the partition columns of its path."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(path).read()


def empty(name: str) -> pa.Table:
    """A table without rows."""
    schema = _schema(name)
    return _arrow(schema, {column.name: _no_rows(column) for column in schema})


def _no_rows(column: Column) -> Any:
    if column.kind == "text":
        return TextColumn(np.zeros(0, dtype=np.int32), [])
    return np.zeros(0, dtype=np.int64 if column.kind == "int" else np.float64)


def _schema(name: str) -> tuple[Column, ...]:
    return _STEP_COLUMNS if name == STEPS else TABLES[name]


def _steps(outcome: Outcome) -> Columns:
    """All step series one below the other, by name."""
    names = sorted(outcome.steps)
    sizes = [len(outcome.steps[name][0]) for name in names]
    return {
        "name": TextColumn(np.repeat(np.arange(len(names), dtype=np.int32), sizes), names),
        "time": np.concatenate([np.zeros(0), *(outcome.steps[name][0] for name in names)]),
        "value": np.concatenate([np.zeros(0), *(outcome.steps[name][1] for name in names)]),
    }


def _arrow(schema: tuple[Column, ...], columns: Columns) -> pa.Table:
    import pyarrow as pa

    arrays = []
    for column in schema:
        values = columns[column.name]
        if isinstance(values, TextColumn):
            words = pa.array(values.words, type=pa.string())
            arrays.append(pa.DictionaryArray.from_arrays(pa.array(values.codes, type=pa.int32()), words))
        else:
            arrays.append(pa.array(values, type=pa.int64() if column.kind == "int" else pa.float64()))
    return pa.Table.from_arrays(arrays, names=[column.name for column in schema])


def _write_parquet(table: pa.Table, schema: tuple[Column, ...], path: Path) -> None:
    import pyarrow.parquet as pq

    # Bytes of one significance lie together in floats, which then shrink by a quarter more.
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=1,
        use_dictionary=[column.name for column in schema if column.kind == "text"],
        use_byte_stream_split=[column.name for column in schema if column.kind == "float"],
        row_group_size=1 << 20,
        version="2.6",
        data_page_version="1.0",
    )
