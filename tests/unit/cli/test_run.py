"""`run`, `compare` and `report` from the command line to the files."""

import json
from pathlib import Path

import pytest

from sim.cli.main import main
from sim.cli.starter import starter


@pytest.fixture
def starting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = starter("mine").replace("duration: 5min", "duration: 20s").replace("warmup: 30s", "warmup: 2s")
    Path("mine.yaml").write_text(text, encoding="utf-8")
    return ["mine.yaml", "--jobs", "1", "--replications", "2"]


def test_a_study_from_the_file_to_the_report(starting, capsys):
    assert main(["run", *starting, "--json", "--seed", "3"]) == 0
    said = capsys.readouterr()
    (result,) = json.loads(said.out)["results"]
    folder = Path(result["folder"])
    assert folder.parent == Path("reports/mine")
    assert result["summary"]["scenario"]["seed"] == 3
    assert result["summary"]["replications"] == 2
    assert "6/6 runs" in said.err
    page = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    assert main(["report", str(folder)]) == 0
    assert (folder / "report.html").read_bytes() == page
    assert capsys.readouterr().out


def test_quiet_says_nothing(starting, capsys):
    assert main(["run", *starting, "--quick", "-q", "--set", "study={replications: 1}"]) == 0
    assert capsys.readouterr() == ("", "")


def test_compare_makes_a_study_of_its_own(starting, capsys):
    vary = [
        "--vary",
        "platform.services.chat.router=random,least-load",
        "--vary",
        "applications.assistant.users.city=60,90",
    ]
    assert main(["compare", *starting, *vary, "--json", "--no-progress"]) == 0
    said = capsys.readouterr()
    (result,) = json.loads(said.out)["results"]
    assert [cell["arm"] for cell in result["summary"]["cells"]] == [
        "random",
        "random",
        "least-load",
        "least-load",
    ]
    assert said.err == ""


def test_ctrl_c_keeps_the_finished_runs_and_leaves_the_other_files_alone(starting, capsys, monkeypatch):
    from sim.scenario import build

    built = []

    def second_breaks(scenario, replication):
        if len(built) == 2:
            raise KeyboardInterrupt
        built.append(replication)
        return build.Platform(scenario, replication)

    monkeypatch.setattr("sim.scenario.build.build", second_breaks)
    Path("other.yaml").write_text(starter("other"), encoding="utf-8")
    assert main(["run", "mine.yaml", "other.yaml", *starting[1:], "--json", "--no-progress"]) == 130
    said = capsys.readouterr()
    (result,) = json.loads(said.out)["results"]
    partial = result["summary"]["partial"]
    assert (partial["interrupted"], partial["finished"], partial["planned"]) == (True, 2, 6)
    assert (Path(result["folder"]) / "report.html").is_file()
    assert not Path("reports/other").exists()


def test_ctrl_c_before_anything_is_finished_leaves_nothing(starting, monkeypatch):
    def breaks(scenario, replication):
        raise KeyboardInterrupt

    monkeypatch.setattr("sim.scenario.build.build", breaks)
    assert main(["run", *starting, "-q"]) == 130
    assert list(Path("reports").rglob("*.*")) == []


def test_faults_survive_the_way_from_one_process_to_another():
    import pickle

    from sim.errors import Fault, ScenarioError

    error = ScenarioError([Fault("rows.csv", 3, 1, "", "wrong"), Fault("rows.csv", 2, 1, "", "wrong")])
    assert pickle.loads(pickle.dumps(error)).faults == error.faults
