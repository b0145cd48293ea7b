"""Step times from the architecture of a model and the limits of a device, without any measurement of the two.

Each part of an iteration takes the longer of computing and moving (Williams, Waterman and Patterson, CACM
52(4), 2009): the matrix products read every weight once, attention to a prompt computes, attention of
sequences that generate reads their key-value cache. Two all-reduces a layer join the accelerators the
model is spread over (Megatron-LM, arXiv 1909.08053). A mixture of experts computes its active weights
and reads those of the experts that some token of the iteration passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.errors import StratusError
from sim.iaas.roofline import peak
from sim.paas.llm.times import ALWAYS

if TYPE_CHECKING:
    from sim.catalog import Device, Model

#: Bytes of one number that passes between layers.
ACTIVATION = 2.0


@dataclass
class RooflineSteps:
    """Iteration times of a model at a precision on one or more accelerators of a kind.

    The shares and overheads were fitted to Llama 3.1 8B (bf16) on A100, H100, H200, L40S and B200 alone;
    docs/llm-accuracy.md shows how far other models and numbers of accelerators are off.

    Args:
        model: with its layers in the catalog.
        device: with its bandwidth, and for several of them the speed of their all-reduce.
        precision: of weights and arithmetic.
        accelerators: over which the model is spread (tensor parallelism).
        compute_efficiency: share of the peak that large matrix products reach.
        memory_efficiency: share of the bandwidth that is reached.
        overhead: seconds of any iteration.
        layer_overhead: seconds of a layer, for launching its kernels.

    Raises:
        StratusError: the catalog lacks a figure that is needed; the message says which.
    """

    model: Model
    device: Device
    precision: str = "bf16"
    accelerators: int = 1
    compute_efficiency: float = 0.7
    memory_efficiency: float = 0.82
    overhead: float = 0.4e-3
    layer_overhead: float = 20e-6

    def __post_init__(self) -> None:
        reason = lacking(self.model, self.device, self.precision, self.accelerators)
        if reason:
            raise StratusError(f"step times roofline: {reason}")
        model, device, number = self.model, self.device, self.accelerators
        assert model.flop is not None and device.bandwidth is not None
        rate = peak(device, self.precision) * self.compute_efficiency * number
        bandwidth = device.bandwidth * self.memory_efficiency * number
        latency, bus = device.all_reduce[number] if number > 1 else (0.0, 1.0)
        sent = model.hidden * ACTIVATION * 2 * (number - 1) / number
        width = 4 * model.layers * model.attention
        self._fixed = self.overhead + model.layers * (self.layer_overhead + 2 * latency)
        self._per_token = model.flop / rate
        self._joining = 2 * model.layers * sent / bus
        self._per_byte = model.bytes_per_parameter[self.precision] / bandwidth
        self._per_square = width / rate
        self._per_context = max(width / rate, model.kv_bytes_per_token / bandwidth)
        self._expert = 0.0
        if model.experts:
            skipped = 1 - model.experts_per_token / model.experts
            self._expert = (model.parameters - model.active_parameters) / skipped

    def _linear(self, tokens: int) -> float:
        """The matrix products of so many tokens, and the all-reduces."""
        model = self.model
        weights = model.parameters
        if self._expert:
            # Tokens choose their experts independently and evenly.
            missed = (1 - model.experts_per_token / model.experts) ** tokens
            weights -= self._expert * missed
        return self._fixed + max(self._per_token * tokens, self._per_byte * weights) + self._joining * tokens

    def seconds(self, prompt_tokens: int, square: float, sequences: int, context: int) -> float:
        """Duration of one iteration (s)."""
        return (
            self._linear(prompt_tokens + sequences) + self._per_square * square + self._per_context * context
        )

    def ramp(self, sequences: int, context: int) -> tuple[float, float, int]:
        """One progression for ever: only the context grows."""
        first = self._linear(sequences) + self._per_context * context
        return first, self._per_context * sequences, ALWAYS


def lacking(model: Model, device: Device, precision: str, accelerators: int) -> str:
    """What the catalog does not know of a model on a device, "" if all is there."""
    if model.flop is None or not model.layers:
        return f"the catalog has no layers of {model.name}: it must be a language model whose shape is known"
    if precision not in model.bytes_per_parameter or precision not in device.peak:
        return f"{device.name} has no figure for {precision}; it has {', '.join(device.peak)}"
    if device.bandwidth is None:
        return f"no source states the memory bandwidth of {device.name}"
    if accelerators > 1 and accelerators not in device.all_reduce:
        known = ", ".join(map(str, (1, *device.all_reduce)))
        return f"nobody measured the all-reduce of {accelerators} x {device.name}; known are {known}"
    return ""
