"""One row of a table in text: its cells by the names of the header, read as what they should be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import nan

from sim.saas.jobtraces.record import BadRow

#: Cells that say that there is nothing; compared in lower case.
NOTHING = frozenset({"", "-", "na", "n/a", "nan", "nat", "none", "null"})

#: Most cells are longer than any of these, and need no look into the set.
LONGEST_NOTHING = max(map(len, NOTHING))

#: Largest number a cell may hold; past it something else than a time, a size or a count stands there.
MOST = 1e15

#: Largest gang: one wrong number in a file must not fill the memory with workers.
MOST_WORKERS = 200_000

_EPOCH = datetime(1970, 1, 1)


class Row:
    """Cells of the row a reader is at."""

    __slots__ = ("_cells", "_places", "_zone")

    def __init__(self, places: dict[str, int]) -> None:
        self._places = places
        self._cells: Sequence[str] = ()
        self._zone: object = self

    def take(self, cells: Sequence[str]) -> Row:
        """Go to the next row."""
        self._cells = cells
        return self

    def has(self, name: str) -> bool:
        """Whether the file has a column of this name."""
        return name in self._places

    def text(self, name: str) -> str:
        """A cell as text, "" where there is nothing."""
        place = self._places.get(name)
        if place is None:
            return ""
        cell = self._cells[place].strip()
        return "" if len(cell) <= LONGEST_NOTHING and cell.lower() in NOTHING else cell

    def number(self, name: str, least: float = 0.0) -> float:
        """A cell as a number, `least` or more.

        Raises:
            BadRow: it is not.
        """
        return number(self._cells[self._places[name]], name, least)

    def known(self, name: str, least: float = 0.0) -> float:
        """A cell as a number, or NaN where there is nothing."""
        text = self.text(name)
        return number(text, name, least) if text else nan

    def whole(self, name: str, least: int = 0) -> int:
        """A cell as a whole number (`8` or `8.0`), `least` or more."""
        value = self.number(name, least)
        if value != int(value):
            raise BadRow(f"{name}: expected a whole number, got {self._cells[self._places[name]]!r}")
        return int(value)

    def workers(self, name: str, least: int = 1) -> int:
        """A cell as the number of workers of a gang (or of accelerators, each of one worker)."""
        return gang(self.whole(name, least), name)

    def moment(self, name: str) -> float:
        """A cell as a time on the wall clock of the first row's zone, in seconds; NaN for nothing."""
        text = self.text(name)
        return self._seconds(text, name) if text else nan

    def _seconds(self, text: str, name: str) -> float:
        stamp = timestamp(text, name)
        zone = stamp.utcoffset()
        if self._zone is self:
            self._zone = zone
        local = stamp if zone is None else stamp.replace(tzinfo=None)
        seconds = (local - _EPOCH).total_seconds()
        if zone == self._zone:
            return seconds
        if zone is None or self._zone is None:
            raise BadRow(f"{name}: {text!r} names a time zone and other times do not")
        return seconds - (zone - self._zone).total_seconds()  # type: ignore[operator]


def number(text: str, name: str, least: float = 0.0) -> float:
    """Text as a finite number of reasonable size.

    Raises:
        BadRow: it is not.
    """
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not least <= value <= MOST:
        bound = "" if least <= -MOST else f", {least:g} or more"
        raise BadRow(f"{name}: expected a number{bound}, got {_short(text)}")
    return value


def gang(workers: float, name: str) -> int:
    """A whole number of workers that a gang may have.

    Raises:
        BadRow: it is none.
    """
    if workers != int(workers) or workers > MOST_WORKERS:
        raise BadRow(f"{name}: expected a whole number up to {MOST_WORKERS}, got {workers:g}")
    return int(workers)


def timestamp(text: str, name: str) -> datetime:
    """Text as a wall-clock time.

    Raises:
        BadRow: it is not.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise BadRow(f"{name}: expected YYYY-MM-DD HH:MM:SS, got {_short(text)}") from None


def wall_seconds(text: str, name: str) -> float:
    """Text as a wall-clock time, in seconds."""
    return (timestamp(text, name).replace(tzinfo=None) - _EPOCH).total_seconds()


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
