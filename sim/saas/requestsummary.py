"""What a whole trace of requests holds, in one pass, and the same as plain CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from sim.errors import Fault, ScenarioError
from sim.kernel.streams import RandomStreams
from sim.saas import retiming, servegen, traces
from sim.saas.blocks import Block, Floats
from sim.saas.jobtraces.source import head

#: Formats of traces of requests, as the command line names them.
FORMATS = ("azure-llm", "burstgpt", "vidur", "mooncake", "llmservingsim", "csv", "servegen")

#: Requests that `inspect` looks at: a client of ServeGen may have hundreds of millions.
MOST = 5_000_000

#: Quantiles told, in percent.
PERCENTS = (1, 10, 25, 50, 75, 90, 95, 99)


def told(path: str | Path) -> str | None:
    """The format of a trace of requests; None: the file is none.

    Raises:
        ScenarioError: it cannot be read.
    """
    text = head(Path(path))
    first = next((line for line in text.splitlines() if line.strip()), "")
    return "servegen" if servegen.told(first) else traces.told(text)


def blocks(
    path: str | Path, form: str, seed: int = 1, rate: float | None = None, spread: float = 0.0
) -> Iterator[Block]:
    """The requests of a trace.

    Args:
        path: the file.
        form: one of `FORMATS`.
        seed: of what is drawn: the requests of ServeGen's clients, times at a rate, spreading.
        rate: requests per second, in place of the file's times.
        spread: see `sim.saas.retiming.spread` (s).

    Raises:
        ScenarioError: the file is wrong, or has no times and no rate is given.
    """
    rng = RandomStreams(seed).stream("saas/requests")
    if form == "servegen":
        known = servegen.clients(path)
        found = servegen.requests(known, rng, float(known[0].starts[0]), known[0].end)
    else:
        found = traces.read(path, form)  # type: ignore[arg-type]
        if spread:
            found = retiming.spread(found, rng, spread)
    return found if rate is None else retiming.timed(found, rng, rate)


def inspect(path: str | Path, form: str, seed: int = 1) -> dict[str, Any]:
    """Read a trace, up to `MOST` requests, and say what is in it, as plain data.

    Raises:
        ScenarioError: the file is wrong.
    """
    count, whole = 0, True
    times: list[Floats] = []
    columns: dict[str, list[Any]] = {}
    for block in blocks(path, form, seed):
        if count >= MOST:
            whole = False
            break
        count += len(block.times)
        times.append(block.times)
        for name, values in block.columns.items():
            if values.dtype != object:
                columns.setdefault(name, []).append(values)
    if not times:
        raise ScenarioError([Fault(str(path), 0, 0, "", "holds no requests")])
    timed = traces.timed(head(Path(path)), form)
    moments = np.concatenate(times)
    gaps = np.diff(moments)
    span = float(moments[-1] - moments[0])
    distinct = int(np.count_nonzero(gaps)) + 1
    return {
        "file": str(path),
        "format": form,
        "drawn": form == "servegen",
        "requests": len(moments),
        "whole": whole,
        "timed": timed,
        "span_s": span if timed else None,
        "per_second": (len(moments) - 1) / span if timed and span else None,
        "gap_cv": float(gaps.std() / gaps.mean()) if timed and span else None,
        "dispersion_per_minute": _dispersion(moments) if timed else None,
        "moments": distinct if timed else None,
        "grain_s": _grain(gaps) if timed else None,
        "columns": {name: _spread(np.concatenate(values)) for name, values in columns.items()},
    }


def _dispersion(moments: Floats) -> float | None:
    """Variance over mean of the requests per whole minute."""
    minutes = int((moments[-1] - moments[0]) // 60)
    if minutes < 2:
        return None
    counts = np.bincount(((moments - moments[0]) // 60).astype(np.int64), minlength=minutes)[:minutes]
    return float(counts.var(ddof=1) / counts.mean()) if counts.any() else None


def _grain(gaps: Floats) -> float | None:
    """The step of a coarse clock: the usual distance of moments, if many requests share one."""
    some = gaps[gaps > 0]
    return float(np.median(some)) if len(some) and len(some) < len(gaps) / 2 else None


def _spread(values: Any) -> dict[str, float]:
    found = {"mean": float(values.mean()), "min": float(values.min())}
    found |= {
        f"p{share}": float(value)
        for share, value in zip(PERCENTS, np.percentile(values, PERCENTS), strict=True)
    }
    return found | {"max": float(values.max())}


def write(found: Iterable[Block], file: IO[str], most: int | None = None) -> int:
    """Write requests as plain CSV, at most so many; returns their number."""
    writer = csv.writer(file, lineterminator="\n")
    count = 0
    for block in found:
        names = [name for name, values in block.columns.items() if name in traces.PLAIN]
        if not count:
            writer.writerow(["time_s", *names])
        rows = len(block.times) if most is None else min(len(block.times), most - count)
        given = [block.columns[name][:rows].tolist() for name in names]
        writer.writerows(zip(map(_cell, block.times[:rows].tolist()), *given, strict=True))
        count += rows
        if count == most:
            break
    return count


def _cell(value: float) -> str:
    """A time to the nanosecond, without needless zeros."""
    return f"{value:.9f}".rstrip("0").rstrip(".")
