"""What a run recorded about scheduling, arranged so that one can ask about a job, a node or a moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any

from sim.errors import ResultsError, did_you_mean
from sim.iaas.resources import RESOURCE_NAMES, Resources
from sim.kernel.outcome import Outcome
from sim.study.results import STEPS, Results

Row = Mapping[str, Any]
Columns = Mapping[str, list[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Stay:
    """One way of a group through the queue and over its nodes; a preempted job has several.

    Attributes:
        owner: service, or job as "class/number".
        kind: "worker" or "replica".
        submitted: moment it joined the queue.
        bound: moment it got its nodes, infinite if never.
        ended: moment it left them or the queue, infinite if not in the run.
        reason: why it ended.
        units: (number, node, resources) of each unit; no node if it got none.
    """

    owner: str
    kind: str
    submitted: float
    bound: float
    ended: float
    reason: str
    units: tuple[tuple[int, str, Resources], ...]

    @property
    def left(self) -> float:
        """Moment it left the queue."""
        return min(self.bound, self.ended)


class Records:
    """The tables of one run.

    Args:
        table: gives a table by its name, as lists by column.
        end: simulated second at which the run ended.
    """

    def __init__(self, table: Callable[[str], Columns], end: float) -> None:
        self._table = table
        self.end = end

    @classmethod
    def of(cls, results: Results, cell: int, replication: int) -> Records:
        """Of a stored run.

        Raises:
            ResultsError: its tables were not kept.
        """
        run = next((r for r in results.runs(cell) if r["replication"] == replication), None)
        end = inf if run is None else float(run["ended"]["time"])
        return cls(lambda name: results.table(name, cell, replication).to_pydict(), end)

    @classmethod
    def of_outcome(cls, outcome: Outcome) -> Records:
        """Of a run that has just ended."""

        def table(name: str) -> Columns:
            if name == STEPS:
                rows = [
                    (path, *change)
                    for path, (times, values) in outcome.steps.items()
                    for change in zip(times.tolist(), values.tolist(), strict=True)
                ]
                return dict(zip(("name", "time", "value"), map(list, zip(*rows, strict=True)), strict=True))
            columns: Mapping[str, Any] = outcome.tables[name]
            return {key: c.texts() if hasattr(c, "texts") else c.tolist() for key, c in columns.items()}

        return cls(table, float(outcome.facts["ended"]["time"]))

    @cached_property
    def jobs(self) -> dict[str, Row]:
        """Rows of jobs by "class/number"."""
        return {f"{row['name']}/{row['id']}": row for row in _rows(self._table("jobs"))}

    @cached_property
    def nodes(self) -> list[Row]:
        """Rows of nodes by number."""
        return sorted(_rows(self._table("nodes")), key=lambda row: int(row["id"]))

    @cached_property
    def stays(self) -> list[Stay]:
        """All groups that ever queued, by the moment they did."""
        groups: dict[tuple[str, float, int], list[Row]] = {}
        for row in _rows(self._table("units")):
            # The units of a gang have the name of its job; every replica is a group of its own.
            alone = int(row["id"]) if row["kind"] == "replica" else -1
            groups.setdefault((row["owner"], row["submitted"], alone), []).append(row)
        stays = [_stay(sorted(rows, key=lambda row: int(row["id"]))) for rows in groups.values()]
        return sorted(stays, key=lambda stay: (stay.submitted, stay.units[0][0]))

    @cached_property
    def by_owner(self) -> dict[str, list[Stay]]:
        """The stays of each job or service, in order."""
        found: dict[str, list[Stay]] = {}
        for stay in self.stays:
            found.setdefault(stay.owner, []).append(stay)
        return found

    @cached_property
    def shared(self) -> bool:
        """Whether devices are shared: then which one a unit got depends on who came before."""
        return any(0 < asked.accelerators < 1 for stay in self.stays for _, _, asked in stay.units)

    @cached_property
    def decisions(self) -> list[Row]:
        """Rows of decisions in order of their moments."""
        return sorted(_rows(self._table("decisions")), key=lambda row: int(row["id"]))

    @cached_property
    def rejections(self) -> dict[int, list[Row]]:
        """Rows of rejections by decision."""
        return _by(_rows(self._table("rejections")), "decision")

    @cached_property
    def finalists(self) -> dict[int, list[Row]]:
        """Rows of finalists by decision."""
        return _by(_rows(self._table("finalists")), "decision")

    @cached_property
    def shapes(self) -> dict[int, list[Row]]:
        """What groups ask for, by number."""
        return _by(_rows(self._table("shapes")), "shape")

    @cached_property
    def holds(self) -> list[Row]:
        """Who held up the queue, at each change."""
        return [row for row in self.decisions if row["outcome"] in ("holds", "open")]

    @cached_property
    def _hold_times(self) -> list[float]:
        return [row["time"] for row in self.holds]

    def hold_at(self, time: float) -> Row | None:
        """Who held up the queue at that moment."""
        at = bisect_right(self._hold_times, time) - 1
        found = self.holds[at] if at >= 0 else None
        return None if found is None or found["outcome"] == "open" else found

    @cached_property
    def downs(self) -> list[tuple[float, float, str]]:
        """(from, to, node) of the times at which nodes were off after they had been ready."""
        if not self._table("faults")["time"]:
            return []
        found: list[tuple[float, float, str]] = []
        off: dict[str, float] = {}
        for row in _rows(self._table(STEPS)):
            if row["name"].startswith("iaas/") and row["name"].endswith("/on"):
                node = row["name"].removesuffix("/on")
                if row["value"] == 0.0:
                    off[node] = row["time"]
                elif node in off:
                    found.append((off.pop(node), row["time"], node))
        return found + [(time, inf, node) for node, time in off.items()]

    def job(self, wanted: str) -> str:
        """The full name of a job given by its number or name.

        Raises:
            ResultsError: there is none; names the nearest.
        """
        if wanted in self.jobs:
            return wanted
        if wanted in self.by_owner:
            return wanted
        if wanted.isdigit():
            numbers = {int(row["id"]): name for name, row in self.jobs.items()}
            if int(wanted) in numbers:
                return numbers[int(wanted)]
            if numbers:
                near = min(numbers, key=lambda number: abs(number - int(wanted)))
                raise ResultsError(
                    f"no job {wanted}: they are numbered from 0 to {max(numbers)}; "
                    f"the nearest is {near} ({numbers[near]})"
                )
        if not self.jobs and not self.by_owner:
            raise ResultsError("this run had neither jobs nor services")
        raise ResultsError(f"no job {wanted!r}{did_you_mean(wanted, [*self.jobs, *self.by_owner])}")

    def node(self, wanted: str) -> Row:
        """A node by its path, with or without the leading "iaas/".

        Raises:
            ResultsError: there is none; names the nearest.
        """
        names = {short(row["name"]): row for row in self.nodes}
        name = short(wanted)
        if name not in names:
            raise ResultsError(f"no node {wanted!r}{did_you_mean(name, names)}")
        return names[name]


def short(node: str) -> str:
    """A node's path without its layer: `site/pool/number`."""
    return node.removeprefix("iaas/")


def called(owner: str, about: str = "") -> str:
    """A job or service in words, with more about it in its brackets."""
    kind, _, number = owner.rpartition("/")
    if kind and number.isdigit():
        return f"job {number} ({kind}{about})"
    return f"{owner} ({about.lstrip(', ')})" if about else owner


def grouped(names: Iterable[str], most: int = 6) -> str:
    """Node names with their numbers drawn together: `lab/v100/0-7, lab/a100/3`."""
    pools: dict[str, list[int]] = {}
    for name in names:
        pool, _, last = short(name).rpartition("/")
        pools.setdefault(pool, []).append(int(last))
    parts = []
    for pool, numbers in pools.items():
        numbers.sort()
        spans: list[tuple[int, int]] = []
        for number in numbers:
            if spans and number == spans[-1][1] + 1:
                spans[-1] = (spans[-1][0], number)
            else:
                spans.append((number, number))
        texts = [str(low) if low == high else f"{low}-{high}" for low, high in spans]
        more = f" and {len(texts) - most} more stretches" if len(texts) > most else ""
        parts.append(f"{pool}/{','.join(texts[:most])}{more}")
    return "; ".join(parts)


def _rows(columns: Columns) -> list[Row]:
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _by(rows: Iterable[Row], column: str) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(int(row[column]), []).append(row)
    return found


def _stay(rows: list[Row]) -> Stay:
    first = rows[0]
    return Stay(
        first["owner"],
        first["kind"],
        first["submitted"],
        _moment(first["bound"]),
        min(_moment(row["ended"]) for row in rows),
        first["reason"],
        tuple(
            (
                int(row["id"]),
                row["node"] if row["bound"] == row["bound"] else "",
                Resources(*(row[name] for name in RESOURCE_NAMES)),
            )
            for row in rows
        ),
    )


def _moment(value: float) -> float:
    """Infinite for a moment that never came."""
    return value if value == value else inf
