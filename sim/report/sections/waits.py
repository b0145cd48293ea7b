"""Why jobs waited: total waiting time by reason, and the longest waits explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sim.paas.decisions import OVER_QUOTA, TOO_FEW, WOULD_DELAY
from sim.report import charts
from sim.report.charts import Chart
from sim.report.explain.records import Records
from sim.report.explain.totals import Totals, example, totals
from sim.report.explain.waits import BEHIND
from sim.report.sections.scope import MOST, Scope

#: Arms whose longest wait is explained.
EXAMPLES = 4

#: Names of reasons that would not fit into a legend.
_SHORT = {
    BEHIND: "behind the first",
    TOO_FEW: "gang does not fit",
    WOULD_DELAY: "would delay another",
    OVER_QUOTA: "over quota",
}

_READING = (
    "Mean time a job spent in line, by what kept it from starting. Too little free, or a gang that does not "
    "fit, asks for more machines or smaller gangs; time behind the first in line, or not to delay another, "
    "is what order and discipline cost. Jobs whose decisions were recorded, first replication."
)


@dataclass(frozen=True, slots=True)
class Why:
    """The section's content.

    Attributes:
        text: of how many jobs it tells.
        charts: one, or none where no decisions were recorded.
        examples: heading and sentences of each explained wait.
    """

    text: str = ""
    charts: Sequence[Chart] = ()
    examples: Sequence[tuple[str, Sequence[str]]] = field(default=())


def why(scope: Scope) -> Why:
    """Waiting time by reason and arm, with an explained wait of some arms."""
    found: list[tuple[str, Records, Totals]] = []
    for index, cell in scope.cells[:MOST]:
        run = next((run for run in scope.results.runs(index) if run["kept"]), None)
        if run is None or not run["rows"].get("decisions"):
            continue
        records = Records.of(scope.results, index, int(run["replication"]))
        told = totals(records)
        if told is not None and told.seconds:
            found.append((scope.label(cell), records, told))
    if not found:
        return Why()
    reasons = list(dict.fromkeys(reason for *_, told in found for reason in told.seconds))
    parts = {_SHORT.get(each, each): [told.seconds.get(each, 0.0) for *_, told in found] for each in reasons}
    chart = charts.stacked(
        "why-waited",
        "Why jobs waited",
        _READING,
        [label for label, *_ in found],
        parts,
        xlabel="mean waiting time of a job",
        dimension="duration",
    )
    examples = []
    for label, records, told in found[:EXAMPLES]:
        if told.longest:
            heading, sentences = example(records, told.longest)
            examples.append((f"{label}: {heading}", sentences))
    counts = sorted({told.jobs for *_, told in found})
    number = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    text = (
        f"From the recorded decisions about {number} jobs of each arm. "
        "\u201cstratus explain RUN --job NUMBER\u201d tells it of any of them."
    )
    return Why(text, [chart], examples)
