"""Why each unit went where it went, or waits: rows of the `decisions` table.

The placer shows what it saw; filters and scorers know nothing of it, and no scorer is asked twice
(a random one would answer otherwise).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.iaas.nodes import Cluster
from sim.kernel.context import Context
from sim.paas.policies.filters import Filter, Mask
from sim.paas.policies.scores import Floats, Indices, Score
from sim.paas.units import Group, Unit

#: With `sampled`, the attempts of one group in so many are recorded.
SAMPLE = 100
#: So many of the best candidates are shown with their points.
FINALISTS = 5


class DecisionLog:
    """Records the attempts of every `every`-th group.

    Attributes:
        active: whether the present group is recorded; the placer looks here first.
    """

    def __init__(
        self, ctx: Context, cluster: Cluster, scores: Sequence[tuple[Score, float]], every: int
    ) -> None:
        self.active = False
        self._kernel = ctx.kernel
        self._table = ctx.recorder.table("decisions")
        self._cluster = cluster
        self._names = [str(getattr(policy, "policy", type(policy).__name__)) for policy, _ in scores]
        self._weights = [weight for _, weight in scores]
        self._every = every
        self._seen: list[tuple[Unit, str, int, dict[str, int], dict[str, dict[str, float]]]] = []

    def begin(self, group: Group) -> None:
        """An attempt to place this group begins."""
        self.active = group.id % self._every == 0
        self._seen.clear()

    def looked(
        self,
        unit: Unit,
        filters: Sequence[Filter],
        also: Mask | None,
        candidates: Indices,
        at: int,
        points: list[NDArray[np.float64]],
    ) -> None:
        """The placer filtered and scored for one unit, and chose node `at` (-1 for none)."""
        rejected = self._reasons(unit, filters, also)
        node = self._cluster.nodes[at].name if at >= 0 else ""
        self._seen.append((unit, node, len(candidates), rejected, self._finalists(candidates, points)))

    def short(self, unit: Unit, filters: Sequence[Filter]) -> None:
        """There are too few places for all units of the group; none was tried."""
        if self.active:
            rejected = self._reasons(unit, filters, None)
            left = len(self._cluster.nodes) - sum(rejected.values())
            if left:
                rejected["too few places for the whole group"] = left
            self._seen.append((unit, "", 0, rejected, {}))

    def end(self, bound: bool) -> None:
        """The attempt is over: a row for each unit bound, or one for the unit that found no place."""
        if not self.active:
            return
        self.active = False
        now = self._kernel.now
        for unit, node, candidates, rejected, scores in self._seen if bound else self._seen[-1:]:
            outcome = "bound" if bound else "waiting"
            row = (unit.id, unit.owner, outcome, node, candidates, json.dumps(rejected), json.dumps(scores))
            self._table.add((now, *row))

    def _reasons(self, unit: Unit, filters: Sequence[Filter], also: Mask | None) -> dict[str, int]:
        """How many nodes each filter was the first to reject."""
        ok = np.ones(len(self._cluster.nodes), dtype=np.bool_)
        found: dict[str, int] = {}
        for policy in filters:
            out = policy.reject(unit, self._cluster) & ok
            if out.any():
                found[policy.reason] = found.get(policy.reason, 0) + int(out.sum())
                ok &= ~out
        if also is not None and (ok & ~also).any():
            found["would delay the group at the head"] = int((ok & ~also).sum())
        return found

    def _finalists(self, candidates: Indices, points: list[Floats]) -> dict[str, dict[str, float]]:
        if not points:
            return {}
        total = sum(weight * part for weight, part in zip(self._weights, points, strict=True))
        best = np.argsort(-np.asarray(total), kind="stable")[:FINALISTS]
        return {
            self._cluster.nodes[candidates[i]].name: {
                name: round(float(part[i]), 2) for name, part in zip(self._names, points, strict=True)
            }
            for i in best
        }
