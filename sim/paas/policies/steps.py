"""Step times: how long one iteration of a language model's engine takes.

A policy has `build(model, precision, device, accelerators)`, which gives the step times of a replica
(see `sim.paas.llm.times`). Linear ones take `base` + `per_prompt_token` x prompt tokens + `per_square` x
the sum of chunk x (tokens before it + chunk / 2) + `per_sequence` x sequences that generate +
`per_context_token` x the sum of their contexts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol

from annotated_types import Ge, Gt, Len

from sim import catalog
from sim.errors import StratusError
from sim.paas.llm.profiles import read_profile
from sim.paas.llm.roofline import RooflineSteps
from sim.paas.llm.times import LinearSteps, StepTimes, TableSteps
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds

if TYPE_CHECKING:
    from sim.catalog import Device, Model, Profile


class StepPolicy(Protocol):
    """What an engine's policy needs."""

    def build(
        self, model: Model | None, precision: str, device: Device | None, accelerators: int
    ) -> StepTimes:
        """The step times of a replica."""


@policy("steps", "linear")
class Linear:
    """`base` + `per_prompt_token` P + `per_square` Q + `per_sequence` B + `per_context_token` C.

    P are the prompt tokens of the iteration, Q the sum of chunk x (tokens before it + chunk / 2), B the
    sequences that generate, C the sum of their contexts in tokens.
    """

    base: Seconds = 0.0
    per_prompt_token: Seconds = 0.0
    per_sequence: Seconds = 0.0
    per_context_token: Seconds = 0.0
    per_square: Seconds = 0.0

    def __post_init__(self) -> None:
        if (
            self.base + self.per_sequence + self.per_context_token <= 0
            or self.base + self.per_prompt_token <= 0
        ):
            raise ValueError("`base` and the coefficients are zero: an iteration would take no time")

    def build(
        self, model: Model | None, precision: str, device: Device | None, accelerators: int
    ) -> StepTimes:
        """The step times of a replica."""
        return LinearSteps(
            self.base, self.per_prompt_token, self.per_sequence, self.per_context_token, self.per_square
        )


@policy("steps", "table")
class Table:
    """Measured times, interpolated: by prompt tokens, and by (sequences, sum of their contexts).

    Between the points the time is linear, beyond them the last slope goes on, below them the first holds.
    An iteration with prompts and generation takes the prompts' time and what generating takes beyond
    the smallest entry of its table.

    prompts: prompt tokens of an iteration -> time.
    generation: sequences -> (sum of their contexts in tokens -> time).
    """

    prompts: Annotated[dict[int, PositiveSeconds], Len(1)]
    generation: Annotated[dict[int, dict[int, PositiveSeconds]], Len(1)]

    def __post_init__(self) -> None:
        if min(self.prompts) < 1 or min(self.generation) < 1:
            raise ValueError("prompt tokens and sequences begin at 1")
        for count, row in self.generation.items():
            if not row:
                raise ValueError(f"`generation` of {count} sequences has no entry")

    def build(
        self, model: Model | None, precision: str, device: Device | None, accelerators: int
    ) -> StepTimes:
        """The step times of a replica."""
        return TableSteps(self.prompts, self.generation)


@policy("steps", "profile")
class FromProfile:
    """Coefficients fitted to measurements: a row of the catalog, or a file of `stratus calibrate`.

    The catalog's rows are called model/device/tpN/precision/engine (`stratus list profiles`). Without a
    name or a file the row of the service's model, precision, device and number of accelerators is
    taken; one that was measured goes before one put together from kernels.

    name: row of the catalog.
    file: written by `stratus calibrate`; relative to the folder of the scenario.
    """

    name: str | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None and self.file is not None:
            raise ValueError("give a `name` or a `file`, not both")

    def build(
        self, model: Model | None, precision: str, device: Device | None, accelerators: int
    ) -> StepTimes:
        """The step times of a replica."""
        if self.file is not None:
            return read_profile(self.file)
        if self.name is not None:
            return _linear(catalog.profile(self.name))
        if model is None or device is None:
            raise StratusError("step times profile: name a row, or give the service a model and a device")
        return _linear(catalog.profile(choose(model.name, precision, device.name, accelerators)))


@policy("steps", "roofline")
class Roofline:
    """Times from the model's layers and the device's limits; see `sim.paas.llm.roofline`.

    Needs the service's `model` (with its layers in the catalog) and a device; the model is spread over
    the accelerators of the replica. Fitted on Llama 3.1 8B alone: docs/llm-accuracy.md has its errors.

    compute_efficiency: share of the peak that large matrix products reach.
    memory_efficiency: share of the memory bandwidth that is reached.
    overhead: of any iteration.
    layer_overhead: of a layer, for launching its kernels.
    """

    compute_efficiency: Annotated[Fraction, Gt(0)] = 0.7
    memory_efficiency: Annotated[Fraction, Gt(0)] = 0.82
    overhead: Annotated[Seconds, Ge(0)] = 0.4e-3
    layer_overhead: Annotated[Seconds, Ge(0)] = 20e-6

    def build(
        self, model: Model | None, precision: str, device: Device | None, accelerators: int
    ) -> StepTimes:
        """The step times of a replica."""
        if model is None or device is None:
            raise StratusError("step times roofline: the service needs a model, and its node a device")
        return RooflineSteps(
            model,
            device,
            precision,
            accelerators,
            self.compute_efficiency,
            self.memory_efficiency,
            self.overhead,
            self.layer_overhead,
        )


def choose(model: str, precision: str, device: str, accelerators: int) -> str:
    """Name of the best row of the catalog: measured before put together, then the smallest error.

    Raises:
        StratusError: there is none; the message names the rows that come nearest.
    """
    rows = [catalog.profile(name) for name in catalog.names("profile")]
    same = [
        row
        for row in rows
        if (row.model, row.precision, row.device, row.accelerators)
        == (model, precision, device, accelerators)
    ]
    if same:
        return min(same, key=lambda row: (row.method != "measured", row.error, row.name)).name
    near = [row.name for row in rows if row.model == model and row.device == device]
    near = near or [row.name for row in rows if row.model == model]
    more = " and others (`stratus list profiles`)" if len(near) > 3 else ""
    hint = f"; it has {', '.join(near[:3])}{more}" if near else ": try `steps: roofline`"
    raise StratusError(
        f"the catalog has no profile of {model} in {precision} on {accelerators} x {device}{hint}"
    )


def _linear(row: Profile) -> LinearSteps:
    return LinearSteps(
        row.base, row.per_prompt_token, row.per_sequence, row.per_context_token, row.per_square
    )
