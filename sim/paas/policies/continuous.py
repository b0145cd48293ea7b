"""The engine of a language model: calls join and leave its batch between iterations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge

from sim.errors import StratusError
from sim.paas import llm
from sim.paas.policies.nested import OfKind
from sim.registry import policy
from sim.units import Bytes, Fraction, Seconds

if TYPE_CHECKING:
    from sim.catalog import Device, Model
    from sim.paas.llm.gaps import Run

_LINES = {
    "first-come": llm.FirstCome,
    "priority": llm.ByPriority,
    "shortest-prompt": llm.ShortestPrompt,
    "shortest-output": llm.ShortestOutput,
}


@policy("engine", "continuous-batch")
class ContinuousBatch:
    """A language model's engine: calls join and leave the batch between iterations, token by token.

    `scheduling` is `chunked-prefill` (vLLM V1), `prefill-first` (vLLM V0 as Vidur has it), `sarathi` (as
    Vidur has it) or `sarathi-serve` (the system itself); `max_tokens` bounds the prompt tokens of an
    iteration. Under chunked prefill `whole_prompt` admits only whose whole prompt fits the free cache (later
    vLLM), and `restart` says whether who lost its place goes on with all its tokens or generates its answer
    anew from the prompt (BLIS). `order` is who waits first; shortest-output knows the
    answers' lengths beforehand. The cache has `blocks` of `block_size` tokens; who finds none free is
    recomputed later. Unless given they are what fits into `memory_utilisation` of the accelerators'
    memory beside the weights and, on each, `reserve` for activations (5.5 GiB, as BLIS reckons).
    `steps` says how long an iteration takes (`stratus list steps`), to which comes `overhead` of
    scheduler and host; the model is spread over the accelerators of the replica. The service's time
    model is used only to estimate waits. A call that its client cancels leaves when the iteration under way
    ends (vLLM aborts it when the connection closes). Tokens come with the trace or the application; a call
    without counts as 1 + 1 tokens.
    """

    steps: Annotated[Any, OfKind("steps")]
    blocks: Annotated[int, Ge(1)] | None = None
    scheduling: Literal["chunked-prefill", "prefill-first", "sarathi", "sarathi-serve"] = "chunked-prefill"
    order: Literal["first-come", "priority", "shortest-prompt", "shortest-output"] = "first-come"
    max_sequences: Annotated[int, Ge(1)] = 128
    max_tokens: Annotated[int, Ge(1)] = 2048
    block_size: Annotated[int, Ge(1)] = 16
    memory_utilisation: Fraction = 0.9
    reserve: Bytes = 5.5 * 2**30
    overhead: Seconds = 0.0
    whole_prompt: bool = False
    restart: Literal["tokens", "prompt"] = "tokens"

    servers = 1
    gathering = 0.0
    cancels = "running"

    def __post_init__(self) -> None:
        if self.scheduling != "chunked-prefill" and (self.whole_prompt or self.restart != "tokens"):
            raise ValueError("`whole_prompt` and `restart` are for `scheduling: chunked-prefill`")

    @property
    def largest(self) -> int:
        """The sequences of a full batch."""
        return self.max_sequences

    def capacity(
        self, model: Model | None, precision: str, device: Device | None, accelerators: float
    ) -> int:
        """Blocks of the cache, less than 1 if the model does not fit; as vLLM reckons them.

        (utilisation x memory - reserve) x accelerators - weights, over the bytes of a block at 16 bits.

        Raises:
            StratusError: they are not given, and model or device do not say enough.
        """
        if self.blocks is not None:
            return self.blocks
        if model is None or not model.kv_bytes_per_token or device is None:
            raise StratusError("continuous-batch: give `blocks`, or a language model and a device")
        memory = (self.memory_utilisation * device.memory - self.reserve) * max(1.0, accelerators)
        return int((memory - model.weights(precision)) / (model.kv_bytes_per_token * self.block_size))

    def build(
        self,
        model: Model | None = None,
        precision: str = "bf16",
        device: Device | None = None,
        accelerators: float = 1.0,
        number: int = 0,
        note: Callable[[Run], object] | None = None,
    ) -> llm.Engine:
        """The engine of one replica: of a model at a precision, on accelerators of a kind.

        Args:
            model: what it serves.
            precision: of its weights.
            device: accelerator.
            accelerators: how many.
            number: of the replica, in its rows.
            note: takes its rows of the table `iterations`.

        Raises:
            StratusError: there is no room for a cache.
        """
        blocks = self.capacity(model, precision, device, accelerators)
        if blocks < 1:
            raise StratusError(f"continuous-batch: no memory is left for the cache of {model and model.name}")
        rules: dict[str, llm.PrefillFirst | llm.ChunkedPrefill | llm.Sarathi] = {
            "chunked-prefill": llm.ChunkedPrefill(
                self.max_sequences, self.max_tokens, self.whole_prompt, self.restart
            ),
            "prefill-first": llm.PrefillFirst(self.max_sequences, self.max_tokens),
            "sarathi": llm.Sarathi(self.max_sequences, self.max_tokens),
            "sarathi-serve": llm.SarathiServe(self.max_sequences, self.max_tokens),
        }
        times = self.steps.build(model, precision, device, max(1, round(accelerators)))
        return llm.Engine(
            rules[self.scheduling],
            times,
            blocks,
            block_size=self.block_size,
            waiting=_LINES[self.order](),
            overhead=self.overhead,
            number=number,
            note=note,
        )

    def take(self, waiting: int, oldest: float, now: float) -> int:
        """Never asked: the engine has its own line."""
        return 0

    def look_again(self, oldest: float) -> float:
        """Never asked."""
        return oldest
