"""How replicas with shares of one accelerator get on: `rate(at_work)`, the pace of each of so many.

A replica alone on its device goes at pace 1. Isolated slices (`slices` of a pool) need no such policy.
"""

from __future__ import annotations

from typing import Annotated, Protocol

from annotated_types import Ge, Le, Lt

from sim.registry import policy
from sim.units import Fraction


class SharingPolicy(Protocol):
    """What a shared device needs."""

    def rate(self, at_work: int) -> float:
        """Pace of each of so many replicas at work on one device, above 0; 1 for one."""
        ...


@policy("sharing", "time-slicing")
class TimeSlicing:
    """Replicas at work take turns in equal slices of time, as NVIDIA GPUs do with several processes.

    `overhead` is the share of the time that changing turns takes while more than one is at work.
    Slices are taken to be short against a batch.
    """

    overhead: Annotated[Fraction, Lt(1)] = 0.0

    def rate(self, at_work: int) -> float:
        """An equal part of the time."""
        return 1.0 if at_work == 1 else (1.0 - self.overhead) / at_work


@policy("sharing", "mps")
class MultiProcess:
    """Replicas run at the same time (NVIDIA MPS): `gain` times the work of one gets done by two or more.

    Measured on pairs of training jobs: 1.24 in the mean on a V100, 1.16 on a P100 and 0.94 on a K80, where
    sharing loses (Gavel, OSDI 2020); 1.87 on an RTX 3090 (Lucid, ASPLOS 2023). More than two are taken
    to get as much done as two, for want of measurements; none goes faster than alone.
    """

    gain: Annotated[float, Ge(0.1), Le(16)] = 1.24

    def rate(self, at_work: int) -> float:
        """An equal part of what they get done together."""
        return 1.0 if at_work == 1 else min(1.0, self.gain / at_work)
