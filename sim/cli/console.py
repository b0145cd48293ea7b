"""What commands share: where text goes, common options, faults, progress."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from sim import registry
from sim.errors import Fault, StratusError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

F = TypeVar("F", bound=Callable[..., Any])

#: Exit code after Ctrl-C, as of shells: 128 and the number of the signal.
INTERRUPTED = 130

#: Faults shown on the terminal; `validate --json` gives all.
SHOWN_FAULTS = 40


def tolerant() -> None:
    """Let a terminal that cannot show a sign print a substitute instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _write(stream: TextIO, text: str) -> None:
    # Not by click.echo: it writes UTF-8 to a terminal that says it cannot show it.
    stream.write(text)
    stream.flush()


def harmless(text: str) -> str:
    """The text without what a terminal would obey; names of files and columns may hold it."""
    return _CONTROL.sub("\ufffd", text)


def note(text: str) -> None:
    """A line for the person at the terminal (stderr)."""
    _write(sys.stderr, harmless(text) + "\n")


def out(text: str) -> None:
    """A line of data (stdout)."""
    _write(sys.stdout, harmless(text) + "\n")


def out_json(data: Any) -> None:
    """Data as one JSON object (stdout)."""
    out(json.dumps(data, indent=2, ensure_ascii=True))


def console(*, stderr: bool = False) -> Console:
    """A rich console that honours NO_COLOR and plain terminals."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False, markup=False)


def say_faults(faults: Sequence[Fault]) -> None:
    """Faults, one a line, and their number (stderr)."""
    for fault in faults[:SHOWN_FAULTS]:
        note(str(fault))
    if len(faults) > SHOWN_FAULTS:
        note(f"... and {len(faults) - SHOWN_FAULTS} more")
    note(f"{len(faults)} fault{'' if len(faults) == 1 else 's'}")


def common(command: F) -> F:
    """Options of every command: `--plugin` and `--debug`."""
    plugin = click.option(
        "--plugin",
        "plugins",
        multiple=True,
        type=click.Path(path_type=Path),
        callback=_load_plugins,
        is_eager=True,
        help="A Python file with your own policies. Repeatable.",
    )
    debug = click.option(
        "--debug", is_flag=True, expose_value=False, help="Show errors with their traceback."
    )
    return plugin(debug(command))


def _load_plugins(ctx: click.Context, option: click.Parameter, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    for path in paths:
        plug_in(path)
    return paths


def plug_in(path: Path) -> str:
    """Load a file with policies; the name of the module it becomes.

    Raises:
        UsageError: it is not there, or fails.
    """
    try:
        return registry.load_file(path)
    except StratusError:
        raise
    except Exception as error:
        raise UsageError(f"--plugin {path}: {type(error).__name__}: {error}") from error


class Progress:
    """One line about the runs of a study: rewritten on a terminal, now and then in a log."""

    def __init__(self, console: Console, *, every: float = 10.0) -> None:
        self.console = console
        self.every = every
        self.began = time.monotonic()
        self.said = float("-inf")
        self.width = 0

    def __call__(self, done: int, total: int, label: str, rate: float) -> None:
        """Tell that `done` of `total` runs have finished, at `rate` simulated events per second."""
        now = time.monotonic()
        live = self.console.is_terminal
        if done < total and now - self.said < (0.1 if live else self.every):
            return
        self.said = now
        line = f"{done}/{total} runs"
        if rate > 0:
            line += f", {rate / 1e6:.2f} M events/s"
        if 0 < done < total:
            left = (now - self.began) / done * (total - done)
            line += f", about {left:.0f} s left"
        if done < total:
            line += f": {label}"
        if not live:
            note(line)
            return
        line = harmless(line)[: max(20, self.console.width - 1)]
        _write(sys.stderr, "\r" + line.ljust(self.width))
        self.width = len(line)

    def end(self) -> None:
        """Clear the line on a terminal."""
        if self.console.is_terminal and self.width:
            _write(sys.stderr, "\r" + " " * self.width + "\r")
