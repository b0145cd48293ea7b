"""A plan as files: `plan.json`, `plan.html` with the front of cost against latency, and the chart."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim import units
from sim.errors import UsageError
from sim.metrics import lookup
from sim.report import theme
from sim.report.charts import Chart, finish, table, ticks
from sim.scenario.load import digest
from sim.study.execute import replace_folder
from sim.study.planning import cheapest, efficient

if TYPE_CHECKING:
    from sim.metrics import Condition
    from sim.scenario.spec import Scenario
    from sim.study.planning import Asked, Bound, Found, Trial


#: Cost of tokens, shown where it is measured.
TOKENS = "total.cost_per_million_tokens"


def report(scenario: Scenario, asked: Asked, found: Sequence[Found], wanted: int) -> dict[str, Any]:
    """The plan as plain data: its answer in words first.

    Args:
        scenario: as planned, before any configuration.
        asked: what was asked.
        found: what came out.
        wanted: configurations in all, found or not.
    """
    choice = cheapest(found)
    interrupted = len(found) < wanted or any(not item.complete for item in found)
    metric = asked.conditions[0].metric
    front = efficient(found, metric)
    slo = [str(condition) for condition in asked.conditions]
    key = json.dumps(
        [digest(scenario), slo, asked.service, asked.most, asked.replications]
        + [[item.name, dict(item.settings)] for item in found]
        + [interrupted]
    )
    return {
        "version": 1,
        "name": f"plan-{hashlib.sha256(key.encode()).hexdigest()[:8]}-seed{scenario.seed}",
        "scenario": scenario.name,
        "answer": _answer(asked, found, choice, wanted, interrupted),
        "interrupted": interrupted,
        "slo": slo,
        "tokens": any(TOKENS in trial.metrics for item in found for trial in item.trials),
        "short": [short(condition) for condition in asked.conditions],
        "service": asked.service,
        "replications": asked.replications,
        "cheapest": None
        if choice is None or choice.best is None
        else {"configuration": choice.name, **plain(choice.best)},
        "front": [
            {"configuration": owner, "shown": _figure(trial.metrics[metric], metric), **plain(trial)}
            for owner, trial in front
        ],
        "configurations": [
            {
                "configuration": item.name,
                "settings": dict(item.settings),
                "best": None if item.best is None else plain(item.best),
                "ruled_out": item.ruled_out,
                "complete": item.complete,
                "trials": [plain(trial) for trial in item.trials],
            }
            for item in found
        ],
    }


def write(folder: Path, data: dict[str, Any], asked: Asked, found: Sequence[Found]) -> Path:
    """Write the files into a folder, all at once; the path of the page.

    Raises:
        UsageError: the folder cannot be written to.
    """
    metric = asked.conditions[0].metric
    drawn = chart(asked, found, efficient(found, metric))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        text = json.dumps(data, indent=1, ensure_ascii=True)
        (work / "plan.json").write_text(text + "\n", encoding="utf-8")
        (work / "plan.svg").write_text(drawn.file, encoding="utf-8")
        (work / "plan.html").write_text(_page(data, asked, drawn), encoding="utf-8")
        replace_folder(work, folder)
    except OSError as error:
        raise UsageError(f"results cannot be written to {folder}: {error.strerror}") from None
    return folder / "plan.html"


def many(replicas: float) -> str:
    """A number of replicas in words."""
    return f"{replicas:.0f} replica{'' if replicas == 1 else 's'}"


def shown(bound: Bound | None) -> str:
    """What came out for an objective, with half the width of its interval."""
    if bound is None or math.isnan(bound.mean):
        return "-"
    text = _figure(bound.mean, bound.condition.metric)
    if bound.low is None or bound.high is None or not bound.high > bound.low:
        return text
    return f"{text} ± {_figure((bound.high - bound.low) / 2, bound.condition.metric)}"


def _figure(value: float, metric: str) -> str:
    return units.show(value, lookup(metric).dimension)


def short(condition: Condition) -> str:
    """An objective without the scope of its metric."""
    name = condition.metric
    return str(condition).replace(name, name.split(".", 2)[-1], 1)


def _answer(
    asked: Asked, found: Sequence[Found], choice: Found | None, wanted: int, interrupted: bool
) -> str:
    objectives = " and ".join(short(condition) for condition in asked.conditions)
    so_far = f" (interrupted: {len(found)} of {wanted} configurations looked at)" if interrupted else ""
    if choice is None or choice.best is None:
        return f"No configuration keeps {objectives}.{so_far}"
    best = choice.best
    price = f"{best.cost:,.2f} USD/h"
    tokens = best.metrics.get(TOKENS, math.nan)
    if not math.isnan(tokens):
        price += f", {tokens:,.2f} USD per million tokens generated"
    able = [item for item in found if item.best is not None]
    among = ""
    if len(found) > 1:
        others = len(found) - len(able)
        among = f", the cheapest of {len(found)} configurations"
        equal = [
            item.name for item in able if item is not choice and item.best and item.best.cost == best.cost
        ]
        among += f", as is {' and '.join(equal)}" if equal else ""
        among += f" ({others} ruled out)" if others else ""
    return f"{choice.name} with {many(best.size)} keeps {objectives} for {price}{among}.{so_far}"


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


def plain(trial: Trial) -> dict[str, Any]:
    """A trial as plain data."""
    return {
        "replicas": trial.size,
        "usd_per_hour": trial.cost,
        "usd_per_million_tokens": _number(trial.metrics.get(TOKENS)),
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

    def figure(item: dict[str, Any]) -> str:
        return "-" if item["mean"] is None else units.show(item["mean"], dimensions[item["metric"]])

    environment.filters["shown"] = figure
    environment.filters["many"] = many
    return environment.get_template("plan.html.j2").render(data=data, chart=drawn)
