import csv
import json
import math
import shutil

import numpy as np
import pytest

from sim.errors import ResultsError
from sim.kernel.recorder import TextColumn
from sim.stats.metrics import measure
from sim.stats.series import binned
from sim.study import tables, writing
from sim.study.execute import run_study
from sim.study.results import Results


@pytest.fixture
def results(scenario, runner, tmp_path):
    return Results(run_study(scenario, out=tmp_path, runner=runner, csv=True))


def test_tables_come_back_as_they_were(scenario, runner, results):
    outcome = runner(scenario, 0)
    table = results.table("requests", 0, 0)
    assert table.num_rows == 200
    for name, column in outcome.tables["requests"].items():
        expected = column.texts() if isinstance(column, TextColumn) else column.tolist()
        assert table[name].to_pylist() == expected
    steps = results.table("steps", 0, 0).to_pydict()
    assert steps == {"name": ["paas/s/ready"] * 2, "time": [0.0, 1.0], "value": [0.0, 1.0]}


def test_tables_without_rows_have_columns(results):
    table = results.table("jobs", 0, 0)
    assert (table.num_rows, table.column_names[0]) == (0, "id")


def test_curves_come_back_as_they_were(scenario, runner, results):
    assert results.series(0, 2) == binned(runner(scenario, 2))


def test_metrics_of_the_summary_are_those_of_the_runs(scenario, runner, results):
    expected = measure(runner(scenario, 1))
    metrics = results.summary["cells"][0]["metrics"]
    assert set(metrics) == set(expected)
    for name, value in expected.items():
        stored = metrics[name]["values"][1]
        assert stored == (None if math.isnan(value) else value)


def test_the_tables_are_hive_partitioned(results):
    import pyarrow.dataset as ds

    whole = ds.dataset(results.folder / "tables" / "requests", partitioning="hive").to_table()
    assert whole.num_rows == 4 * 200
    assert set(whole["arm"].to_pylist()) == {"slow", "fast"}
    assert set(whole["warmup"].to_pylist()) == {"10s", "20s"}
    assert set(whole["replication"].to_pylist()) == {0}


def test_checksums_are_of_content(results, scenario, runner):
    outcome = runner(scenario, 2)
    run = next(run for run in results.runs(0) if run["replication"] == 2)
    assert run["kept"] is False
    assert run["rows"]["requests"] == 200
    assert run["sha256"]["requests"] == tables.digest("requests", outcome.tables["requests"])
    changed = dict(outcome.tables["requests"])
    changed["done"] = np.nextafter(changed["done"], np.inf)
    assert run["sha256"]["requests"] != tables.digest("requests", changed)


def test_every_nan_counts_the_same(runner, scenario):
    columns = dict(runner(scenario, 0).tables["requests"])
    other = dict(columns)
    columns["network"] = np.full(200, np.nan)
    other["network"] = np.copysign(np.full(200, np.nan), -1.0)
    assert tables.digest("requests", columns) == tables.digest("requests", other)


def test_tables_that_were_not_kept_are_refused(results):
    with pytest.raises(ResultsError, match="not kept"):
        results.table("requests", 0, 1)
    with pytest.raises(ResultsError, match="no replication 7 of cell 0"):
        results.series(0, 7)
    with pytest.raises(ResultsError, match="no table 'request'"):
        results.table("request", 0, 0)


def test_tables_as_csv(results):
    path = results.folder / "csv" / "requests" / "arm=slow" / "warmup=10s" / "replication=0.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) == 200
    assert float(rows[7]["done"]) == results.table("requests", 0, 0)["done"][7].as_py()


def test_metrics_as_csv(results):
    rows = list(csv.DictReader((results.folder / "latency.csv").read_text().splitlines()))
    assert list(rows[0]) == [
        "arm", "warmup", "scope", "metric", "unit", "n", "mean", "low", "high", "r0", "r1", "r2",
    ]  # fmt: skip
    row = next(row for row in rows if row["arm"] == "fast" and row["metric"] == "latency.p99")
    stored = results.summary["cells"][2]["metrics"]["apps.cams.latency.p99"]
    assert (row["warmup"], row["scope"], row["unit"], row["n"]) == ("10s", "apps.cams", "s", "3")
    assert [float(row[name]) for name in ("mean", "low", "high", "r0", "r1", "r2")] == [
        stored["mean"], stored["low"], stored["high"], *stored["values"],
    ]  # fmt: skip


def test_the_summary_holds_the_question_and_its_answer(results):
    summary = results.summary
    assert summary["scenario"]["question"] == "Which arm is faster?"
    assert summary["baseline"] == "slow"
    assert summary["axes"] == {"warmup": ["10s", "20s"]}
    assert [decision["point"] for decision in summary["answer"]["decisions"]] == [
        {"warmup": "10s"},
        {"warmup": "20s"},
    ]
    assert summary["partial"] is None


def test_the_scenario_is_kept_and_loads_again(results, scenario):
    from sim.scenario.load import digest, loads

    assert digest(loads(results.scenario_text)) == digest(scenario) == results.manifest["scenario"]["digest"]


def test_only_the_manifest_knows_the_time(results):
    assert set(results.manifest["timing"]) == {"started", "ended", "seconds", "jobs", "runs"}
    assert "timing" not in results.summary


def test_a_folder_that_holds_no_results(tmp_path, results):
    with pytest.raises(ResultsError, match="not a results folder"):
        Results(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(results.folder, broken)
    (broken / "summary.json").write_text("{")
    with pytest.raises(ResultsError, match="cannot be read"):
        Results(broken)
    manifest = json.loads((broken / "manifest.json").read_text())
    (broken / "manifest.json").write_text(json.dumps(manifest | {"results_version": 99}))
    with pytest.raises(ResultsError, match="version 99"):
        Results(broken)


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd()", "@SUM(1)", "\t=1", "-"])
def test_no_text_of_a_csv_file_is_a_formula(text):
    assert writing._inert(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-1", "+1.5", "-1e-3", "a=b", "", "10s", "1-2"])
def test_other_text_stays_as_it_is(text):
    assert writing._inert(text) == text


@pytest.mark.parametrize("name", ["manifest.json", "summary.json"])
@pytest.mark.parametrize("content", ["{}", "[]", "{", "null", "\xff"])
def test_a_broken_folder_is_said_to_be_broken(results, name, content):
    (results.folder / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(ResultsError, match=name):
        Results(results.folder)
