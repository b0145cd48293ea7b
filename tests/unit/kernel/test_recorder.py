import numpy as np
import pytest

from sim.kernel import recorder as recorder_module
from sim.kernel import series as series_module
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder, TextColumn
from sim.tables import TABLES, columns


def fault(i):
    return (i * 0.5, f"iaas/a/{i % 7}", "crash" if i % 3 else "reclaim", float("nan"), i)


def run_and_record(spool, row_budget, rows=3000, monkeypatch=None):
    kernel = Kernel()
    recorder = Recorder(kernel, spool=spool, row_budget=row_budget)
    table, busy = recorder.table("faults"), recorder.series("busy")
    idle = recorder.series("idle", initial=1.0)

    def tick(i):
        table.add(fault(i))
        busy.set(i % 5)
        busy.add(0.5)
        if i < rows - 1:
            kernel.call_in(1.0 if i % 4 else 0.0, tick, i + 1)

    kernel.call_in(0, tick, 0)
    kernel.run()
    return recorder, busy, idle, kernel


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(recorder_module, "SEAL", 128)
    monkeypatch.setattr(series_module, "SEAL", 100)


def test_rows_become_typed_columns():
    recorder, _, _, kernel = run_and_record(None, 10**6, rows=10)
    recorded = recorder.finish(kernel.now)
    faults = recorded.tables["faults"]
    assert list(faults) == list(columns("faults"))
    assert faults["time"].dtype == np.float64
    assert faults["units"].dtype == np.int64
    assert faults["units"].tolist() == list(range(10))
    assert isinstance(faults["target"], TextColumn)
    assert faults["target"].codes.dtype == np.int32
    assert faults["target"].texts() == [f"iaas/a/{i % 7}" for i in range(10)]
    assert faults["kind"].words == ["reclaim", "crash"]
    assert len(faults["kind"]) == 10
    assert np.isnan(faults["until"]).all()
    assert recorded.end == kernel.now


def test_tables_without_rows_are_there_and_typed():
    recorded = Recorder(Kernel()).finish(1.0)
    assert set(recorded.tables) == set(TABLES)
    for name, schema in TABLES.items():
        for column in schema:
            data = recorded.tables[name][column.name]
            assert len(data) == 0
            codes = data.codes if isinstance(data, TextColumn) else data
            assert codes.dtype == {"float": np.float64, "int": np.int64, "text": np.int32}[column.kind]


def same(a, b):
    assert a.tables.keys() == b.tables.keys()
    for name, table in a.tables.items():
        for column, data in table.items():
            other = b.tables[name][column]
            if isinstance(data, TextColumn):
                assert data.words == other.words
                data, other = data.codes, other.codes
            assert data.dtype == other.dtype
            np.testing.assert_array_equal(data, other)
    assert a.steps.keys() == b.steps.keys()
    for name, pair in a.steps.items():
        for mine, theirs in zip(pair, b.steps[name], strict=True):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("row_budget", [0, 500, 2500])
def test_spooling_changes_nothing(tmp_path, small_chunks, row_budget):
    spool = tmp_path / "deep" / "run"
    recorder, busy, _, kernel = run_and_record(spool, row_budget)
    files = list(spool.iterdir())
    assert len(files) == 1
    assert files[0].stat().st_size > 0
    seen_during_the_run = busy.times, busy.values
    spooled = recorder.finish(kernel.now)
    assert not list(spool.iterdir())
    whole_recorder, _, _, _ = run_and_record(None, 10**9)
    whole = whole_recorder.finish(kernel.now)
    same(spooled, whole)
    np.testing.assert_array_equal(seen_during_the_run, whole.steps["busy"])
    assert len(whole.tables["faults"]["time"]) == 3000
    assert spooled.tables["faults"]["time"].flags.writeable


def test_sealing_in_small_chunks_equals_not_sealing(small_chunks, monkeypatch):
    recorder, _, _, kernel = run_and_record(None, 10**9)
    chunked = recorder.finish(kernel.now)
    monkeypatch.undo()
    recorder, _, _, _ = run_and_record(None, 10**9)
    same(chunked, recorder.finish(kernel.now))


def test_memory_stays_bounded_past_the_budget(tmp_path, small_chunks):
    recorder, busy, _, _ = run_and_record(tmp_path, 0)
    table = recorder.table("faults")
    assert len(table._rows) < 128
    assert len(busy._times) <= 101
    on_disk = [chunk for chunks in table._chunks for chunk in chunks] + [
        c for pair in busy._chunks for c in pair
    ]
    assert on_disk
    assert all(type(chunk).__name__ == "_Disk" for chunk in on_disk)


def test_a_table_is_one_object_and_must_be_known():
    recorder = Recorder(Kernel())
    assert recorder.table("jobs") is recorder.table("jobs")
    with pytest.raises(KeyError, match=r"no table .job. .* jobs"):
        recorder.table("job")


def test_a_series_name_is_taken_once():
    recorder = Recorder(Kernel())
    recorder.series("a")
    with pytest.raises(ValueError, match="'a' exists"):
        recorder.series("a")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ((0.0, "a", "crash", 1.0), r"a row has 4 values, not 5 \(time, target"),
        ((0.0, "a", "crash", 1.0, 2, 3), "a row has 6 values"),
        ((0.0, "a", "crash", 1.0, 2.5), r"column 'units' \(int\): got 2.5"),
        ((0.0, 7, "crash", 1.0, 2), r"column 'target' \(text\): got 7"),
        (("soon", "a", "crash", 1.0, 2), r"column 'time' \(float\): got 'soon'"),
        ((None, "a", "crash", 1.0, 2), r"column 'time' \(float\): got None"),
    ],
)
def test_wrong_rows_are_refused_with_the_column(row, says):
    recorder = Recorder(Kernel())
    recorder.table("faults").add(fault(1))
    recorder.table("faults").add(row)
    with pytest.raises(ValueError, match=says):
        recorder.finish(1.0)
