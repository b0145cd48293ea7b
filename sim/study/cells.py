"""From a study section to its cells: every arm at every combination of the axes' values."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sim.scenario.overrides import apply
from sim.scenario.spec import Scenario

#: The arm of a study that names none.
BASE = "base"

#: Longest part of a folder name made of one value; beyond it the position of the value tells more.
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Cell:
    """One variant of the scenario, run in several replications.

    Attributes:
        index: position in the study.
        arm: its arm.
        point: value by axis.
        label: arm and point in words.
        folder: its path below each table, one `name=value` part for the arm and each axis.
        scenario: the complete scenario of this cell.
    """

    index: int
    arm: str
    point: Mapping[str, Any]
    label: str
    folder: str
    scenario: Scenario


def expand(scenario: Scenario) -> list[Cell]:
    """The cells of a scenario's study: arms in their order, the last axis changing fastest.

    Cases count as axes, after them. An axis overrides an arm that sets the same path.
    """
    study = scenario.study
    arms: Mapping[str, Mapping[str, Any]] = study.arms or {BASE: {}}
    axes = study.choices()
    short = short_names(list(axes))
    cells: list[Cell] = []
    for arm, settings in arms.items():
        for choice in itertools.product(*(range(len(values)) for values in axes.values())):
            chosen = {axis: axes[axis][position] for axis, position in zip(axes, choice, strict=True)}
            point = {axis: one.value for axis, one in chosen.items()}
            parts = [f"arm={_safe(arm)}"]
            parts += [
                f"{_safe(axis)}={_part([one.value for one in axes[axis]], at)}"
                for axis, at in zip(axes, choice, strict=True)
            ]
            words = [f"{short[axis]} {text(value)}" for axis, value in point.items()]
            label = ", ".join([arm, *words] if study.arms else words or [arm])
            changed = dict(settings)
            for one in chosen.values():
                changed |= one.settings
            cells.append(
                Cell(
                    len(cells),
                    arm,
                    point,
                    label,
                    "/".join(parts),
                    apply(scenario, changed) if changed else scenario,
                )
            )
    return cells


def baseline(scenario: Scenario) -> str | None:
    """The arm the others are compared with; None when there is nothing to compare."""
    study = scenario.study
    if len(study.arms) < 2:
        return None
    return study.baseline or next(iter(study.arms))


def short_names(axes: Sequence[str]) -> dict[str, str]:
    """For each path its last segments, as many as tell the paths apart."""
    found = {}
    for axis in axes:
        segments = axis.split(".")
        for count in range(1, len(segments) + 1):
            tail = segments[-count:]
            if sum(other.split(".")[-count:] == tail for other in axes) == 1 or count == len(segments):
                found[axis] = ".".join(tail)
                break
    return found


def text(value: Any) -> str:
    """An axis value in words; a mapping or list as compact JSON."""
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    )


def _safe(name: str) -> str:
    """A name as part of a path on any system."""
    return quote(name, safe="")


def _part(values: Sequence[Any], position: int) -> str:
    """One value of an axis as part of a path: its text, or its position if that is no name."""
    names = [_safe(text(value)) for value in values]
    mine = names[position]
    shared = sum(name.casefold() == mine.casefold() for name in names) > 1
    return f"value-{position}" if shared or not mine or len(mine) > _LONGEST else mine
