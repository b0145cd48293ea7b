"""From plain data to a scenario whose every value has the right type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sim import registry
from sim.scenario.faults import Problems, problems
from sim.scenario.spec import Scenario


def validate(data: Mapping[str, Any], folder: Path = Path()) -> Scenario:
    """The scenario in plain data; what its parts must know of each other is `checks`' concern.

    Args:
        data: as a file holds it.
        folder: where relative paths of input files begin.

    Raises:
        Problems: everything that is wrong.
    """
    load_policies()
    try:
        made = Scenario.model_validate_json(json.dumps(data), context={"folder": str(folder)})
    except ValidationError as error:
        raise Problems(problems(error, Scenario, data)) from None
    made.begin_at(folder)
    return made


@cache
def load_policies() -> None:
    """Register the policies of Stratus and of installed plug-ins, once."""
    registry.load_builtin()
