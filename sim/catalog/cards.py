"""What one row of the catalog is: frozen records in SI units, each with its source.

A card is plain data. `verified` is False where a figure of the row could not be traced to a
document; `note` then names it. `None` means that no source states the figure: nothing is invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Power curve: (utilisation 0..1, watts) points, by rising utilisation.
Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator or a processor that runs models.

    Attributes:
        name: key in the catalog.
        kind: gpu, cpu, npu, tpu or soc.
        peak: precision -> FLOP/s (or integer operations/s), dense: no sparsity bonus.
        memory: bytes.
        bandwidth: memory bandwidth in bytes/s, None where no source states it.
        idle_w: watts doing nothing, None where no source allows a figure.
        peak_w: watts under full load (board or module power), None likewise.
        efficiency: share of `peak` that real inference reaches.
        memory_efficiency: share of `bandwidth` that real inference reaches.
        overhead: seconds every batch costs whatever its size (kernel launches, input copy).
        all_reduce: number of accelerators in a machine -> (seconds of a small message, bytes/s of bus
            bandwidth of a large one); empty where nobody measured it.
        source: where the figures come from.
        note: what to know before using the row.
        verified: False if a figure has no document behind it.
    """

    name: str
    kind: str
    peak: Mapping[str, float]
    memory: float
    bandwidth: float | None
    idle_w: float | None
    peak_w: float | None
    efficiency: float
    memory_efficiency: float
    overhead: float
    source: str
    all_reduce: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    note: str = ""
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine that can be rented, or bought for the edge.

    Attributes:
        name: key in the catalog; the provider's own name of the type.
        provider: aws, azure, gcp, lambda, or edge for a box one owns.
        cpu: virtual cores.
        memory: bytes.
        disk: bytes of local disk, 0 where the source states none.
        device: name of its accelerator in the catalog, None for none.
        accelerators: number of them.
        network: bytes/s, None where no source states it.
        price: USD/s on demand, None where no source states it.
        spot_price: USD/s as spare capacity that may be reclaimed, None likewise.
        power: points of its power curve; empty where no source allows one.
        region: where the price holds.
        date: of the price.
        source: where the figures come from.
        note: what to know before using the row.
        verified: False if a figure has no document behind it.
    """

    name: str
    provider: str
    cpu: float
    memory: float
    disk: float
    device: str | None
    accelerators: int
    network: float | None
    price: float | None
    spot_price: float | None
    power: Curve
    region: str
    date: str
    source: str
    note: str = ""
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Model:
    """A neural network as seen by the machine that runs it.

    Attributes:
        name: key in the catalog.
        task: what it does.
        item: what one item is (image, token, sequence ...).
        flop: FLOP of one forward pass over one item (a multiply-add counts two),
            None where no source states it.
        parameters: number of weights.
        bytes_per_parameter: precision -> bytes one weight takes.
        activation_bytes: bytes read and written per item besides the weights.
        input: the input in words.
        active_parameters: weights one item touches (fewer than `parameters` in a mixture of experts).
        kv_bytes_per_token: bytes of key-value cache one token keeps at 16 bits, 0 for other models.
        context: longest input in tokens, 0 for other models.
        layers: of a language model, 0 where no source states them.
        hidden: width of what passes between its layers, likewise.
        attention: width of its queries: heads x their size, likewise.
        experts: in each layer of a mixture of experts, else 0.
        experts_per_token: how many of them a token passes.
        tables: those of the parameters that lie in embedding tables, of recommenders, else 0.
        gathered: numbers that one item reads from these tables.
        decoder: those that every token generated passes, of encoders with a decoder, else 0;
            `flop` is then that of the encoder, keys and values for the decoder included.
        cross: numbers of these keys and values that every token generated reads, of one item.
        quality: measure -> value, as published.
        source: where the figures come from.
        note: what to know before using the row.
        verified: False if a figure has no document behind it.
    """

    name: str
    task: str
    item: str
    flop: float | None
    parameters: float
    bytes_per_parameter: Mapping[str, float]
    activation_bytes: float
    input: str
    source: str
    active_parameters: float = 0.0
    kv_bytes_per_token: float = 0.0
    context: int = 0
    layers: int = 0
    hidden: int = 0
    attention: int = 0
    experts: int = 0
    experts_per_token: int = 0
    tables: float = 0.0
    gathered: float = 0.0
    decoder: float = 0.0
    cross: float = 0.0
    quality: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    verified: bool = True

    def weights(self, precision: str) -> float:
        """Bytes of all weights at a precision.

        Raises:
            KeyError: the precision is not one of `bytes_per_parameter`.
        """
        return self.parameters * self.bytes_per_parameter[precision]


@dataclass(frozen=True, slots=True)
class Grid:
    """Carbon intensity and price of electricity in a zone.

    Attributes:
        name: key in the catalog; zone as Electricity Maps names it.
        mean: g CO2e per joule over the year.
        hourly: the mean of each hour of the day, UTC; 24 equal values where only the mean is known.
        price: wholesale USD per joule over the year, None where no source states it.
        source: where the figures come from.
        note: what to know before using the row.
        verified: False if a figure has no document behind it.
    """

    name: str
    mean: float
    hourly: tuple[float, ...]
    price: float | None
    source: str
    note: str = ""
    verified: bool = True


@dataclass(frozen=True, slots=True)
class LinkKind:
    """A kind of connection between two sites.

    Attributes:
        name: key in the catalog.
        latency: one-way seconds (half of a measured round trip).
        bandwidth: bytes/s, None where no source states it: the scenario must.
        jitter: coefficient of variation of the latency, None where no source states it.
        source: where the figures come from.
        note: what to know before using the row.
        verified: False if a figure has no document behind it.
    """

    name: str
    latency: float
    bandwidth: float | None
    jitter: float | None
    source: str
    note: str = ""
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Preset:
    """The measured shape of a workload.

    Attributes:
        name: key in the catalog.
        kind: llm (token requests), rate (requests over the day) or jobs (training jobs).
        rate: mean arrivals per second, None where the source states none.
        dispersion: variance over mean of arrivals per minute (1 for Poisson), None likewise.
        quantiles: quantity -> {p0 ... p100: value}, as the `empirical` distribution takes them.
            tokens_in, tokens_out in tokens; duration in seconds; workers in accelerators, below 1 a
            share of one.
        shares: quantity -> {value: share of the requests or jobs}.
        curve: relative load over a day in equal steps (mean 1), empty where unknown.
        week: relative load of the days, Monday first (mean 1), empty where unknown.
        bursts: share of the gaps between arrivals that are short, and their mean in seconds; the others
            are so much longer that the rate holds. None where gaps are of one kind.
        source: where the figures come from.
        note: what to know before using the row.
        verified: False if a figure has no document behind it.
    """

    name: str
    kind: str
    rate: float | None
    dispersion: float | None
    source: str
    quantiles: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    week: tuple[float, ...] = ()
    bursts: tuple[float, float] | None = None
    note: str = ""
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """One sourced number: a start-up time, a transfer price, a PUE, embodied carbon.

    Attributes:
        name: key in the catalog.
        value: in SI units (seconds, bytes, bytes/s, USD per byte, g CO2e or a plain ratio).
        dimension: of the value, as `sim.units.show` names it.
        meaning: what was measured.
        source: where the figure comes from.
        note: what to know before using it.
        verified: False if it has no document behind it.
    """

    name: str
    value: float
    dimension: str
    meaning: str
    source: str
    note: str = ""
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """How long an iteration of a language model takes, fitted to measurements.

    Attributes:
        name: key in the catalog: model/device/tpN/precision/engine.
        model: what was served, by its name in the catalog where it is there.
        device: accelerator, likewise.
        accelerators: over how many of them the model was spread (tensor parallelism).
        precision: of the weights.
        engine: software.
        method: whether whole iterations were measured, or kernels and put together.
        base: seconds of any iteration.
        per_prompt_token: seconds per token of a prompt.
        per_square: seconds per token of a prompt and token before it.
        per_sequence: seconds per sequence that generates.
        per_context_token: seconds per token of its context.
        error: mean relative error over the fitted points.
        worst: greatest of them.
        points: how many were fitted.
        licence: of the measurements.
        source: where the measurements come from.
        note: what to know before using the row.
        verified: False if a figure has no document behind it.
    """

    name: str
    model: str
    device: str
    accelerators: int
    precision: str
    engine: str
    method: str
    base: float
    per_prompt_token: float
    per_square: float
    per_sequence: float
    per_context_token: float
    error: float
    worst: float
    points: int
    licence: str
    source: str
    note: str = ""
    verified: bool = True


Card = Device | Instance | Model | Grid | LinkKind | Preset | Figure | Profile
