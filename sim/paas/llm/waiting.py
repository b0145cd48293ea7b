"""In which order sequences wait for a place in the batch."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sim.paas.llm.batch import Sequence


class Waiting(Protocol):
    """A line of sequences."""

    def push(self, sequence: Sequence) -> bool:
        """Let a new sequence wait; whether it is the head now."""

    def put_back(self, sequence: Sequence) -> None:
        """Let a sequence wait that has lost its place."""

    def head(self) -> Sequence:
        """Who is next."""

    def pop(self) -> Sequence:
        """Take the head away."""

    def __len__(self) -> int:
        """How many wait."""


class FirstCome:
    """First come first served; who lost its place goes to the front."""

    def __init__(self) -> None:
        self._line: deque[Sequence] = deque()

    def push(self, sequence: Sequence) -> bool:
        """To the end."""
        self._line.append(sequence)
        return len(self._line) == 1

    def put_back(self, sequence: Sequence) -> None:
        """To the front."""
        self._line.appendleft(sequence)

    def head(self) -> Sequence:
        """The front."""
        return self._line[0]

    def pop(self) -> Sequence:
        """Take the front away."""
        return self._line.popleft()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._line)


class ByPriority:
    """Higher priority first, then by arrival; who lost its place keeps its rank."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, float, int, Sequence]] = []

    def rank(self, sequence: Sequence) -> float:
        """Smaller is served first."""
        return -sequence.priority

    def push(self, sequence: Sequence) -> bool:
        """To the place of its rank."""
        self.put_back(sequence)
        return self._heap[0][3] is sequence

    def put_back(self, sequence: Sequence) -> None:
        """To the place of its rank."""
        heappush(self._heap, (self.rank(sequence), sequence.arrival, sequence.number, sequence))

    def head(self) -> Sequence:
        """The first in rank."""
        return self._heap[0][3]

    def pop(self) -> Sequence:
        """Take the first away."""
        return heappop(self._heap)[3]

    def __len__(self) -> int:
        """How many wait."""
        return len(self._heap)


class ShortestPrompt(ByPriority):
    """Shortest job first by what an engine knows of a job: the length of its prompt."""

    def rank(self, sequence: Sequence) -> float:
        """Smaller is served first."""
        return sequence.prompt
