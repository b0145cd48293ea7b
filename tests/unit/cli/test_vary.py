"""What `compare --vary` makes of its values."""

from pathlib import Path

import pytest

from sim.cli.main import main
from sim.cli.run import _study as study_of
from sim.scenario.load import load
from sim.scenario.overrides import alternatives

GOOD = Path(__file__).parents[1] / "scenario" / "good" / "full.yaml"


def varied(*items):
    return load(GOOD, study_of([alternatives(item) for item in items])).study


def test_the_first_makes_arms_and_the_others_axes():
    study = varied(
        "applications.cameras.offload=edge,cloud,latency-greedy", "applications.cameras.users.yard=5,10"
    )
    assert study.baseline is None
    assert study.arms == {
        name: {"applications.cameras.offload": name} for name in ("edge", "cloud", "latency-greedy")
    }
    assert study.axes == {"applications.cameras.users.yard": [5, 10]}


def test_values_that_make_no_name_are_counted():
    study = varied("platform.services.cloud.autoscaler={policy: hpa, utilisation: 0.5},fixed")
    assert list(study.arms) == ["policy-hpa-utilisation-0-5", "fixed"]
    assert list(varied("warmup=30s,'30s '").arms) == ["value-0", "value-1"]


@pytest.mark.parametrize("vary", ["seed", "seed=", "seed=[1", ".=1"])
def test_what_cannot_be_varied(vary, capsys):
    assert main(["compare", str(GOOD), "--vary", vary]) == 2
    assert "--vary" in capsys.readouterr().err
