"""A scenario: everything one study needs, frozen, in SI units, with every default filled in.

The models say what may stand in a file and what it means; their descriptions are the help of the
JSON Schema. What one part must know of another (names, sizes, cycles) is checked in `checks`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field, PrivateAttr

from sim.scenario.applications import Application, Call, Sessions, Slo
from sim.scenario.fields import Name, Spec, WholeNumber
from sim.scenario.infrastructure import (
    Bounds,
    Crashes,
    Faults,
    Infrastructure,
    Instance,
    Link,
    Network,
    Pool,
    ScriptedFault,
    Site,
    Storage,
)
from sim.scenario.platform import Estimate, JobClass, Platform, Resources, Scheduler, Scrape, Service
from sim.scenario.study import Answer, Study
from sim.units import Bytes, PositiveSeconds, Seconds

__all__ = [
    "Answer",
    "Application",
    "Bounds",
    "Call",
    "Crashes",
    "Estimate",
    "Faults",
    "Infrastructure",
    "Instance",
    "JobClass",
    "Limits",
    "Link",
    "Network",
    "Platform",
    "Pool",
    "Record",
    "Resources",
    "Scenario",
    "Scheduler",
    "Scrape",
    "ScriptedFault",
    "Service",
    "Sessions",
    "Site",
    "Slo",
    "Storage",
    "Study",
]


class Limits(Spec):
    """Ends a run that grew out of hand; its report says so."""

    events: Annotated[int, WholeNumber(ge=1)] | None = Field(
        default=50_000_000, description="processed events"
    )
    wall: PositiveSeconds | None = Field(default=600.0, description="real time of one run")
    memory: Bytes | None = Field(default=4e9, description="memory of one run")
    time: PositiveSeconds | None = Field(
        default=None, description="simulated time after which a run that drains is ended; none unless given"
    )


class Record(Spec):
    """What is recorded."""

    decisions: Literal["off", "sampled", "all"] = Field(
        default="off",
        description="scheduling decisions with their reasons, for `stratus explain`: of no job, of one "
        "in 50 (chosen by name), or of all",
    )
    fragmentation: bool = Field(
        default=False,
        description="idle accelerators that are of no use to the usual work, over time (costs a little)",
    )
    row_budget: Annotated[int, WholeNumber(ge=1)] = Field(
        default=2_000_000, description="rows kept in memory; more go to disk during the run"
    )


class Scenario(Spec):
    """A question about a cloud AI platform, with all that is needed to answer it by simulation."""

    name: Name = Field(description="short name; the results folder is called after it")
    question: str = Field(default="", description="what this scenario answers, in one sentence")
    notice: list[str] = Field(default=[], description="what to look at in the report")
    attempts: list[str] = Field(default=[], alias="try", description="what to change and try next")
    sources: list[str] = Field(default=[], description="where the figures come from")
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = Field(default=1, description="seed of all random numbers")
    duration: PositiveSeconds = Field(description="simulated time")
    warmup: Seconds = Field(default=0.0, description="simulated time at the start that is not counted")
    drain: bool = Field(
        default=False, description="arrivals stop at `duration`, and the run goes on until all work is done"
    )
    limits: Limits = Field(default=Limits(), description="ends a run that grew out of hand")
    record: Record = Field(default=Record(), description="what is recorded")
    infrastructure: Infrastructure = Field(description="what there is")
    platform: Platform = Field(default_factory=Platform, description="what the platform decides and runs")
    applications: dict[Name, Application] = Field(default={}, description="who asks for what, by name")
    study: Study = Field(default=Study(), description="what is compared")

    #: Where relative paths of input files begin, those in arms too; two scenarios are equal without it.
    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """The folder of its file."""
        return self._folder

    def begin_at(self, folder: Path) -> None:
        """Say where relative paths begin."""
        self._folder = folder

    def __eq__(self, other: object) -> bool:
        """The same settings, whatever file they came from."""
        return isinstance(other, Scenario) and self.__dict__ == other.__dict__
