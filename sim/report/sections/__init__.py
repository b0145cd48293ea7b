"""Which charts a report has: chosen by what the study compares and what its platform consists of.

One file an idea; `Scope` is what they all look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sim.report import words
from sim.report.charts import Chart
from sim.report.sections import comparison, infrastructure, jobs, lead, requests, services, tokens, waits
from sim.report.sections.scope import Scope

__all__ = ["Scope", "Section", "sections"]


@dataclass(frozen=True, slots=True)
class Section:
    """Charts about one thing, sentences that stand alone, and examples: a heading and its sentences."""

    title: str
    text: str
    charts: Sequence[Chart]
    examples: Sequence[tuple[str, Sequence[str]]] = field(default=())
    points: Sequence[str] = ()


def sections(scope: Scope) -> list[Section]:
    """All sections that have something to show."""
    once = scope.first_replication()
    why = waits.why(scope)
    made = [
        Section(
            "The arms against each other",
            " ".join(words.compared(scope.summary)),
            [*comparison.comparison(scope)],
            points=words.prices(scope.summary),
        ),
        Section("Latency", once, [*requests.latency(scope)]),
        Section("Tokens of language models", once, [*tokens.tokens(scope)]),
        Section("What was dropped, and why", "", [*requests.dropped(scope)]),
        Section("Demand, forecast and replicas", once, [*services.replicas(scope)]),
        Section("Training jobs", once, [*jobs.jobs(scope), *jobs.queues(scope)]),
        Section("Why jobs waited", why.text, why.charts, why.examples),
        Section("Schedules", once, [*jobs.schedules(scope)]),
        Section("Use of the infrastructure", once, [*infrastructure.use(scope)]),
        Section(
            "Cost, energy, carbon", f"Means over replications{scope.where()}.", [*infrastructure.bills(scope)]
        ),
        Section("Along the axes", "", [*lead.along(scope)]),
    ]
    return [section for section in made if section.charts]
