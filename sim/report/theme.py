"""How charts look: one small set of colours and a way to draw that suits light and dark pages.

Text and axes are drawn in marker colours that `svg` replaces by CSS variables, so that one
picture follows the colour scheme of the page it stands in.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito (2008), colour-blind safe, in an order that keeps neighbours apart; mid-tones that
#: stand out on white and on near-black.
SERIES = ("#0079c2", "#d55e00", "#009e73", "#cc79a7", "#c99700", "#56b4e9", "#8a6fd1", "#7f7f7f")

INK, MUTED, GRID, CARD = "#010203", "#040506", "#070809", "#0a0b0c"
_VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)", CARD: "var(--card)"}
#: What the markers become in a file that stands alone.
_PLAIN = {INK: "#1c2430", MUTED: "#5b6675", GRID: "#d9dee5", CARD: "#ffffff"}

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "text.parse_math": False,  # names come from strangers: a dollar sign is a dollar sign
}


def colour(position: int) -> str:
    """The colour of the arm or series at a position; repeats after eight."""
    return SERIES[position % len(SERIES)]


@contextmanager
def drawing(name: str, width: float = 5.4, height: float = 3.0) -> Iterator[Figure]:
    """A figure in the house style; `name` makes the ids inside its SVG unique and repeatable."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        yield Figure(figsize=(width, height), layout="constrained", facecolor="none")


def panel(figure: Figure, ylabel: str, xlabel: str = "", *, rows: int = 1, row: int = 1) -> Axes:
    """One set of axes with its labels, transparent so that the page shows through."""
    axes = figure.add_subplot(rows, 1, row, facecolor="none")
    axes.set_ylabel(ylabel)
    axes.set_xlabel(xlabel)
    axes.tick_params(length=0)
    return axes


def legend(axes: Axes, count: int, *, always: bool = False) -> None:
    """A legend above the plot, where it hides no data; a single curve needs none unless `always`."""
    if count > 1 or always:
        columns = min(count, 3)
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.2, handlelength=1.4,
            columnspacing=1.2,
        )  # fmt: skip


#: Numbers with more digits than a tenth.
_LONG = re.compile(r"\d+\.\d{2,}")
#: Commands of a path, which need no space around them.
_COMMAND = re.compile(r"\s*([A-Za-z])\s*")


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}"


def svg(figure: Figure) -> str:
    """The figure as SVG with marker colours. Deterministic: no date, ids from the figure's own salt."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Text stays text in the file: the reader's fonts draw what ours lack.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"\n\s*", "\n", text)
    # A tenth of a point is finer than any screen; more digits only make pages large.
    text = re.sub(r'(?<= d=")[^"]*', lambda path: _COMMAND.sub(r"\1", _LONG.sub(_rounded, path[0])), text)
    return text.replace("'DejaVu Sans'", "'DejaVu Sans', system-ui, sans-serif")


def for_page(drawn: str, label: str) -> str:
    """SVG that fills its place in a page and takes its colours from there."""
    for marker, value in _VARIABLES.items():
        drawn = drawn.replace(marker, value)
    for size in ("width", "height"):
        drawn = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", drawn, count=1)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)


def for_file(drawn: str) -> str:
    """SVG as a file of its own, in colours for a light ground."""
    for marker, value in _PLAIN.items():
        drawn = drawn.replace(marker, value)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + drawn
