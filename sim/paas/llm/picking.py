"""The rules of `sim.paas.llm.admission` for engines whose sequences do not all advance together.

There, whoever generates is in every iteration. With several iterations under way in a pipeline, or
with drafts, each has its own count of tokens, and who is under way cannot be picked. On one stage
and without drafts the iterations are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sim.paas.llm.admission import ChunkedPrefill, PrefillFirst, Sarathi
from sim.paas.llm.batch import Sequence
from sim.paas.llm.pool import Pool


@dataclass(slots=True)
class Picked:
    """One iteration.

    Attributes:
        prompts: (sequence, tokens, tokens processed before) whose prompts are processed.
        generating: (sequence, drafts) that generate.
    """

    prompts: list[tuple[Sequence, int, int]] = field(default_factory=list)
    generating: list[tuple[Sequence, int]] = field(default_factory=list)

    def begin(self, sequence: Sequence, tokens: int) -> None:
        """Process tokens of a prompt."""
        self.prompts.append((sequence, tokens, sequence.computed))
        sequence.computed += tokens

    def drop(self, sequence: Sequence) -> int:
        """Take a sequence out again that may be in it; the tokens it had there."""
        for place, (other, drafts) in enumerate(self.generating):
            if other is sequence:
                del self.generating[place]
                return 1 + drafts
        for place, (other, tokens, _) in enumerate(self.prompts):
            if other is sequence:
                del self.prompts[place]
                return tokens
        return 0


#: Picks the next iteration from (rule, pool, most sequences of an iteration, now).
Picker = Callable[[Any, Pool, int, float], Picked]


def picker(rule: Any) -> Picker:
    """How a rule picks."""
    if isinstance(rule, PrefillFirst):
        return prefill_first
    if isinstance(rule, Sarathi):
        return sarathi
    assert isinstance(rule, ChunkedPrefill)
    return chunked_prefill


def prefill_first(rule: PrefillFirst, pool: Pool, most: int, now: float) -> Picked:
    """Prompts while they fit, else those at rest by arrival."""
    picked = Picked()
    prompts = picked.prompts
    longest = tokens = 0
    least = int(rule.watermark * pool.blocks)
    while len(pool.running) < rule.max_sequences and len(prompts) < most and (head := pool.head()):
        blocks = pool.blocks_for(head.target)
        longest = max(longest, head.target)
        tokens += head.target
        size = (len(prompts) + 1) * longest if rule.padded else tokens
        if pool.free - blocks < least or (size > rule.max_tokens and (prompts or not head.generated)):
            break
        picked.begin(pool.admit(blocks, now), head.target)
    if not prompts:
        pool.resting.sort(key=_arrival)
        _generate(pool, picked, most, None)
    return picked


def sarathi(rule: Sarathi, pool: Pool, most: int, now: float) -> Picked:
    """Those at rest as they came, then prompts begun, then new ones."""
    picked, begun = Picked(), list[Sequence]()
    _generate(pool, picked, most, begun)
    budget = rule.chunk - sum(1 + drafts for _, drafts in picked.generating)
    skipped = []
    for sequence in begun:
        chunk = min(sequence.target - sequence.computed, budget)
        if chunk > 0:
            budget -= chunk
            picked.begin(sequence, chunk)
        else:
            skipped.append(sequence)
    pool.resting = sorted(skipped + pool.resting, key=_arrival)
    least = int(rule.watermark * pool.blocks)
    while (
        len(pool.running) < rule.max_sequences
        and budget > 0
        and len(picked.generating) + len(picked.prompts) < most
        and (head := pool.head())
    ):
        blocks = pool.blocks_for(head.target)
        if pool.free - blocks < least:
            break
        chunk = min(head.target, budget)
        budget -= chunk
        picked.begin(pool.admit(blocks, now), chunk)
    return picked


def chunked_prefill(rule: ChunkedPrefill, pool: Pool, most: int, now: float) -> Picked:
    """The running in order of their places, then new ones if nobody lost a place.

    The chunks of a prompt follow each other through a pipeline without waiting, as in vLLM. Whoever is
    under way keeps its place.
    """
    picked = Picked()
    budget, size, generating = rule.max_tokens, pool.block_size, picked.generating
    line, place, lost = list(pool.running), 0, False
    while place < len(line) and budget > 0:
        sequence = line[place]
        place += 1
        if sequence.generating:
            if sequence.flying:
                continue
            drafts = min(pool.drafts, budget - 1) if pool.drafts else 0
            tokens = 1 + drafts
            reach = sequence.prompt + sequence.generated + drafts
        else:
            tokens = min(sequence.target - sequence.computed, rule.longest_chunk or budget, budget)
            if not tokens or sequence in pool.leaving:
                continue
            reach = sequence.computed + tokens
        if reach > sequence.held * size:
            blocks = pool.blocks_for(reach) - sequence.held
            while pool.free < blocks:
                mine = [other for other in line[place - 1 :] if not other.flying]
                if not mine:
                    break
                victim = pool.waiting.last([*_picked(picked), *mine])
                place -= line.index(victim) < place
                line.remove(victim)
                budget += picked.drop(victim)
                pool.preempt(victim)
                lost = True
                if victim is sequence:
                    break
            if pool.free < blocks or sequence not in pool.running:
                break
            pool.take(sequence, blocks)
        budget -= tokens
        if sequence.generating:
            generating.append((sequence, drafts))
        else:
            picked.begin(sequence, tokens)
    while not lost and budget > 0 and len(pool.running) < rule.max_sequences and (head := pool.head()):
        chunk = min(head.target, rule.longest_chunk or budget, budget)
        if not rule.divides(min(head.target, rule.longest_chunk or head.target), budget):
            break
        blocks = pool.blocks_for(chunk)
        if (pool.blocks_for(head.target) if rule.whole_prompt else blocks) > pool.free:
            break
        budget -= chunk
        picked.begin(pool.admit(blocks, now), chunk)
    return picked


def _picked(picked: Picked) -> list[Sequence]:
    """Who is in an iteration."""
    return [sequence for sequence, _ in picked.generating] + [sequence for sequence, _, _ in picked.prompts]


def _generate(pool: Pool, picked: Picked, most: int, begun: list[Sequence] | None) -> None:
    """Those at rest generate in order, each with a block free, at the cost of the last.

    Args:
        pool: where they rest.
        picked: what they are added to.
        most: sequences of an iteration.
        begun: takes those whose prompt is not done; None: there are none.
    """
    line, place, drafts = pool.resting, 0, pool.drafts
    size, generating = pool.block_size, picked.generating
    while place < len(line) and len(generating) < most:
        sequence = line[place]
        place += 1
        if begun is not None and not sequence.generating:
            begun.append(sequence)
            continue
        reach = sequence.prompt + sequence.generated + drafts
        if reach <= sequence.held * size and pool.free:
            generating.append((sequence, drafts))
            continue
        blocks = max(0, pool.blocks_for(reach) - sequence.held)
        while pool.free < max(1, blocks):
            victim = pool.waiting.last([*_picked(picked), *(begun or ()), sequence, *line[place:]])
            if victim in line[place:]:
                line.remove(victim)
            elif begun and victim in begun:
                begun.remove(victim)
            picked.drop(victim)
            pool.preempt(victim)
            if victim is sequence:
                break
        else:
            pool.take(sequence, blocks)
            generating.append((sequence, drafts))
    del line[:place]


def _arrival(sequence: Sequence) -> float:
    return sequence.arrival
