"""Defaults, the canonical text and the digest of a scenario."""

from pathlib import Path

import pytest

from sim.errors import ScenarioError
from sim.metrics import names_of
from sim.scenario.canonical import plain, text
from sim.scenario.facts import facts
from sim.scenario.load import digest, inputs, load, loads, resolved
from sim.scenario.spec import Scenario
from sim.scenario.study_checks import metric_names
from sim.units import parse

HERE = Path(__file__).parent
GOOD = sorted((HERE / "good").glob("*.yaml"))


@pytest.fixture(scope="module")
def full():
    return load(HERE / "good" / "full.yaml")


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_the_resolved_text_loads_to_an_equal_scenario(path):
    first = load(path)
    again = loads(resolved(first))
    assert again == first
    assert digest(again) == digest(first)
    assert resolved(again) == resolved(first)


def test_values_are_in_si_units(full):
    wan = full.infrastructure.network.links["wan"]
    assert (wan.latency.value, wan.bandwidth) == (0.008, 25e6)
    assert wan.price == pytest.approx(0.09e-9)
    assert full.infrastructure.sites["frankfurt"].pools["gpu"].price == pytest.approx(0.5 / 3600)
    assert full.infrastructure.faults.crashes["plant/gpus"].mtbf.dist == "exponential"
    assert full.platform.services["edge"].time.points == {1: 0.002, 8: 0.01}


def test_defaults_are_filled_in(full):
    edge = full.platform.services["edge"]
    assert (edge.router.policy, edge.autoscaler.policy, edge.queue) == ("least-load", "fixed", None)
    assert (edge.replicas.initial, edge.replicas.min, edge.replicas.max) == (2, 2, 2)
    assert full.platform.scheduler.filters[0].policy == "ready"


def test_a_call_comes_after_the_one_before_it_unless_it_says_otherwise():
    calls = load(HERE / "good" / "policies.yaml").applications["two"].calls
    assert {name: call.after for name, call in calls.items()} == {
        "first": [],
        "second": [],
        "third": ["first", "second"],
    }
    third = (
        (HERE / "good" / "policies.yaml").read_text(encoding="utf-8").replace("after: [first, second], ", "")
    )
    assert loads(third).applications["two"].calls["third"].after == ["second"]


def test_a_scenario_is_frozen(full):
    with pytest.raises(ValueError, match="frozen"):
        full.seed = 3


def test_the_digest_changes_with_every_setting(full):
    found = {digest(full), digest(load(HERE / "good" / "full.yaml", ["seed=8"]))}
    found.add(digest(load(HERE / "good" / "full.yaml", ["applications.cameras.users.yard=41"])))
    assert len(found) == 3


def trace(folder, content):
    folder.mkdir()
    (folder / "trace.csv").write_text(content, encoding="utf-8")
    base = (HERE / "good" / "base.yaml").read_text(encoding="utf-8")
    path = folder / "s.yaml"
    path.write_text(base.replace("{process: periodic, period: 200ms}", "{process: trace, file: trace.csv}"))
    return load(path)


def test_a_file_counts_by_its_content_wherever_it_lies(tmp_path):
    one, same = trace(tmp_path / "a", "time_s\n1\n"), trace(tmp_path / "b", "time_s\n1\n")
    other = trace(tmp_path / "c", "time_s\n2\n")
    assert Path(one.applications["cameras"].arrivals.file) == tmp_path / "a" / "trace.csv"
    assert list(inputs(one)) == [str(tmp_path / "a" / "trace.csv")]
    assert digest(one) == digest(same) != digest(other)
    assert loads(resolved(one)) == one


def test_numbers_are_written_in_a_unit_that_reads_back_exactly():
    for dimension, value in {
        "duration": "33.3ms",
        "carbon_intensity": "412.37 g/kWh",
        "price": "0.526 USD/h",
    }.items():
        number = parse(value, dimension)
        assert text(number, dimension) == value
    assert parse(text(1 / 3, "duration"), "duration") == 1 / 3
    assert text(0.0, "bytes") == "0B"


def test_every_metric_a_scenario_may_ask_for_is_one_of_its_results(full):
    for scenario in (full, load(HERE / "good" / "jobs.yaml")):
        ended = {"reason": "completed", "time": scenario.duration, "events": 0}
        assert metric_names(scenario) == names_of(facts(scenario, ended, {}))
        assert len(metric_names(scenario)) > 20


def test_all_kinds_of_faults_of_a_file_are_told_together():
    with pytest.raises(ScenarioError) as caught:
        load(HERE / "bad" / "several.yaml")
    assert [fault.line for fault in caught.value.faults] == [3, 7, 22, 22]


def test_plain_data_is_json(full):
    import json

    assert json.loads(json.dumps(plain(full, Scenario))) == plain(full, Scenario)


def test_wrong_rows_of_a_trace_are_told_before_anything_is_run(tmp_path):
    text = (HERE / "good" / "base.yaml").read_text(encoding="utf-8")
    text = text.replace("{process: periodic, period: 200ms}", "{process: trace, file: rows.csv}")
    rows = tmp_path / "rows.csv"
    rows.write_text("time_s,work\n1,1\ntwo,1\n3,-4\n", encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        loads(text, folder=tmp_path)
    assert [(fault.path, fault.message) for fault in caught.value.faults] == [
        (
            "applications.cameras.arrivals.file",
            f"{rows}:3:1: time_s: expected a number, 0 or more, got 'two'",
        ),
        ("applications.cameras.arrivals.file", f"{rows}:4:1: work: expected a number, 0 or more, got '-4'"),
    ]
    rows.write_text("time_s,work\n1,1\n", encoding="utf-8")
    assert loads(text, folder=tmp_path).name == "base"


def test_wrong_values_do_not_hide_wrong_references():
    text = (HERE / "good" / "base.yaml").read_text(encoding="utf-8")
    text = (
        text.replace("nodes: 2", "noodes: 2")
        .replace("warmup: 1min", "warmup: 60")
        .replace("yard: 4", "yrd: 4")
    )
    with pytest.raises(ScenarioError) as caught:
        loads(text)
    assert [fault.path for fault in caught.value.faults] == [
        "warmup",
        "infrastructure.sites.plant.pools.box.noodes",
        "applications.cameras.users.yrd",
    ]


def test_a_wrong_required_value_does_not_hide_wrong_references():
    text = (
        (HERE / "good" / "base.yaml")
        .read_text(encoding="utf-8")
        .replace("kind: edge", "kind: egde")
        .replace("process: periodic", "process: perodic")
        .replace("yard: 4", "yrd: 4")
        .replace("between: [yard,", "between: [5,")
    )
    with pytest.raises(ScenarioError) as caught:
        loads(text)
    assert [fault.path for fault in caught.value.faults] == [
        "infrastructure.sites.plant.kind",
        "infrastructure.network.links.lan.between.0",
        "applications.cameras.users.yrd",
        "applications.cameras.arrivals.process",
    ]


def test_a_wrong_entry_is_not_reported_again_where_it_is_named():
    text = (
        (HERE / "good" / "base.yaml").read_text(encoding="utf-8").replace("yard: {kind: device}", "yard: 3")
    )
    with pytest.raises(ScenarioError) as caught:
        loads(text)
    assert [fault.path for fault in caught.value.faults] == ["infrastructure.sites.yard"]
