"""What a language model's engine may have besides: a pipeline of stages, drafts, adapters."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from sim.paas.llm.adapters import BYTES_PER_RANK, Adapters, overhead
from sim.paas.llm.roofline import ACTIVATION
from sim.paas.llm.speculation import Speculation, acceptance_of
from sim.units import BytesPerSecond, Fraction, Number, Seconds

if TYPE_CHECKING:
    from sim.catalog import Model
    from sim.kernel.streams import RandomStreams

#: Requests whose adapters are drawn at once.
_BLOCK = 4096


@dataclass
class Pipeline:
    """The model's layers in stages, each on an equal share of the replica's accelerators.

    Up to `stages` iterations are under way, and a sequence is in one of them. Each stage takes its share
    of an iteration's time, and, but for the last, `latency` and, where the `bandwidth` is given and the
    catalog knows the model's width, the time that 2 bytes x width x tokens take to the next.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    stages: Annotated[int, Ge(2), Le(64)]
    latency: Seconds = 0.0
    bandwidth: BytesPerSecond | None = None

    def hop(self, model: Model | None) -> Callable[[int], float]:
        """Seconds that so many tokens take from a stage to the next."""
        each = 0.0
        if self.bandwidth is not None and model is not None:
            each = ACTIVATION * model.hidden / self.bandwidth
        return lambda tokens: self.latency + tokens * each


@dataclass
class Speculate:
    """Speculative decoding (Leviathan et al., ICML 2023).

    In every iteration `drafts` tokens are drafted for each sequence that generates, each at `cost` x the
    time of an iteration without prompts, and verified together as tokens of a prompt would be
    processed. Each is accepted with the probability `acceptance` if those before it were; instead of that,
    `length` may give the mean number of tokens of an iteration, the model's own included, as vLLM and reports
    of models state it. (Their rate of acceptance counts all drafts, and is lower.) Where `accepted` is
    `expected`, as many are accepted as in the mean, fractions being carried over, instead of being drawn.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    drafts: Annotated[int, Ge(1), Le(64)]
    acceptance: Fraction | None = None
    length: Annotated[float, Ge(1)] | None = None
    cost: Annotated[float, Ge(0), Le(10)] = 0.0
    accepted: Literal["drawn", "expected"] = "drawn"

    def __post_init__(self) -> None:
        if (self.acceptance is None) == (self.length is None):
            raise ValueError("give `acceptance` or `length`, one of the two")
        if self.length is not None and self.length > self.drafts + 1:
            raise ValueError(f"`length`: {self.drafts} drafts give at most {self.drafts + 1} tokens")

    @property
    def chance(self) -> float:
        """Probability that a draft is accepted if those before it were."""
        if self.acceptance is not None:
            return self.acceptance
        assert self.length is not None
        return acceptance_of(self.drafts, self.length)

    def build(self, streams: RandomStreams | None, path: str) -> Speculation:
        """For one engine; without streams as many are accepted as expected."""
        draw = None
        if streams is not None and self.accepted == "drawn":
            draw = streams.uniforms(f"{path}/drafts")
        return Speculation(self.drafts, self.chance, self.cost, draw)


@dataclass
class LowRank:
    """Low-rank adapters (LoRA) of the calls, in `slots` of each replica.

    Each call needs, with the probability `share`, one of `count` adapters of a `rank`, the n-th most
    popular in proportion to n^-popularity (Zipf). Which, is drawn by the number of its request, so that
    every policy sees the same. One that is not in a slot is loaded at the start of an iteration, which
    takes `load` + its 2 MB per rank over `bandwidth`, and pushes out the least recently used. Slots take
    memory from the cache. Each adapter in an iteration makes it longer by `overhead`; unless given, by
    BLIS's figures of 2 % at rank 8, 3.5 % at 16, 6 % at 32. Whoever finds all slots used by those with a
    place is passed by (vLLM).
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    slots: Annotated[int, Ge(1), Le(10_000)]
    count: Annotated[int, Ge(1), Le(100_000)]
    rank: Annotated[int, Ge(1), Le(4096)] = 16
    popularity: Annotated[Number, Le(10)] = 1.0
    share: Annotated[Fraction, Gt(0)] = 1.0
    load: Seconds = 1.5e-3
    bandwidth: BytesPerSecond = 2e12
    overhead: Fraction | None = None

    @property
    def bytes(self) -> float:
        """What the slots take of the memory."""
        return self.slots * self.rank * BYTES_PER_RANK

    def build(self) -> Adapters:
        """The slots of one engine."""
        each = overhead(self.rank) if self.overhead is None else self.overhead
        return Adapters(self.slots, self.load + self.rank * BYTES_PER_RANK / self.bandwidth, each)


class Choice:
    """Which adapter a request needs, known by its number.

    Args:
        spec: how many there are, and how popular.
        rng: drawn from in the order of the numbers, whoever asks first.
    """

    def __init__(self, spec: LowRank, rng: np.random.Generator) -> None:
        weights = np.arange(1, spec.count + 1, dtype=float) ** -spec.popularity
        # Beyond the last bound lies "none".
        self._bounds: list[float] = (np.cumsum(weights) / np.sum(weights) * spec.share).tolist()
        if spec.share == 1.0:
            self._bounds[-1] = 1.0
        self._rng = rng
        self._drawn = array("d")

    def of(self, number: int) -> int | None:
        """The adapter of a request; None: it needs none."""
        while len(self._drawn) <= number:
            self._drawn.extend(self._rng.random(_BLOCK))
        place = bisect_right(self._bounds, self._drawn[number])
        return place if place < len(self._bounds) else None
