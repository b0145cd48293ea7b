"""Fits step times of a language model to measurements: non-negative least squares on the relative error.

Two kinds of files. Rows of iterations: `prompt_tokens`, `sequences`, `context_tokens` (sum over the
sequences) and `seconds`, where `square` (the sum of chunk x (tokens before it + chunk / 2)) is half the
squared prompt unless given. Rows of a load test at fixed concurrency: `input_tokens`, `output_tokens`,
`concurrency`, `tpot` and, if measured, `ttft` (seconds). Then an iteration serves `concurrency` sequences
whose contexts are input + output / 2 on average, and (concurrency - 1) / output prompts of the others; a
first token at concurrency 1 is an iteration of the prompt alone. At higher concurrency the time to the
first token contains waiting, and is not fitted.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.errors import Fault, ScenarioError, did_you_mean
from sim.paas.llm.profiles import COEFFICIENTS

Floats = NDArray[np.float64]

_ITERATIONS = ("prompt_tokens", "sequences", "context_tokens", "seconds")
_LOADS = ("input_tokens", "output_tokens", "concurrency", "tpot")
_OPTIONAL = {"iterations": ("square",), "loads": ("ttft",)}
#: Columns that may be zero.
_ZERO = ("prompt_tokens", "sequences", "context_tokens", "square")

#: Durations above this in the median (s) are doubted: they may be milliseconds.
DOUBTFUL = 2.0

#: Rows below which nothing is fitted, parts of the cross-validation, faults after which a file is given up.
FEWEST, FOLDS, MANY = 5, 5, 20


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows ready to fit: one line of features (in the order of `COEFFICIENTS`) and a duration each."""

    kind: str
    features: Floats
    seconds: Floats
    lines: Sequence[int]


@dataclass(frozen=True, slots=True)
class Fit:
    """What came out.

    Attributes:
        coefficients: seconds, by name; those that the measurements say nothing about are left out.
        errors: relative error of each row, with all rows fitted.
        held_out: likewise, each row predicted from a fit of the other four fifths.
        silent: coefficients that no row determines.
    """

    coefficients: Mapping[str, float]
    errors: Floats
    held_out: Floats
    silent: Sequence[str]


def read(path: Path) -> Measured:
    """The measurements in a CSV file.

    Raises:
        ScenarioError: every fault of the file, each with its line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            kind = _kind(path, header)
            values, lines = _values(path, header, rows, kind)
    except OSError as error:
        raise ScenarioError([Fault(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from None
    except csv.Error as error:
        raise ScenarioError([Fault(str(path), 0, 0, "", f"is not CSV: {error}")]) from None
    made = list((_iterations if kind == "iterations" else _loads)(values))
    if len(made) < FEWEST:
        message = f"has {len(made)} measurements; at least {FEWEST} are needed"
        raise ScenarioError([Fault(str(path), 1, 1, "", message)])
    features = np.array([features for features, _, _ in made])
    seconds = np.array([seconds for _, seconds, _ in made])
    return Measured(kind, features, seconds, [lines[row] for _, _, row in made])


def fit(measured: Measured) -> Fit:
    """Coefficients with the smallest sum of squared relative errors, none of them negative."""
    features, seconds = measured.features, measured.seconds
    used = [place for place in range(features.shape[1]) if features[:, place].any()]
    found = _solve(features[:, used], seconds)
    held_out = np.empty(len(seconds))
    part = np.arange(len(seconds)) % FOLDS
    for fold in range(FOLDS):
        test = part == fold
        others = _solve(features[~test][:, used], seconds[~test])
        held_out[test] = features[test][:, used] @ others / seconds[test] - 1
    names = [COEFFICIENTS[place] for place in used]
    silent = [name for name in COEFFICIENTS if name not in names]
    return Fit(
        dict(zip(names, map(float, found), strict=True)),
        features[:, used] @ found / seconds - 1,
        held_out,
        silent,
    )


def _solve(features: Floats, seconds: Floats) -> Floats:
    from scipy.optimize import nnls

    relative = features / seconds[:, None]
    scale = relative.max(axis=0)
    scale[scale == 0.0] = 1.0
    found: Floats = nnls(relative / scale, np.ones(len(seconds)))[0] / scale
    return found


def _kind(path: Path, header: Sequence[str]) -> str:
    """Iterations or loads, by the columns.

    Raises:
        ScenarioError: columns are missing or unknown.
    """
    kind = "loads" if len(set(header) & set(_LOADS)) > len(set(header) & set(_ITERATIONS)) else "iterations"
    needed = _LOADS if kind == "loads" else _ITERATIONS
    known = (*needed, *_OPTIONAL[kind])
    faults = []
    if not set(header) & {*_ITERATIONS, *_LOADS}:
        expected = f"expected a header, {','.join(_ITERATIONS)} or {','.join(_LOADS)}"
        what = f"no column of measurements; {expected}" if any(header) else f"the file is empty; {expected}"
        faults.append(Fault(str(path), 1, 1, "", what))
    else:
        faults += [Fault(str(path), 1, 1, "", f'no column "{name}"') for name in needed if name not in header]
        faults += [
            Fault(str(path), 1, 1, "", f'unknown column "{name}"{did_you_mean(name, known)}')
            for name in header
            if name not in known
        ]
        faults += [
            Fault(str(path), 1, 1, "", f'column "{name}" stands twice')
            for name in dict.fromkeys(header)
            if header.count(name) > 1
        ]
    if faults:
        raise ScenarioError(faults)
    return kind


def _values(
    path: Path, header: Sequence[str], rows: Iterator[list[str]], kind: str
) -> tuple[list[dict[str, float]], list[int]]:
    """Every row as numbers, with its line."""
    found: list[dict[str, float]] = []
    lines: list[int] = []
    faults: list[Fault] = []
    for row in rows:
        line = rows.line_num  # type: ignore[attr-defined]
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            faults.append(Fault(str(path), line, 1, "", f"expected {len(header)} columns, got {len(row)}"))
        else:
            values = {}
            for name, text in zip(header, row, strict=True):
                try:
                    values[name] = float(text)
                except ValueError:
                    values[name] = math.nan
                wanted = 0 <= values[name] < 1e15 and (values[name] > 0 or name in _ZERO)
                if not wanted and not (name == "ttft" and not text.strip()):
                    least = "0 or more" if name in _ZERO else "above 0"
                    faults.append(
                        Fault(
                            str(path), line, 1, "", f"{name}: expected a number {least}, got {text.strip()!r}"
                        )
                    )
            if kind == "iterations" and not values.get("prompt_tokens") and not values.get("sequences"):
                faults.append(Fault(str(path), line, 1, "", "an iteration without prompt and sequences"))
            found.append(values)
            lines.append(line)
        if len(faults) >= MANY:
            break
    if faults:
        raise ScenarioError(faults[:MANY])
    return found, lines


def _iterations(rows: Sequence[dict[str, float]]) -> Iterator[tuple[list[float], float, int]]:
    for number, row in enumerate(rows):
        prompt = row["prompt_tokens"]
        square = row.get("square", prompt * prompt / 2)
        yield [1.0, prompt, square, row["sequences"], row["context_tokens"]], row["seconds"], number


def _loads(rows: Sequence[dict[str, float]]) -> Iterator[tuple[list[float], float, int]]:
    for number, row in enumerate(rows):
        given, made, at_once = row["input_tokens"], row["output_tokens"], row["concurrency"]
        context = at_once * (given + made / 2)
        # While an answer is made, concurrency - 1 other prompts are read.
        prompts = max(0.0, at_once - 1) / made
        yield [1.0, prompts * given, prompts * given * given / 2, at_once, context], row["tpot"], number
        first = row.get("ttft", math.nan)
        if at_once == 1 and not math.isnan(first):
            yield [1.0, given, given * given / 2, 0.0, 0.0], first, number
