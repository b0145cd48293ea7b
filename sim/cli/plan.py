"""`stratus plan`: the cheapest configuration that keeps its objectives."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sim.cli.console import common, console, note, out, out_json
from sim.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from sim.metrics import Condition
    from sim.scenario.spec import Scenario
    from sim.study.planning import Asked, Found

FILE = click.Path(path_type=Path)

#: The study of the file is no part of a plan.
_NO_STUDY = ("study.baseline=null", "study.arms={}", "study.axes={}", "study.cases={}")

_OBJECTIVE = re.compile(r"\s*([A-Za-z0-9_.-]+?)\s*((?:<=|>=|<|>).+)")

#: Configurations in one plan.
MOST = 200


@click.command("plan")
@click.argument("file", type=FILE)
@click.option(
    "--slo", required=True, metavar="TEXT", help="Objectives, such as 'ttft.p99<1s, tpot.p99<60ms'."
)
@click.option("--service", help="Whose replicas are counted; the only one unless given.")
@click.option("--app", help="Application of the objectives; the only one unless given.")
@click.option(
    "--vary",
    multiple=True,
    metavar="PATH=A,B,C",
    help="Settings to choose from. Repeatable; unless given, the pools of the service's site.",
)
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change a setting. Repeatable.")
@click.option("--most", type=click.IntRange(1), default=64, show_default=True, help="Replicas at most.")
@click.option("--max-rate", is_flag=True, help="Instead: the greatest load that the file as it is carries.")
@click.option(
    "--replications", type=click.IntRange(1), default=3, show_default=True, help="Runs of each trial."
)
@click.option("--jobs", type=click.IntRange(1), help="Processes; all cores unless given.")
@click.option(
    "--out", "folder", type=FILE, default=Path("reports"), show_default=True, help="Folder of the results."
)
@click.option("--quick", is_flag=True, help="A fifth of the duration, one replication.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@common
def plan_command(file: Path, plugins: tuple[Path, ...], **options: Any) -> int:
    """Find the cheapest configuration of a service that keeps its objectives (SLO).

    For every combination of the `--vary` settings the number of replicas is bracketed and bisected; the pool
    gets the nodes they need. Names of metrics without a scope are of the application: ttft.p99 is
    apps.NAME.ttft.p99. Exit code 1 if no configuration keeps the objectives.
    """
    from sim.report.planned import write
    from sim.study.execute import quicker
    from sim.study.planning import Asked, cheapest, efficient, greatest, plan

    base = [*_NO_STUDY, *options["sets"]]
    scenario = _load(file, base)
    service = _only("service", options["service"], list(scenario.platform.services))
    app = _only("app", options["app"], list(scenario.applications))
    asked = Asked(
        service,
        _conditions(options["slo"], app),
        options["most"],
        1 if options["quick"] else options["replications"],
        options["jobs"] or os.cpu_count() or 1,
        plugins,
    )

    def load(sets: Sequence[str]) -> Scenario:
        found = _load(file, [*base, *sets])
        return quicker(found) if options["quick"] else found

    def say(name: str, what: str) -> None:
        note(f"{name}: {what}" if name else what)

    if options["max_rate"]:
        trials, best, rate = greatest(load, app, asked, say)
        result = _rate(scenario, asked, trials, best, rate)
        if options["as_json"]:
            out_json(result)
        else:
            _show_rate(result)
        return 0 if best is not None else 1
    found = plan(load, _configurations(scenario, service, options["vary"]), asked, say)
    metric = asked.conditions[0].metric
    choice = cheapest(found)
    place = options["folder"] / scenario.name / "plan"
    page = write(place, scenario.name, asked, found, choice, efficient(found, metric))
    if options["as_json"]:
        out(json.dumps(json.loads((place / "plan.json").read_text(encoding="utf-8")), indent=2))
    else:
        _show(found, choice, asked)
        note(f"report: {page}")
    return 0 if choice is not None else 1


def _load(file: Path, sets: Sequence[str]) -> Scenario:
    from sim.scenario.load import load

    return load(file, sets)


def _only(kind: str, given: str | None, known: list[str]) -> str:
    if given is not None:
        if given not in known:
            raise UsageError(f"--{kind}: the scenario has no {given!r}{did_you_mean(given, known)}")
        return given
    if len(known) != 1:
        raise UsageError(f"--{kind}: which one? The scenario has {', '.join(known) or 'none'}")
    return known[0]


def _conditions(text: str, app: str) -> list[Condition]:
    """The objectives; a metric without a scope is the application's."""
    from sim.metrics import condition

    found = []
    for part in text.split(","):
        match = _OBJECTIVE.fullmatch(part.strip())
        if match is None:
            raise UsageError(f"--slo: {part.strip()!r} is not of the form ttft.p99<1s")
        name = match[1]
        if name.split(".")[0] not in ("apps", "services", "total", "pools", "links", "jobs"):
            name = f"apps.{app}.{name}"
        try:
            found.append(condition(name, match[2]))
        except ValueError as error:
            raise UsageError(f"--slo: {error}") from None
    return found


def _configurations(
    scenario: Scenario, service: str, vary: Sequence[str]
) -> list[tuple[str, dict[str, Any], list[str]]]:
    """(name, settings, the same as `path=value`) of every combination."""
    from sim.scenario.document import dotted
    from sim.scenario.overrides import alternatives

    try:
        varied = [alternatives(item) for item in vary]
    except ValueError as error:
        raise UsageError(f"--vary {error}") from None
    if not varied:
        wanted = scenario.platform.services[service]
        pools = list(scenario.infrastructure.sites[wanted.site].pools)
        if wanted.pool is None and len(pools) > 1:
            varied = [(("platform", "services", service, "pool"), list(pools))]
    if math.prod(len(values) for _, values in varied) > MOST:
        raise UsageError(f"--vary: more than {MOST} configurations")
    made = []
    for choice in itertools.product(*(values for _, values in varied)):
        settings = {dotted(path): value for (path, _), value in zip(varied, choice, strict=True)}
        sets = [f"{path}={json.dumps(value)}" for path, value in settings.items()]
        words = [
            value if isinstance(value, str) else f"{path.split('.')[-1]} {json.dumps(value)}"
            for path, value in settings.items()
        ]
        made.append((", ".join(words) or "as in the file", settings, sets))
    return made


def _show(found: Sequence[Found], choice: Found | None, asked: Asked) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sim.cli.console import harmless
    from sim.metrics import lookup
    from sim.units import show

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("configuration", overflow="fold")
    for head in ("replicas", "USD/h"):
        table.add_column(head, justify="right")
    for condition in asked.conditions:
        table.add_column(condition.metric.split(".", 2)[-1], justify="right")
    table.add_column("", overflow="fold")
    order = sorted(found, key=lambda item: (item.best is None, item.best.cost if item.best else 0.0))
    for item in order:
        trial = item.best or (item.trials[-1] if item.trials else None)
        cells = [Text(harmless(item.name), style="bold" if item is choice else "")]
        cells += [Text(f"{trial.size:.0f}"), Text(f"{trial.cost:,.2f}")] if trial else [Text("-"), Text("-")]
        for place, condition in enumerate(asked.conditions):
            bound = trial.bounds[place] if trial else None
            known = bound is not None and not math.isnan(bound.mean)
            text = show(bound.mean, lookup(condition.metric).dimension) if bound and known else "-"
            style = "green" if bound and bound.verdict == "met" else "red"
            cells.append(Text(text, style=style if known else ""))
        verdict = "cheapest" if item is choice else "" if item.best else f"ruled out: {item.ruled_out}"
        table.add_row(*cells, Text(harmless(verdict)))
    console().print(table)
    if choice is None or choice.best is None:
        out("no configuration keeps the objectives")
        return
    many = f"{choice.best.size:.0f} replica{'' if choice.best.size == 1 else 's'}"
    out(f"{choice.name} with {many}: {choice.best.cost:,.2f} USD/h")


def _rate(scenario: Scenario, asked: Asked, trials: Sequence[Any], best: Any, rate: float) -> dict[str, Any]:
    return {
        "version": 1,
        "scenario": scenario.name,
        "slo": [str(condition) for condition in asked.conditions],
        "greatest_factor": None if best is None else best.size,
        "requests_per_second": None if best is None or math.isnan(rate) else rate * best.size,
        "trials": [{"factor": trial.size, "kept": trial.kept, "reason": trial.reason} for trial in trials],
    }


def _show_rate(result: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sim.cli.console import harmless

    table = Table("load", "", box=box.SIMPLE_HEAD, pad_edge=False)
    for trial in result["trials"]:
        words = "keeps the objectives" if trial["kept"] else trial["reason"]
        table.add_row(f"x {trial['factor']:.3g}", Text(harmless(words)))
    console().print(table)
    if result["greatest_factor"] is None:
        out("no load that was tried keeps the objectives")
        return
    rate = result["requests_per_second"]
    words = "" if rate is None else f", {rate:.3g} requests per second"
    out(f"greatest load: {result['greatest_factor']:.3g} times that of the file{words}")
