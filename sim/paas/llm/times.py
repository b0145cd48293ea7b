"""How long one iteration of a language model takes, as a function of what is in its batch.

`seconds` answers for any iteration. `ramp` answers for a stretch of iterations in which the same
sequences each generate one token after the other: their context grows by one token per sequence and
iteration, so that under a model that is linear in the context (or linear in pieces) the durations
form an arithmetic progression, and the engine can take many iterations in one step.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

#: "As many iterations as you like".
ALWAYS = 1 << 60


class StepTimes(Protocol):
    """What an engine needs of its time model."""

    def seconds(self, prompt_tokens: int, square: float, sequences: int, context: int) -> float:
        """Duration of one iteration (s).

        Args:
            prompt_tokens: tokens of prompts processed in it.
            square: sum over the prompts' chunks of chunk x (tokens before it + chunk / 2).
            sequences: sequences that generate a token each.
            context: sum of their tokens so far, those being processed included.
        """

    def ramp(self, sequences: int, context: int) -> tuple[float, float, int]:
        """(duration of the first, increment per iteration, iterations for which that holds)."""


@dataclass
class LinearSteps:
    """base + per_prompt_token P + per_square Q + per_sequence B + per_context_token C.

    The form of the fits in the literature: DistServe (OSDI 2024), Vidur's and other measured
    iteration tables are met by it within 1 to 8 %.
    """

    base: float = 0.0
    per_prompt_token: float = 0.0
    per_sequence: float = 0.0
    per_context_token: float = 0.0
    per_square: float = 0.0

    def seconds(self, prompt_tokens: int, square: float, sequences: int, context: int) -> float:
        """Duration of one iteration (s)."""
        return (
            self.base
            + self.per_prompt_token * prompt_tokens
            + self.per_square * square
            + self.per_sequence * sequences
            + self.per_context_token * context
        )

    def ramp(self, sequences: int, context: int) -> tuple[float, float, int]:
        """One progression for ever."""
        first = self.base + self.per_sequence * sequences + self.per_context_token * context
        return first, self.per_context_token * sequences, ALWAYS


@dataclass
class FunctionSteps:
    """Any function of (prompt_tokens, square, sequences, context); the engine steps it one by one."""

    function: Callable[[int, float, int, int], float]

    def seconds(self, prompt_tokens: int, square: float, sequences: int, context: int) -> float:
        """Duration of one iteration (s)."""
        return self.function(prompt_tokens, square, sequences, context)

    def ramp(self, sequences: int, context: int) -> tuple[float, float, int]:
        """Nothing is known about the next iteration."""
        return self.function(0, 0.0, sequences, context), 0.0, 1


@dataclass
class DetailedSteps:
    """Any function of (chunks, sequences, context), for models that look at each prompt, such as Vidur's.

    `chunks` are (tokens, tokens processed before) of each prompt in the iteration.
    """

    function: Callable[[Iterable[tuple[int, int]], int, int], float]

    def seconds(self, prompt_tokens: int, square: float, sequences: int, context: int) -> float:
        """Duration of one iteration whose prompt tokens are those of one new prompt (s)."""
        return self.function([(prompt_tokens, 0)] if prompt_tokens else [], sequences, context)

    def ramp(self, sequences: int, context: int) -> tuple[float, float, int]:
        """Nothing is known about the next iteration."""
        return self.function([], sequences, context), 0.0, 1


@dataclass
class PartOfSteps:
    """An equal part of the durations of a whole model: those of a stage of a pipeline."""

    whole: StepTimes
    parts: int

    def seconds(self, prompt_tokens: int, square: float, sequences: int, context: int) -> float:
        """Duration of one iteration (s)."""
        return self.whole.seconds(prompt_tokens, square, sequences, context) / self.parts

    def ramp(self, sequences: int, context: int) -> tuple[float, float, int]:
        """The progression of the whole, divided."""
        first, slope, room = self.whole.ramp(sequences, context)
        return first / self.parts, slope / self.parts, room


class TableSteps:
    """Measured durations, interpolated: by prompt tokens, and by (sequences, mean context of one).

    An iteration with both takes the prompt's time plus what generating takes beyond the smallest
    entry of the generation table, whose fixed costs are paid once. Beyond the grid the last
    slope goes on; below it the first entry holds.

    Args:
        prompts: prompt tokens of an iteration -> seconds.
        generation: sequences -> (sum of their contexts -> seconds).

    Raises:
        ValueError: a table is empty.
    """

    def __init__(self, prompts: Mapping[int, float], generation: Mapping[int, Mapping[int, float]]) -> None:
        if not prompts or not generation or not all(generation.values()):
            raise ValueError("step times: a table is empty")
        self._prompts = sorted(prompts.items())
        self._rows = [(count, sorted(row.items())) for count, row in sorted(generation.items())]
        self._least = self._rows[0][1][0][1]

    def seconds(self, prompt_tokens: int, square: float, sequences: int, context: int) -> float:
        """Duration of one iteration (s)."""
        if not prompt_tokens:
            return self.ramp(sequences, context)[0]
        took = _line(self._prompts, prompt_tokens)[0]
        if sequences:
            took += max(0.0, self.ramp(sequences, context)[0] - self._least)
        return took

    def ramp(self, sequences: int, context: int) -> tuple[float, float, int]:
        """A progression up to the next entry of the grid."""
        rows = self._rows
        right = bisect_right(rows, sequences, key=lambda row: row[0])
        low = rows[max(0, right - 1)]
        high = rows[min(right, len(rows) - 1)]
        share = 0.0 if high[0] == low[0] else (sequences - low[0]) / (high[0] - low[0])
        first, slope, until = _line(low[1], context)
        if share > 0.0:
            other, other_slope, other_until = _line(high[1], context)
            first += share * (other - first)
            slope += share * (other_slope - slope)
            until = min(until, other_until)
        room = ALWAYS if until >= ALWAYS else (until - context) // max(1, sequences) + 1
        return first, slope * sequences, max(1, room)


def _line(points: list[tuple[int, float]], at: int) -> tuple[float, float, int]:
    """(value, slope, place up to which the slope holds) of a polygon."""
    right = bisect_right(points, at, key=lambda point: point[0])
    if right == 0:
        return points[0][1], 0.0, points[0][0]
    if len(points) == 1:
        return points[0][1], 0.0, ALWAYS
    last = right == len(points)
    (x0, y0), (x1, y1) = points[right - 2 : right] if last else points[right - 1 : right + 1]
    slope = (y1 - y0) / (x1 - x0)
    if last:
        slope = max(0.0, slope)
        return y1 + slope * (at - x1), slope, ALWAYS
    return y0 + slope * (at - x0), slope, x1
