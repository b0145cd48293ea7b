"""What units prefer: labels, no taints, good company, what is on the disk. Numbers, and scorers of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.paas.company import Census, spread_out
from sim.paas.labels import fulfils
from sim.paas.policies.scores.base import Floats, Indices
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes, Placer
    from sim.paas.units import Unit


def untolerated(unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
    """Number of PreferNoSchedule taints that the unit does not tolerate."""
    tolerations = unit.rules.tolerations
    counts = [
        sum(
            taint.effect == "PreferNoSchedule" and not any(each.covers(taint) for each in tolerations)
            for taint in kind.taints
        )
        for kind in nodes.kinds
    ]
    if not any(counts):
        return np.zeros(len(candidates))
    return np.array(counts, dtype=np.float64)[nodes.kind_id[candidates]]


def preferred(unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
    """Sum of the weights of the unit's preferred terms that hold."""
    result = np.zeros(len(nodes.ready) if unit.rules.preferred else len(candidates))
    for weight, term in unit.rules.preferred:
        result += weight * fulfils(nodes, term)
    return result[candidates] if unit.rules.preferred else result


def company(unit: Unit, nodes: Nodes, candidates: Indices, census: Census, required: float) -> Floats:
    """Weights of all preferences about company that the node would meet, per unit met, minus the dislikes.

    What the unit prefers, what those that run prefer of it, and `required` for each that must be near it.
    """
    if not unit.rules.company and not census.rules:
        return np.zeros(len(candidates))
    result = np.zeros(len(nodes.ready))
    for rule in unit.rules.company:
        if rule.weight is not None:
            around = census.around(nodes, rule.names or (unit.owner,), rule.topology)
            result += (-rule.weight if rule.apart else rule.weight) * around
    for rule, where in census.against(unit):
        weight = rule.weight if rule.weight is not None else 0.0 if rule.apart else required
        here = np.zeros(len(nodes.ready))
        here[list(where)] = list(where.values())
        result += (-weight if rule.apart else weight) * spread_out(here, nodes, rule.topology)
    return result[candidates]


@policy("score", "taints")
class FewTaints:
    """Prefer nodes with the fewest PreferNoSchedule taints that the unit does not tolerate."""

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated number of taints."""
        return -untolerated(unit, nodes, candidates)


@policy("score", "node-affinity")
class LikedLabels:
    """Prefer nodes whose labels the unit prefers: sum of the weights of the terms that hold."""

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Sum of weights."""
        return preferred(unit, nodes, candidates)


@policy("score", "unit-affinity")
class LikedCompany:
    """Prefer nodes near units that the unit (or they) would like near, and far from the others."""

    def attach(self, placer: Placer) -> None:
        """Look where units are."""
        self._census = placer.census

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Sum of weights; a must of another unit to be near counts 1."""
        return company(unit, nodes, candidates, self._census, 1.0)


@policy("score", "image-locality")
class ImageLocality:
    """Prefer nodes that have the unit's image and weights on their disk: no pull, a faster start."""

    def attach(self, placer: Placer) -> None:
        """Look at the nodes' disks."""
        self._nodes = placer.cluster.nodes

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Bytes that need not be pulled."""
        result = np.zeros(len(candidates))
        if unit.artifacts:
            for place, at in enumerate(candidates.tolist()):
                there = self._nodes[at].artifacts
                result[place] = sum(size for name, size in unit.artifacts if name in there)
        return result
