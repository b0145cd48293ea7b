"""What goes into the next iteration: prompts, generation or both, and who gets a place.

Each rule has `form(batch, now)`, which claims the blocks of the next iteration and answers with its
`Step`, and `reserve(blocks)`, the blocks a sequence can never have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from sim.paas.llm.batch import Batch, Sequence

#: What a sequence that lost its place begins with: all tokens it has (vLLM), its prompt, so that the answer
#: is generated anew (BLIS), or no more than was processed, as if that were its prompt (Vidur).
Restart = Literal["tokens", "prompt", "processed"]


class Step:
    """One iteration.

    Attributes:
        prompts: (sequence, tokens) whose prompts are processed.
        generates: whether the sequences that generate take part.
        settled: whether, while the batch stays as it is, the next iteration is formed alike.
    """

    __slots__ = ("generates", "prompts", "settled")

    def __init__(self, prompts: list[tuple[Sequence, int]], generates: bool, settled: bool) -> None:
        self.prompts = prompts
        self.generates = generates
        self.settled = settled


class Admission(Protocol):
    """What an engine needs of its rule."""

    max_sequences: int

    @property
    def restart(self) -> Restart:
        """What a sequence that lost its place begins with."""

    def form(self, batch: Batch, now: float) -> Step:
        """The next iteration; its blocks are claimed."""

    def reserve(self, blocks: int) -> int:
        """Blocks of the cache that one sequence alone cannot use."""

    def longest(self) -> int | None:
        """Longest prompt that is ever taken, None for any."""


@dataclass
class PrefillFirst:
    """Prompts go first, in iterations of their own; while one can be taken nobody generates.

    The rule of vLLM's first engine as Vidur (MLSys 2024) states it: a new sequence gets the blocks
    of its whole prompt if `watermark` of the cache stays free; the tokens of a batch of prompts count
    as its longest times their number if `padded`. Sequences generate in order of arrival; when no
    block is free the latest loses its place, goes to the front of the line and starts again with
    all tokens it had, whose generated ones are processed as a prompt.
    """

    max_sequences: int = 128
    max_tokens: int = 4096
    watermark: float = 0.01
    padded: bool = True

    restart: ClassVar[Restart] = "tokens"

    def reserve(self, blocks: int) -> int:
        """The watermark, and the block that must be free for anybody to generate."""
        return max(1, int(self.watermark * blocks))

    def longest(self) -> int | None:
        """A prompt must fit into an iteration."""
        return self.max_tokens

    def form(self, batch: Batch, now: float) -> Step:
        """Prompts while they fit, else generation."""
        prompts: list[tuple[Sequence, int]] = []
        waiting, cache = batch.waiting, batch.cache
        most = tokens = 0
        least = int(self.watermark * batch.blocks)
        while waiting and len(batch.running) < self.max_sequences:
            head = waiting.head()
            if head.prefilled:
                break
            done, shared = (0, 0) if cache is None else batch.found(head)
            blocks = batch.blocks_for(head.target)
            if batch.free - (blocks - shared) < least:
                break
            chunk = head.target - done
            most = max(most, chunk)
            tokens += chunk
            size = (len(prompts) + 1) * most if self.padded else tokens
            # A sequence that starts again may have outgrown the limit: then it goes alone.
            if size > self.max_tokens and (prompts or not head.generated):
                break
            prompts.append((batch.admit(blocks, shared, chunk, now), chunk))
        if prompts:
            return Step(prompts, False, False)
        order = None
        if batch.free - batch.needed() < 1:
            order = sorted(batch.running, key=lambda s: (s.arrival, s.number))
        lost = batch.claim(order, 1)
        return Step([], batch.generating > 0, not lost)


@dataclass
class ChunkedPrefill:
    """Everybody generates in every iteration, and prompts fill up its budget of tokens, in chunks.

    The rule of vLLM's V1 engine: running sequences first, in the order of their places; when blocks
    run out the last of them loses its place (by priority: the one of the lowest), to be recomputed from
    the front of the line. Waiting ones are taken only if nobody lost a place, with the blocks of their
    chunk and no watermark; with `whole_prompt` only if the blocks of their whole prompt are free
    (`scheduler_reserve_full_isl` of later versions, as in LLMServingSim 2). `restart` is "tokens" in both,
    "prompt" in BLIS. Unlike in vLLM, when one loses its place to its own want of a block, those behind it
    generate all the same. At most `longest_chunk` tokens of a prompt go into an iteration, 0 for any
    number (vLLM's `long_prefill_token_threshold`): then several prompts are begun at once, which takes a
    `StepwiseEngine`. Without `chunks` (`--no-enable-chunked-prefill`) a prompt goes in as a whole or waits;
    one that starts again longer than an iteration is divided when it is alone.
    """

    max_sequences: int = 128
    max_tokens: int = 2048
    whole_prompt: bool = False
    restart: Restart = "tokens"
    longest_chunk: int = 0
    chunks: bool = True

    def reserve(self, blocks: int) -> int:
        """Nothing."""
        return 0

    def longest(self) -> int | None:
        """Any prompt goes in by chunks, where there are any."""
        return None if self.chunks else self.max_tokens

    def divides(self, tokens: int, budget: int) -> bool:
        """Whether a prompt may begin with so many tokens to process and so many left in the iteration."""
        return self.chunks or tokens <= budget or budget == self.max_tokens

    def form(self, batch: Batch, now: float) -> Step:
        """Generation, then the prompt begun, then new ones."""
        lost = batch.claim(None, 0)
        budget = self.max_tokens - batch.generating
        prompts: list[tuple[Sequence, int]] = []
        cache = batch.cache
        if batch.prefilling:
            for sequence in list(batch.prefilling):
                chunk = min(sequence.target - sequence.computed, budget)
                if chunk <= 0:
                    break
                blocks = batch.blocks_for(sequence.computed + chunk) - sequence.held
                if blocks > batch.free:
                    lost = True
                    freed = batch.make_room(sequence, blocks)
                    if freed < 0:
                        break
                    budget += freed
                sequence.held += blocks
                batch.free -= blocks
                budget -= chunk
                if cache is not None:
                    cache.fill(sequence, sequence.computed + chunk)
                prompts.append((sequence, chunk))
        waiting = batch.waiting
        if waiting and not lost:
            while waiting and budget > 0 and len(batch.running) < self.max_sequences:
                head = waiting.head()
                if head.prefilled:
                    break
                done, shared = (0, 0) if cache is None else batch.found(head)
                if not self.divides(head.target - done, budget):
                    break
                chunk = min(head.target - done, budget)
                blocks = batch.blocks_for(done + chunk)
                room = batch.blocks_for(head.target) if self.whole_prompt else blocks
                if room - shared > batch.free:
                    break
                budget -= chunk
                prompts.append((batch.admit(blocks, shared, chunk, now), chunk))
        return Step(prompts, batch.generating > 0, not lost)


@dataclass
class Sarathi:
    """Everybody generates, then the prompt begun goes on, then new ones, within a chunk of tokens.

    The rule of Sarathi-Serve (OSDI 2024) as Vidur (MLSys 2024) states it: a new sequence gets the
    blocks of its whole prompt if `watermark` of the cache stays free, and a block must be free for
    each to generate; else the last to get a place loses it. One that loses it in the midst of its
    prompt comes back, in Vidur, with the part processed as its prompt and generates the rest.
    """

    max_sequences: int = 128
    chunk: int = 512
    watermark: float = 0.01

    restart: ClassVar[Restart] = "processed"

    def reserve(self, blocks: int) -> int:
        """The watermark, and the block that must be free for anybody to generate."""
        return max(1, int(self.watermark * blocks))

    def longest(self) -> int | None:
        """Any prompt goes in by chunks."""
        return None

    def form(self, batch: Batch, now: float) -> Step:
        """Generation, then the prompt begun, then new ones."""
        lost = batch.claim(None, 1)
        cache = batch.cache
        budget = self.chunk - batch.generating
        prompts: list[tuple[Sequence, int]] = []
        for sequence in batch.prefilling:
            chunk = min(sequence.target - sequence.computed, budget)
            if chunk > 0:
                budget -= chunk
                if cache is not None:
                    cache.fill(sequence, sequence.computed + chunk)
                prompts.append((sequence, chunk))
        waiting = batch.waiting
        least = int(self.watermark * batch.blocks)
        while waiting and budget > 0 and len(batch.running) < self.max_sequences:
            head = waiting.head()
            if head.prefilled:
                break
            done, shared = (0, 0) if cache is None else batch.found(head)
            blocks = batch.blocks_for(head.target)
            if batch.free - (blocks - shared) < least:
                break
            chunk = min(head.target - done, budget)
            budget -= chunk
            prompts.append((batch.admit(blocks, shared, chunk, now), chunk))
        return Step(prompts, batch.generating > 0, not lost)


@dataclass
class SarathiServe(Sarathi):
    """The rule of the system Sarathi-Serve (OSDI 2024) itself: a prompt cut short starts again as a whole."""

    restart: ClassVar[Restart] = "tokens"
