"""The sequences of an engine that takes every iteration by itself, each with the blocks it holds."""

from __future__ import annotations

from sim.paas.llm.adapters import Adapters
from sim.paas.llm.batch import Sequence
from sim.paas.llm.waiting import FirstCome, Waiting


class Pool:
    """State of such an engine between two iterations.

    Args:
        blocks: of the key-value cache.
        block_size: tokens per block.
        waiting: the line in front of it.
        restart: what a sequence that lost its place begins with (`sim.paas.llm.admission.Restart`).
        drafts: tokens drafted for each sequence that generates.
        adapters: slots that its sequences need, if any do.

    Attributes:
        free: blocks nobody holds.
        running: sequences with a place, by the time they got it.
        resting: those of them that are in no iteration under way, in the order they came out of one. Kept by
            engines whose rule goes by it.
        leaving: sequences to be taken out as soon as they are in no iteration.
    """

    def __init__(
        self,
        blocks: int,
        block_size: int = 16,
        waiting: Waiting | None = None,
        restart: str = "tokens",
        drafts: int = 0,
        adapters: Adapters | None = None,
    ) -> None:
        self.blocks = self.free = blocks
        self.block_size = block_size
        self.waiting: Waiting = FirstCome() if waiting is None else waiting
        self.restart = restart
        self.drafts = drafts
        self.adapters = adapters
        self.running: dict[Sequence, None] = {}
        self.resting: list[Sequence] = []
        self.leaving: set[Sequence] = set()
        self._aside: list[Sequence] = []

    def blocks_for(self, tokens: int) -> int:
        """Blocks that so many tokens of one sequence fill."""
        return -(-tokens // self.block_size)

    def take(self, sequence: Sequence, blocks: int) -> None:
        """Give a sequence free blocks."""
        sequence.held += blocks
        self.free -= blocks

    def head(self) -> Sequence | None:
        """The first in line whose adapter can be had; those before it are set aside until `restore`."""
        waiting, adapters = self.waiting, self.adapters
        while waiting:
            head = waiting.head()
            if adapters is None or adapters.admits(head.adapter):
                return head
            self._aside.append(waiting.take())
        return None

    def restore(self) -> None:
        """Put those set aside back to the head of the line."""
        while self._aside:
            self.waiting.put_back(self._aside.pop())

    def admit(self, blocks: int, now: float) -> Sequence:
        """Give the head of the line a place and so many blocks."""
        sequence = self.waiting.take()
        if sequence.start != sequence.start:
            sequence.start = now
        self.take(sequence, blocks)
        self.running[sequence] = None
        if self.adapters is not None:
            self.adapters.hold(sequence.adapter)
        return sequence

    def release(self, sequence: Sequence) -> None:
        """Take the place and the blocks of a sequence."""
        del self.running[sequence]
        self.free += sequence.held
        sequence.held = 0
        if self.adapters is not None:
            self.adapters.release(sequence.adapter)

    def preempt(self, sequence: Sequence) -> None:
        """Let a sequence wait that is in no iteration; all is to be done again."""
        self.release(sequence)
        if sequence.generating:
            sequence.target = sequence.prompt + sequence.generated
            if self.restart == "prompt":
                sequence.target = sequence.prompt
                sequence.generated = 0
        elif self.restart == "processed":
            # Below 0: so many tokens of the prompt are counted as if they were generated.
            sequence.target = sequence.computed
            sequence.generated = sequence.computed - sequence.prompt
        sequence.generating = False
        sequence.computed = 0
        sequence.preemptions += 1
        self.waiting.put_back(sequence)
