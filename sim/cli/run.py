"""`stratus run`, `compare` and `report`: what simulates, and what shows results."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sim.cli.console import INTERRUPTED, Progress, common, console, note, out_json
from sim.errors import Fault, ResultsError, ScenarioError, UsageError

if TYPE_CHECKING:
    from sim.scenario.spec import Scenario

FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Settings:
    """How studies are run, whatever they simulate."""

    out: Path
    jobs: int
    csv: bool
    quick: bool
    progress: bool
    as_json: bool
    quiet: bool
    plugins: Sequence[Path]


def _running(command: Any) -> Any:
    """Options of the commands that simulate."""
    options = [
        click.option(
            "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change a setting. Repeatable."
        ),
        click.option("--seed", type=click.IntRange(0), help="Seed of all random numbers."),
        click.option("--replications", type=click.IntRange(1), help="Independent runs of each variant."),
        click.option("--jobs", type=click.IntRange(1), help="Processes; all cores unless given."),
        click.option(
            "--out", type=FILE, default=Path("reports"), show_default=True, help="Folder of the results."
        ),
        click.option("--csv", is_flag=True, help="Write the tables as CSV as well."),
        click.option(
            "--quick", is_flag=True, help="A shorter try-out: a fifth of the duration, two replications."
        ),
        click.option("--no-progress", is_flag=True, help="No progress line."),
        click.option("--json", "as_json", is_flag=True, help="Print the results as JSON."),
        click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors."),
        common,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _settings(options: dict[str, Any]) -> Settings:
    return Settings(
        out=options["out"],
        jobs=options["jobs"] or os.cpu_count() or 1,
        csv=options["csv"],
        quick=options["quick"],
        progress=not (options["no_progress"] or options["quiet"]),
        as_json=options["as_json"],
        quiet=options["quiet"],
        plugins=options["plugins"],
    )


def _overrides(options: dict[str, Any]) -> list[str]:
    """`--set` in order, then the options that have a path of their own."""
    sets = list(options["sets"])
    if options["seed"] is not None:
        sets.append(f"seed={options['seed']}")
    if options["replications"] is not None:
        sets.append(f"study.replications={options['replications']}")
    return sets


@click.command("run")
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@_running
def run_command(files: tuple[Path, ...], **options: Any) -> int:
    """Run scenarios with their studies and write the reports."""
    from sim.scenario.load import load

    scenarios: list[Scenario] = []
    faults: list[Fault] = []
    for file in files:
        try:
            scenarios.append(load(file, _overrides(options)))
        except ScenarioError as error:
            faults.extend(error.faults)
    if faults:
        raise ScenarioError(faults)
    return _run(scenarios, _settings(options))


@click.command("compare")
@click.argument("file", type=FILE)
@click.option(
    "--vary", multiple=True, required=True, metavar="PATH=A,B,C", help="Values to compare. Repeatable."
)
@_running
def compare_command(file: Path, vary: tuple[str, ...], **options: Any) -> int:
    """Vary settings of a scenario and compare the results.

    One `--vary` makes each of its values an arm; with several, the first makes the arms and the others axes.
    Arms, axes and cases of the file's own study are left out.
    """
    from sim.scenario.load import load
    from sim.scenario.overrides import alternatives

    try:
        varied = [alternatives(item) for item in vary]
    except ValueError as error:
        raise UsageError(f"--vary {error}") from None
    load(file, _overrides(options))  # so that what is wrong from here on is wrong in what varies
    try:
        scenario = load(file, [*_overrides(options), *_study(varied)])
    except ScenarioError as error:
        raise UsageError("\n".join(f"--vary {_of_vary(fault)}" for fault in error.faults)) from None
    return _run([scenario], _settings(options))


def _study(varied: Sequence[tuple[tuple[str | int, ...], list[Any]]]) -> list[str]:
    """Settings that replace the arms and axes of a study."""
    from sim.scenario.document import dotted

    (first, values), *others = varied
    arms = {_arm(value, index): {dotted(first): value} for index, value in enumerate(values)}
    if len(arms) < len(values):
        arms = {f"value-{index}": {dotted(first): value} for index, value in enumerate(values)}
    axes = {dotted(path): choices for path, choices in others}
    return [
        "study.baseline=null",
        f"study.arms={json.dumps(arms)}",
        f"study.axes={json.dumps(axes)}",
        "study.cases={}",
    ]


def _of_vary(fault: Fault) -> str:
    """A fault of the study made from `--vary`, by the path that varies."""
    from sim.scenario.overrides import split

    path = split(fault.path)[3:] if fault.path.startswith("study.arms.") else split(fault.path)[2:3]
    return f"{'.'.join(map(str, path))}: {fault.message}" if path else fault.message


def _arm(value: Any, index: int) -> str:
    """A value as the name of an arm; its position where it makes none."""
    text = value if isinstance(value, str) else json.dumps(value)
    name = re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")
    return name if name and len(name) <= 40 else f"value-{index}"


def _run(scenarios: Sequence[Scenario], settings: Settings) -> int:
    """Run studies one after another; an interrupted one is shown with what it has, and is the last."""
    from sim.report import render
    from sim.study.execute import run_study

    results = []
    for scenario in scenarios:
        progress = Progress(console(stderr=True)) if settings.progress else None
        try:
            folder = run_study(
                scenario,
                out=settings.out,
                jobs=settings.jobs,
                quick=settings.quick,
                csv=settings.csv,
                plugins=settings.plugins,
                progress=progress,
                finish=render,
            )
        finally:
            if progress is not None:
                progress.end()
        results.append(folder)
        if not settings.quiet and not settings.as_json:
            _show(folder)
        if _interrupted(folder):
            break
    if settings.as_json:
        out_json({"version": 1, "results": [_result(folder) for folder in results]})
    return INTERRUPTED if results and _interrupted(results[-1]) else 0


@click.command("report")
@click.argument("folder", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@common
def report_command(folder: Path, as_json: bool, quiet: bool, plugins: tuple[Path, ...]) -> None:
    """Render a results folder again: the page, the plots and the table."""
    if not (folder / "summary.json").is_file():
        raise ResultsError(f"{folder}: no results here (a results folder has a summary.json)")
    from sim.report import render

    render(folder)
    if as_json:
        out_json({"version": 1, "results": [_result(folder)]})
    elif not quiet:
        _show(folder)


def _show(folder: Path) -> None:
    from sim.report.terminal import show

    show(folder, console())
    note(f"report: {folder / 'report.html'}")


def _interrupted(folder: Path) -> bool:
    partial = _result(folder)["summary"]["partial"]
    return partial is not None and bool(partial["interrupted"])


def _result(folder: Path) -> dict[str, Any]:
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"{folder}: summary.json cannot be read: {error}") from None
    return {"folder": str(folder), "summary": summary}
