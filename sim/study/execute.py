"""Run a study: every cell in every replication, in parallel, into one folder of results.

Each run writes its files as soon as it has finished, so an interrupted study keeps what it has.
Nothing in a result depends on how many processes worked or in which order they finished.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from sim.errors import UsageError
from sim.kernel.outcome import Outcome
from sim.scenario.spec import Scenario
from sim.study import cells as cells_of
from sim.study import pool, writing

#: Called with runs finished, runs in all, what runs now, and events per second so far.
Progress = Callable[[int, int, str, float], None]

#: A quick study simulates this part of the duration, in at most so many replications.
QUICK_SHARE, QUICK_REPLICATIONS = 0.2, 2


def simulate(scenario: Scenario, replication: int) -> Outcome:
    """Build the platform of a scenario and run it."""
    from sim.scenario.build import build

    return build(scenario, replication).run()


def quicker(scenario: Scenario) -> Scenario:
    """The same scenario for a quick look: a fifth of its duration, but at least one and a half warm-ups."""
    shorter = max(scenario.duration * QUICK_SHARE, scenario.warmup * 1.5)
    return scenario.model_copy(update={"duration": min(scenario.duration, shorter)})


def run_study(
    scenario: Scenario,
    *,
    out: Path,
    jobs: int = 1,
    quick: bool = False,
    csv: bool = False,
    keep: Literal["first", "all"] = "first",
    plugins: Sequence[Path] = (),
    progress: Progress | None = None,
    finish: Callable[[Path], None] | None = None,
    runner: pool.Runner = simulate,
) -> Path:
    """Run a scenario's study and write its results.

    The folder is `<out>/<scenario>/<digest>-seed<seed>`, so the same study always has the same one; an
    older one is replaced once the new one is complete. Ctrl-C ends the study with the runs that have
    finished, and the summary says so.

    Args:
        scenario: what to run.
        out: folder of all results.
        jobs: processes that simulate; the numbers do not depend on it.
        quick: a shorter try-out: a fifth of the duration, two replications.
        csv: write the kept tables as CSV too.
        keep: whose tables are written: of the first replication of each cell, or of all.
        plugins: Python files with policies of the user.
        progress: told about every finished run.
        finish: last work on the folder, such as rendering its report, before it takes its place.
        runner: simulates one replication.

    Returns:
        The folder of the results.

    Raises:
        UsageError: `out` is not a folder that can be written to.
        KeyboardInterrupt: interrupted before any run had finished.
    """
    writing.question(scenario)  # a wrong one is told before the work, not after it
    cells = cells_of.expand(scenario)
    if quick:
        cells = [replace(cell, scenario=quicker(cell.scenario)) for cell in cells]
    replications = scenario.study.replications
    if quick:
        replications = min(replications, QUICK_REPLICATIONS)
    place = out / scenario.name / writing.run_name(scenario, quick=quick)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as error:
        raise UsageError(f"results cannot be written to {place.parent}: {error.strerror}") from None
    try:
        study = writing.Study(scenario, cells, replications, quick, keep)
        tasks = _tasks(study, work, csv=csv, plugins=plugins)
        timing = _run(study, tasks, work, jobs, runner, progress)
        writing.write(work, study, timing)
        if finish is not None:
            finish(work)
        replace_folder(work, place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return place


def _tasks(study: writing.Study, work: Path, *, csv: bool, plugins: Sequence[Path]) -> list[pool.Task]:
    """All runs, first replications first, so that an early end leaves whole replications."""
    return [
        pool.task(
            cell,
            replication,
            target=work / ".runs" / f"{cell.index}-{replication}",
            keep=study.keep == "all" or replication == 0,
            csv=csv,
            plugins=plugins,
        )
        for replication in range(study.replications)
        for cell in study.cells
    ]


def _run(
    study: writing.Study,
    tasks: Sequence[pool.Task],
    work: Path,
    jobs: int,
    runner: pool.Runner,
    progress: Progress | None,
) -> Mapping[str, Any]:
    """Do the runs, put their files in place, and give what is known of the time they took."""
    started, began, events = time.time(), time.perf_counter(), 0
    if progress is not None:
        progress(0, len(tasks), tasks[0].label, 0.0)
    results = pool.finished(tasks, runner, jobs)
    try:
        for done in results:
            if done.ended["reason"] == "interrupted":
                study.interrupted = True
                if study.done:
                    break
            study.done.append(done)
            _collect(done.task.target, work)
            events += int(done.ended.get("events", 0))
            if progress is not None:
                ahead = tasks[min(len(study.done) + jobs - 1, len(tasks) - 1)]
                rate = events / max(time.perf_counter() - began, 1e-9)
                progress(len(study.done), len(tasks), ahead.label, rate)
            if study.interrupted:
                break
    except KeyboardInterrupt:
        if not study.done:
            raise
        study.interrupted = True
    finally:
        results.close()
        shutil.rmtree(work / ".runs", ignore_errors=True)
    study.done.sort(key=lambda done: (done.task.cell, done.task.replication))
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.perf_counter() - began, 3),
        "jobs": jobs,
        "runs": [round(done.seconds, 3) for done in study.done],
    }


def _collect(source: Path, target: Path) -> None:
    """Move a run's files to their places; on one file system, so nothing is copied."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)


def replace_folder(new: Path, place: Path) -> None:
    """Put a complete folder in its place; an older one stands until then."""
    new.chmod(0o755)
    if not place.exists():
        new.rename(place)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{place.name}-old-", dir=place.parent))
    place.rename(old / place.name)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)
