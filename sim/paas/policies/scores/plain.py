"""Without looking at what a node has left: the first, the cheapest, any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.iaas.resources import TOLERANCE
from sim.iaas.room import FIRST
from sim.paas.policies.scores.base import Floats, Indices
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Unit


@policy("score", "first-fit")
class FirstFit:
    """Prefer the node that was added first."""

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated index."""
        return np.asarray(-candidates.astype(np.float64))


@policy("score", "cheapest")
class Cheapest:
    """Prefer the nodes with the lowest price per hour."""

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated price."""
        return np.asarray(-nodes.price[candidates])


@policy("score", "random")
class RandomNode:
    """Prefer no node: uniformly at random among those that fit, from its own seeded stream.

    A share of a device comes from any of the node's that have enough left.
    """

    def start(self, scheduler: Scheduler) -> None:
        """Take the stream of random numbers."""
        self._rng = scheduler.ctx.streams.stream("paas/scheduler/random")

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Uniform on [0, 1)."""
        return self._rng.random(len(candidates))

    def device(self, unit: Unit, nodes: Nodes, at: int) -> int:
        """One of the node's devices with enough left, all alike."""
        fit = np.flatnonzero(nodes.room[at, FIRST:] >= unit.resources.accelerators * (1.0 - TOLERANCE))
        return int(fit[self._rng.integers(len(fit))])
