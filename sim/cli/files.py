"""`stratus validate`, `schema` and `init`: scenario files themselves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from sim.cli.console import common, console, note, out, out_json
from sim.errors import Fault, ScenarioError, UsageError


@click.command("validate")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE...]")
@click.option(
    "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change a setting first. Repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print the faults as JSON.")
@common
def validate_command(
    files: tuple[Path, ...], sets: tuple[str, ...], as_json: bool, plugins: tuple[Path, ...]
) -> int:
    """Check scenario files; every fault is said with its line and column.

    Without a file, check the simulator: queues, transfers, energy and cost against what theory says.
    """
    if not files:
        return _simulator(as_json)
    from sim.scenario.load import load

    faults: list[Fault] = []
    for file in files:
        try:
            load(file, sets)
        except ScenarioError as error:
            faults.extend(error.faults)
        else:
            if not as_json:
                out(f"{file}: valid")
    if as_json:
        out_json(
            {"version": 1, "valid": not faults, "faults": [dataclasses.asdict(fault) for fault in faults]}
        )
        return ScenarioError.exit_code if faults else 0
    if faults:
        raise ScenarioError(faults)
    return 0


def _simulator(as_json: bool) -> int:
    """Hold the simulator against closed forms; 0 if it agrees with all of them."""
    from sim.study.truth import LEVEL, REPLICATIONS, cases, verdicts

    total, found = len(cases()), []
    for number, verdict in enumerate(verdicts(), start=1):
        if not as_json:
            note(f"{number}/{total} {verdict.case.name}")
        found.append(verdict)
    agree = sum(verdict.agrees for verdict in found)
    if as_json:
        rows = [
            {
                "case": verdict.case.name,
                "quantity": verdict.case.quantity,
                "source": verdict.case.source,
                "theory": verdict.case.truth,
                "simulated": verdict.value,
                "low": verdict.low,
                "high": verdict.high,
                "agrees": verdict.agrees,
            }
            for verdict in found
        ]
        out_json({"version": 1, "agrees": agree == total, "cases": rows})
        return 0 if agree == total else 1
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("case", "quantity", "theory", "simulation", f"{LEVEL:.1%} interval", ""):
        table.add_column(name, justify="right" if name in ("theory", "simulation") else "left")
    for verdict in found:
        between = "exact" if verdict.case.exact else f"{verdict.low:.4g} to {verdict.high:.4g}"
        word = "agrees" if verdict.agrees else "DIFFERS"
        case = verdict.case
        quantity = f"{case.quantity} ({case.source})"
        table.add_row(case.name, quantity, f"{case.truth:.5g}", f"{verdict.value:.5g}", between, word)
    console().print(table)
    out(f"{agree} of {total} agree ({REPLICATIONS} runs of each that is random, one fixed seed)")
    return 0 if agree == total else 1


@click.command("schema")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to a file.")
@common
def schema_command(output: Path | None, plugins: tuple[Path, ...]) -> None:
    """Print the JSON Schema of scenario files.

    Put `# yaml-language-server: $schema=./schema.json` into the first line of a scenario, and your
    editor completes its keys and marks what is wrong.
    """
    from sim.scenario.schema import text

    if output is None:
        out(text().rstrip())
        return
    _write(output, text())
    note(f"written: {output}")


@click.command("init")
@click.argument("name", default="scenario")
@common
def init_command(name: str, plugins: tuple[Path, ...]) -> None:
    """Write a commented scenario to start from, as NAME.yaml."""
    from sim.cli.starter import starter

    path = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    if path.exists():
        raise UsageError(f"{path} exists already; choose another name")
    _write(path, starter(path.stem))
    out(str(path))
    note(f"run it: stratus run {path}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
