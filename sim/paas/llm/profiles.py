"""Files of fitted step times, as `stratus calibrate` writes them and a scenario names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sim.errors import Fault, ScenarioError, did_you_mean
from sim.paas.llm.times import LinearSteps
from sim.units import parse

#: Coefficients, by their names in files.
COEFFICIENTS = ("base", "per_prompt_token", "per_square", "per_sequence", "per_context_token")

#: Other keys: what the file says about the fit.
ABOUT = ("error", "worst", "cross_validated", "points", "measurements", "note")

#: Bytes of a file that is read at all.
LARGEST = 65_536


def read_profile(path: str | Path) -> LinearSteps:
    """Step times from a file.

    Raises:
        ScenarioError: everything that is wrong with it.
    """
    file = Path(path)
    try:
        if file.stat().st_size > LARGEST:
            raise ScenarioError([_fault(file, "is too large for a profile")])
        data: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        raise ScenarioError([Fault(str(file), line, 1, "", "is not a readable YAML file")]) from None
    if not isinstance(data, dict):
        raise ScenarioError([_fault(file, f"expected a mapping with {', '.join(COEFFICIENTS)}")])
    faults, values = [], {}
    for key, value in data.items():
        if key in COEFFICIENTS:
            try:
                values[key] = parse(value, "duration")
                if not 0 <= values[key] < 1e6:
                    raise ValueError("expected a duration of 0 or more")
            except (ValueError, TypeError) as error:
                faults.append(Fault(str(file), 0, 0, str(key), str(error)))
        elif key not in ABOUT:
            hint = did_you_mean(str(key), (*COEFFICIENTS, *ABOUT))
            faults.append(Fault(str(file), 0, 0, str(key), f"unknown key{hint}"))
    if not faults and values.get("base", 0.0) <= 0.0:
        faults.append(Fault(str(file), 0, 0, "base", "is missing or zero: an iteration would take no time"))
    if faults:
        raise ScenarioError(faults)
    return LinearSteps(**values)


def _fault(file: Path, message: str) -> Fault:
    return Fault(str(file), 0, 0, "", message)
