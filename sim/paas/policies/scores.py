"""Which of the possible nodes is best: `score(unit, nodes, candidates)`, a number each, more is better.

The scheduler maps each scorer's numbers to 0..100 over the candidates (lowest 0, highest 100; all
equal: all 0), weights and adds them; the highest sum wins, ties go to the lowest node index.
`nodes.free` does not yet hold the unit that is to be placed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.registry import policy
from sim.units import Number

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Unit

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
_ACCELERATORS = 2


class Score(Protocol):
    """What the scheduler needs of a scorer; `start(scheduler)` is called first if there is one."""

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """One number per candidate, more is better."""
        ...


def _weights(unit: Unit, cpu: float, memory: float, accelerators: float) -> list[tuple[int, float]]:
    """(column, weight) of what counts; accelerators only for a unit that asks for some."""
    wanted = accelerators if unit.resources.accelerators > 0 else 0.0
    return [(k, w) for k, w in enumerate((cpu, memory, wanted)) if w > 0]


def _free_shares(unit: Unit, nodes: Nodes, candidates: Indices, column: int) -> Floats:
    """Share of a resource that would stay free, 0 where the node has none of it."""
    total: Floats = nodes.total[candidates, column]
    left: Floats = nodes.free[candidates, column] - unit.resources[column]
    if total.min() > 0:
        return np.asarray(left / total)
    return np.divide(left, total, out=np.zeros_like(left), where=total > 0)


@policy("score", "least-allocated")
class LeastAllocated:
    """Prefer nodes with the most left over: weighted mean of the free shares, unit included.

    Kubernetes NodeResourcesFit with strategy LeastAllocated, its default, in fractions instead
    of integers. Accelerators count only for units that ask for some, as extended resources do there.
    """

    cpu: Number = 1.0
    memory: Number = 1.0
    accelerators: Number = 1.0

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100: percentage that would stay free."""
        result = np.zeros(len(candidates))
        weights = _weights(unit, self.cpu, self.memory, self.accelerators)
        for column, weight in weights:
            result += weight * _free_shares(unit, nodes, candidates, column)
        return np.asarray(result * (100.0 / sum(w for _, w in weights))) if weights else result


@policy("score", "most-allocated")
class MostAllocated:
    """Prefer the fullest nodes that still fit (bin packing): weighted mean of the used shares.

    Kubernetes NodeResourcesFit with strategy MostAllocated; keeps whole nodes free for large gangs
    and lets elastic pools give empty ones back.
    """

    cpu: Number = 1.0
    memory: Number = 1.0
    accelerators: Number = 1.0

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100: percentage that would be used."""
        result = np.zeros(len(candidates))
        weights = _weights(unit, self.cpu, self.memory, self.accelerators)
        for column, weight in weights:
            used = 1.0 - _free_shares(unit, nodes, candidates, column)
            used[nodes.total[candidates, column] <= 0] = 0.0
            result += weight * used
        return np.asarray(result * (100.0 / sum(w for _, w in weights))) if weights else result


@policy("score", "balanced-allocation")
class BalancedAllocation:
    """Prefer nodes whose resources would be used in equal shares.

    Kubernetes NodeResourcesBalancedAllocation as of v1.22: 1 - standard deviation of the used
    shares (of cpu, memory and, if asked for, accelerators).
    """

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100: 100 where all shares are equal."""
        columns = [column for column, _ in _weights(unit, 1.0, 1.0, 1.0)]
        shares = [np.minimum(1.0 - _free_shares(unit, nodes, candidates, k), 1.0) for k in columns]
        mean = sum(shares) / len(shares)
        variance = sum((share - mean) ** 2 for share in shares) / len(shares)
        return np.asarray(100.0 * (1.0 - np.sqrt(variance)))


@policy("score", "spread")
class Spread:
    """Prefer nodes with the fewest units of the same service or job.

    Kubernetes PodTopologySpread over host names: one node's loss then takes few replicas.
    """

    def start(self, scheduler: Scheduler) -> None:
        """Look where the owners' units are."""
        self._placed = scheduler.placer.placed

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated number of the owner's units on the node."""
        result = np.zeros(len(candidates))
        for node, count in self._placed.get(unit.owner, {}).items():
            at = int(np.searchsorted(candidates, node))
            if at < len(candidates) and candidates[at] == node:
                result[at] = -count
        return result


@policy("score", "cheapest")
class Cheapest:
    """Prefer the nodes with the lowest price per hour."""

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated price."""
        return np.asarray(-nodes.price[candidates])


@policy("score", "first-fit")
class FirstFit:
    """Prefer the node that was added first."""

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated index."""
        return np.asarray(-candidates.astype(np.float64))


@policy("score", "random")
class RandomNode:
    """Prefer no node: uniformly at random among those that fit, from its own seeded stream."""

    def start(self, scheduler: Scheduler) -> None:
        """Take the stream of random numbers."""
        self._rng = scheduler.ctx.streams.stream("paas/scheduler/random")

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Uniform on [0, 1)."""
        return self._rng.random(len(candidates))
