"""PodDisruptionBudgets: how many replicas may be evicted at a time.

Source: kubernetes/pkg/controller/disruption/disruption.go (policy/v1) and kubernetes/autoscaler
cluster-autoscaler/core/scaledown/pdb/basic.go, read mid-2026.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sim.paas.autoscaling.packing import Pod


@dataclass(frozen=True, slots=True)
class DisruptionBudget:
    """A PodDisruptionBudget: one of both, as a number of pods or a share of those expected.

    Attributes:
        min_available: healthy pods that must remain.
        max_unavailable: pods that may be missing.
    """

    min_available: int | float | None = None
    max_unavailable: int | float | None = None

    def desired(self, expected: int) -> int:
        """Healthy pods that must remain of so many; shares of both kinds are rounded up."""
        if self.min_available is not None:
            return _scaled(self.min_available, expected)
        if self.max_unavailable is not None:
            return max(0, expected - _scaled(self.max_unavailable, expected))
        return 0

    def allowed(self, healthy: int, expected: int) -> int:
        """Pods that may be evicted now, of so many that are healthy."""
        return max(0, healthy - self.desired(expected)) if expected > 0 else 0


def _scaled(value: int | float, expected: int) -> int:
    """A whole number as it is, a share of the pods rounded up."""
    return value if isinstance(value, int) else math.ceil(value * expected - 1e-9)


class Removal(NamedTuple):
    """Whether pods may be evicted at all, one after the other, and whether all at once."""

    any: bool
    at_once: bool


@dataclass
class Remaining:
    """What is left of the budgets while evictions are planned one after the other."""

    _used: Counter[str] = field(default_factory=Counter)

    def can_remove(self, pods: Sequence[Pod]) -> Removal:
        """Whether the pods of a node may go; not if any budget over one of them allows nothing."""
        asked: Counter[str] = Counter()
        at_once = True
        for pod in pods:
            for name, allowed in pod.budgets.items():
                left = allowed - self._used[name]
                if left < 1:
                    return Removal(False, False)
                asked[name] += 1
                at_once = at_once and asked[name] <= left
        return Removal(True, at_once)

    def remove(self, pods: Sequence[Pod]) -> None:
        """Note that these pods will go."""
        for pod in pods:
            self._used.update(list(pod.budgets))
