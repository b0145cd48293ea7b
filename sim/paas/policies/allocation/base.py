"""What an allocation sees and says: claims of jobs on a supply, answered by shares of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Claim:
    """One job, as far as an allocation may know it.

    Attributes:
        id: the same whenever the job is shown.
        size: accelerators its gang holds with the workers it asked for.
        rates: seconds of work per second on each type, 0 where it cannot run.
        weight: of its claim.
        remaining: seconds of work left, by its user's estimate; infinite without one.
        done: seconds of work done.
        age: seconds since its submission.
        patience: seconds until its deadline; infinite without one.
        workers: it asked for.
        elastic: fewest and most workers it can have.
        speed_up: speed with so many workers against that with those asked for.
    """

    id: int
    size: float
    rates: tuple[float, ...]
    weight: float = 1.0
    remaining: float = inf
    done: float = 0.0
    age: float = 0.0
    patience: float = inf
    workers: int = 1
    elastic: tuple[int, int] = (1, 1)
    speed_up: Callable[[int], float] = float


@dataclass(frozen=True, slots=True)
class Supply:
    """The accelerators there are, by type.

    Attributes:
        names: of the types.
        counts: accelerators of each type.
        prices: US dollars per second of one accelerator of each type.
    """

    names: tuple[str, ...]
    counts: tuple[float, ...]
    prices: tuple[float, ...]


class Allocation(Protocol):
    """Shares of time: for jobs that take turns."""

    def allocate(self, claims: Sequence[Claim], supply: Supply) -> Floats:
        """Share of time each claim (row) should hold its accelerators of each type (column).

        A row sums to 1 at most, and a column weighted with the sizes to the count of its type.
        """
        ...


@runtime_checkable
class Resizing(Protocol):
    """Numbers of workers: for elastic jobs that run side by side."""

    def workers(self, claims: Sequence[Claim], supply: Supply) -> Sequence[int]:
        """Workers each claim should have in the next round, 0 to wait."""
        ...


def usable(claims: Sequence[Claim], supply: Supply) -> NDArray[np.bool_]:
    """Where a claim (row) can run: types (columns) that suit it and have enough accelerators."""
    rates = np.array([claim.rates for claim in claims]).reshape(len(claims), len(supply.counts))
    sizes = np.array([claim.size for claim in claims])
    return (rates > 0) & (sizes[:, None] <= np.array(supply.counts)[None, :] + 1e-9)


def rates_of(claims: Sequence[Claim], supply: Supply, *, agnostic: bool = False) -> Floats:
    """Rates of the claims (rows) by type (columns), 0 where one cannot run.

    Args:
        claims: the jobs.
        supply: the accelerators.
        agnostic: take every type for as fast as every other.
    """
    able = usable(claims, supply)
    if agnostic:
        return able.astype(float)
    rates = np.array([claim.rates for claim in claims]).reshape(able.shape)
    return np.where(able, rates, 0.0)


def isolated(claims: Sequence[Claim], supply: Supply) -> Floats:
    """Each claim's shares if it had 1/n of every type for itself (Gavel, OSDI 2020, section 4.2)."""
    sizes = np.array([claim.size for claim in claims])
    counts = np.array(supply.counts)
    # A gang of s holds s accelerators at once, so 1/n of the cluster is that much less of its time.
    shares = np.where(usable(claims, supply), counts[None, :] / (len(claims) * sizes[:, None]), 0.0)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1.0)
    return shares
