"""What a run says: words, charts, HTML, terminal and timeline, from stored results only."""

from __future__ import annotations

from pathlib import Path


def render(folder: Path) -> None:
    """Write the report of a results folder; see `sim.report.rendering`."""
    from sim.report.rendering import render as write

    write(folder)
