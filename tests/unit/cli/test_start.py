"""A new process: what is imported, and terminals that are not UTF-8."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GOOD = ROOT / "tests" / "unit" / "scenario" / "good" / "full.yaml"
HEAVY = {"pandas", "matplotlib", "scipy", "pyarrow", "sklearn", "joblib"}

SHOW = """
import sys
from sim.cli.main import main
code = main(sys.argv[1:])
print("\\n#", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def modules(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.rpartition("#")[2].split())


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("run", "--help"), ("validate", GOOD), ("list",), ("describe", "hpa"), ("schema",)],
    ids=lambda arguments: arguments[0],
)
def test_looking_things_up_imports_nothing_heavy(arguments):
    assert modules(*arguments) & HEAVY == set()


def test_help_imports_not_even_the_model():
    assert modules("--help") & {"numpy", "pydantic", "yaml", "simpy"} == set()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_terminals(encoding, tmp_path):
    path = tmp_path / "ü.yaml"
    path.write_text("name: ü\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "sim", "validate", str(path)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding, "NO_COLOR": "1"},
    )
    assert done.returncode == 3
    assert done.stderr.decode(encoding).count("\n") == 4
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_hears_no_complaint(unbuffered):
    process = subprocess.Popen(
        [sys.executable, "-m", "sim", "schema"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() in (0, 1)
    assert said == b""
