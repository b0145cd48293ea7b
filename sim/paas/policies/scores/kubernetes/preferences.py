"""Kubernetes' scorers of taints, labels, company, spreading and images, in whole numbers as upstream."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from sim.paas.labels import domains
from sim.paas.policies.scores.base import Floats, Indices, alike
from sim.paas.policies.scores.kubernetes import arithmetic
from sim.paas.policies.scores.preferences import company, preferred, untolerated
from sim.paas.rules import SpreadRule
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes, Placer
    from sim.paas.units import Unit

#: What upstream spreads over that says nothing itself: hosts with skew 3, zones with skew 5.
SYSTEM_DEFAULTS = (SpreadRule("node", 3, required=False), SpreadRule("site", 5, required=False))


@policy("score", "TaintToleration")
class TaintToleration:
    """Kubernetes' score of the same name: 100 for the fewest PreferNoSchedule taints not tolerated."""

    final: ClassVar[bool] = True

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100, whole."""
        if not any(kind.taints for kind in nodes.kinds):
            return alike(arithmetic.MOST, candidates)
        counts = untolerated(unit, nodes, candidates).astype(np.int64)
        return arithmetic.default_normalised(counts, reverse=True).astype(np.float64)


@policy("score", "NodeAffinity")
class NodeAffinity:
    """Kubernetes' score of the same name: weights of the preferred terms that hold, the highest is 100."""

    final: ClassVar[bool] = True

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100, whole."""
        if not unit.rules.preferred:
            return alike(0.0, candidates)
        sums = preferred(unit, nodes, candidates).astype(np.int64)
        return arithmetic.default_normalised(sums).astype(np.float64)


@policy("score", "InterPodAffinity")
class InterPodAffinity:
    """Kubernetes' score of the same name: preferences for and against other units, of both sides.

    A unit that runs and must be near units like this one counts `hard`.
    """

    final: ClassVar[bool] = True

    hard: Annotated[int, Ge(0), Le(100)] = 1

    def attach(self, placer: Placer) -> None:
        """Look where units are."""
        self._census = placer.census

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100, whole."""
        if not unit.rules.company and not self._census.rules:
            return alike(0.0, candidates)
        sums = company(unit, nodes, candidates, self._census, float(self.hard)).astype(np.int64)
        return arithmetic.span_normalised(sums).astype(np.float64)


@policy("score", "PodTopologySpread")
class PodTopologySpread:
    """Kubernetes' score of the same name: few units of the same service or job in the node's domains.

    Units that say nothing are spread over nodes (skew 3) and sites (skew 5), upstream's defaults.
    """

    final: ClassVar[bool] = True

    def attach(self, placer: Placer) -> None:
        """Look where units are."""
        self._census = placer.census

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100, whole."""
        soft = [rule for rule in unit.rules.spread if not rule.required]
        if unit.rules.spread and not soft:
            return alike(0.0, candidates)
        if unit.owner not in self._census.placed:
            # Nowhere more than elsewhere.
            return alike(arithmetic.MOST, candidates)
        total = np.zeros(len(candidates))
        for rule in soft or SYSTEM_DEFAULTS:
            around = self._census.around(nodes, (unit.owner,), rule.topology)[candidates]
            here = domains(nodes, rule.topology)[candidates]
            count = len(candidates) if rule.topology == "node" else len(np.unique(here))
            total += around * log(count + 2)
            total += rule.max_skew - 1
        # Half away from zero, as Go rounds.
        scores = np.floor(total + 0.5).astype(np.int64)
        return arithmetic.spread_normalised(scores).astype(np.float64)


@policy("score", "ImageLocality")
class KubernetesImageLocality:
    """Kubernetes' score of the same name: bytes of the unit's image and weights that the node has.

    Each counts in proportion to the nodes that have it, between thresholds of 23 MiB and 1000 MiB.
    """

    final: ClassVar[bool] = True

    def attach(self, placer: Placer) -> None:
        """Look at the nodes' disks."""
        self._nodes = placer.cluster.nodes

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """0..100, whole."""
        if not unit.artifacts:
            return alike(0.0, candidates)
        found = np.zeros(len(candidates), dtype=np.int64)
        for name, size in unit.artifacts:
            holders = [node.index for node in self._nodes if name in node.artifacts]
            # Upstream multiplies by the share of the nodes and cuts the rest off.
            counts = int(size * (len(holders) / len(self._nodes)))
            found[np.isin(candidates, holders)] += counts
        return arithmetic.image_locality(found, 1).astype(np.float64)
