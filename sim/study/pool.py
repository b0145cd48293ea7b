"""Runs of a study in this process or in several, each leaving its files in a folder of its own."""

from __future__ import annotations

import math
import pickle
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim import registry
from sim.errors import StratusError
from sim.kernel.outcome import Outcome
from sim.scenario.spec import Scenario
from sim.study.cells import Cell
from sim.study.results import dump, series_path

#: Simulates one replication of a scenario.
Runner = Callable[[Scenario, int], Outcome]


@dataclass(frozen=True, slots=True)
class Task:
    """One run to do.

    Attributes:
        cell: position of its cell in the study.
        replication: number of the replication.
        label: what it is, in words.
        folder: its cell's part of every path.
        scenario: its scenario, pickled, so that plug-ins can be loaded before it is read.
        target: folder that gets its files.
        keep: whether its tables are written.
        csv: whether they are written as CSV too.
        plugins: Python files with policies the scenario may use.
    """

    cell: int
    replication: int
    label: str
    folder: str
    scenario: bytes
    target: Path
    keep: bool
    csv: bool
    plugins: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What the study needs to know of a finished run; everything else is in its files."""

    task: Task
    metrics: Mapping[str, float]
    ended: Mapping[str, Any]
    tables: Mapping[str, Any]
    seconds: float


def task(
    cell: Cell, replication: int, *, target: Path, keep: bool, csv: bool, plugins: Sequence[Path]
) -> Task:
    """The run of a cell's replication."""
    scenario = pickle.dumps(cell.scenario)
    return Task(cell.index, replication, cell.label, cell.folder, scenario, target, keep, csv, tuple(plugins))


def perform(work: Task, runner: Runner) -> Done:
    """Simulate one run and write its files."""
    from sim.stats.metrics import measure
    from sim.stats.series import binned
    from sim.study import tables

    began = time.perf_counter()
    for plugin in work.plugins:
        registry.load_file(plugin)
    outcome = runner(pickle.loads(work.scenario), work.replication)  # noqa: S301 - written by ourselves just now
    metrics = {name: value if math.isfinite(value) else math.nan for name, value in measure(outcome).items()}
    dump(work.target / series_path(work.folder, work.replication), binned(outcome))
    written = tables.write(work.target, work.folder, work.replication, outcome, keep=work.keep, csv=work.csv)
    ended = outcome.facts.get("ended") or {
        "reason": "completed",
        "time": outcome.facts["window"][1],
        "events": 0,
    }
    return Done(work, metrics, ended, written, time.perf_counter() - began)


def _remote(work: Task, runner: Runner) -> Done:
    # Ctrl-C goes to the whole process group; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return perform(work, runner)


def finished(tasks: Sequence[Task], runner: Runner, jobs: int) -> Generator[Done]:
    """Do the tasks and give each as it finishes, in any order.

    Args:
        tasks: the runs to do.
        runner: simulates one.
        jobs: processes; with one everything happens in this process.

    Raises:
        StratusError: a process died, as when memory ran out.
    """
    if jobs == 1 or len(tasks) == 1:
        for work in tasks:
            yield perform(work, runner)
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    parallel = Parallel(
        n_jobs=min(jobs, len(tasks)), backend="loky", return_as="generator_unordered", batch_size=1
    )
    results = parallel(delayed(_remote)(work, runner) for work in tasks)
    try:
        yield from results
    except TerminatedWorkerError as error:
        raise StratusError(
            "a process of the study was killed, most often because memory ran out; "
            "use fewer processes, a shorter duration or a lower limits.memory"
        ) from error
    finally:
        # Left early, by Ctrl-C or an error: stop what still runs.
        with suppress(Exception):
            results.close()
