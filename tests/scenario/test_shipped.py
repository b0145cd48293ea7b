"""The shipped scenarios: each is valid, gives an answer, and every command it proposes works."""

import json
import re
import shlex
from pathlib import Path

import pytest

from sim.scenario.load import load
from sim.study.cells import expand
from sim.study.execute import run_study

FOLDER = Path(__file__).parents[2] / "scenarios"
SHIPPED = sorted(FOLDER.glob("*.yaml"))

every_scenario = pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)

#: A trace of two requests a second, for the settings that ask for a file of the reader's own.
ROWS = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:{15 + second // 60}:{second % 60:02}.{half}000000,1000,{100 + second % 7}\n"
    for second in range(600)
    for half in (0, 5)
)


def settings_of(attempt):
    """The `--set` values in a line of `try`, split as a shell would."""
    _, sign, command = attempt.partition("--set ")
    words = shlex.split(sign + command)
    assert words[::2] == ["--set"] * (len(words) // 2), attempt
    return words[1::2]


ATTEMPTS = [
    pytest.param(path, attempt, id=f"{path.stem}: {attempt.partition(':')[0]}")
    for path in SHIPPED
    for attempt in load(path).attempts
]


def small(scenario, **settings):
    """All arms at the first point of the axes, one replication: what a test has time for."""
    study = scenario.study
    changes = {
        "replications": 1,
        "axes": {axis: values[:1] for axis, values in study.axes.items()},
        "cases": {case: dict(list(named.items())[:1]) for case, named in study.cases.items()},
    }
    return scenario.model_copy(update={"study": study.model_copy(update=changes), **settings})


def run(scenario, out):
    return json.loads((run_study(scenario, out=out, quick=True) / "summary.json").read_text())


@every_scenario
def test_it_is_told_what_it_asks_what_to_see_and_where_its_figures_come_from(path):
    scenario = load(path)
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=./schema.json\n# ")
    assert scenario.name == path.stem.replace("_", "-")
    assert scenario.question.endswith("?")
    assert scenario.notice
    assert scenario.attempts
    assert scenario.sources
    assert scenario.study.answer is not None
    assert scenario.study.replications >= 5
    assert len(expand(scenario)) > 1


@every_scenario
def test_it_gives_an_answer(path, tmp_path):
    scenario = load(path)
    summary = run(small(scenario), tmp_path)
    assert [cell["ended"] for cell in summary["cells"]] == [["completed"]] * len(scenario.study.arms)
    (decision,) = summary["answer"]["decisions"]
    assert {candidate["arm"] for candidate in decision["candidates"]} == set(scenario.study.arms)
    assert decision["winner"]["arm"] in scenario.study.arms
    for metric in [*scenario.study.show, scenario.study.answer.metric]:
        assert metric in summary["cells"][0]["metrics"]


@pytest.mark.parametrize(("path", "attempt"), ATTEMPTS)
def test_what_it_proposes_to_try_can_be_typed(path, attempt, tmp_path, monkeypatch):
    sets = settings_of(attempt)
    assert sets
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r"\.file=(\S+)", " ".join(sets)):
        (tmp_path / name).write_text(ROWS)
    assert load(path, sets) != load(path)


def test_the_chat_scenario_replays_a_file_where_one_is_given(tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text(ROWS)
    scenario = load(FOLDER / "azure_llm_trace.yaml", [f"applications.chat.arrivals.file={trace}"])
    short = small(scenario, duration=60.0, warmup=10.0)
    for cell in run(short.model_copy(update={"duration": 300.0}), tmp_path)["cells"]:
        # A quick run takes a fifth of 300 s, without the warm-up 50 s, two requests in each.
        assert cell["metrics"]["apps.chat.arrived"]["values"] == [100.0]
