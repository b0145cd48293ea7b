"""The engine of a language model: calls join and leave its batch between iterations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge

from sim.paas import llm
from sim.paas.policies.nested import OfKind
from sim.registry import policy

if TYPE_CHECKING:
    from sim.catalog import Device, Model


@policy("engine", "continuous-batch")
class ContinuousBatch:
    """A language model's engine: calls join and leave the batch between iterations, token by token.

    `scheduling` is `chunked-prefill` (vLLM V1), `prefill-first` (vLLM V0) or `sarathi`; `max_tokens`
    bounds the prompt tokens of an iteration. The cache has `blocks` of `block_size` tokens; who
    finds none free is recomputed later. `steps` says how long an iteration takes (`stratus list
    steps`); the model is spread over the accelerators of the replica. The service's time model is
    used only to estimate waits. Tokens come with the trace of the calls; a call without counts
    as 1 + 1 tokens.
    """

    blocks: Annotated[int, Ge(1)]
    steps: Annotated[Any, OfKind("steps")]
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

    def build(
        self,
        model: Model | None = None,
        precision: str = "bf16",
        device: Device | None = None,
        accelerators: float = 1.0,
    ) -> llm.Engine:
        """The engine of one replica: of a model at a precision, on accelerators of a kind."""
        rules: dict[str, llm.PrefillFirst | llm.ChunkedPrefill | llm.Sarathi] = {
            "chunked-prefill": llm.ChunkedPrefill(self.max_sequences, self.max_tokens),
            "prefill-first": llm.PrefillFirst(self.max_sequences, self.max_tokens),
            "sarathi": llm.Sarathi(self.max_sequences, self.max_tokens),
        }
        times = self.steps.build(model, precision, device, max(1, round(accelerators)))
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
