"""Files as a user writes them: what loads, and what each wrong one is told."""

import re
from pathlib import Path

import pytest

from sim.errors import ScenarioError
from sim.scenario.load import load

HERE = Path(__file__).parent


def stable(message):
    """A message without the list of all names of a kind, which grows."""
    return re.sub(r" \(known: [^)]*\)", "", message)


GOOD = sorted((HERE / "good").glob("*.yaml"))

#: Every fault of every wrong file: line:column: path: part of the message.
EXPECTED = {
    line.partition(" ")[0]: line.partition(" ")[2].split(" | ")
    for line in (HERE / "expected.txt").read_text(encoding="utf-8").splitlines()
}


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_files_load(path):
    assert load(path).name


@pytest.mark.parametrize("name", EXPECTED)
def test_every_fault_is_found_at_its_place(name):
    with pytest.raises(ScenarioError) as caught:
        load(HERE / name)
    said = [str(fault).replace(f"{HERE / name}", "").lstrip(":") for fault in caught.value.faults]
    assert [stable(text.replace(str(HERE), "HERE")) for text in said] == list(map(stable, EXPECTED[name]))
    assert all(fault.file == str(HERE / name) for fault in caught.value.faults)


def test_no_wrong_file_is_forgotten():
    found = {
        f"{folder}/{path.name}"
        for folder in ("bad", "bad_text", "bad_references")
        for path in (HERE / folder).iterdir()
    }
    assert found == set(EXPECTED)
