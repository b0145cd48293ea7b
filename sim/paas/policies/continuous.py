"""The engine of a language model: calls join and leave its batch between iterations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge

from sim.errors import StratusError
from sim.paas import llm
from sim.paas.policies.extras import Choice, LowRank, Pipeline, Speculate
from sim.paas.policies.nested import OfKind
from sim.registry import policy
from sim.units import Bytes, BytesPerSecond, Fraction, Seconds

if TYPE_CHECKING:
    from sim.catalog import Device, Model
    from sim.kernel.streams import RandomStreams
    from sim.paas.calls import Call
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
    anew from the prompt (BLIS); no more than `longest_chunk` tokens of one prompt go into an iteration
    (vLLM's long_prefill_token_threshold), and without `chunks` a prompt goes in whole or waits. `order`
    is who waits first; shortest-output knows the
    answers' lengths beforehand. The cache has `blocks` of `block_size` tokens; who finds none free is
    recomputed later. Unless given they are what fits into `memory_utilisation` of the accelerators'
    memory beside the weights and, on each, `reserve` for activations (5.5 GiB, as BLIS reckons).
    `steps` says how long an iteration takes (`stratus list steps`), to which comes `overhead` of
    scheduler and host; the model is spread over the accelerators of the replica. With `prefix_cache` a
    prompt is computed only from where it differs from what the cache still holds; applications say what
    their prompts share (`sessions`, `shared`, traces with hashes). It is off unless asked for, so that
    schedules are those of the rule alone; vLLM has it on. Evicted blocks then go to `host_cache` bytes of the
    host's memory, and come back over `host_bandwidth` for each accelerator (PCIe 4.0 x16 gives 25 of
    32 GB/s), which lengthens the iteration. The service needs no time model: waits are estimated by
    `steps`. A call that its client cancels leaves when the iteration under way ends (vLLM aborts it when
    the connection closes). Tokens come with the trace or the application; a call without counts
    as 1 + 1 tokens. With a `pipeline`, `speculation`, `adapters` or `longest_chunk` every iteration is taken
    by itself, which is slower to simulate.
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
    longest_chunk: Annotated[int, Ge(1)] | None = None
    chunks: bool = True
    pipeline: Pipeline | None = None
    speculation: Speculate | None = None
    adapters: LowRank | None = None
    prefix_cache: bool = False
    host_cache: Bytes = 0.0
    host_bandwidth: BytesPerSecond = 25e9

    servers = 1
    gathering = 0.0
    cancels = "running"

    def __post_init__(self) -> None:
        chosen = self.whole_prompt or self.restart != "tokens" or self.longest_chunk or not self.chunks
        if self.scheduling != "chunked-prefill" and chosen:
            raise ValueError(
                "`whole_prompt`, `restart`, `longest_chunk` and `chunks` are for "
                "`scheduling: chunked-prefill`"
            )
        if self.host_cache and not self.prefix_cache:
            raise ValueError("`host_cache` keeps what the prefix cache gives up: set `prefix_cache: true`")
        if self.prefix_cache and self.steps_alone:
            raise ValueError(
                "`prefix_cache` cannot be had with a `pipeline`, `speculation`, `adapters` or `longest_chunk`"
            )
        if self.max_sequences < self.stages:
            raise ValueError(f"max_sequences {self.max_sequences} are too few for {self.stages} stages")
        self._streams: RandomStreams | None = None
        self._path = ""
        self._choice: Choice | None = None

    def belong(self, streams: RandomStreams, name: str) -> None:
        """Serve a service of that name, whose streams everything is drawn from."""
        self._streams, self._path = streams, f"paas/{name}"
        if self.adapters is not None:
            self._choice = Choice(self.adapters, streams.stream(f"paas/{name}/adapters"))

    def adapter(self, call: Call) -> int | None:
        """Number of the adapter that a call needs; None: none."""
        if self._choice is None:
            return None
        # An attempt needs what the request it is of needs.
        request = getattr(call.request, "owner", None) or call.request
        return self._choice.of(request.id)

    @property
    def steps_alone(self) -> bool:
        """Whether every iteration is taken by itself."""
        besides = (self.pipeline, self.speculation, self.adapters, self.longest_chunk)
        return any(each is not None for each in besides)

    @property
    def stages(self) -> int:
        """Stages of its pipeline."""
        return 1 if self.pipeline is None else self.pipeline.stages

    @property
    def largest(self) -> int:
        """The sequences of a full batch."""
        return self.max_sequences

    def capacity(
        self, model: Model | None, precision: str, device: Device | None, accelerators: float
    ) -> int:
        """Blocks of the cache, less than 1 if the model does not fit; as vLLM reckons them.

        (utilisation x memory - reserve) x accelerators - weights - adapters, over the bytes of a block at
        16 bits: all of the stage of a pipeline that has most layers.

        Raises:
            StratusError: they are not given, and model or device do not say enough.
        """
        if self.blocks is not None:
            return self.blocks
        if model is None or not model.kv_bytes_per_token or device is None:
            raise StratusError("continuous-batch: give `blocks`, or a language model and a device")
        part = 1.0
        if self.stages > 1:
            part = -(-model.layers // self.stages) / model.layers if model.layers else 1 / self.stages
        # A share of one accelerator has that share of its memory.
        share = min(1.0, accelerators) if accelerators > 0.0 else 1.0
        memory = self.memory_utilisation * device.memory * share - self.reserve
        memory *= max(1.0, accelerators / self.stages)
        held = model.weights(precision) + (self.adapters.bytes if self.adapters else 0.0)
        return int((memory - part * held) / (part * model.kv_bytes_per_token * self.block_size))

    def _prefixes(self, model: Model | None, accelerators: float) -> llm.PrefixCache | None:
        """The cache of prefixes, which has a block of every layer on all accelerators at once."""
        host = None
        if self.host_cache:
            if model is None or not model.kv_bytes_per_token:
                raise StratusError("continuous-batch: `host_cache` needs a language model")
            block = model.kv_bytes_per_token * self.block_size
            seconds = block / (self.host_bandwidth * max(1.0, accelerators))
            host = llm.Host(int(self.host_cache / block), self.block_size, seconds)
        return llm.PrefixCache(self.block_size, host) if self.prefix_cache else None

    def build(
        self,
        model: Model | None = None,
        precision: str = "bf16",
        device: Device | None = None,
        accelerators: float = 1.0,
        number: int = 0,
        note: Callable[[Run], object] | None = None,
        note_load: Callable[[tuple[int, float, int, float]], object] | None = None,
    ) -> llm.Engine | llm.StepwiseEngine:
        """The engine of one replica: of a model at a precision, on accelerators of a kind.

        Args:
            model: what it serves.
            precision: of its weights.
            device: accelerator.
            accelerators: how many.
            number: of the replica, in its rows.
            note: takes its rows of the table `iterations`.
            note_load: takes those of the table `adapters`.

        Raises:
            StratusError: there is no room for a cache.
        """
        blocks = self.capacity(model, precision, device, accelerators)
        if blocks < 1:
            raise StratusError(f"continuous-batch: no memory is left for the cache of {model and model.name}")
        rules: dict[str, llm.PrefillFirst | llm.ChunkedPrefill | llm.Sarathi] = {
            "chunked-prefill": llm.ChunkedPrefill(
                self.max_sequences,
                self.max_tokens,
                self.whole_prompt,
                self.restart,
                self.longest_chunk or 0,
                self.chunks,
            ),
            "prefill-first": llm.PrefillFirst(self.max_sequences, self.max_tokens),
            "sarathi": llm.Sarathi(self.max_sequences, self.max_tokens),
            "sarathi-serve": llm.SarathiServe(self.max_sequences, self.max_tokens),
        }
        times = self.steps.build(model, precision, device, max(1, round(accelerators / self.stages)))
        rule, line = rules[self.scheduling], _LINES[self.order]()
        if not self.steps_alone:
            return llm.Engine(
                rule,
                times,
                blocks,
                block_size=self.block_size,
                waiting=line,
                overhead=self.overhead,
                number=number,
                note=note,
                cache=self._prefixes(model, accelerators),
            )
        stage = llm.PartOfSteps(times, self.stages) if self.stages > 1 else times
        path = f"{self._path}/{number}"
        return llm.StepwiseEngine(
            rule,
            [stage] * self.stages,
            blocks,
            block_size=self.block_size,
            waiting=line,
            overhead=self.overhead,
            hop=None if self.pipeline is None else self.pipeline.hop(model),
            speculation=None if self.speculation is None else self.speculation.build(self._streams, path),
            adapters=None if self.adapters is None else self.adapters.build(),
            number=number,
            note=note,
            note_load=note_load,
        )

    def take(self, waiting: int, oldest: float, now: float) -> int:
        """Never asked: the engine has its own line."""
        return 0

    def look_again(self, oldest: float) -> float:
        """Never asked."""
        return oldest
