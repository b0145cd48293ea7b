"""`stratus plan`: the cheapest configuration that keeps its objectives."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sim.cli.console import INTERRUPTED, common, console, note, out, out_json
from sim.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from sim.metrics import Condition
    from sim.scenario.spec import Scenario
    from sim.study.planning import Asked, Configuration, Found, Trial

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
    help="Settings to choose from. Repeatable; unless given, the arms of the file's study, else the pools of "
    "the service's site.",
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

    For every arm of the file's study, or combination of the `--vary` settings, the number of replicas is
    bracketed and bisected; the pool gets the nodes they need. Names of metrics without a scope are of the
    application or the service: ttft.p99 is apps.NAME.ttft.p99. Exit code 1 if no configuration keeps the
    objectives. Ctrl-C shows what was found until then.
    """
    from sim.report.planned import report, write
    from sim.study.execute import quicker
    from sim.study.planning import Asked, greatest, plan

    base = [*options["sets"], *_NO_STUDY]
    scenario = _load(file, base)
    service = _only("service", options["service"], list(scenario.platform.services))
    app = _only("app", options["app"], list(scenario.applications))
    asked = Asked(
        service,
        _conditions(options["slo"], app, service),
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
            _show_rate(result, asked, trials, rate)
        return 0 if best is not None else 1
    study = _load(file, options["sets"]).study
    configurations = _configurations(scenario, study.arms, service, options["vary"])
    found = plan(load, configurations, asked, say)
    if all(item.complete and not item.trials for item in found):
        raise UsageError("\n".join(f"{item.name}: {item.ruled_out}" for item in found))
    data = report(load([]), asked, found, len(configurations))
    place = options["folder"] / scenario.name / data["name"]
    page = write(place, data, asked, found)
    if options["as_json"]:
        out(json.dumps(data, indent=2))
    else:
        _show(data, asked, found)
        note(f"report: {page}")
    return INTERRUPTED if data["interrupted"] else 0 if data["cheapest"] else 1


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


def _conditions(text: str, app: str, service: str) -> list[Condition]:
    """The objectives; a metric without a scope is the application's, else the service's.

    Raises:
        UsageError: all that is wrong with them.
    """
    from sim.metrics import condition

    scopes = (f"apps.{app}.", f"services.{service}.", "")
    found, faults = [], []
    for part in text.split(","):
        match = _OBJECTIVE.fullmatch(part.strip())
        if match is None:
            faults.append(f"{part.strip()!r} is not of the form ttft.p99<1s")
            continue
        name = next((scope + match[1] for scope in scopes if _known(scope + match[1])), None)
        if name is None:
            faults.append(f"unknown metric {match[1]!r}{did_you_mean(match[1], _short(app, service))}")
            continue
        try:
            found.append(condition(name, match[2]))
        except ValueError as error:
            faults.append(f"{match[1]}: {error}")
    if faults:
        raise UsageError("\n".join(f"--slo: {fault}" for fault in faults))
    return found


def _known(name: str) -> bool:
    from sim.metrics import lookup

    try:
        lookup(name)
    except UsageError:
        return False
    return True


def _short(app: str, service: str) -> list[str]:
    """Names of metrics as `--slo` takes them: of the application and the service without their scope."""
    from sim.metrics import METRICS

    scopes = (("apps", app), ("services", service))
    found = list(METRICS)
    for scope, name in scopes:
        found = [re.sub(rf"^{scope}\.<\w+>", f"{scope}.{name}", metric) for metric in found]
    prefixes = tuple(f"{scope}.{name}." for scope, name in scopes)
    return [metric.split(".", 2)[2] if metric.startswith(prefixes) else metric for metric in found]


def _configurations(
    scenario: Scenario, arms: Mapping[str, Mapping[str, Any]], service: str, vary: Sequence[str]
) -> list[Configuration]:
    """Every combination of what varies, else every arm."""
    from sim.scenario.document import dotted
    from sim.scenario.overrides import alternatives

    if arms and not vary:
        return [(name, dict(settings), _sets(settings)) for name, settings in arms.items()]
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
    made: list[Configuration] = []
    for choice in itertools.product(*(values for _, values in varied)):
        settings = {dotted(path): value for (path, _), value in zip(varied, choice, strict=True)}
        words = [
            value if isinstance(value, str) else f"{path.split('.')[-1]} {json.dumps(value)}"
            for path, value in settings.items()
        ]
        made.append((", ".join(words) or "as in the file", settings, _sets(settings)))
    return made


def _sets(settings: Mapping[str, Any]) -> list[str]:
    return [f"{path}={json.dumps(value)}" for path, value in settings.items()]


def _show(data: dict[str, Any], asked: Asked, found: Sequence[Found]) -> None:
    """The answer, then every configuration, then what nothing beats and what was ruled out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sim.cli.console import harmless
    from sim.report.planned import many, shown

    out(data["answer"])
    tokens = data["tokens"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("configuration", overflow="fold")
    heads = [_head(condition) for condition in asked.conditions]
    for head in ("replicas", "USD/h", *(["USD/M\ntokens"] if tokens else []), *heads):
        table.add_column(head, justify="right")
    chosen = (data["cheapest"] or {}).get("configuration")
    for item in sorted(found, key=lambda item: (item.best is None, item.best.cost if item.best else 0.0)):
        trial = item.best or (item.trials[-1] if item.trials else None)
        row = [Text(harmless(item.name), style="bold" if item.name == chosen else "")]
        row += [Text(cell) for cell in _size(trial, tokens)]
        for place in range(len(asked.conditions)):
            bound = trial.bounds[place] if trial else None
            style = "" if bound is None else "green" if bound.verdict == "met" else "red"
            row.append(Text(shown(bound), style=style))
        table.add_row(*row)
    console().print(table)
    for item in found:
        if item.ruled_out:
            out(f"{item.name}: {item.ruled_out}")
    if len(data["front"]) > 1:
        out(f"nothing beats in cost and {data['short'][0].split(' ')[0]}:")
        for one in data["front"]:
            words = "" if one["kept"] else ", does not keep all objectives"
            cost = f"{one['usd_per_hour']:,.2f} USD/h"
            out(f"  {cost:>14}  {one['shown']}  {one['configuration']}, {many(one['replicas'])}{words}")


def _size(trial: Trial | None, tokens: bool) -> list[str]:
    from sim.report.planned import TOKENS

    if trial is None:
        return ["-"] * (3 if tokens else 2)
    cost = trial.metrics.get(TOKENS, math.nan)
    price = [] if not tokens else ["-" if math.isnan(cost) else f"{cost:,.2f}"]
    return [f"{trial.size:.0f}", f"{trial.cost:,.2f}", *price]


def _rate(
    scenario: Scenario, asked: Asked, trials: Sequence[Trial], best: Any, rate: float
) -> dict[str, Any]:
    from sim.report.planned import plain

    return {
        "version": 1,
        "scenario": scenario.name,
        "slo": [str(condition) for condition in asked.conditions],
        "greatest_factor": None if best is None else best.size,
        "requests_per_second": None if best is None or math.isnan(rate) else rate * best.size,
        "trials": [
            {"factor": trial.size, **{key: plain(trial)[key] for key in ("kept", "reason", "objectives")}}
            for trial in trials
        ],
    }


def _show_rate(result: dict[str, Any], asked: Asked, trials: Sequence[Trial], rate: float) -> None:
    """The answer, then every load that was tried."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sim.report.planned import shown

    if result["greatest_factor"] is None:
        out("no load that was tried keeps the objectives")
    else:
        most = result["requests_per_second"]
        words = "" if most is None else f", {most:.3g} requests per second"
        out(f"greatest load: {result['greatest_factor']:.3g} times that of the file{words}")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    heads = [_head(condition) for condition in asked.conditions]
    for head in ("load", "requests/s", *heads):
        table.add_column(head, justify="right")
    table.add_column("")
    for trial in trials:
        row = [Text(f"x {trial.size:.3g}"), Text("-" if math.isnan(rate) else f"{rate * trial.size:.3g}")]
        row += [Text(shown(one), style="green" if one.verdict == "met" else "red") for one in trial.bounds]
        table.add_row(*row, "kept" if trial.kept else "overloaded" if trial.overloaded else "")
    console().print(table)


def _head(condition: Condition) -> str:
    """An objective as the head of a column, its bound in a line of its own."""
    from sim.report.planned import short

    return short(condition).replace(" ", "\n", 1)
