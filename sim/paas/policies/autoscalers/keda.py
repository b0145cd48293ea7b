"""KEDA on the signals of a simulated service."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, nan
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from sim.paas.autoscaling import hpa_metrics, keda
from sim.paas.autoscaling.hpa import Behaviour, Controller
from sim.paas.autoscaling.hpa_behaviour import Rules, default_down, default_up
from sim.paas.autoscaling.hpa_metrics import Tolerance
from sim.paas.policies.autoscalers.base import Observation
from sim.paas.policies.autoscalers.kubernetes import REASONS, by_busy_share
from sim.paas.policies.autoscalers.signals import Signal, read
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds


@dataclass
class Trigger:
    """A signal of the service, wished per replica (`average`) or for the service (`value`).

    Above `activation` (strictly) it wakes the service from zero or idle.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    signal: Signal
    threshold: Annotated[float, Gt(0)]
    activation: Annotated[float, Ge(0)] = 0.0
    type: Literal["average", "value"] = "average"


@policy("autoscaler", "keda")
class Keda:
    """KEDA: triggers switch between idle and active; in between works the HPA that KEDA makes.

    Every `polling` seconds: with an active trigger, from zero (or idle) to one replica or the
    minimum; without one for `cooldown` seconds, to `idle` replicas or to a minimum of zero. Every
    `period` the HPA scales on the triggers as external metrics, and on `utilisation` (KEDA's cpu
    trigger), which neither wakes the service nor, as the only one, lets it sleep. The minimum is that
    of the service.
    A call at zero does not wake the service: the next look does.
    """

    triggers: list[Trigger] = field(default_factory=list)
    utilisation: Annotated[Fraction, Gt(0)] | None = None
    idle: Annotated[int, Ge(0)] | None = None
    polling: PositiveSeconds = 30.0
    cooldown: Seconds = 300.0
    initial_cooldown: Seconds = 0.0
    period: PositiveSeconds = 15.0
    scale_up: Rules | None = None
    scale_down: Rules | None = None

    signal = nan
    recommended = -1
    reason = ""
    wakes = False

    def __post_init__(self) -> None:
        if not self.triggers and self.utilisation is None:
            raise ValueError("needs `triggers`, `utilisation` or both")
        rules = None
        if self.scale_up is not None or self.scale_down is not None:
            rules = Behaviour(self.scale_up or default_up(), self.scale_down or default_down())
        self._hpa = Controller(behaviour=rules)
        self._executor: keda.Executor | None = None
        self._looked = -inf

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        if self._executor is None:
            scaled = keda.ScaledObject(
                minimum=observation.minimum,
                maximum=observation.maximum,
                idle=self.idle,
                cooldown=self.cooldown,
                initial_cooldown=self.initial_cooldown,
            )
            self._executor = keda.Executor(scaled, created=now)
            self._hpa.minimum, self._hpa.maximum = keda.hpa_bounds(scaled)
        values = [read(trigger.signal, observation) for trigger in self.triggers]
        self.signal = values[0] if values else observation.utilisation
        replicas = observation.wanted
        self.recommended, self.reason = replicas, ""
        if now - self._looked >= self.polling * (1.0 - 1e-9):
            self._looked = now
            activations = [trigger.activation for trigger in self.triggers]
            active = keda.is_active(values, activations) or not values
            replicas, self.reason = self._executor.scale(replicas, active, now)
            if replicas != observation.wanted:
                self.recommended = replicas
                return replicas
        idle = self.idle is not None and replicas <= self.idle < self._executor.scaled.minimum
        if replicas == 0 or idle:
            return replicas
        return self._by_hpa(observation, values, replicas, now)

    def _by_hpa(self, seen: Observation, values: list[float], current: int, now: float) -> int:
        proposals: list[int | None] = []
        for trigger, value in zip(self.triggers, values, strict=True):
            usage, target = round(1000 * value), max(1, round(1000 * trigger.threshold))
            if trigger.type == "average":
                proposals.append(hpa_metrics.total_average(current, usage, target).replicas)
            else:
                proposals.append(hpa_metrics.total_value(current, usage, target, seen.ready).replicas)
        if self.utilisation is not None:
            proposals.append(by_busy_share(self.utilisation, seen, current, Tolerance()))
        decision = self._hpa.reconcile(current, proposals, now)
        self.recommended = decision.desired
        self.reason = REASONS[decision.reason] or self.reason
        return decision.replicas
