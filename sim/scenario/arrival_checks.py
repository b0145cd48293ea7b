"""What an arrival process must find: presets in the catalog, and files whose every row is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from math import isnan
from pathlib import Path
from typing import NamedTuple

from sim import catalog
from sim.errors import Fault, ScenarioError, did_you_mean
from sim.saas.jobtraces.formats import FormatName
from sim.saas.jobtraces.ledger import OnBadRow
from sim.saas.policies.counted import FunctionTrace, RateTrace
from sim.saas.policies.jobs import JobPreset, JobTrace
from sim.saas.policies.recorded import Trace
from sim.saas.policies.servegen import ServeGen
from sim.saas.policies.weekly import Weekly
from sim.saas.traces import Format, scan
from sim.scenario.document import Location
from sim.scenario.faults import Problem, unknown_name
from sim.scenario.spec import JobClass


def check_arrivals(at: Location, arrivals: object) -> Iterator[Problem]:
    """Arrivals of requests."""
    process = getattr(arrivals, "process", "")
    if isinstance(arrivals, JobTrace | JobPreset):
        yield Problem(
            (*at, "process"), f"{process} brings training jobs, not requests: it belongs under platform.jobs"
        )
        return
    key = {"preset": "name", "trace": "preset", "weekly": "preset"}.get(process)
    if key is not None:
        yield from _preset((*at, key), getattr(arrivals, key), getattr(arrivals, "rate", None))
    if isinstance(arrivals, Weekly) and arrivals.preset in catalog.names("preset"):
        yield from _curve((*at, "preset"), str(arrivals.preset))
    if isinstance(arrivals, RateTrace | FunctionTrace | ServeGen):
        for name, fault in _counts(arrivals):
            yield Problem((*at, name), str(fault))
    if isinstance(arrivals, Trace) and arrivals.file is not None:
        faults, timed = _requests(
            arrivals.file, arrivals.format, tuple(sorted(arrivals.keep.items())), _state(arrivals.file)
        )
        for fault in faults:
            yield Problem((*at, "file"), str(fault))
        if not timed and arrivals.rate is None:
            yield Problem((*at, "rate"), "is missing: the file has lengths only, no times", "key")


def check_job_arrivals(at: Location, job: JobClass) -> Iterator[Problem]:
    """Arrivals of training jobs, and whether something says how long a job runs."""
    arrivals, where = job.arrivals, (*at, "arrivals")
    timed = isinstance(arrivals, JobPreset)
    if isinstance(arrivals, JobTrace):
        for kind, names in arrivals.devices.items():
            for name in names.split("|"):
                if not catalog.has_device(name):
                    yield unknown_name((*where, "devices", kind), "device", name, catalog.names("device"))
        found = _found(arrivals)
        timed = found.timed
        for fault in found.faults:
            yield Problem((*where, "file"), str(fault))
        if found.faults:
            return
    elif isinstance(arrivals, JobPreset):
        yield from _job_preset(where, arrivals)
    else:
        yield from check_arrivals(where, arrivals)
    if job.duration is None and not timed:
        what = "the trace does not say of every job" if isinstance(arrivals, JobTrace) else "nothing says"
        yield Problem((*at, "duration"), f"is missing: {what} how long it runs", "key")


def passed_over(job: JobClass) -> Sequence[str]:
    """Which rows of its trace a class of jobs does without, in sentences."""
    return _found(job.arrivals).said if isinstance(job.arrivals, JobTrace) else ()


class _Found(NamedTuple):
    """What a pass over a trace of jobs found: faults, whether all durations are known, rows passed over."""

    faults: Sequence[Fault]
    timed: bool
    said: Sequence[str]


def _found(given: JobTrace) -> _Found:
    states = tuple(_state(file) for file in (given.file, given.throughputs) if file is not None)
    columns = tuple(sorted(given.columns.items()))
    return _trace_of_jobs(given.file, given.format, given.on_bad_row, columns, given.throughputs, states)


def _job_preset(at: Location, arrivals: JobPreset) -> Iterator[Problem]:
    name = arrivals.name
    yield from _preset((*at, "name"), name, arrivals.rate)
    if name in catalog.names("preset") and catalog.preset(name).kind != "jobs":
        known = [each for each in catalog.names("preset") if catalog.preset(each).kind == "jobs"]
        yield Problem((*at, "name"), f"{name!r} is a preset of requests{did_you_mean(name, known)}")


def _preset(at: Location, name: str | None, rate: float | None) -> Iterator[Problem]:
    if name is None:
        return
    known = catalog.names("preset")
    if name not in known:
        yield Problem(at, f"the catalog has no preset {name!r}{did_you_mean(name, known)}")
    elif rate is None and catalog.preset(name).rate is None:
        yield Problem(at, f"{name!r} has no rate of its own: give `process: preset` with a `rate`")


def _curve(at: Location, name: str) -> Iterator[Problem]:
    if not catalog.preset(name).curve:
        known = [each for each in catalog.names("preset") if catalog.preset(each).curve]
        yield Problem(at, f"{name!r} has no daily curve; these have: {', '.join(known)}")


def _counts(arrivals: RateTrace | FunctionTrace | ServeGen) -> Iterator[tuple[str, Fault]]:
    """What is wrong in the files of a process that counts, each with the setting that names the file."""
    try:
        arrivals.load()
    except ScenarioError as error:
        files = {name: getattr(arrivals, name, None) for name in ("file", "durations", "memory")}
        for fault in error.faults:
            yield next((name for name, file in files.items() if file == fault.file), "file"), fault


def _state(file: str) -> tuple[int, int]:
    """When a file was changed, and its size."""
    state = Path(file).stat()
    return state.st_mtime_ns, state.st_size


@cache
def _requests(
    file: str, form: Format, keep: tuple[tuple[str, str], ...], state: tuple[int, int]
) -> tuple[Sequence[Fault], bool]:
    """What is wrong in a trace, and whether its rows have times.

    It is read once for all variants of a study, and again when the file changed.
    """
    try:
        return (), scan(file, form, dict(keep)).timed
    except ScenarioError as error:
        return error.faults, True


@cache
def _trace_of_jobs(
    file: str,
    form: FormatName,
    on_bad_row: OnBadRow,
    columns: tuple[tuple[str, str], ...],
    throughputs: str | None,
    states: tuple[tuple[int, int], ...],
) -> _Found:
    """What a pass over a whole trace of jobs finds; likewise."""
    try:
        trace = JobTrace(file, form, on_bad_row, dict(columns), throughputs).trace()
        # To the end, though one would do: every row is to be checked.
        untimed = sum(isnan(job.work) for job in trace.jobs())
    except ScenarioError as error:
        return _Found(error.faults, True, ())
    ledger, name = trace.ledger, Path(file).name
    said = [f"{name}: {count} rows are left out: {why}." for why, count in sorted(ledger.left_out.items())]
    if ledger.first is not None:
        first = f"line {ledger.first.line}: {ledger.first.message}"
        said.append(f"{name}: {ledger.bad} of {ledger.rows} rows are bad and skipped; the first, {first}.")
    return _Found((), not untimed, tuple(said))
