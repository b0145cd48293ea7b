"""How units with shares of one accelerator get on: `paces(names)`, the pace of each at work there.

A unit alone on its device goes at pace 1. Isolated slices (`slices` of a pool) need no such policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from annotated_types import Ge, Gt, Le, Lt

from sim.registry import policy
from sim.units import Fraction


class SharingPolicy(Protocol):
    """What a shared device needs."""

    def paces(self, names: Sequence[str]) -> Sequence[float]:
        """Pace of each unit at work on one device, above 0, by their services or kinds of jobs; 1 for one."""
        ...


@policy("sharing", "time-slicing")
class TimeSlicing:
    """Units at work take turns in equal slices of time, as NVIDIA GPUs do with several processes.

    `overhead` is the share of the time that changing turns takes while more than one is at work.
    Slices are taken to be short against a batch.
    """

    overhead: Annotated[Fraction, Lt(1)] = 0.0

    def paces(self, names: Sequence[str]) -> Sequence[float]:
        """An equal part of the time for each."""
        count = len(names)
        return [1.0 if count == 1 else (1.0 - self.overhead) / count] * count


@policy("sharing", "mps")
class MultiProcess:
    """Units run at the same time (NVIDIA MPS): `gain` times the work of one gets done by two or more.

    Measured on pairs of training jobs: 1.24 in the mean on a V100, 1.16 on a P100 and 0.94 on a K80, where
    sharing loses (Gavel, OSDI 2020); 1.87 on an RTX 3090 (Lucid, ASPLOS 2023). More than two are taken
    to get as much done as two, for want of measurements; none goes faster than alone.
    """

    gain: Annotated[float, Ge(0.1), Le(16)] = 1.24

    def paces(self, names: Sequence[str]) -> Sequence[float]:
        """An equal part of what they get done together."""
        count = len(names)
        return [1.0 if count == 1 else min(1.0, self.gain / count)] * count


@policy("sharing", "interference")
class Interference:
    """Units slow each other down by pairs, as measured.

    With `slowdown: {a: {b: 1.4}}` `a` takes 1.4 times as long while `b` is at work. The names are of services
    and kinds of jobs; a pair that is not named has `default`. Of several others the excesses add up: beside
    `b` (1.4) and `c` (1.2) `a` takes 1.6 times as long. That is a choice: pairs are what is measured.
    """

    slowdown: dict[str, dict[str, Annotated[float, Ge(1), Le(1000)]]]
    default: Annotated[float, Ge(1), Le(1000)] = 1.0

    def paces(self, names: Sequence[str]) -> Sequence[float]:
        """One over the slowdown of each beside all others."""
        return [
            1.0
            / (
                1.0
                + sum(
                    self.slowdown.get(name, {}).get(other, self.default) - 1.0
                    for place, other in enumerate(names)
                    if place != own
                )
            )
            for own, name in enumerate(names)
        ]


@dataclass
class Demand:
    """Shares of a device that a unit uses while it is at work there alone.

    compute: of its arithmetic; the time to compute over the time of a batch.
    bandwidth: of its memory's bandwidth; the time to move data over the time of a batch.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    compute: Annotated[Fraction, Gt(0)] = 1.0
    bandwidth: Annotated[Fraction, Gt(0)] = 1.0


@policy("sharing", "contention")
class Contention:
    """Units at work share arithmetic and bandwidth, a roofline of several: the scarcer one slows them down.

    `demands` are by service or kind of jobs; who is not named uses all of both. While the demands for a
    resource add up to at most 1 nobody is slowed down by it; beyond that everybody gets its demand over
    their sum. All go at the pace of the scarcer resource: one over the greater sum, at most 1.
    """

    demands: dict[str, Demand]

    def paces(self, names: Sequence[str]) -> Sequence[float]:
        """One over the greatest summed demand, the same for all."""
        if len(names) == 1:
            return [1.0]
        whole = Demand()
        here = [self.demands.get(name, whole) for name in names]
        most = max(sum(each.compute for each in here), sum(each.bandwidth for each in here))
        return [min(1.0, 1.0 / most)] * len(names)
