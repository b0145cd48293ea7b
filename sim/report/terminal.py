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
        console.print(_choice(shown.choice))
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


def _choice(block: Block) -> Table:
    """The deciding metric along the axes: who is chosen, and who is out because of the conditions."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = any(cell.tone == "bad" for row in block.rows for cell in row.cells)
    table = Table(
        box=box.SIMPLE_HEAD,
        title=block.title,
        title_justify="left",
        title_style="bold",
        caption="✓ chosen" + ("   ✗ ruled out: why, in the report" if out else ""),
        caption_justify="left",
        pad_edge=False,
    )
    table.add_column(block.corner, style="dim", no_wrap=True, max_width=34)
    for head in block.heads:
        table.add_column(Text(f"{head.text} "), justify="right", no_wrap=True)
    for row in block.rows:
        table.add_row(Text(row.label), *(_marked(cell) for cell in row.cells))
    return table


def _marked(cell: Figure) -> Text:
    from rich.text import Text

    mark = "✓" if cell.best else "✗" if cell.tone == "bad" else " "
    style = "bold green" if cell.best else "red" if cell.tone == "bad" else ""
    return Text(f"{cell.text}{mark}", style=style)
