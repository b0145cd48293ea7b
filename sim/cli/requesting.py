"""What is in a trace of requests, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.cli.console import harmless
from sim.units import show as shown

if TYPE_CHECKING:
    from rich.console import Console

_NAMES = {
    "tokens_in": "prompt tokens",
    "tokens_out": "tokens to generate",
    "send": "bytes sent",
    "reply": "bytes back",
}


def show(found: dict[str, Any], console: Console) -> None:
    """Print what `sim.saas.requestsummary.inspect` found."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console.print(Text(harmless(found["file"]), style="bold"), soft_wrap=True)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in _overview(found).items():
        table.add_row(label, text)
    console.print(table)
    if found["columns"]:
        lengths = Table(
            box=box.SIMPLE_HEAD, title="per request", title_justify="left", title_style="bold", pad_edge=False
        )
        lengths.add_column("")
        for name in found["columns"]:
            lengths.add_column(_NAMES.get(name, name), justify="right")
        for label in next(iter(found["columns"].values())):
            lengths.add_row(label, *(f"{values[label]:,.4g}" for values in found["columns"].values()))
        console.print(lengths)


def _overview(found: dict[str, Any]) -> dict[str, str]:
    rows = {
        "format": found["format"] + (": drawn from its windows, with seed 1" if found["drawn"] else ""),
        "requests": f"{found['requests']:,}"
        + ("" if found["whole"] else ", and more: the first are looked at"),
    }
    if not found["timed"]:
        return rows | {"times": "none: it needs a `rate`"}
    rate, cv, dispersion = found["per_second"], found["gap_cv"], found["dispersion_per_minute"]
    rows |= {
        "time span": shown(found["span_s"], "duration"),
        "arrivals": "at one moment" if rate is None else f"{shown(rate)} a second",
        "gaps": "-" if cv is None else f"coefficient of variation {cv:.3g}",
        "dispersion": "-"
        if dispersion is None
        else f"{dispersion:.3g}: variance over mean of the requests in a minute",
    }
    if found["grain_s"] is not None:
        rows["clock"] = (
            f"{found['moments']:,} moments, usually {shown(found['grain_s'], 'duration')} apart: "
            "replay it with `spread`"
        )
    return rows
