"""Charts of language models: when the first token came, and at what pace the others."""

from __future__ import annotations

from collections.abc import Iterator

from sim.report import charts
from sim.report.charts import Chart, Line
from sim.report.sections.scope import MOST, Scope, floats, zeros
from sim.units import show

_READING = {
    "ttft": "Read upwards from a time: the share of requests whose first token came within it. A long top is "
    "prompts that waited for a place, or for other prompts.",
    "tpot": "Read upwards from a time: the share of requests whose further tokens came at that pace or "
    "faster.",
    "itl": "Read upwards from a time: the share of all gaps between two tokens that were no longer. Steps "
    "to the right are iterations that prompts made longer.",
}


def tokens(scope: Scope) -> Iterator[Chart]:
    """Distributions of TTFT and TPOT by application; gaps between tokens and prompts' tokens by service."""
    for app in scope.all("apps")[:MOST]:
        slo = next((c["apps"][app]["slo"] for c in scope.curves.values() if app in c["apps"]), None)
        for name in ("ttft", "tpot"):
            bound = slo.get(name) if slo else None
            limit = (f"SLO {show(bound, 'duration')}", bound) if bound else None
            yield from _drawn(scope, "apps", app, name, "requests", limit)
    for service in scope.all("services")[:MOST]:
        yield from _drawn(scope, "services", service, "itl", "gaps", None)
        yield from _prompts(scope, service)


def _prompts(scope: Scope, service: str) -> Iterator[Chart]:
    """How much of the prompts was computed, where a prefix cache may have held it."""
    found, loaded = (
        [scope.mean(cell, f"services.{service}.{name}") for _, cell in scope.cells]
        for name in ("hit_rate", "host_hit_rate")
    )
    here, there = zeros(found), zeros(loaded)
    if not any(here):
        return
    yield charts.stacked(
        f"prompts-{service}",
        f"Where the prompts of {service} came from",
        "Share of the prompt tokens that had to be computed, that the prefix cache held, and that came back "
        "from the host's memory. What is not computed costs no time of the accelerator.",
        [scope.label(cell) for _, cell in scope.cells],
        {
            "computed": [1.0 - share for share in here],
            "cached": [share - part for share, part in zip(here, there, strict=True)],
            "loaded": there,
        },
        xlabel="share of prompt tokens",
        dimension="fraction",
    )


def _drawn(
    scope: Scope, part: str, owner: str, name: str, of: str, limit: tuple[str, float] | None
) -> Iterator[Chart]:
    shares = [
        Line(scope.label(cell), floats(curve[name]), scope.curves[i]["curve"], colour=position)
        for position, (i, cell) in enumerate(scope.cells)
        if (curve := scope.curves[i][part].get(owner)) and curve.get(name)
    ]
    if shares:
        title = f"{name.upper()} of {owner}"
        yield charts.cdf(
            f"{name}-{owner}", title, _READING[name], shares, limit=limit, of=of, what=name.upper()
        )
