"""What is in a trace, for the terminal: tables that follow its width, bars for the hours of the day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.cli.console import harmless
from sim.units import show as shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_BARS = "▁▂▃▄▅▆▇█"

#: Sizes of jobs shown; the rest are added up in the last row.
_SIZES = 12

_PLURALS = {"tenants": "tenant", "models": "model or class", "devices": "accelerator", "statuses": "ended as"}


def show(found: dict[str, Any], console: Console) -> None:
    """Print what `sim.saas.jobtraces.summary.inspect` found."""
    from rich.text import Text

    console.print(Text(harmless(found["file"]), style="bold"), soft_wrap=True)
    console.print(_overview(found))
    if found["first_bad_row"] is not None:
        console.print(
            Text(harmless(f"! first bad row: {found['first_bad_row']}"), style="yellow"), soft_wrap=True
        )
    console.print(_hours(found["share_by_hour"], console))
    for table in (_times(found), _sizes(found), *(_names(found[key], key) for key in _PLURALS)):
        if table is not None:
            console.print(table)


def _table(title: str, *heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left", overflow="fold")
    return table


def _overview(found: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    rate = found["jobs_per_hour"]
    rows = {
        "format": f"{found['format']}: {found['about']}",
        "rows": f"{found['rows']:,}",
        "jobs": f"{found['jobs']:,}",
        "bad rows": f"{found['bad_rows']:,}",
        "left out": ", ".join(f"{count:,} {reason}" for reason, count in found["left_out"].items()) or "none",
        "time span": shown(found["span_s"], "duration"),
        "arrivals": "at one moment" if rate is None else f"{shown(rate)} an hour",
        "order": "by time" if found["sorted"] else "not by time: sorted when replayed",
        "accelerator hours": shown(found["accelerator_hours"]) if found["accelerators"] else "not stated",
        "also stated": ", ".join(name for name in found["columns"] if name not in ("work", "accelerators"))
        or "nothing",
    }
    for label, text in rows.items():
        table.add_row(label, text)
    return table


def _hours(shares: list[float], console: Console) -> Table:
    """Share of the arrivals in each hour of the day."""
    top = max(shares) or 1.0
    plain = console.options.ascii_only
    marks = [f"{100 * share:.1f}" if plain else _BARS[round(share / top * 7)] for share in shares]
    lowest, highest = shares.index(min(shares)), shares.index(max(shares))
    table = _table("arrivals by hour of the day, 0 to 23", "")
    table.show_header = False
    table.add_row(" ".join(marks) if plain else "".join(marks))
    table.add_row(
        f"least at {lowest}:00 ({shown(min(shares), 'fraction')}), "
        f"most at {highest}:00 ({shown(max(shares), 'fraction')})"
    )
    return table


def _times(found: dict[str, Any]) -> Table | None:
    columns = {"duration": found["duration_s"], "wait in the trace": found["wait_s"]}
    known = {name: values for name, values in columns.items() if values is not None}
    if not known:
        return None
    table = _table("times", "", *known)
    for label in next(iter(known.values())):
        table.add_row(label, *(shown(values[label], "duration") for values in known.values()))
    return table


def _sizes(found: dict[str, Any]) -> Table | None:
    sizes = found["accelerators"]
    if not sizes:
        return None
    table = _table("accelerators of a job", "accelerators", "jobs", "share")
    most = sorted(sizes.items(), key=lambda pair: -pair[1])[:_SIZES]
    for size, count in sorted(most, key=lambda pair: float(pair[0])):
        table.add_row(size, f"{count:,}", shown(count / found["jobs"], "fraction"))
    rest = sum(sizes.values()) - sum(count for _, count in most)
    if rest:
        table.add_row("others", f"{rest:,}", shown(rest / found["jobs"], "fraction"))
    return table


def _names(entry: dict[str, Any] | None, key: str) -> Table | None:
    if entry is None:
        return None
    table = _table(f"{key} ({entry['number']})", _PLURALS[key], "jobs", "share")
    for name, count in entry["most"].items():
        table.add_row(harmless(name), f"{count:,}", shown(count / entry["jobs"], "fraction"))
    rest = entry["jobs"] - sum(entry["most"].values())
    if rest:
        table.add_row("others", f"{rest:,}", shown(rest / entry["jobs"], "fraction"))
    return table
