"""KEDA: it decides between nothing and something, and leaves the rest to an HPA that it makes.

Source: kedacore/keda pkg/scaling/executor/scale_scaledobjects.go, pkg/fallback/fallback.go and
apis/keda/v1alpha1/scaledobject_types.go, read mid-2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FallbackBehaviour = Literal["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]


@dataclass(frozen=True)
class ScaledObject:
    """The fields of a ScaledObject that decide between idle and active.

    Attributes:
        minimum: `minReplicaCount`.
        maximum: `maxReplicaCount`.
        idle: `idleReplicaCount`; None where not in use.
        cooldown: seconds without activity before it goes to zero or idle.
        initial_cooldown: seconds after its creation before it may go there without ever having been active.
        polling: seconds between two looks.
        paused: replicas to hold, by annotation; None where not paused.
        pause_scale_in: whether it must not go down.
        pause_scale_out: whether it must not go up.
        fallback: replicas for triggers that fail; None without a fallback.
    """

    minimum: int = 0
    maximum: int = 100
    idle: int | None = None
    cooldown: float = 300.0
    initial_cooldown: float = 0.0
    polling: float = 30.0
    paused: int | None = None
    pause_scale_in: bool = False
    pause_scale_out: bool = False
    fallback: int | None = None


def hpa_bounds(scaled: ScaledObject) -> tuple[int, int]:
    """(minReplicas, maxReplicas) of the HPA that KEDA makes."""
    return max(1, scaled.minimum), scaled.maximum


def is_active(values: Sequence[float | None], activations: Sequence[float]) -> bool:
    """Whether any trigger is above its activation threshold (strictly); None is a trigger that failed."""
    return any(
        value is not None and value > activation
        for value, activation in zip(values, activations, strict=True)
    )


@dataclass
class Executor:
    """The memory of one ScaledObject.

    Attributes:
        scaled: its fields.
        created: moment of its creation (s).
        last_active: moment at which a trigger was last seen active (s); None if never.
    """

    scaled: ScaledObject
    created: float = 0.0
    last_active: float | None = None

    def scale(self, current: int, active: bool, now: float, *, failed: bool = False) -> tuple[int, str]:
        """Replicas after one look, and why; the HPA decides wherever this leaves `current`.

        Args:
            current: replicas now asked for.
            active: whether any trigger is.
            now: moment (s).
            failed: whether a trigger could not be read.
        """
        scaled = self.scaled
        if scaled.paused is not None:
            return scaled.paused, "paused"
        if active:
            return self._active(current, now)
        if failed:
            if scaled.fallback:
                return scaled.fallback, "fallback"
            return current, "trigger-failed"
        return self._inactive(current, now)

    def _active(self, current: int, now: float) -> tuple[int, str]:
        scaled = self.scaled
        from_idle = scaled.idle is not None and current < scaled.minimum
        if current != 0 and not from_idle:
            self.last_active = now
            return current, ""
        if scaled.pause_scale_out:
            return current, "paused-scale-out"
        self.last_active = now
        return max(1, scaled.minimum), "activated"

    def _inactive(self, current: int, now: float) -> tuple[int, str]:
        scaled = self.scaled
        above_idle = scaled.idle is not None and current > scaled.idle
        if above_idle or (current > 0 and scaled.minimum == 0):
            if scaled.pause_scale_in:
                return current, "paused-scale-in"
            if not self._cooled(now):
                return current, "cooldown"
            return (scaled.idle if scaled.idle is not None else scaled.minimum), "inactive"
        if scaled.idle is None and current < scaled.minimum:
            return scaled.minimum, "minimum"
        return current, ""

    def _cooled(self, now: float) -> bool:
        if self.last_active is None:
            return self.created + self.scaled.initial_cooldown < now
        return self.last_active + self.scaled.cooldown < now


@dataclass
class Fallback:
    """What a trigger reports while it cannot be read.

    Attributes:
        replicas: wished meanwhile.
        threshold: failures in a row that are suffered without it.
        behaviour: whether the replicas there are count.
        failures: in a row so far.
    """

    replicas: int
    threshold: int
    behaviour: FallbackBehaviour = "static"
    failures: int = 0

    def report(
        self, value: float | None, target: float, current: int, *, ready: int | None = None
    ) -> float | None:
        """The metric to use; None where the failure must be passed on.

        Args:
            value: measured, or None for a failure.
            target: of the trigger.
            current: replicas now asked for.
            ready: for a target of type Value: ready replicas, which the HPA will multiply by.
        """
        if value is not None:
            self.failures = 0
            return value
        self.failures += 1
        if self.failures <= self.threshold:
            return None
        total = target * self._wished(current)
        return total / max(1, ready) if ready is not None else total

    def _wished(self, current: int) -> int:
        if self.behaviour == "currentReplicas":
            return current
        if self.behaviour == "currentReplicasIfHigher":
            return max(current, self.replicas)
        if self.behaviour == "currentReplicasIfLower":
            return min(current, self.replicas)
        return self.replicas
