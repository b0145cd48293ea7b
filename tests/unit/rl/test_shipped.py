"""Agents that ship are whole, and were not trained on what they are judged by."""

from pathlib import Path

import pytest

from sim.paas.autoscaling import weights
from sim.scenario.load import load

ROOT = Path(__file__).parents[3]
AGENTS = sorted((ROOT / "scenarios" / "agents").glob("*.npz"))


def test_there_is_one():
    assert AGENTS


@pytest.mark.parametrize("path", AGENTS, ids=lambda path: path.stem)
def test_an_agent_is_whole_and_was_trained_elsewhere(path):
    trained = weights.load(str(path), "network").about["trained"]
    scenario = load(ROOT / "scenarios" / "ai_autoscaling.yaml")
    assert trained["seed"] != scenario.seed
    # Other days: its crowds came at other times.
    assert any("crowds" in text for text in trained["sets"])


def test_the_agent_of_the_study_of_autoscalers_is_one_of_them():
    arm = load(ROOT / "scenarios" / "ai_autoscaling.yaml").study.arms["agent"]
    (settings,) = arm.values()
    assert (ROOT / "scenarios" / settings["weights"]) in AGENTS
    # Its steps are taken at the pace it was trained at.
    about = weights.load(str(ROOT / "scenarios" / settings["weights"]), "network").about
    assert settings["period"] == f"{about['period']:g}s"
