"""The scenario of models that share a GPU says what its notes say."""

import json
from pathlib import Path

import pytest

from sim.scenario.load import load
from sim.study.execute import run_study

SCENARIO = Path(__file__).parents[2] / "scenarios" / "multi_model_gpu_sharing.yaml"


def test_sharing_costs_a_quarter_and_makes_the_bursts_slower_in_the_order_of_the_notes(tmp_path):
    scenario = load(SCENARIO, ["study.replications=1", "duration=45s"])
    summary = json.loads((run_study(scenario, out=tmp_path) / "summary.json").read_text())
    cells = {
        cell["arm"]: {name: v["values"][0] for name, v in cell["metrics"].items()}
        for cell in summary["cells"]
    }
    assert cells["own"]["total.cost"] == pytest.approx(4 * cells["turns"]["total.cost"])
    bursts = [cells[arm]["apps.archive.latency.p95"] for arm in ("own", "together", "turns", "slices")]
    assert bursts == sorted(bursts) and bursts[2] > 2 * bursts[0]
    # Who is alone most of the time is as fast as alone; on a slice, a seventh of the GPU, it is not.
    medians = {arm: cells[arm]["apps.people.latency.p50"] for arm in cells}
    assert medians["turns"] == pytest.approx(medians["own"], rel=0.1)
    assert medians["slices"] > 1.5 * medians["own"]
