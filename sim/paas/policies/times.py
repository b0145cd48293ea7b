"""Time models: how long a replica takes to serve a batch.

A time model is a policy with `seconds(batch)`, where `batch` (see `sim.paas.calls.Batch`) has the
number of calls, the sum of their work factors, their tokens and the device. Work factors have mean
1 and are drawn by the application when it makes a request, so arms of a study see the same ones:
a random service time is `constant` here times a distribution there.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Annotated, Protocol

from annotated_types import Ge, Gt, Len

from sim.errors import StratusError
from sim.iaas import roofline
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds

if TYPE_CHECKING:
    from sim.catalog import Model
    from sim.paas.calls import Batch


class TimeModel(Protocol):
    """What a service needs of its time model."""

    def start(self, model: Model | None, precision: str) -> None:
        """Prepare for a model at a precision."""

    def seconds(self, batch: Batch) -> float:
        """Service time of a batch (s)."""


@policy("time", "constant")
class ConstantTime:
    """A batch takes `value` times the mean work factor of its calls, whatever its size."""

    value: PositiveSeconds

    def start(self, model: Model | None, precision: str) -> None:
        """Nothing to prepare."""

    def seconds(self, batch: Batch) -> float:
        """Service time of a batch (s)."""
        return self.value * batch.work / batch.count


@policy("time", "linear")
class LinearTime:
    """A batch takes `base` once and `per_item` for each unit of work in it.

    `base` is what a batch costs whatever its size (launching kernels, copying); `per_item` the
    slope of a measured latency against batch size.
    """

    base: Seconds = 0.0
    per_item: Seconds = 0.0

    def __post_init__(self) -> None:
        if self.base + self.per_item <= 0:
            raise ValueError("`base` and `per_item` are both zero: a batch would take no time")

    def start(self, model: Model | None, precision: str) -> None:
        """Nothing to prepare."""

    def seconds(self, batch: Batch) -> float:
        """Service time of a batch (s)."""
        return self.base + self.per_item * batch.work


@policy("time", "table")
class TableTime:
    """Measured times by batch size, interpolated linearly, times the mean work factor of the calls.

    Below the smallest measured size its time holds: a smaller batch is not assumed to be faster.
    Beyond the largest the last slope goes on (never downward).
    """

    points: Annotated[dict[int, PositiveSeconds], Len(1)]

    def __post_init__(self) -> None:
        if min(self.points) < 1:
            raise ValueError(f"batch sizes begin at 1, got {min(self.points)}")

    def start(self, model: Model | None, precision: str) -> None:
        """Sort the points."""
        self._sizes = sorted(self.points)
        self._times = [self.points[size] for size in self._sizes]
        self._known: dict[int, float] = {}

    def seconds(self, batch: Batch) -> float:
        """Service time of a batch (s)."""
        count = batch.count
        seconds = self._known.get(count)
        if seconds is None:
            seconds = self._known[count] = self._at(count)
        return seconds * batch.work / count

    def _at(self, count: int) -> float:
        sizes, times = self._sizes, self._times
        right = bisect_left(sizes, count)
        if right == 0:
            return times[0]
        if right < len(sizes):
            share = (count - sizes[right - 1]) / (sizes[right] - sizes[right - 1])
            return times[right - 1] + share * (times[right] - times[right - 1])
        if len(sizes) == 1:
            return times[0]
        slope = max(0.0, (times[-1] - times[-2]) / (sizes[-1] - sizes[-2]))
        return times[-1] + slope * (count - sizes[-1])


@policy("time", "roofline")
class RooflineTime:
    """Time from the model's FLOP and bytes against the device: the slower of computing and moving.

    One forward pass reads the weights once and, for each unit of work, its activations; it computes
    the model's FLOP per unit of work. Of a recommender the time to gather embeddings is added.
    `efficiency` is the share of the device's peak reached; without it, the catalog's figure for the
    device holds.
    """

    efficiency: Annotated[Fraction, Gt(0)] | None = None

    def start(self, model: Model | None, precision: str) -> None:
        """Look up what the model costs at this precision."""
        if model is None:
            raise StratusError("time model roofline: the service names no model")
        if model.flop is None:
            raise StratusError(f"the catalog has no FLOP for {model.name}: give a measured time model")
        if precision not in model.bytes_per_parameter:
            known = ", ".join(sorted(model.bytes_per_parameter))
            raise StratusError(f"{model.name} has no {precision} weights in the catalog; it has {known}")
        self._model = model
        self._precision = precision

    def seconds(self, batch: Batch) -> float:
        """Service time of a batch (s)."""
        if batch.device is None:
            raise StratusError(f"time model roofline: no device known that runs {self._model.name}")
        return roofline.batch_seconds(self._model, batch.work, batch.device, self._precision, self.efficiency)


@policy("time", "encoder-decoder")
class EncoderDecoderTime:
    """Speech recognition and the like: a roofline pass of the encoder, then a decoder token by token.

    A unit of work is one input of the model (30 s of audio for Whisper). All inputs of a batch are decoded
    together until the longest has its tokens: those of the call, or `tokens` where it brings none. Each token
    takes the slower of computing and reading the decoder's weights and the encodings, and `overhead` for
    launching its kernels. The default is what the step times of language models have for 32 layers;
    software that launches every kernel by itself takes more.
    """

    tokens: Annotated[int, Ge(1)]
    overhead: Seconds = 1e-3
    efficiency: Annotated[Fraction, Gt(0)] | None = None

    def start(self, model: Model | None, precision: str) -> None:
        """Look up what the model costs at this precision."""
        self._encoder = RooflineTime(self.efficiency)
        self._encoder.start(model, precision)
        assert model is not None, "the encoder has needed it"
        if not model.decoder:
            raise StratusError(f"time model encoder-decoder: {model.name} has no decoder in the catalog")
        self._model = model
        self._precision = precision

    def seconds(self, batch: Batch) -> float:
        """Service time of a batch (s)."""
        encoding = self._encoder.seconds(batch)
        assert batch.device is not None, "the encoder has needed it"
        token = roofline.token_seconds(
            self._model, batch.work, batch.device, self._precision, self.efficiency
        )
        return encoding + (batch.longest_out or self.tokens) * (token + self.overhead)


@policy("time", "tokens")
class TokensTime:
    """A language model by tokens: `base` + `per_input` x prompt tokens + `per_output` x output tokens.

    In a batch the prompts are read one after the other and all calls finish with the longest
    output (static batching). The speed per token does not depend on how many calls are in service:
    no continuous batching, no key-value cache, no preemption. Use it where the number of replicas
    or their place is the question, not the engine.
    """

    per_input: Seconds = 0.0
    per_output: Seconds = 0.0
    base: Seconds = 0.0

    def __post_init__(self) -> None:
        if self.base + self.per_input + self.per_output <= 0:
            raise ValueError("`base`, `per_input` and `per_output` are all zero: a call would take no time")

    def start(self, model: Model | None, precision: str) -> None:
        """Nothing to prepare."""

    def seconds(self, batch: Batch) -> float:
        """Service time of a batch (s)."""
        plain = self.base + self.per_input * batch.tokens_in + self.per_output * batch.longest_out
        return plain * batch.work / batch.count
