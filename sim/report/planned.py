"""A plan as files: `plan.json`, `plan.html` with the front of cost against latency, and the chart."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim import units
from sim.errors import UsageError
from sim.metrics import lookup
from sim.report import theme
from sim.report.charts import Chart, finish, table, ticks

if TYPE_CHECKING:
    from sim.study.planning import Asked, Found, Trial


def write(
    folder: Path,
    name: str,
    asked: Asked,
    found: Sequence[Found],
    choice: Found | None,
    front: Sequence[tuple[str, Trial]],
) -> Path:
    """Write the files; the path of the page.

    Raises:
        UsageError: the folder cannot be written to.
    """
    drawn = chart(asked, found, front)
    data = {
        "version": 1,
        "scenario": name,
        "slo": [str(condition) for condition in asked.conditions],
        "service": asked.service,
        "replications": asked.replications,
        "cheapest": None
        if choice is None or choice.best is None
        else {"configuration": choice.name, **_trial(choice.best)},
        "front": [{"configuration": owner, **_trial(trial)} for owner, trial in front],
        "configurations": [
            {
                "configuration": item.name,
                "settings": dict(item.settings),
                "best": None if item.best is None else _trial(item.best),
                "ruled_out": item.ruled_out,
                "trials": [_trial(trial) for trial in item.trials],
            }
            for item in found
        ],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(data, indent=1, ensure_ascii=True)
        (folder / "plan.json").write_text(text + "\n", encoding="utf-8")
        (folder / "plan.svg").write_text(drawn.file, encoding="utf-8")
        page = folder / "plan.html"
        page.write_text(_page(data, asked, drawn), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"results cannot be written to {folder}: {error.strerror}") from None
    return page


def chart(asked: Asked, found: Sequence[Found], front: Sequence[tuple[str, Trial]]) -> Chart:
    """Cost against the first objective: all trials, filled where objectives are kept, and the front."""
    condition = asked.conditions[0]
    metric = condition.metric
    dimension = lookup(metric).dimension
    with theme.drawing("plan", 7.4, 3.6) as figure:
        axes = theme.panel(figure, metric.split(".", 2)[-1], "USD per hour")
        rows = []
        for place, item in enumerate(found):
            tint = theme.colour(place)
            known = [trial for trial in item.trials if not math.isnan(trial.metrics.get(metric, math.nan))]
            for kept in (True, False):
                points = [trial for trial in known if trial.kept is kept]
                face = tint if kept else "none"
                axes.plot(
                    [trial.cost for trial in points],
                    [trial.metrics[metric] for trial in points],
                    "o",
                    color=tint,
                    markerfacecolor=face,
                    label=item.name if kept else None,
                    markersize=5,
                )
            rows += [
                [item.name, trial.size, trial.cost, trial.metrics[metric], trial.kept] for trial in known
            ]
        axes.plot(
            [trial.cost for _, trial in front], [trial.metrics[metric] for _, trial in front],
            color=theme.INK, linewidth=0.9, zorder=0,
        )  # fmt: skip
        axes.axhline(condition.bound, color=theme.INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_yscale("log")
        ticks(axes, "y", dimension)
        theme.legend(axes, len(found), always=True)
        reading = (
            "Each point is a configuration at a number of replicas; filled ones keep all objectives. "
            "The line joins those that no other beats in both. Dashed: the first objective."
        )
        header = ["configuration", "replicas", "usd_per_hour", metric, "kept"]
        return finish(figure, "plan", "Cost against latency", reading, table(header, rows))


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "replicas": trial.size,
        "usd_per_hour": trial.cost,
        "kept": trial.kept,
        "reason": trial.reason,
        "objectives": [
            {
                "metric": bound.condition.metric,
                "mean": _number(bound.mean),
                "low": _number(bound.low),
                "high": _number(bound.high),
                "verdict": bound.verdict,
            }
            for bound in trial.bounds
        ],
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _page(data: dict[str, Any], asked: Asked, drawn: Chart) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sim.report"),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    dimensions = {condition.metric: lookup(condition.metric).dimension for condition in asked.conditions}

    def shown(item: dict[str, Any]) -> str:
        return "-" if item["mean"] is None else units.show(item["mean"], dimensions[item["metric"]])

    environment.filters["shown"] = shown
    return environment.get_template("plan.html.j2").render(data=data, chart=drawn)
