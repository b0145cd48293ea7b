"""What is compared: arms, axes, replications, and the figures that answer the question."""

from __future__ import annotations

from typing import Annotated, Any, Literal

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
    arms: dict[Name, dict[Path, Any]] = Field(default={}, description="variants by name: settings by path")
    axes: dict[Path, Annotated[list[Any], Len(1)]] = Field(
        default={}, description="values by path; every arm runs at every combination"
    )
    answer: Answer | None = Field(default=None, description="what decides")
    tradeoff: Annotated[list[str], Len(0, 2)] = Field(
        default=[],
        description="two metrics to draw against each other, with the arms that none beats in both; with "
        "jobs mean completion time and worst finish-time fairness unless given",
    )
    show: list[str] = Field(default=[], description="metrics of the table; a fitting choice unless given")
