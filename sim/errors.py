"""Every error that Stratus raises on purpose.

StratusError                exit code 1
├── UsageError              2   the command line asks for something that does not exist
│   └── MissingExtra        2   an optional package is not installed
├── ScenarioError           3   a file is wrong; carries every fault found, not only the first
└── ResultsError            3   a results folder is missing, broken or of another version
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class StratusError(Exception):
    """Base of all errors a user can meet; its text is complete without a traceback."""

    exit_code = 1


class UsageError(StratusError):
    """A command, an option or a name that does not exist."""

    exit_code = 2


class MissingExtra(UsageError):
    """An optional package is needed; the message names the extra that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'stratus-sim[{extra}]'")


@dataclass(frozen=True, order=True, slots=True)
class Fault:
    """One thing that is wrong in a file: where, and what was expected there."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ScenarioError(StratusError):
    """A file is wrong. `faults` holds all that was found, in file order."""

    exit_code = 3

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: Sequence[Fault] = sorted(set(faults))
        super().__init__("\n".join(map(str, self.faults)))

    def __reduce__(self) -> tuple[type[ScenarioError], tuple[Sequence[Fault]]]:
        # By default an exception is rebuilt from its text; one from a worker process must keep its faults.
        return type(self), (self.faults,)


class ResultsError(StratusError):
    """A results folder cannot be read."""

    exit_code = 3


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """` (did you mean "x"?)` for the nearest known name, else the list of names, else ''."""
    names = sorted(known)
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    if near:
        return f' (did you mean "{near[0]}"?)'
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f" (known: {shown})"
