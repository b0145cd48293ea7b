"""Without looking at what a node has left: the first, the cheapest, any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
    """Prefer no node: uniformly at random among those that fit, from its own seeded stream."""

    def start(self, scheduler: Scheduler) -> None:
        """Take the stream of random numbers."""
        self._rng = scheduler.ctx.streams.stream("paas/scheduler/random")

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Uniform on [0, 1)."""
        return self._rng.random(len(candidates))
