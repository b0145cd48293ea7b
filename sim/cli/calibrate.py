"""`stratus calibrate`: step times of a language model's engine from one's own measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sim.cli.console import common, console, note, out, out_json
from sim.errors import UsageError

if TYPE_CHECKING:
    from sim.stats.stepfit import Fit, Measured


@click.command("calibrate")
@click.argument("measurements", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("profile.yaml"),
    show_default=True,
    help="The profile; its plot goes beside it, as .svg.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the fit as JSON.")
@common
def calibrate_command(measurements: Path, output: Path, as_json: bool, plugins: tuple[Path, ...]) -> None:
    """Fit step times to MEASUREMENTS, a CSV file, and write a profile that scenarios can name.

    Rows of iterations: prompt_tokens,sequences,context_tokens,seconds (and square). Or rows of a load test at
    fixed concurrency: input_tokens,output_tokens,concurrency,tpot (and ttft), in seconds. In a scenario:
    `steps: {policy: profile, file: profile.yaml}`.
    """
    from sim.report.calibration import chart
    from sim.stats.stepfit import DOUBTFUL, fit, read

    measured = read(measurements)
    median = sorted(measured.seconds)[len(measured.seconds) // 2]
    if median > DOUBTFUL:
        note(
            f"an iteration takes {median:g} s in the median: are the times milliseconds? Seconds are expected"
        )
    found = fit(measured)
    if found.coefficients.get("base", 0.0) <= 0.0:
        raise UsageError(
            f"{measurements}: the fit gives an iteration without any fixed time; "
            "measure small batches as well as large ones"
        )
    _write(output, _yaml(found, measured, measurements.name))
    plot = output.with_suffix(".svg")
    _write(plot, chart(measured, found).file)
    if as_json:
        out_json(
            {
                "version": 1,
                "profile": str(output),
                "plot": str(plot),
                "coefficients": dict(found.coefficients),
                "undetermined": list(found.silent),
                "measurements": len(measured.seconds),
                **_errors(found),
            }
        )
        return
    _show(found, measured)
    out(str(output))
    note(f"plot: {plot}")


def _errors(found: Fit) -> dict[str, float]:
    import numpy as np

    return {
        "error": float(np.abs(found.errors).mean()),
        "worst": float(np.abs(found.errors).max()),
        "cross_validated": float(np.abs(found.held_out).mean()),
        "cross_validated_worst": float(np.abs(found.held_out).max()),
    }


def _yaml(found: Fit, measured: Measured, source: str) -> str:
    import json

    errors = _errors(found)
    lines = ["# Step times of a language model's engine, made by `stratus calibrate`."]
    lines += [
        f"{name}: {seconds * 1e9:.9g} ns" for name, seconds in found.coefficients.items() if seconds > 0
    ]
    lines += [f"{name}: {errors[name]:.4f}" for name in ("error", "worst", "cross_validated")]
    lines += [f"points: {len(measured.seconds)}", f"measurements: {json.dumps(source)}"]
    return "\n".join(lines) + "\n"


def _show(found: Fit, measured: Measured) -> None:
    from rich import box
    from rich.table import Table

    from sim.catalog.describing import small
    from sim.units import show

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("an iteration takes")
    table.add_column("", justify="right")
    words = {
        "base": "always",
        "per_prompt_token": "+ per prompt token",
        "per_square": "+ per prompt token and token before it",
        "per_sequence": "+ per sequence that generates",
        "per_context_token": "+ per token of their contexts",
    }
    for name, text in words.items():
        seconds = found.coefficients.get(name)
        shown = "not measured" if seconds is None else show(seconds, "duration")
        table.add_row(text, small(seconds) or "0" if seconds is not None and seconds < 1e-4 else shown)
    console().print(table)
    errors = {name: f"{value:.1%}" for name, value in _errors(found).items()}
    out(
        f"{len(measured.seconds)} measurements; "
        f"off by {errors['error']} on average, {errors['worst']} at most; "
        f"predicted from the others {errors['cross_validated']} and {errors['cross_validated_worst']}"
    )
    worst = int(abs(found.held_out).argmax())
    if abs(found.held_out[worst]) > 0.25:
        note(f"line {measured.lines[worst]} fits worst: predicted {found.held_out[worst]:+.0%}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
