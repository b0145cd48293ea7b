"""What the documents show works as written."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

from sim import registry
from sim.cli.main import main
from sim.paas.autoscaling import weights
from sim.scenario.build import build
from sim.scenario.load import load, loads

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "reports").glob("*.md"))]


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_python_of_the_readme_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (code,) = blocks(ROOT / "README.md", "python")
    exec(compile(code, "README.md", "exec"), {})
    assert 0.01 < float(capsys.readouterr().out) < 1


def test_the_policy_of_the_page_on_policies_works_in_a_scenario(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(
        registry, "_registry", {kind: dict(known) for kind, known in registry._registry.items()}
    )
    page = ROOT / "docs" / "policies.md"
    (tmp_path / "mine.py").write_text(blocks(page, "python")[0])
    registry.load_file(tmp_path / "mine.py")
    run, check = (line for block in blocks(page, "sh") for line in block.splitlines())
    words = shlex.split(run)
    scenario = load(Path(words[2]), [words[words.index("--set") + 1]])
    assert "mine" in scenario.study.arms
    assert shlex.split(check) == ["stratus", "check", "mine.py"]
    assert main(["check", str(tmp_path / "mine.py")]) == 0


def test_the_page_on_language_models_runs():
    for code in blocks(ROOT / "docs" / "llm.md", "python"):
        exec(compile(code, "docs/llm.md", "exec"), {})


def test_the_page_on_autoscaling_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(
        registry, "_registry", {kind: dict(known) for kind, known in registry._registry.items()}
    )
    page = ROOT / "docs" / "autoscaling.md"
    rule, mine = blocks(page, "python")
    exec(compile(rule, page.name, "exec"), {})
    (tmp_path / "mine.py").write_text(mine)
    registry.load_file(tmp_path / "mine.py")
    check, run = (line for block in blocks(page, "sh") for line in block.splitlines())
    assert shlex.split(check) == ["stratus", "check", "mine.py"]
    assert main(["check", str(tmp_path / "mine.py")]) == 0
    words = shlex.split(run)
    assert "mine" in load(Path(words[2]), [words[words.index("--set") + 1]]).study.arms


def training():
    """The commands of the page on learning that train, split as a shell would."""
    text = "\n".join(blocks(ROOT / "docs" / "learned.md", "sh")).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.startswith("stratus train")]
    return [pytest.param(shlex.split(line)[1:], id=f"command {index}") for index, line in enumerate(lines)]


def given(words, flag):
    return [value for name, value in itertools.pairwise(words) if name == flag]


@pytest.mark.parametrize("words", training())
def test_the_training_of_the_page_on_learning_works_in_a_tiny_form(words, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    (algorithm,) = given(words, "--algorithm")
    if algorithm in ("ppo", "dqn"):
        pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed (extra rl)")
    (looks,), (out,) = given(words, "--looks"), given(words, "--out")
    small = {looks: "64", out: str(tmp_path / "agent.npz")}
    assert main([small.get(word, word) for word in words]) == 0
    kind = algorithm if algorithm in ("q-learning", "linear-q") else "network"
    made = weights.load(str(tmp_path / "agent.npz"), kind)
    if (ROOT / out).exists():
        # The agent that ships is the one of the page.
        shipped = weights.load(str(ROOT / out), kind)
        assert str(shipped.about["trained"]["looks"]) == looks
        assert {name: array.shape for name, array in shipped.arrays.items()} == {
            name: array.shape for name, array in made.arrays.items()
        }
        for about in (shipped.about, made.about):
            del about["trained"]["looks"], about["trained"]["version"]
        assert shipped.about == made.about


def test_the_study_of_the_page_on_scheduling_runs():
    (text,) = blocks(ROOT / "docs" / "scheduling.md", "yaml")
    assert build(loads(text), 0).run().facts["ended"]["reason"] == "completed"


def test_the_commands_of_the_readme_are_understood(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    lines = [
        line.partition("#")[0].strip()
        for block in blocks(ROOT / "README.md", "sh")
        for line in block.splitlines()
    ]
    runs = [shlex.split(line) for line in lines if line.startswith("stratus ") and "scenarios/" in line]
    assert len(runs) == 2
    for words in runs:
        sets = [value for flag, value in itertools.pairwise(words) if flag == "--set"]
        load(Path(words[2]), sets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for link in links:
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_help_lists_every_command(capsys):
    assert main(["--help"]) in (0, None)
    shown = capsys.readouterr().out
    for command in ("run", "compare", "validate", "schema", "init", "list", "describe", "report"):
        assert command in shown
