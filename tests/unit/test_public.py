import subprocess
import sys

import pytest

import sim


@pytest.mark.parametrize("name", sim.__all__)
def test_every_public_name_has_a_home(name):
    assert callable(getattr(sim, name))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        _ = sim.laod


def test_importing_sim_loads_nothing_heavy():
    code = "import sim, sys; print(' '.join(m.split('.')[0] for m in sys.modules))"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert not loaded & {"numpy", "pandas", "matplotlib", "scipy", "pyarrow", "pydantic", "simpy"}


def test_the_model_never_loads_what_only_reports_need():
    code = (
        "import sys\nfrom sim.scenario.load import loads\nfrom sim.scenario.build import build\n"
        "from sim.cli.starter import starter\nbuild(loads(starter('x'))).cluster\n"
        "print(' '.join(m.split('.')[0] for m in sys.modules))"
    )
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert not loaded & {"pandas", "matplotlib", "scipy", "pyarrow", "joblib", "jinja2", "sklearn"}
