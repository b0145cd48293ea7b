"""The report in a terminal: the answer first, then the table, then what to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sim.report.view import Block, Figure, view
from sim.study.results import Results

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_TONES = {"good": "green", "bad": "red", "": "dim"}


def show(folder: Path, console: Console) -> None:
    """Print the answer and the table of a results folder.

    Raises:
        ResultsError: the folder holds no results.
    """
    from rich.text import Text

    shown = view(Results(folder), drawn=False)
    console.print()
    console.print(Text(shown.question, style="bold"))
    if shown.figure:
        console.print(Text(f"  {shown.figure}", style="bold cyan"))
    for sentence in shown.answer:
        console.print(Text(f"  {sentence}"))
    for sentence in shown.compared:
        console.print(Text(f"  {sentence}", style="dim"))
    for warning in shown.warnings:
        console.print(Text(f"  ! {warning}", style="yellow"))
    console.print()
    if shown.choice is not None:
        console.print(_table(shown.choice))
        return
    for block in shown.tables:
        console.print(_by_arm(block, console.width))


def _by_arm(block: Block, width: int) -> Table:
    """A table of metrics turned round: one arm a row, as many metrics as the terminal is wide."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    most = max(1, (width - 16) // 12)
    left = len(block.rows) - most
    caption = f"{left} more metrics, intervals and differences: in the report" if left > 0 else None
    table = Table(
        box=box.SIMPLE_HEAD, title=block.title or None, caption=caption, title_justify="left", pad_edge=False
    )
    table.add_column("", style="bold", no_wrap=True, max_width=28)
    for row in block.rows[:most]:
        table.add_column(Text(row.label), justify="right", vertical="bottom")
    for position, head in enumerate(block.heads):
        cells = [row.cells[position] for row in block.rows[:most]]
        table.add_row(
            Text(head.text), *(Text(cell.text, style="bold green" if cell.best else "") for cell in cells)
        )
    return table


def _table(block: Block) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        title=block.title or None,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    table.add_column(block.corner, style="dim", max_width=34)
    for head in block.heads:
        table.add_column(Text(head.text), justify="right")
    for row in block.rows:
        table.add_row(Text(row.label), *(_cell(cell) for cell in row.cells))
    return table


def _cell(cell: Figure) -> Text:
    from rich.text import Text

    text = Text(cell.text, style="bold" if cell.best else "")
    if cell.difference:
        text.append(f"\n{cell.difference}", style=_TONES[cell.tone])
    return text
