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
    kind = "q-learning" if "q-learning" in path.stem else "network"
    trained = weights.load(str(path), kind).about["trained"]
    scenario = load(ROOT / "scenarios" / "ai_autoscaling.yaml")
    assert trained["seed"] != scenario.seed
    # Other days: its crowds came at other times.
    assert any("crowds" in text for text in trained["sets"])
