import numpy as np
import pytest

from sim.kernel.outcome import Outcome
from sim.kernel.recorder import TextColumn
from sim.tables import TABLES


def _column(column, rows):
    values = [row[column.name] for row in rows]
    if column.kind != "text":
        return np.array(values, dtype=np.int64 if column.kind == "int" else np.float64)
    words = list(dict.fromkeys(values))
    return TextColumn(np.array([words.index(value) for value in values], dtype=np.int32), words)


_EMPTY = {"float": float("nan"), "int": 0, "text": ""}


@pytest.fixture
def outcome():
    """Makes an outcome of rows given as mappings; what a row leaves out is NaN, 0 or ''."""

    def make(*, window=(0.0, 10.0), steps=None, facts=None, **tables):
        assert set(tables) <= set(TABLES)
        full = {}
        for name, columns in TABLES.items():
            blank = {column.name: _EMPTY[column.kind] for column in columns}
            rows = tables.get(name, [])
            assert all(set(row) <= set(blank) for row in rows)
            full[name] = {column.name: _column(column, [blank | row for row in rows]) for column in columns}
        ended = {"reason": "completed", "time": window[1], "events": 0}
        series = {
            name: (
                np.array([time for time, _ in points], float),
                np.array([value for _, value in points], float),
            )
            for name, points in (steps or {}).items()
        }
        return Outcome(full, series, {"window": list(window), "ended": ended} | (facts or {}))

    return make
