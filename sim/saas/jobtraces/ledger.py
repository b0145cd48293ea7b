"""What a reader met besides jobs: bad rows, counted and shown, and rows left out on purpose."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal, NoReturn

from sim.errors import Fault, ScenarioError

#: What to do with a row that is not of its format.
OnBadRow = Literal["stop", "skip"]

#: Faults after which a file is given up, where a bad row stops the reading.
MANY = 20


class Ledger:
    """Accounts of one pass over one file.

    With "stop" the first bad row ends the jobs, but the reader goes on for a while to tell the other
    faults as well. With "skip" bad rows are counted and the first is kept.

    Attributes:
        path: the file.
        on_bad_row: what to do with a bad row.
        rows: rows looked at, bad ones and those left out included.
        jobs: rows that gave a job.
        bad: bad rows.
        first: the first bad row.
        left_out: reason -> rows that are right but are no job to replay.
    """

    def __init__(self, path: Path, on_bad_row: OnBadRow = "stop") -> None:
        self.path = path
        self.on_bad_row: OnBadRow = on_bad_row
        self.rows = 0
        self.jobs = 0
        self.bad = 0
        self.first: Fault | None = None
        self.left_out: Counter[str] = Counter()
        self._faults: list[Fault] = []

    @property
    def stopped(self) -> bool:
        """Whether a bad row has ended the jobs."""
        return bool(self._faults)

    def wrong(self, line: int, message: str) -> None:
        """A bad row.

        Raises:
            ScenarioError: there are too many of them.
        """
        fault = Fault(str(self.path), line, 1, "", message)
        self.bad += 1
        self.first = self.first or fault
        if self.on_bad_row == "skip":
            return
        self._faults.append(fault)
        if len(self._faults) == MANY:
            self.give_up(line, "there may be more faults")

    def give_up(self, line: int, message: str) -> NoReturn:
        """The file cannot be read any further.

        Raises:
            ScenarioError: always, with all that was found.
        """
        raise ScenarioError([*self._faults, Fault(str(self.path), line, 1, "", message)])

    def close(self) -> None:
        """The file is at its end.

        Raises:
            ScenarioError: it had bad rows that stop it, or nothing but bad rows, or no job at all.
        """
        if self._faults:
            raise ScenarioError(self._faults)
        if not self.jobs and self.first is not None:
            self.give_up(self.first.line, f"{self.first.message}; no row of the file is a job")
        if not self.jobs:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.left_out.items()))
            self.give_up(0, f"holds no job to replay: {reasons}" if reasons else "holds no rows")
