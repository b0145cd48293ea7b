"""Weights of trained agents: a .npz of plain arrays, never pickled objects - files come from strangers.

A file holds `about` (a JSON object in a text array: kind, actions, step, day, period, the base that is
corrected, and how it was trained) and either `values` and `visits` (Q by cell or tile) or `w0, b0, w1,
b1, ...` (a network of tanh layers whose last one gives a value for each action).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sim.errors import Fault, ScenarioError
from sim.paas.autoscaling.features import NAMES, scaled

Floats = npt.NDArray[np.float64]

#: Bytes that all arrays of a file may have together, unpacked.
MOST = 64 * 1024 * 1024


class Weights(NamedTuple):
    """A trained agent: what is said of it, and its arrays by name."""

    about: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]


def save(path: Path, about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write an agent; the same agent gives the same bytes."""
    text = np.array(json.dumps(dict(about), sort_keys=True))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in {"about": text, **arrays}.items():
            # A fixed date: numpy's own writer would put the present time into the file.
            with file.open(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load(path: str, kind: str) -> Weights:
    """Read an agent of a kind ("q-learning", "linear-q" or "network"); kept until the file changes.

    Raises:
        ScenarioError: the file is not such an agent.
    """
    try:
        state = Path(path).stat()
    except OSError as error:
        raise ScenarioError([Fault(path, 0, 0, "", f"cannot be read: {error.strerror}")]) from None
    return _load(path, kind, (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=8)
def _load(path: str, kind: str, state: tuple[int, int]) -> Weights:
    try:
        with zipfile.ZipFile(path) as file:
            if sum(entry.file_size for entry in file.infolist()) > MOST:
                raise ValueError(f"its arrays have more than {MOST} bytes")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("about", "null")))
        _check(about, arrays, kind)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, RecursionError) as error:
        message = f"is not the weights file of an agent: {error}"
        raise ScenarioError([Fault(path, 0, 0, "", message)]) from None
    return Weights(about, arrays)


def _check(about: Any, arrays: Mapping[str, npt.NDArray[Any]], kind: str) -> None:
    if not isinstance(about, dict) or not isinstance(about.get("actions"), int) or about["actions"] % 2 == 0:
        raise ValueError("it does not say what it is")
    if about.get("kind") != kind:
        raise ValueError(f"it is of the kind {about.get('kind')!r}, not {kind!r}")
    for name in ("step", "day", "period"):
        if not isinstance(about.get(name), int | float) or not 0 < about[name] < 1e9:
            raise ValueError(f"{name} is missing")
    for name, array in arrays.items():
        if array.dtype.kind not in "fi" or not np.isfinite(array).all():
            raise ValueError(f"{name} is not an array of finite numbers")
    if kind == "network":
        sizes = [matrix.shape for matrix, _ in layers(arrays)]
        ins = [shape[0] for shape in sizes]
        outs = [shape[1] for shape in sizes]
        if ins != [len(NAMES), *outs[:-1]] or outs[-1] != about["actions"]:
            raise ValueError(f"its layers {sizes} do not lead from {len(NAMES)} features to the actions")


def layers(arrays: Mapping[str, npt.NDArray[Any]]) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Matrix and offset of each layer of a network.

    Raises:
        ValueError: they are not those of a network.
    """
    found = []
    for index in range(len(arrays) // 2):
        matrix, offset = arrays.get(f"w{index}"), arrays.get(f"b{index}")
        if matrix is None or offset is None or matrix.ndim != 2 or offset.shape != matrix.shape[1:]:
            raise ValueError(f"layer {index} is not a matrix and an offset that fit")
        found.append((matrix, offset))
    if not found:
        raise ValueError("it has no layers")
    return found


def answer(arrays: Mapping[str, npt.NDArray[Any]], state: Floats) -> int:
    """The action a network prefers: its largest output, the first of equals."""
    hidden = scaled(state)
    *inner, (matrix, offset) = layers(arrays)
    for weights, shift in inner:
        hidden = np.tanh(hidden @ weights + shift)
    return int(np.argmax(hidden @ matrix + offset))


def check_base(path: str, about: Mapping[str, Any], base: Mapping[str, Any] | None) -> None:
    """Hold the autoscaler that an agent is to correct against the one it was trained to correct.

    Raises:
        ScenarioError: they differ.
    """
    due = about.get("base")
    # Through JSON, as the file has it: tuples become lists.
    given = json.loads(json.dumps(base))
    if due != given:
        words = "no base" if due is None else f"the base {json.dumps(due)}"
        message = f"corrects {words}; here it is given {'none' if given is None else json.dumps(given)}"
        raise ScenarioError([Fault(path, 0, 0, "", message)])


def unfit(path: str, message: str) -> ScenarioError:
    """The error of a weights file that does not fit."""
    return ScenarioError([Fault(path, 0, 0, "", f"is not the weights file of an agent: {message}")])
