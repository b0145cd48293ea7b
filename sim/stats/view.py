"""A run's outcome seen through its window of measurement."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sim.kernel.outcome import Outcome
from sim.kernel.recorder import TextColumn
from sim.stats.steps import Steps
from sim.tables import TABLES

Mask = NDArray[np.bool_]

_NOTHING: Steps = (np.zeros(1), np.zeros(1))


class View:
    """Columns by table, steps by path, and the window [start, end].

    The window ends early when a limit or the user stopped the run before its end.
    """

    __slots__ = ("_nodes", "end", "facts", "outcome", "start")

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.facts: dict[str, Any] = outcome.facts
        self.start, end = map(float, outcome.facts["window"])
        ended = outcome.facts.get("ended", {})
        stopped = ended.get("reason", "completed") != "completed"
        self.end = max(self.start, min(end, float(ended["time"]))) if stopped else end
        self._nodes: dict[str, list[str]] | None = None

    @property
    def length(self) -> float:
        """Seconds of the window."""
        return self.end - self.start

    def has(self, table: str) -> bool:
        """Whether the run recorded such rows at all."""
        columns = self.outcome.tables.get(table)
        return bool(columns) and len(self.numbers(table, _first_number(table))) > 0

    def numbers(self, table: str, column: str) -> NDArray[Any]:
        """A column of numbers; empty when the run recorded none."""
        columns = self.outcome.tables.get(table)
        return cast("NDArray[Any]", columns[column]) if columns else np.zeros(0)

    def text(self, table: str, column: str) -> TextColumn:
        """A column of texts; empty when the run recorded none."""
        columns = self.outcome.tables.get(table)
        return cast(TextColumn, columns[column]) if columns else TextColumn(np.zeros(0, np.int32), [])

    def inside(self, table: str, column: str) -> Mask:
        """Rows whose moment lies in the window."""
        moments = self.numbers(table, column)
        return (moments >= self.start) & (moments < self.end)

    def steps(self, path: str) -> Steps:
        """A recorded quantity; always 0 when it was not recorded."""
        return self.outcome.steps.get(path, _NOTHING)

    def nodes(self, pool: str) -> list[str]:
        """Paths of the nodes a pool ever had, in order of creation."""
        if self._nodes is None:
            found: dict[str, list[tuple[int, str]]] = {}
            for path in self.outcome.steps:
                parts = path.split("/")
                if len(parts) == 5 and parts[0] == "iaas" and parts[1] != "links" and parts[4] == "on":
                    node = (int(parts[3]), path.removesuffix("/on"))
                    found.setdefault(f"{parts[1]}/{parts[2]}", []).append(node)
            self._nodes = {name: [path for _, path in sorted(nodes)] for name, nodes in found.items()}
        return self._nodes.get(pool, [])

    def directions(self, link: str) -> dict[str, Steps]:
        """Rates of a link by direction (`a->b`), in bytes per second."""
        ends = self.facts["links"][link]
        names = (f"{ends['a']}->{ends['b']}", f"{ends['b']}->{ends['a']}")
        return {name: self.steps(f"iaas/links/{link}/{name}/rate") for name in names}


def _first_number(table: str) -> str:
    return next(column.name for column in TABLES[table] if column.kind != "text")


def equals(column: TextColumn, word: str) -> Mask:
    """Rows whose text is `word`."""
    if word not in column.words:
        return np.zeros(len(column.codes), dtype=bool)
    found: Mask = column.codes == column.words.index(word)
    return found


def among(column: TextColumn, words: tuple[str, ...]) -> Mask:
    """Rows whose text is one of `words`."""
    wanted = [code for code, word in enumerate(column.words) if word in words]
    found: Mask = np.isin(column.codes, wanted)
    return found


def average(values: NDArray[Any]) -> float:
    """Mean; NaN of nothing, without a warning."""
    return float(np.mean(values)) if len(values) else float("nan")


def ratio(part: float, whole: float) -> float:
    """Share; NaN when there is no whole."""
    return part / whole if whole else float("nan")
