"""Serving engines: how many of a replica's waiting calls begin service together, and when.

An engine is a policy with two verbs, asked whenever one of its `servers` is free and a call waits:
`take(waiting, oldest, now)` says how many calls start now, as one batch (0: none yet), and
`look_again(oldest)` says at which moment the answer would change by itself. `oldest` is the moment
the longest-waiting call entered the service. Both work on absolute moments, so that a timer set for
`look_again` finds the wait complete whatever the rounding.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from annotated_types import Ge

from sim.paas import llm
from sim.registry import policy
from sim.units import Seconds


class Engine(Protocol):
    """What a service needs of its engine."""

    @property
    def servers(self) -> int:
        """Batches a replica serves at the same time."""

    @property
    def largest(self) -> int:
        """Most calls in one batch."""

    @property
    def gathering(self) -> float:
        """Longest time a call is held back to gather a batch (s)."""

    def take(self, waiting: int, oldest: float, now: float) -> int:
        """Calls to start now as one batch; 0 for none yet."""

    def look_again(self, oldest: float) -> float:
        """Moment at which the answer 0 changes by itself."""


@policy("engine", "concurrent")
class Concurrent:
    """A number of equal servers, each busy with one call at a time, first come first served."""

    servers: Annotated[int, Ge(1)] = 1

    largest = 1
    gathering = 0.0

    def take(self, waiting: int, oldest: float, now: float) -> int:
        """Every call starts alone and at once."""
        return 1

    def look_again(self, oldest: float) -> float:
        """Never asked: a free server takes a waiting call at once."""
        return oldest


@policy("engine", "dynamic-batch")
class DynamicBatch:
    """Calls gather into batches: one starts when full, or when its oldest call has waited enough.

    While all instances are busy calls go on gathering, so batches grow with the load. With
    `max_delay` 0 a free instance takes what is there. The rule is that of the dynamic batcher of
    the Triton inference server without preferred sizes.
    """

    max_batch: Annotated[int, Ge(1)] = 8
    max_delay: Seconds = 0.0
    instances: Annotated[int, Ge(1)] = 1

    @property
    def servers(self) -> int:
        """The instances."""
        return self.instances

    @property
    def largest(self) -> int:
        """The full batch."""
        return self.max_batch

    @property
    def gathering(self) -> float:
        """The delay (s)."""
        return self.max_delay

    def take(self, waiting: int, oldest: float, now: float) -> int:
        """A full batch, or all that waits once the oldest has waited `max_delay`."""
        if waiting >= self.max_batch:
            return self.max_batch
        return waiting if now >= oldest + self.max_delay else 0

    def look_again(self, oldest: float) -> float:
        """The moment the oldest call will have waited `max_delay`."""
        return oldest + self.max_delay


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
