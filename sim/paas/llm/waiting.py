"""In which order sequences wait for a place in the batch.

The lines are containers of Python with a few verbs, so that asking whether anybody waits costs no call.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
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

    def take(self) -> Sequence:
        """Take the head away."""

    def cancel(self, sequence: Sequence) -> bool:
        """Take a sequence away that waits; whether it was the head."""

    def last(self, running: list[Sequence]) -> Sequence:
        """Of sequences with a place, in some order, the one to lose it."""

    def __len__(self) -> int:
        """How many wait."""


class FirstCome(deque["Sequence"]):
    """First come first served; who lost its place goes to the front."""

    def push(self, sequence: Sequence) -> bool:
        """To the end."""
        self.append(sequence)
        return len(self) == 1

    def put_back(self, sequence: Sequence) -> None:
        """To the front."""
        self.appendleft(sequence)

    def head(self) -> Sequence:
        """The front."""
        return self[0]

    def take(self) -> Sequence:
        """Take the front away."""
        return self.popleft()

    def cancel(self, sequence: Sequence) -> bool:
        """Take a sequence away that waits; whether it was the head."""
        head = self[0] is sequence
        self.remove(sequence)
        return head

    def last(self, running: list[Sequence]) -> Sequence:
        """The last of them."""
        return running[-1]


class ByPriority(list["tuple[float, float, int, Sequence]"]):
    """Higher priority first, then by arrival; who lost its place keeps its rank.

    Who has a place loses it by the same rank, as in vLLM's priority scheduling.
    """

    def rank(self, sequence: Sequence) -> float:
        """Smaller is served first."""
        return -sequence.priority

    def push(self, sequence: Sequence) -> bool:
        """To the place of its rank."""
        self.put_back(sequence)
        return self[0][3] is sequence

    def put_back(self, sequence: Sequence) -> None:
        """To the place of its rank."""
        heappush(self, (self.rank(sequence), sequence.arrival, sequence.number, sequence))

    def head(self) -> Sequence:
        """The first in rank."""
        return self[0][3]

    def take(self) -> Sequence:
        """Take the first away."""
        return heappop(self)[3]

    def cancel(self, sequence: Sequence) -> bool:
        """Take a sequence away that waits; whether it was the head."""
        head = self[0][3] is sequence
        self[:] = [entry for entry in self if entry[3] is not sequence]
        heapify(self)
        return head

    def last(self, running: list[Sequence]) -> Sequence:
        """The one of the lowest priority, of equal ones the latest."""
        return max(running, key=lambda each: (-each.priority, each.arrival, each.number))


class ShortestPrompt(ByPriority):
    """Shortest job first by what an engine knows of a job: the length of its prompt."""

    def rank(self, sequence: Sequence) -> float:
        """Smaller is served first."""
        return sequence.prompt

    def last(self, running: list[Sequence]) -> Sequence:
        """The last of them: how long a job is says nothing about its worth."""
        return running[-1]


class ShortestOutput(ShortestPrompt):
    """Shortest job first by the length of the answer, which only an oracle knows."""

    def rank(self, sequence: Sequence) -> float:
        """Smaller is served first."""
        return sequence.output
