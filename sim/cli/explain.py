"""`stratus explain`: why a job waited, what a node did, how things stood at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sim.cli.console import common, console, note, out_json
from sim.errors import ResultsError, UsageError, did_you_mean

if TYPE_CHECKING:
    from sim.study.results import Results


@click.command("explain")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--job", metavar="NUMBER", help="Why this job (its number, or class/number) waited and where it went."
)
@click.option("--node", metavar="NAME", help="What ran on this node, and whom it turned away.")
@click.option(
    "--at", metavar="TIME", help="The queue and the nodes at this moment, such as 90min or '1d 6h'."
)
@click.option("--arm", help="Arm of the study (or a whole label, where it has axes); the first unless given.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Folder of all results, in which RUN may be the name of a scenario.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
@common
def explain_command(
    run: Path,
    job: str | None,
    node: str | None,
    at: str | None,
    arm: str | None,
    out: Path,
    as_json: bool,
    plugins: tuple[Path, ...],
) -> None:
    """Say why a job waited, what a node did, or how things stood at a moment.

    RUN is a folder of results, or a scenario (its name or file), whose latest results are taken.
    Explanations of jobs need recorded decisions: run with `--set record.decisions=all`.
    """
    if job is None and node is None and at is None:
        raise UsageError("what is to be explained? give --job NUMBER, --node NAME or --at TIME")
    if job is not None and (node is not None or at is not None):
        raise UsageError("--job stands alone; --node and --at can be combined")
    time = None if at is None else _seconds(at)
    from sim.report.explain import Records, explain_job, explain_moment, explain_node, tell
    from sim.study.results import Results

    results = Results(_folder(run, out))
    cell, label = _cell(results, arm)
    replication = _kept(results, cell)
    records = Records.of(results, cell, replication)
    if time is not None and time > records.end:
        raise ResultsError(f"--at {at}: the run ended at {records.end:g} s")
    if job is not None:
        data = explain_job(records, records.job(job))
    elif node is not None:
        data = explain_node(records, records.node(node), time)
    else:
        assert time is not None
        data = explain_moment(records, time)
    told = tell(data)
    where = {"run": str(results.folder), "arm": label, "replication": replication}
    if as_json:
        out_json({"version": 1, **where, "explanation": data, "sentences": told})
        return
    cells = results.summary["cells"]
    if len(cells) > 1:
        others = [c["label"] for c in cells if c["label"] != label]
        more = ", ..." if len(others) > 6 else ""
        note(f"{label}, replication {replication} (other arms: {', '.join(others[:6])}{more})")
    _print(told)


def _seconds(text: str) -> float:
    from sim.units import parse

    try:
        return parse(text, "duration")
    except ValueError as error:
        raise UsageError(f"--at {text}: {error}") from None


def _folder(run: Path, out: Path) -> Path:
    """The folder of results that the user means."""
    if (run / "summary.json").is_file():
        return run
    if run.suffix in (".yaml", ".yml") and run.is_file():
        from sim.scenario.load import load

        name = load(run, ()).name
    else:
        name = str(run)
    places = [run, out / name] if run.is_dir() else [out / name]
    for place in places:
        found = [path.parent for path in place.glob("*/summary.json")] if place.is_dir() else []
        if found:
            return max(found, key=lambda path: ((path / "manifest.json").stat().st_mtime, path.name))
    known = [path.name for path in out.iterdir() if path.is_dir()] if out.is_dir() else []
    raise ResultsError(
        f"{run}: no results here, nor of a scenario of that name in {out}{did_you_mean(name, known)}"
    )


def _cell(results: Results, arm: str | None) -> tuple[int, str]:
    """The cell that the user means: by its label or its arm."""
    cells = results.summary["cells"]
    if arm is None:
        return 0, str(cells[0]["label"])
    found = [(at, cell) for at, cell in enumerate(cells) if arm == cell["label"]]
    found = found or [(at, cell) for at, cell in enumerate(cells) if arm == cell["arm"]]
    if not found:
        labels = [str(cell["label"]) for cell in cells]
        raise ResultsError(f"--arm {arm}: no such arm{did_you_mean(arm, labels)}")
    if len(found) > 1:
        labels = [str(cell["label"]) for _, cell in found]
        raise ResultsError(f"--arm {arm}: there are {len(found)} of it; name one: {'; '.join(labels[:8])}")
    return found[0][0], str(found[0][1]["label"])


def _kept(results: Results, cell: int) -> int:
    runs: list[Mapping[str, Any]] = list(results.runs(cell))
    kept = next((run for run in runs if run["kept"]), None)
    if kept is None:
        raise ResultsError(f"{results.folder} holds no tables of that arm")
    return int(kept["replication"])


def _print(told: list[str]) -> None:
    """Sentences wrapped to the terminal, list items indented."""
    from textwrap import wrap

    from rich.text import Text

    screen = console()
    width = max(20, min(screen.width, 100))
    for position, line in enumerate(told):
        item = line.startswith("- ")
        heading = line.startswith("# ")
        first, rest = ("  - ", "    ") if item else ("", "")
        text = line[2:] if item or heading else line
        if heading:
            screen.print()
        lines = wrap(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
        screen.print(Text("\n".join(lines), style="bold" if heading or not position else ""))
