"""`stratus validate`, `schema` and `init`: scenario files themselves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from sim.cli.console import common, note, out, out_json
from sim.errors import Fault, ScenarioError, UsageError


@click.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change a setting first. Repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print the faults as JSON.")
@common
def validate_command(
    files: tuple[Path, ...], sets: tuple[str, ...], as_json: bool, plugins: tuple[Path, ...]
) -> int:
    """Check scenario files; every fault is said with its line and column."""
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
