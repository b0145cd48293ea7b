"""`stratus validate` without files: the table it prints, and that a wrong simulator would be seen."""

import json

import pytest

from sim.cli.main import main
from sim.study import truth


def test_the_simulator_agrees_with_theory(capsys):
    assert main(["validate", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["agrees"]
    assert len(told["cases"]) == len(truth.cases())
    for row in told["cases"]:
        # An interval that reaches further tells nothing.
        assert row["high"] - row["low"] < 0.3 * row["theory"], row


@pytest.mark.parametrize("error", [0.8, 1.2])
def test_what_differs_is_said(error, monkeypatch, capsys):
    case = truth.cases()[-1]
    wrong = truth.Case(
        case.name, case.quantity, case.source, case.truth * error, case.text, case.read, exact=True
    )
    monkeypatch.setattr(truth, "cases", lambda: [case, wrong])
    assert main(["validate"]) == 1
    shown = capsys.readouterr().out
    assert "DIFFERS" in shown
    assert "1 of 2 agree" in shown
