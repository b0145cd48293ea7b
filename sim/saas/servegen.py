"""Clients of ServeGen: how one customer of a language-model service behaves, window by window.

Format of github.com/alibaba/ServeGen (Xiang et al., NSDI 2026), as published: a client is two files of one
folder, `chunk-N-trace.csv` and `chunk-N-dataset.json` (also gzipped).

The first has no header; a row is a window of, as published, 600 s: its start (s), requests per second, the
coefficient of variation of the gaps, their family (`Gamma`, `Weibull`, or nothing for an idle window) and the
family's shape and scale (s). The second has a mapping by start of longer windows (6 h) to quantities, each a
text `{tokens: share, ...}`, `{}` where nothing is known: `input_tokens` and `output_tokens` (language,
reason; `reason_ratio` of the latter is passed over), or `text_tokens`, `image_tokens`, `audio_tokens`,
`video_tokens` and `output_tokens` (multimodal), whose first four add up to the prompt.

Requests are drawn from that by these rules. Gaps come from the family with the window's shape, on a clock
that runs at the window's rate: so the expected number is rate x seconds, and a gap that reaches into the next
window goes on there at its rate. Lengths are drawn independently, from the window of the dataset that the
moment lies in; if it is empty from the last before it that is not, else the first after it.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import ceil, gamma, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from sim.errors import Fault, ScenarioError
from sim.saas.blocks import Block, Columns, Floats
from sim.saas.jobtraces.source import opened

#: Faults after which a file is given up; windows and bytes of a client at most.
MANY, WINDOWS, BYTES = 20, 1_000_000, 64_000_000

#: Requests drawn at once, in the mean.
AT_ONCE = 200_000

_PROMPT = ("input_tokens", "text_tokens", "image_tokens", "audio_tokens", "video_tokens")
_FAMILIES = ("", "Gamma", "Weibull")
_PAIR = re.compile(r"(\d{1,9}): ([0-9.eE+-]{1,32})")
_ENDING = "-trace.csv"


@dataclass(frozen=True, slots=True)
class _Lengths:
    """One quantity of a window: values, and shares added up."""

    values: Floats
    shares: Floats

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """As many values."""
        places = np.searchsorted(self.shares, rng.random(count) * self.shares[-1], side="right")
        found: Floats = self.values[np.minimum(places, len(self.values) - 1)]
        return found


@dataclass(frozen=True, slots=True)
class Client:
    """What is known of one client.

    Attributes:
        name: of its files, without their endings.
        starts: of its windows (s).
        step: seconds of a window.
        rates: requests per second in each.
        families: of the gaps in each: "", Gamma or Weibull.
        shapes: of these.
        starts_of_lengths: starts of the windows of lengths (s).
        prompts: quantities that add up to the prompt, by window of lengths; empty where nothing is known.
        answers: tokens to generate, likewise.
    """

    name: str
    starts: Floats
    step: float
    rates: Floats
    families: Sequence[str]
    shapes: Floats
    starts_of_lengths: Floats
    prompts: Sequence[Sequence[_Lengths]]
    answers: Sequence[_Lengths | None]

    @property
    def end(self) -> float:
        """The end of its last window (s)."""
        return float(self.starts[-1]) + self.step


def told(line: str) -> bool:
    """Whether a file that begins with this line is a client's `-trace.csv`."""
    cells = line.strip().split(",")
    if len(cells) != 6 or cells[3] not in _FAMILIES:
        return False
    try:
        return all(float(cell) >= 0 for place, cell in enumerate(cells) if place != 3)
    except ValueError:
        return False


def clients(path: str | Path, folder: bool = False) -> list[Client]:
    """The client of a `-trace.csv`, or all clients of its folder, by name.

    Raises:
        ScenarioError: a file is wrong; up to twenty faults of each.
    """
    path = Path(path)
    if not path.name.endswith(_ENDING):
        raise ScenarioError([Fault(str(path), 0, 0, "", f"a client's file is called NAME{_ENDING}")])
    files = sorted(path.parent.glob(f"*{_ENDING}")) if folder else [path]
    found: list[Client] = []
    faults: list[Fault] = []
    for file in files:
        try:
            found.append(_client(str(file), _state(file), _state(_dataset(file))))
        except ScenarioError as error:
            faults += error.faults
    steps = {client.step for client in found}
    if len(steps) > 1:
        listed = " and ".join(f"{step:g} s" for step in sorted(steps))
        message = f"clients with windows of {listed}: one step is needed"
        faults.append(Fault(str(path), 0, 0, "", message))
    if faults:
        raise ScenarioError(faults)
    return found


def requests(
    known: Sequence[Client], rng: np.random.Generator, start: float, end: float, factor: float = 1.0
) -> Iterator[Block]:
    """The requests of clients in a part of their time, a block a window or a part of one.

    Each client has a stream of its own, by its name: another client changes nothing for it.

    Args:
        known: clients with windows of one length.
        rng: of the whole; one number is drawn from it.
        start: second at which the part begins; it is a window's begin, or lies in one.
        end: where it ends.
        factor: on all rates.
    """
    root = int(rng.integers(2**63))
    streams = [_stream(root, client.name) for client in known]
    left = [float(_gaps(client, 0, stream, 1)[0]) for client, stream in zip(known, streams, strict=True)]
    moments = np.unique(np.concatenate([client.starts for client in known]))
    step = known[0].step
    for begin in moments[(moments + step > start) & (moments < end)].tolist():
        here = []
        for place, client in enumerate(known):
            window = int(np.searchsorted(client.starts, begin))
            if window < len(client.starts) and client.starts[window] == begin:
                here.append((place, client, window, float(client.rates[window]) * factor))
        # A window with very many requests is drawn in parts.
        parts = ceil(sum(pace for *_, pace in here) * step / AT_ONCE) or 1
        for part in range(parts):
            first = begin + part * (step / parts)
            drawn = []
            for place, client, window, pace in here:
                stream = streams[place]
                ticks, left[place] = _ticks(client, window, stream, left[place], pace * (step / parts))
                if len(ticks):
                    at = first + ticks / pace
                    drawn.append((at, *_lengths(client, stream, at)))
            if drawn:
                times, prompts, answers = (np.concatenate(column) for column in zip(*drawn, strict=True))
                order = np.argsort(times, kind="stable")
                columns: Columns = {"tokens_in": prompts[order], "tokens_out": answers[order]}
                yield Block(times[order], columns)


def rate(known: Sequence[Client], times: Floats) -> Floats:
    """Requests per second of all clients together, at moments of their time."""
    moments = np.asarray(times, dtype=float)
    total = np.zeros(moments.shape)
    for client in known:
        window = np.searchsorted(client.starts, moments, side="right") - 1
        inside = (window >= 0) & (moments < client.starts[window] + client.step)
        total += np.where(inside, client.rates[window], 0.0)
    return total


def _stream(root: int, name: str) -> np.random.Generator:
    digest = blake2b(name.encode(), digest_size=16).digest()
    words = [int.from_bytes(digest[at : at + 4], "little") for at in range(0, 16, 4)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([root, *words])))


def _gaps(client: Client, window: int, rng: np.random.Generator, count: int) -> Floats:
    """Gaps of mean 1."""
    family, shape = client.families[window], float(client.shapes[window])
    if family == "Gamma":
        return rng.gamma(shape, 1.0 / shape, count)
    if family == "Weibull":
        drawn: Floats = rng.weibull(shape, count) / gamma(1.0 + 1.0 / shape)
        return drawn
    return rng.exponential(1.0, count)


def _ticks(
    client: Client, window: int, rng: np.random.Generator, left: float, length: float
) -> tuple[Floats, float]:
    """Moments of a window's requests on the clock of mean gap 1, and what is left to the next one then."""
    if left >= length:
        return np.empty(0), left - length
    pieces, reached = [np.array([left])], left
    while reached < length:
        count = int(length - reached + 4 * (length - reached) ** 0.5) + 8
        piece = reached + np.cumsum(_gaps(client, window, rng, count))
        pieces.append(piece)
        reached = float(piece[-1])
    ticks = np.concatenate(pieces)
    inside = int(np.searchsorted(ticks, length))
    return ticks[:inside], float(ticks[inside]) - length


def _lengths(client: Client, rng: np.random.Generator, times: Floats) -> tuple[Any, Any]:
    """Tokens of the prompts and of the answers at these moments."""
    places = np.maximum(np.searchsorted(client.starts_of_lengths, times, side="right") - 1, 0)
    prompt, answer = np.zeros(len(times)), np.zeros(len(times))
    for place in np.unique(places).tolist():
        mine = places == place
        count = int(np.count_nonzero(mine))
        for quantity in _nearest(client.prompts, place) or ():
            prompt[mine] += quantity.draw(rng, count)
        known = _nearest(client.answers, place)
        if known is not None:
            answer[mine] = known.draw(rng, count)
    return np.maximum(1, prompt).astype(np.int64), np.maximum(1, answer).astype(np.int64)


def _nearest(windows: Sequence[Any], place: int) -> Any:
    """What is known at a window, else before it, else after it."""
    for at in (*range(place, -1, -1), *range(place + 1, len(windows))):
        if windows[at]:
            return windows[at]
    return None


# ---------------------------------------------------------------- reading


def _dataset(path: Path) -> Path:
    """The file of lengths beside a client's `-trace.csv`."""
    plain = path.with_name(path.name.removesuffix(_ENDING) + "-dataset.json")
    packed = plain.with_name(plain.name + ".gz")
    return packed if packed.exists() and not plain.exists() else plain


def _state(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError as error:
        raise ScenarioError([Fault(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from None
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=256)
def _client(file: str, trace: tuple[int, int], dataset: tuple[int, int]) -> Client:
    """A client; read again when one of its files has changed."""
    path = Path(file)
    found = _Files(path)
    starts, rates, families, shapes = found.windows()
    starts_of_lengths, prompts, answers = found.lengths(dataset[1])
    if found.faults:
        raise ScenarioError(found.faults)
    step = float(starts[1] - starts[0]) if len(starts) > 1 else 600.0
    name = path.name.removesuffix(_ENDING)
    return Client(name, starts, step, rates, families, shapes, starts_of_lengths, prompts, answers)


class _Files:
    """One pass over the two files of a client, which gathers the faults."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[Fault] = []

    def _fail(self, path: Path, line: int, message: str) -> None:
        self.faults.append(Fault(str(path), line, 1 if line else 0, "", message))
        if len(self.faults) >= MANY:
            raise ScenarioError(self.faults)

    def windows(self) -> tuple[Floats, Floats, list[str], Floats]:
        """Starts, rates, families and shapes."""
        starts: list[float] = []
        rates: list[float] = []
        families: list[str] = []
        shapes: list[float] = []
        with opened(self.path) as file:
            try:
                for line, row in enumerate(csv.reader(file), 1):
                    if not row:
                        continue
                    window = self._window(line, row)
                    if window is None:
                        continue
                    start, rate, family, shape = window
                    if len(starts) > 1 and start - starts[-1] != starts[1] - starts[0]:
                        self._fail(
                            self.path, line, f"a window begins at {start:g} s, not one step after the last"
                        )
                    elif starts and start <= starts[-1]:
                        self._fail(self.path, line, f"time goes back by {starts[-1] - start:g} s")
                    starts.append(start)
                    rates.append(rate)
                    families.append(family)
                    shapes.append(shape)
                    if len(starts) > WINDOWS:
                        self._fail(self.path, line, f"more than {WINDOWS} windows")
                        break
            except csv.Error as error:
                self._fail(self.path, 0, f"is not CSV: {error}")
        if not starts and not self.faults:
            self._fail(self.path, 1, "the file has no windows")
        return np.array(starts), np.array(rates), families, np.array(shapes)

    def _window(self, line: int, row: list[str]) -> tuple[float, float, str, float] | None:
        if len(row) != 6:
            self._fail(self.path, line, f"expected start,rate,cv,family,shape,scale, got {len(row)} columns")
            return None
        family = row[3].strip()
        if family not in _FAMILIES:
            self._fail(self.path, line, f"family: expected Gamma, Weibull or nothing, got {family!r:.40}")
            return None
        numbers = []
        for name, text in zip(("start", "rate", "cv", "shape", "scale"), row[:3] + row[4:], strict=True):
            try:
                number = float(text)
            except ValueError:
                number = -1.0
            if not 0 <= number < 1e12:
                self._fail(self.path, line, f"{name}: expected a number, 0 or more, got {text!r:.40}")
                return None
            numbers.append(number)
        start, rate, _, shape, _ = numbers
        if rate > 1e6:
            self._fail(self.path, line, f"rate: more than 1,000,000 a second, {rate:g}")
            return None
        if rate and family and not 0.01 <= shape <= 1e6:
            self._fail(self.path, line, f"shape: expected 0.01 or more, got {shape:g}")
            return None
        return start, rate, family, shape

    def lengths(self, size: int) -> tuple[Floats, list[list[_Lengths]], list[_Lengths | None]]:
        """Starts of the windows, quantities of the prompts, those of the answers."""
        path = _dataset(self.path)
        raw: Any = None
        if size > BYTES:
            self._fail(path, 0, f"has {size} bytes, more than {BYTES}")
        else:
            with opened(path) as file:
                try:
                    text = file.read(8 * BYTES)
                    raw = json.loads(text)
                except (ValueError, RecursionError) as error:
                    self._fail(path, getattr(error, "lineno", 0), f"is not JSON: {error}")
        if not isinstance(raw, dict) or not raw:
            if not self.faults:
                self._fail(path, 1, "expected a mapping by start of the window, with at least one")
            return np.zeros(1), [[]], [None]
        windows = []
        for start, quantities in raw.items():
            if not start.isascii() or not start.isdecimal() or not isinstance(quantities, dict):
                self._fail(path, 0, f"{start!r:.40}: expected seconds and a mapping of quantities")
                continue
            prompts = [
                self._quantity(path, start, name, quantities[name]) for name in _PROMPT if name in quantities
            ]
            answer = self._quantity(path, start, "output_tokens", quantities.get("output_tokens", "{}"))
            # What is known of a part of the prompt only says nothing of the whole.
            whole = (
                []
                if any(part is None for part in prompts)
                else [part for part in prompts if part is not None]
            )
            windows.append((float(start), whole, answer))
        windows.sort(key=lambda window: window[0])
        if not self.faults and not any(whole and answer for _, whole, answer in windows):
            self._fail(path, 0, "no window knows the lengths of prompts and answers")
        starts = np.array([start for start, _, _ in windows])
        return starts, [whole for _, whole, _ in windows], [answer for _, _, answer in windows]

    def _quantity(self, path: Path, start: str, name: str, text: Any) -> _Lengths | None:
        pairs: list[tuple[int, float]] = []
        good = isinstance(text, str) and text.startswith("{") and text.endswith("}")
        for part in text[1:-1].split(", ") if good and text != "{}" else ():
            match = _PAIR.fullmatch(part)
            share = _share(match[2]) if match else None
            if match is None or share is None:
                good = False
                break
            pairs.append((int(match[1]), share))
        if not good:
            self._fail(
                path, 0, f"{start}: {name}: expected text such as {{12: 0.5, 40: 0.5}}, got {text!r:.60}"
            )
            return None
        if not sum(share for _, share in pairs) > 0:
            return None
        return _Lengths(
            np.array([float(value) for value, _ in pairs]), np.cumsum([share for _, share in pairs])
        )


def _share(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) and 0 <= value <= 1.0001 else None
