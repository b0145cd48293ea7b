"""`stratus trace`: what is in a trace of training jobs or of requests, and the same in the plain format."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from sim.cli.console import common, console, note, out, out_json
from sim.errors import UsageError

if TYPE_CHECKING:
    from sim.saas.jobtraces.formats import Trace

F = TypeVar("F", bound=Callable[..., Any])


def _formats() -> list[str]:
    from sim.saas.jobtraces.formats import FormatName
    from sim.saas.requestsummary import FORMATS

    return [*get_args(FormatName), *FORMATS]


def _of_requests(file: Path, form: str) -> str | None:
    """The format of a trace of requests; None: it is one of jobs."""
    from sim.saas.requestsummary import FORMATS, told

    if form == "auto":
        return told(file)
    return form if form in FORMATS else None


class _Format(click.ParamType):  # type: ignore[type-arg]
    """Names of formats, looked up only when one is given: they are not needed for `--help`."""

    name = "format"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from sim.errors import did_you_mean

        if value not in _formats():
            self.fail(f"no format is called {value!r}{did_you_mean(value, _formats())}", param, ctx)
        return value


def _reading(on_bad_row: str) -> Callable[[F], F]:
    """Arguments of the commands that read a trace."""

    def decorate(command: F) -> F:
        for option in (
            click.option(
                "--throughputs",
                type=click.Path(path_type=Path),
                help="Gavel's table of steps per second (JSON), for traces that count steps.",
            ),
            click.option(
                "--column",
                "columns",
                multiple=True,
                metavar="NAME=PLAIN",
                help="Read a CSV of one's own: its column NAME as a plain column. Repeatable.",
            ),
            click.option(
                "--on-bad-row",
                type=click.Choice(["stop", "skip"]),
                default=on_bad_row,
                show_default=True,
                help="A row that is not of the format: an error, or counted and passed over.",
            ),
            click.option(
                "--format", "form", type=_Format(), default="auto", help="Told by the file unless given."
            ),
            click.argument("file", type=click.Path(path_type=Path)),
        ):
            command = option(command)
        return command

    return decorate


@click.group("trace")
@common
def trace_command(plugins: tuple[Path, ...]) -> None:
    """Inspect, convert and generate traces of training jobs and of requests.

    Formats of jobs: philly, philly-csv, pai-v2020, pai-v2020-sample, openb-v2023, dlrm-v2025, spot-v2026,
    helios, acme, swf, gavel, plain. Of requests: azure-llm, burstgpt, vidur, mooncake, llmservingsim, csv,
    servegen. Each may be packed by gzip.
    """


@trace_command.command("inspect")
@_reading("skip")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@common
def inspect_command(
    file: Path,
    form: str,
    on_bad_row: str,
    columns: tuple[str, ...],
    throughputs: Path | None,
    as_json: bool,
    plugins: tuple[Path, ...],
) -> None:
    """Say what is in a trace: jobs, bad rows, arrivals, sizes, durations, tenants, how the jobs ended.

    Of requests: rate, burstiness, the grain of its clock and the lengths of prompts and answers.
    """
    requests = None if columns or throughputs else _of_requests(file, form)
    if requests is not None:
        from sim.cli.requesting import show as show_requests
        from sim.saas.requestsummary import inspect as inspect_requests

        said = inspect_requests(file, requests)
        if as_json:
            out_json({"version": 1, **said})
        else:
            show_requests(said, console())
        return
    from sim.cli.tracing import show
    from sim.saas.jobtraces.summary import inspect

    found = inspect(_trace(file, form, on_bad_row, columns, throughputs))
    if as_json:
        out_json({"version": 1, **found})
    else:
        show(found, console())


@trace_command.command("convert")
@_reading("stop")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of what is drawn.")
@click.option("--rate", help="Of requests: such as 5/s, in place of the file's times.")
@click.option(
    "--spread", default="0s", show_default=True, help="Of requests: the grain of a coarse clock, undone."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to a file; else to stdout.")
@common
def convert_command(
    file: Path,
    form: str,
    on_bad_row: str,
    columns: tuple[str, ...],
    throughputs: Path | None,
    seed: int,
    rate: str | None,
    spread: str,
    output: Path | None,
    plugins: tuple[Path, ...],
) -> None:
    """Write a trace as plain CSV, in the order of the arrivals.

    Requests of ServeGen's clients are drawn, with --seed.
    """
    requests = None if columns or throughputs else _of_requests(file, form)
    if requests is not None:
        from sim.saas.requestsummary import blocks

        found = blocks(
            file,
            requests,
            seed,
            _quantity("rate", rate, "rate"),
            _quantity("spread", spread, "duration") or 0.0,
        )
        _requests_written(found, output)
        return
    from sim.saas.jobtraces.ordering import ordered

    trace = _trace(file, form, on_bad_row, columns, throughputs)
    _written(ordered(trace.jobs()), output)
    ledger = trace.ledger
    for reason, count in sorted(ledger.left_out.items()):
        note(f"{count} left out: {reason}")
    if ledger.first is not None:
        note(f"{ledger.bad} bad row{'' if ledger.bad == 1 else 's'} skipped; the first: {ledger.first}")


@trace_command.command("generate")
@click.argument("preset")
@click.option(
    "--jobs",
    "--requests",
    "count",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="How many.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of all that is random."
)
@click.option("--rate", help="Arrivals, such as 30/h; the preset's own unless given.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to a file; else to stdout.")
@common
def generate_command(
    preset: str, count: int, seed: int, rate: str | None, output: Path | None, plugins: tuple[Path, ...]
) -> None:
    """Draw jobs or requests from PRESET, fitted to a real trace, and write them as plain CSV.

    Any of `stratus list presets` will do: jobs of philly, helios and so on, requests of azure-llm-conv,
    mooncake-conversation and so on.
    """
    from itertools import islice

    from sim import catalog
    from sim.errors import did_you_mean
    from sim.kernel.streams import RandomStreams
    from sim.saas.jobtraces.synthetic import jobs

    known = catalog.names("preset")
    if preset not in known:
        raise UsageError(f"no preset is called {preset!r}{did_you_mean(preset, known)}")
    card = catalog.preset(preset)
    mean = card.rate if rate is None else _quantity("rate", rate, "rate")
    if mean is None or not mean > 0:
        raise UsageError(f"{preset} needs a rate above 0: give one, such as --rate 30/h")
    if card.kind != "jobs":
        from sim.saas.policies.recorded import Preset

        drawn = RandomStreams(seed).stream(f"saas/requests/{preset}")
        _requests_written(Preset(preset, mean).blocks(drawn, 1, inf), output, count)
        return
    rng = RandomStreams(seed).stream(f"saas/jobtraces/{preset}")
    _written(islice(jobs(card, rng, mean), count), output)


def _quantity(option: str, text: str | None, dimension: str) -> float | None:
    """The value of an option with a unit."""
    from sim.units import parse

    try:
        value = None if text is None else parse(text, dimension)
    except ValueError as error:
        raise UsageError(f"--{option}: {error}") from None
    if value is not None and not 0 <= value < inf:
        raise UsageError(f"--{option}: expected 0 or more, got {text}")
    return value


def _trace(file: Path, form: str, on_bad_row: str, columns: tuple[str, ...], table: Path | None) -> Trace:
    from sim.saas.jobtraces.formats import Trace
    from sim.saas.jobtraces.gavel import throughputs

    if columns and form not in ("auto", "plain"):
        raise UsageError(f"--column: the format {form} has its own names")
    if any("=" not in pair for pair in columns):
        raise UsageError("--column: expected NAME=PLAIN, such as submit=arrival_s")
    speeds = None if table is None else throughputs(table)
    # From the right: a name in a file may hold the sign.
    names = dict(pair.rsplit("=", 1) for pair in columns)
    try:
        return Trace(file, form, on_bad_row, speeds, names)  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(f"--column: {error}") from None


def _written(jobs: Any, output: Path | None) -> None:
    """Write jobs as plain CSV."""
    from sim.saas.jobtraces.plain import write

    _complete(lambda file: write(jobs, file), output, "job")


def _requests_written(blocks: Any, output: Path | None, most: int | None = None) -> None:
    """Write requests as plain CSV, at most so many."""
    from sim.saas.requestsummary import write

    _complete(lambda file: write(blocks, file, most), output, "request")


def _complete(write: Callable[[Any], int], output: Path | None, noun: str) -> None:
    """Write to stdout, or to a file that appears when it is complete."""
    import sys
    import tempfile

    if output is None:
        write(sys.stdout)
        return
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=output.parent, prefix=f".{output.name}.", delete=False, encoding="utf-8", newline=""
        ) as file:
            partial = Path(file.name)
            try:
                count = write(file)
                file.close()
                partial.replace(output)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from None
    out(str(output))
    note(f"{count} {noun}{'' if count == 1 else 's'}")
