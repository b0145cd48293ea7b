"""The decision of a HorizontalPodAutoscaler at one synchronisation, from what its metrics propose.

Source: kubernetes/pkg/controller/podautoscaler/horizontal.go (`reconcileAutoscaler`), read in
v1.20.2 and mid-2026; the newer rule where they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sim.paas.autoscaling.hpa_behaviour import (
    DOWNSCALE_STABILISATION,
    Log,
    Rules,
    limit,
    limit_plain,
    stabilise,
    stabilise_plain,
)


@dataclass(frozen=True)
class Behaviour:
    """`spec.behavior`: both directions, defaults filled in."""

    up: Rules
    down: Rules


class Decision(NamedTuple):
    """What one synchronisation decided.

    Attributes:
        desired: largest proposal of the metrics; the outcome where none was looked at.
        stabilised: after the windows.
        replicas: the outcome.
        reason: why: a condition's reason in upstream's words.
    """

    desired: int
    stabilised: int
    replicas: int
    reason: str


def largest(proposals: Sequence[int | None], current: int) -> int | None:
    """The proposal that counts among several metrics; None if there must be no scaling.

    Args:
        proposals: one per metric, None for a metric that failed.
        current: replicas now asked for. A failed metric forbids going below.
    """
    valid = [proposal for proposal in proposals if proposal is not None]
    if not valid or (len(valid) < len(proposals) and max(valid) < current):
        return None
    return max(valid)


@dataclass
class Controller:
    """The memory of one autoscaler between synchronisations.

    Attributes:
        minimum: `spec.minReplicas`.
        maximum: `spec.maxReplicas`.
        behaviour: `spec.behavior`; without it the older, simpler rules hold.
        stabilisation: the controller's downscale stabilisation (s), for autoscalers without behaviour.
        from_zero: whether the metrics can scale from zero, which Object and External metrics can.
        scaled_to_zero: whether this autoscaler, not a person, went to zero.
        recommended: earlier proposals.
        added: replicas added, by moment; kept with behaviour only.
        removed: replicas removed.
    """

    minimum: int = 1
    maximum: int = 10
    behaviour: Behaviour | None = None
    stabilisation: float = DOWNSCALE_STABILISATION
    from_zero: bool = False
    scaled_to_zero: bool = False
    recommended: Log = field(default_factory=list)
    added: Log = field(default_factory=list)
    removed: Log = field(default_factory=list)

    def reconcile(self, current: int, proposals: Sequence[int | None], now: float) -> Decision:
        """Decide, and remember the outcome as applied.

        Args:
            current: replicas now asked for.
            proposals: of the metrics, None for one that failed.
            now: moment (s).
        """
        if not self.recommended:
            self.recommended.append((now, current))
        decision = self._decide(current, proposals, now)
        if decision.replicas != current:
            self._applied(current, decision.replicas, now)
        return decision

    def looks_at_metrics(self, current: int) -> bool:
        """Whether the metrics decide: not out of bounds, and not if a person scaled to zero."""
        if current == 0:
            return self.scaled_to_zero and (self.minimum != 0 or self.from_zero)
        return self.minimum <= current <= self.maximum

    def _decide(self, current: int, proposals: Sequence[int | None], now: float) -> Decision:
        if not self.looks_at_metrics(current):
            if current == 0:
                return Decision(0, 0, 0, "ScalingDisabled")
            bound = self.maximum if current > self.maximum else self.minimum
            reason = "TooManyReplicas" if current > self.maximum else "TooFewReplicas"
            return Decision(bound, bound, bound, reason)
        desired = largest(proposals, current)
        if desired is None:
            return Decision(current, current, current, "FailedComputeMetricsReplicas")
        steady, limited = self._normalise(desired, current, now)
        replicas, reason = limited
        if reason == "DesiredWithinRange" and steady != desired:
            reason = "ScaleUpStabilized" if desired >= current else "ScaleDownStabilized"
        if current == 0 and replicas < self.minimum:
            replicas, reason = self.minimum, "TooFewReplicas"
        return Decision(desired, steady, replicas, reason)

    def _normalise(self, desired: int, current: int, now: float) -> tuple[int, tuple[int, str]]:
        rules = self.behaviour
        if rules is None:
            steady = stabilise_plain(desired, self.recommended, now, self.stabilisation)
            _remember(self.recommended, now, desired, self.stabilisation)
            return steady, limit_plain(steady, current, self.minimum, self.maximum)
        up, down = rules.up, rules.down
        steady = stabilise(desired, current, self.recommended, now, up.window, down.window)
        _remember(self.recommended, now, desired, max(up.window, down.window))
        bounds = self.minimum, self.maximum
        return steady, limit(steady, current, *bounds, up, down, self.added, self.removed, now)

    def _applied(self, before: int, after: int, now: float) -> None:
        self.scaled_to_zero = after == 0 and self.minimum == 0 and self.from_zero
        if self.behaviour is None:
            return
        rates = self.behaviour.up.policies + self.behaviour.down.policies
        longest = max(rate.period for rate in rates)
        if after > before:
            _remember(self.added, now, after - before, longest)
        else:
            _remember(self.removed, now, before - after, longest)


def _remember(log: Log, now: float, value: int, keep: float) -> None:
    """Append, and forget what no window can reach any more."""
    while log and now - log[0][0] > keep:
        log.pop(0)
    log.append((now, value))
