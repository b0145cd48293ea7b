"""What is compared: arms, axes, replications, and the figures that answer the question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Le, Len
from pydantic import Field

from sim.scenario.fields import Name, Pattern, Spec

#: A dotted path of the scenario, as `--set` takes it.
Path = Annotated[str, Pattern(r"^\S+$", "a path such as platform.services.chat.replicas.max", longest=500)]

#: A bound on a metric.
Condition = Annotated[
    str,
    Pattern(
        r"^\s*(<=|>=|<|>)\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*[%$A-Za-z0-9/ ]*$",
        "a condition such as '>= 95%' or '< 200ms'",
    ),
]


#: A name of an arm: words of letters, digits, - and _.
Arm = Annotated[
    str,
    Pattern(
        r"^[A-Za-z0-9][A-Za-z0-9_-]*( [A-Za-z0-9_-]+)*$",
        "the name of an arm: words of letters, digits, - and _ with single spaces between, of 64 at most",
    ),
]


class Choice(NamedTuple):
    """One value of an axis: as it is shown, what it sets by path, and where it stands."""

    value: Any
    settings: Mapping[str, Any]
    place: tuple[str | int, ...]


class Answer(Spec):
    """The figure that decides, and what an arm must fulfil to be eligible."""

    metric: str = Field(description="metric, such as total.cost_per_1000")
    goal: Literal["min", "max"] = Field(default="min", description="which direction is better")
    subject_to: dict[str, Condition] = Field(
        default={}, description="conditions by metric, such as apps.cameras.slo_met: '>= 95%'"
    )


class Study(Spec):
    """Which variants are run, how often, and what is shown."""

    replications: Annotated[int, Ge(1), Le(10_000)] = Field(
        default=1, description="independent runs of each variant"
    )
    baseline: str | None = Field(
        default=None, description="arm that the others are compared with; the first unless given"
    )
    arms: dict[Arm, dict[Path, Any]] = Field(default={}, description="variants by name: settings by path")
    axes: dict[Path, Annotated[list[Any], Len(1)]] = Field(
        default={}, description="values by path; every arm runs at every combination"
    )
    cases: dict[Name, Annotated[dict[Name, dict[Path, Any]], Len(1)]] = Field(
        default={},
        description="axes whose values have names and set several paths: settings by path, by name",
    )
    answer: Answer | None = Field(default=None, description="what decides")
    tradeoff: Annotated[list[str], Len(0, 2)] = Field(
        default=[],
        description="two metrics to draw against each other, with the arms that none beats in both; with "
        "jobs mean completion time and mean finish-time fairness unless given",
    )
    show: list[str] = Field(default=[], description="metrics of the table; a fitting choice unless given")

    def choices(self) -> dict[str, list[Choice]]:
        """By axis and case, in their order: every value and what it sets."""
        found = {
            axis: [
                Choice(value, {axis: value}, ("study", "axes", axis, index))
                for index, value in enumerate(values)
            ]
            for axis, values in self.axes.items()
        }
        for case, named in self.cases.items():
            found[case] = [
                Choice(name, settings, ("study", "cases", case, name)) for name, settings in named.items()
            ]
        return found
