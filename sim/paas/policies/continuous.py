"""The engine of a language model: calls join and leave its batch between iterations."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge

from sim.paas import llm
from sim.registry import policy
from sim.units import Seconds


@policy("engine", "continuous-batch")
class ContinuousBatch:
    """A language model's engine: calls join and leave the batch between iterations, token by token.

    `scheduling` is `chunked-prefill` (vLLM V1), `prefill-first` (vLLM V0) or `sarathi`; `max_tokens`
    bounds the prompt tokens of an iteration. The cache has `blocks` of `block_size` tokens; who
    finds none free is recomputed later. An iteration takes `base` + `per_prompt_token` x prompt
    tokens + `per_sequence` x sequences that generate + `per_context_token` x their tokens. The
    service's time model is used only to estimate waits. Tokens come with the trace of the calls;
    a call without counts as 1 + 1 tokens.
    """

    blocks: Annotated[int, Ge(1)]
    base: Seconds = 0.0
    per_prompt_token: Seconds = 0.0
    per_sequence: Seconds = 0.0
    per_context_token: Seconds = 0.0
    scheduling: Literal["chunked-prefill", "prefill-first", "sarathi"] = "chunked-prefill"
    order: Literal["first-come", "shortest-prompt"] = "first-come"
    max_sequences: Annotated[int, Ge(1)] = 128
    max_tokens: Annotated[int, Ge(1)] = 2048
    block_size: Annotated[int, Ge(1)] = 16

    servers = 1
    gathering = 0.0

    @property
    def largest(self) -> int:
        """The sequences of a full batch."""
        return self.max_sequences

    def build(self) -> llm.Engine:
        """The engine of one replica."""
        rules: dict[str, llm.PrefillFirst | llm.ChunkedPrefill | llm.Sarathi] = {
            "chunked-prefill": llm.ChunkedPrefill(self.max_sequences, self.max_tokens),
            "prefill-first": llm.PrefillFirst(self.max_sequences, self.max_tokens),
            "sarathi": llm.Sarathi(self.max_sequences, self.max_tokens),
        }
        times = llm.LinearSteps(self.base, self.per_prompt_token, self.per_sequence, self.per_context_token)
        line = llm.ShortestPrompt() if self.order == "shortest-prompt" else llm.FirstCome()
        return llm.Engine(
            rules[self.scheduling], times, self.blocks, block_size=self.block_size, waiting=line
        )

    def take(self, waiting: int, oldest: float, now: float) -> int:
        """Never asked: the engine has its own line."""
        return 0

    def look_again(self, oldest: float) -> float:
        """Never asked."""
        return oldest
