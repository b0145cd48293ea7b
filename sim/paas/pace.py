"""How long calls take in an engine of a language model that is kept full, from the times of its iterations.

A service asks its time model for its own pace and for the wait to be expected: autoscalers, admission
and offloading look at that. Of a language model it follows from what the engine is made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.paas.llm.speculation import expected_tokens

if TYPE_CHECKING:
    from sim.catalog import Device, Model
    from sim.paas.calls import Batch
    from sim.paas.llm.times import StepTimes
    from sim.paas.policies.continuous import ContinuousBatch


class EnginePace:
    """A time model for services of language models.

    As many calls generate together as the engine lets, and their mean lengths find room in its cache; each
    of their iterations has the mean context. Their prompts are processed one after the other beside it.

    Args:
        engine: of each replica.
        accelerators: of each replica.
    """

    def __init__(self, engine: ContinuousBatch, accelerators: float) -> None:
        self._engine = engine
        self._accelerators = accelerators
        self._model: Model | None = None
        self._precision = ""
        #: By name of the device.
        self._made: dict[str, tuple[StepTimes, int]] = {}

    def start(self, model: Model | None, precision: str) -> None:
        """Prepare for a model at a precision."""
        self._model, self._precision = model, precision

    def seconds(self, batch: Batch) -> float:
        """Time in which an engine that has nothing else to do serves the calls (s)."""
        engine, calls = self._engine, batch.count
        times, tokens = self._on(batch.device)
        prompt = max(1.0, batch.tokens_in / calls)
        output = max(1.0, batch.tokens_out / calls)
        held = prompt + output / 2
        together = max(1.0, min(calls, engine.max_sequences, tokens / held))
        # The batches in flight in a pipeline share these sequences.
        part = max(1, round(together / engine.stages))
        pause = times.seconds(0, 0.0, part, round(part * held))
        beside = pause if part > 1 else 0.0
        square = prompt * prompt / 2
        prefill = times.seconds(round(prompt), square, part - 1, round((part - 1) * held)) - beside
        each, per_iteration = pause, 1.0
        if engine.speculation is not None:
            drafts = engine.speculation.drafts
            per_iteration = expected_tokens(drafts, engine.speculation.chance)
            each = times.seconds(part * drafts, 0.0, part, round(part * held))
            each += drafts * engine.speculation.cost * pause
        rounds = (output - 1) / per_iteration * calls / together
        # The prompts of a pipeline follow each other a stage apart.
        prompts = calls if together == 1.0 else calls / engine.stages
        return prompts * max(0.0, prefill) + rounds * each + engine.overhead * (rounds + 1)

    def _on(self, device: Device | None) -> tuple[StepTimes, int]:
        """Iterations on a device, and the tokens that find room in its cache."""
        name = "" if device is None else device.name
        made = self._made.get(name)
        if made is None:
            engine, stages = self._engine, self._engine.stages
            accelerators = max(1, round(self._accelerators / stages))
            times = engine.steps.build(self._model, self._precision, device, accelerators)
            blocks = engine.capacity(self._model, self._precision, device, self._accelerators)
            made = self._made[name] = times, blocks * engine.block_size
        return made
