"""The commands as a user types them, without simulating."""

import json
import re
from pathlib import Path

import pytest

from sim.cli.main import COMMANDS, main
from sim.scenario.load import load, loads

SCENARIOS = Path(__file__).parents[1] / "scenario"
GOOD, BAD = SCENARIOS / "good" / "full.yaml", SCENARIOS / "bad" / "several.yaml"


@pytest.fixture
def stratus(capsys):
    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, stratus):
    code, out, err = stratus(name, "--help")
    assert (code, err) == (0, "")
    assert f"stratus {name}" in out
    assert "--debug" in out


def test_help_lists_every_command(stratus):
    code, out, _ = stratus("--help")
    assert code == 0
    assert all(f"  {name} " in out for name in COMMANDS)


def test_the_version_is_that_of_the_package(stratus):
    assert stratus("--version") == (0, "stratus 0.1.0\n", "")


def test_an_unknown_command_gives_the_nearest(stratus):
    code, out, err = stratus("validte")
    assert (code, out) == (2, "")
    assert 'did you mean "validate"?' in err


def test_an_unknown_option_is_an_error_of_usage(stratus):
    assert stratus("validate", "--nothing", GOOD)[0] == 2


def test_valid_files(stratus):
    assert stratus("validate", GOOD) == (0, f"{GOOD}: valid\n", "")


def test_faults_go_to_stderr_one_a_line_with_their_number(stratus):
    code, out, err = stratus("validate", BAD, GOOD, "nothing.yaml")
    lines = err.splitlines()
    assert (code, out) == (3, f"{GOOD}: valid\n")
    assert lines[0].startswith(f"{BAD}:3:9: warmup: ")
    assert lines[-2:] == ["nothing.yaml: no such file", "5 faults"]


def test_faults_as_json(stratus):
    code, out, err = stratus("validate", "--json", BAD)
    found = json.loads(out)
    assert (code, err, found["valid"]) == (3, "", False)
    assert found["faults"][0]["line"] == 3
    assert json.loads(stratus("validate", "--json", GOOD)[1]) == {"version": 1, "valid": True, "faults": []}


def test_settings_of_the_command_line_are_checked(stratus):
    code, _, err = stratus("validate", GOOD, "--set", "platform.services.egde.replicas=2")
    assert code == 3
    assert err.startswith("<--set>: platform.services.egde.replicas: ")


def test_a_wrong_file_stops_run_before_anything_is_simulated(stratus, tmp_path):
    code, out, err = stratus("run", GOOD, BAD, "--out", tmp_path / "reports")
    assert (code, out) == (3, "")
    assert "4 faults" in err
    assert not (tmp_path / "reports").exists()


def test_init_writes_a_scenario_that_is_valid_and_refuses_to_overwrite(stratus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert stratus("init", "mine")[:2] == (0, "mine.yaml\n")
    written = (tmp_path / "mine.yaml").read_text(encoding="utf-8")
    assert load(tmp_path / "mine.yaml").name == "mine"
    assert written.count("#") > 20
    code, _, err = stratus("init", "mine.yaml")
    assert code == 2
    assert "exists already" in err
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == written
    assert stratus("init", "no/such/folder")[0] == 2


@pytest.mark.parametrize("name", ["12", "true", "a b.c", "ümlaut", "--", "x" * 100])
def test_any_name_gives_a_valid_starter(name):
    from sim.cli.starter import starter

    assert loads(starter(name)).study.baseline == "one"


def test_the_schema_goes_to_stdout_or_to_a_file(stratus, tmp_path):
    _, out, _ = stratus("schema")
    code, nothing, _ = stratus("schema", "-o", tmp_path / "s.json")
    assert (code, nothing) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))


def test_list(stratus):
    code, out, _ = stratus("list")
    assert code == 0
    assert "routers: " in out
    assert "least-load" in stratus("list", "routers")[1]
    assert stratus("list", "router") == stratus("list", "routers")
    assert "node_scaling: cluster-autoscaler" in out
    assert "t4" in json.loads(stratus("list", "devices", "--json")[1])["names"]["device"]
    code, _, err = stratus("list", "rooters")
    assert code == 2
    assert 'did you mean "routers"?' in err


def test_list_the_policies_of_all_kinds(stratus):
    code, out, _ = stratus("list", "policies")
    assert code == 0
    assert "routers:\n" in out and "\nleast-load " in out
    assert "t4" not in out
    listed = json.loads(stratus("list", "policies", "--json")[1])["names"]
    assert {"router", "autoscaler", "arrivals", "distribution"} <= set(listed)
    assert "device" not in listed


def test_describe_a_policy(stratus):
    code, out, _ = stratus("describe", "dynamic-batch")
    assert code == 0
    assert re.search("max_delay +duration, default 0s", out)
    assert "{policy: dynamic-batch}" in out
    assert "mean  value with the unit of its place, required" in stratus("describe", "exponential")[1]
    entry = json.loads(stratus("describe", "predictive", "--json")[1])["kinds"]["autoscaler"]
    assert {row["name"]: row["type"] for row in entry["parameters"]}["forecaster"] == "forecaster"


def test_describe_a_row_of_the_catalog(stratus):
    code, out, _ = stratus("describe", "t4")
    assert (code, out.splitlines()[0]) == (0, "t4 (device)")
    assert "source" in out


def test_describe_a_name_of_several_kinds(stratus):
    out = stratus("describe", "random")[1]
    assert "random (router)" in out
    assert "random (score)" in out
    assert "random (score)" not in stratus("describe", "random", "--kind", "router")[1]


def test_describe_what_does_not_exist(stratus):
    assert 'did you mean "least-load"?' in stratus("describe", "least-lod")[2]
    assert "is a kind" in stratus("describe", "routers")[2]
    assert stratus("describe", "zzzz")[0] == 2


def test_a_results_folder_without_results(stratus, tmp_path):
    code, _, err = stratus("report", tmp_path)
    assert code == 3
    assert "no results here" in err


def test_plugins(stratus, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from sim.registry import policy\n"
        "@policy('plugged', 'mine')\n"
        "class Mine:\n"
        "    '''A policy of a user.'''\n"
        "    knob: int = 3\n"
    )
    code, out, _ = stratus("describe", "mine", "--plugin", plugin)
    assert code == 0
    assert "knob  whole number, default 3" in out
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    code, _, err = stratus("list", "--plugin", broken)
    assert code == 2
    assert "ZeroDivisionError" in err
    assert stratus("list", "--plugin", tmp_path / "nothing.py")[0] == 2


def test_an_unexpected_error_is_short_and_debug_shows_all(stratus, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("boom")

    monkeypatch.setattr("sim.scenario.load.load", fail)
    code, out, err = stratus("validate", GOOD)
    assert (code, out) == (1, "")
    assert err.startswith("stratus: unexpected RuntimeError: boom\n")
    with pytest.raises(RuntimeError):
        stratus("validate", GOOD, "--debug")


def test_ctrl_c_is_130(stratus, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("sim.scenario.load.load", interrupt)
    assert stratus("validate", GOOD)[0] == 130


@pytest.mark.parametrize("below", ["", "sub"])
def test_results_that_cannot_be_written(below, stratus, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    code, out, err = stratus("run", GOOD, "--out", file / below, "--no-progress")
    assert (code, out) == (2, "")
    assert err.startswith(f"stratus: results cannot be written to {file}")
    assert file.read_text() == "mine"


def test_faults_of_what_varies_name_it(stratus):
    code, _, err = stratus("compare", GOOD, "--vary", "sed=1,2")
    assert code == 2
    assert err == "stratus: --vary sed: no such setting: 'sed' (did you mean \"seed\"?)\n"
    vary = ("--vary", "seed=1,2", "--vary", "applications.cameras.users.yrd=1,2")
    assert "--vary applications.cameras.users.yrd: no site" in stratus("compare", GOOD, *vary)[2]


def test_what_a_terminal_obeys_is_not_printed(stratus, tmp_path):
    code, _, err = stratus("validate", tmp_path / "a\x1b[31mb.yaml")
    assert code == 3
    assert "\x1b" not in err
    assert "a\ufffd[31mb.yaml: no such file" in err


def test_a_mistake_in_a_policy_of_ones_own_is_said_with_its_place(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "from sim.registry import policy\n\n\n@policy('autoscaler', 'mistaken')\nclass Mistaken:\n"
        '    """Looks at what is not there."""\n\n    period: float = 15.0\n\n'
        "    def want(self, observation, now):\n        return observation.nothing\n"
    )
    text = (
        "name: own\nduration: 1min\n"
        "infrastructure: {sites: {here: {kind: cloud, pools: {cpu: {instance: c5.xlarge, nodes: 1}}}}}\n"
        "platform: {services: {web: "
        "{site: here, time: {policy: constant, value: 1s}, autoscaler: mistaken}}}\n"
        "applications: {users: {users: {here: 1}, arrivals: {process: poisson, rate: 1/s}, "
        "calls: {ask: {to: web}}}}\n"
    )
    (tmp_path / "own.yaml").write_text(text)
    code = main(["run", str(tmp_path / "own.yaml"), "--plugin", str(tmp_path / "mine.py")])
    said = capsys.readouterr().err
    assert code != 0
    assert f"{tmp_path / 'mine.py'}:11: AttributeError" in said
    assert "should not happen" not in said
