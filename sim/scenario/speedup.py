"""The speed-up curve of a job as a scenario writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.scenario.faults import Problem, Problems, shown
from sim.scenario.fields import Marker
from sim.units import Quantity


@dataclass(frozen=True, slots=True)
class SpeedUp(Marker):
    """Speed-up by number of workers, `{1: 1, 4: 3.5}`; validates to points by rising number.

    Each further worker helps no more than the one before, and none harms: the curve from (0, 0) is
    concave and does not fall.
    """

    def check(self, value: Any, context: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
        """The points; none is a speed proportional to the workers."""
        if not isinstance(value, dict):
            raise ValueError(f"expected speed-ups by workers, such as {{1: 1, 4: 3.5}}, got {shown(value)}")
        points: dict[float, float] = {}
        found = []
        for workers, speed in value.items():
            try:
                at = Quantity("count", gt=0).check(workers)
                if at in points:
                    raise ValueError(f"{at:g} workers stand twice")
                points[at] = Quantity("count", gt=0).check(speed)
            except ValueError as error:
                found.append(Problem((workers,), str(error)))
        if found:
            raise Problems(found)
        made = tuple(sorted(points.items()))
        before, gain = (0.0, 0.0), float("inf")
        for at, speed in made:
            now = (speed - before[1]) / (at - before[0])
            if not -1e-12 <= now <= gain * (1 + 1e-9):
                raise ValueError(
                    f"the curve must rise ever more slowly from (0, 0); it does not at {at:g} workers"
                )
            before, gain = (at, speed), now
        return made

    def json_schema(self) -> dict[str, Any]:
        """A mapping whose keys are numbers of workers and whose values are speed-ups."""
        return {
            "type": "object",
            "propertyNames": {"pattern": r"^[0-9]+(\.[0-9]+)?$"},
            "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
        }

    def plain(self, value: tuple[tuple[float, float], ...]) -> dict[str, float]:
        """The mapping that `check` reads back."""
        return {f"{workers:g}": speed for workers, speed in value}
