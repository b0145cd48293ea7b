"""Loader and JSON Schema accept and refuse the same files, as far as a schema can see."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from sim.errors import ScenarioError
from sim.scenario import document
from sim.scenario.load import load, resolved
from sim.scenario.schema import DIALECT, schema, text

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
GOOD = sorted((HERE / "good").glob("*.yaml")) + sorted((ROOT / "scenarios").glob("*.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))
#: What only the loader can know: names in other parts, sizes, files, and values against each other.
REFERENCES = sorted((HERE / "bad_references").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator():
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def data_of(path):
    return document.parse(document.read(path), str(path)).data


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_files_pass_both(path, validator):
    load(path)
    assert [error.message for error in validator.iter_errors(data_of(path))] == []


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_the_resolved_scenario_passes_the_schema(path, validator):
    data = document.parse(resolved(load(path))).data
    assert [error.message for error in validator.iter_errors(data)] == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_files_fail_both(path, validator):
    with pytest.raises(ScenarioError):
        load(path)
    assert not validator.is_valid(data_of(path))


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.stem)
def test_wrong_references_are_the_loaders_concern_alone(path, validator):
    with pytest.raises(ScenarioError):
        load(path)
    assert validator.is_valid(data_of(path))


def test_the_schema_says_what_it_is_and_explains_every_key(validator):
    made = validator.schema
    assert made["$schema"] == DIALECT
    assert made["$id"]
    assert "x-stratus" not in json.dumps(made)
    models = [made, *(entry for name, entry in made["$defs"].items() if "." not in name)]
    for model in models:
        for name, entry in model.get("properties", {}).items():
            assert entry.get("description"), name


def test_every_default_is_valid_where_it_stands(validator):
    checked = 0
    for model in (validator.schema, *validator.schema["$defs"].values()):
        for entry in model.get("properties", {}).values():
            if "default" in entry:
                validator.evolve(schema=entry).validate(entry["default"])
                checked += 1
    assert checked > 50


def test_the_committed_schema_is_the_current_one():
    """Write it with `stratus schema -o scenarios/schema.json`."""
    assert (ROOT / "scenarios" / "schema.json").read_text(encoding="utf-8") == text()


def test_the_schema_does_not_depend_on_the_process():
    code = "import zlib; from sim.scenario.schema import text; print(zlib.crc32(text().encode()))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
