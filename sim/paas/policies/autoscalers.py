"""Autoscalers: how many replicas a service should have, from what was observed of it.

An autoscaler is a policy with `want(observation, now)` and a `period` at which it is asked. The
loop in `sim.paas.scaling` builds the observation, holds the answer within the service's bounds,
records it and applies it. For the record a policy may set three attributes in `want`: `signal` (the
value it looked at), `predicted` (what it forecast) and `reason` (why it held back).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from math import nan
from typing import Annotated, NamedTuple, Protocol

import numpy as np
from annotated_types import Ge, Gt

from sim.errors import StratusError
from sim.paas.policies import hpa
from sim.paas.policies.forecasters import Floats, Forecaster, HoltWinters, OfKind
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds, Seconds


class History(NamedTuple):
    """Calls that arrived, by complete bins of equal width since the start of the run.

    Attributes:
        times: end of each bin (s).
        rates: mean arrival rate in it (calls/s).
        width: of a bin (s).
    """

    times: Floats
    rates: Floats
    width: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What an autoscaler sees of its service. Means are exact integrals since the last look.

    Attributes:
        time: moment of the look (s).
        wanted: replicas asked for at present.
        ready: replicas that take calls.
        starting: replicas asked for that do not take calls yet.
        minimum: fewest replicas allowed.
        maximum: most replicas allowed.
        rate: calls that arrived per second since the last look.
        in_system: mean number of calls waiting or in service since the last look.
        queued: calls that wait now.
        utilisation: mean busy servers over mean servers since the last look, those of replicas that
            are being drained included; 0 without servers.
        history: arrivals by bin since the start.
        lead_time: seconds from asking for a replica to its first call, as measured or else planned.
        servers_per_replica: batches a replica serves at the same time.
        capacity: calls/s of one replica when all its batches are full.
    """

    time: float
    wanted: int
    ready: int
    starting: int
    minimum: int
    maximum: int
    rate: float
    in_system: float
    queued: int
    utilisation: float
    history: History
    lead_time: float
    servers_per_replica: int
    capacity: float


class Autoscaler(Protocol):
    """What the scaling loop needs of an autoscaler."""

    policy: str
    period: float

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""


@policy("autoscaler", "fixed")
class Fixed:
    """Keep the number of replicas the service began with, or the number given."""

    replicas: Annotated[int, Ge(0)] | None = None
    period: PositiveSeconds = 60.0

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        return observation.wanted if self.replicas is None else self.replicas


@policy("autoscaler", "hpa")
class Hpa:
    """Kubernetes' HorizontalPodAutoscaler (autoscaling/v2) on utilisation, concurrency, or both.

    `utilisation` is busy servers over servers, in the controller's whole per cent; `concurrency` the
    calls in a replica (waiting or served). With both, the larger answer counts; with neither,
    utilisation 80 %. Replicas that are not ready count as unready pods: they bring no measurement
    and damp a scale-up. From zero replicas a call wakes the service, not this policy.
    """

    utilisation: Annotated[Fraction, Gt(0)] | None = None
    concurrency: Annotated[float, Gt(0)] | None = None
    tolerance: Fraction = 0.1
    period: PositiveSeconds = 15.0
    scale_up: hpa.Rules = field(default_factory=hpa.default_up)
    scale_down: hpa.Rules = field(default_factory=hpa.default_down)

    signal = nan
    reason = ""

    def __post_init__(self) -> None:
        self._recommended: hpa.Log = []
        self._added: hpa.Log = []
        self._removed: hpa.Log = []

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        current = observation.wanted
        self.signal = nan
        if not self._recommended:
            self._recommended.append((now, current))
        wish = self._decide(observation, current, now)
        if wish > current:
            self._remember(self._added, now, wish - current, self._longest())
        elif wish < current:
            self._remember(self._removed, now, current - wish, self._longest())
        return wish

    def _decide(self, observation: Observation, current: int, now: float) -> int:
        up, down = self.scale_up, self.scale_down
        if current == 0:
            self.reason = "no-replicas"
            return 0
        if not observation.minimum <= current <= observation.maximum:
            self.reason = "bounds"
            return min(max(current, observation.minimum), observation.maximum)
        if observation.ready == 0:
            self.reason = "no-measurement"
            return current
        desired = self._by_metrics(observation, current)
        steady = hpa.stabilise(desired, current, self._recommended, now, up.window, down.window)
        self._remember(self._recommended, now, desired, max(up.window, down.window))
        low, high = observation.minimum, observation.maximum
        wish, held = hpa.limit(steady, current, low, high, up, down, self._added, self._removed, now)
        self.reason = held or ("stabilised" if steady != desired else "")
        return wish

    def _by_metrics(self, seen: Observation, current: int) -> int:
        """The largest wish of the metrics in use."""
        band = hpa.Tolerance(self.tolerance, self.tolerance)
        wishes = []
        if self.concurrency is not None:
            self.signal = seen.in_system / seen.ready
            total = round(1000 * seen.in_system)
            target = max(1, round(1000 * self.concurrency))
            wishes.append(
                hpa.by_value(current, total, seen.ready, target, unready=seen.starting, tolerance=band)
            )
        if self.utilisation is not None or self.concurrency is None:
            self.signal = seen.utilisation
            target = max(1, round(100 * (0.8 if self.utilisation is None else self.utilisation)))
            usage = round(1000 * seen.utilisation) * seen.ready
            requests, unready = [1000] * seen.ready, [1000] * seen.starting
            wishes.append(
                hpa.by_utilisation(current, usage, requests, target, unready=unready, tolerance=band)
            )
        return max(wishes)

    def _longest(self) -> float:
        return max(rate.period for rate in self.scale_up.policies + self.scale_down.policies)

    def _remember(self, log: hpa.Log, now: float, value: int, keep: float) -> None:
        """Append, and forget what no window can reach any more."""
        while log and now - log[0][0] >= keep:
            log.pop(0)
        log.append((now, value))


@policy("autoscaler", "predictive")
class Predictive:
    """Replicas for the rate forecast until a replica asked for at the next look would be ready.

    replicas = ceil(rate / (target x calls per second of one replica)), where rate is the largest
    `quantile` of the forecast over the lead time and two periods (a peak before that must not be
    scaled away). The guard rail does the same sum with the rate just observed plus the backlog
    worked off within `recovery`, and can only add replicas: with a useless forecast the policy is a
    reactive one with a margin. While the history is too short the guard rail decides alone (without
    it, the number stays). A scale-down must be agreed by all wishes of the last `stabilisation`
    seconds.
    """

    forecaster: Annotated[Forecaster, OfKind("forecaster")] = field(default_factory=HoltWinters)
    target: Annotated[Fraction, Gt(0)] = 0.7
    quantile: Annotated[Fraction, Gt(0)] = 0.9
    guard: bool = True
    recovery: PositiveSeconds = 60.0
    stabilisation: Seconds = 60.0
    bin: PositiveSeconds = 60.0
    period: PositiveSeconds = 15.0

    signal = nan
    predicted = nan
    reason = ""

    def __post_init__(self) -> None:
        self._wished: hpa.Log = []

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        history = observation.history
        capacity = observation.capacity * self.target
        if not capacity > 0:
            raise StratusError("autoscaler predictive: the service's time model gives no capacity")
        self.signal = observation.rate
        forecast = self.forecaster.predict(history.rates, history.width, self._steps(observation, now))
        if forecast is None:
            self.predicted = nan
            wish = 0 if self.guard else observation.wanted
            self.reason = "short-history"
        else:
            self.predicted = float(np.max(forecast.quantile(self.quantile)))
            wish = _replicas(self.predicted, capacity)
            self.reason = ""
        if self.guard:
            needed = _replicas(observation.rate + observation.queued / self.recovery, capacity)
            if needed > wish:
                wish = needed
                self.reason = self.reason or "guard-rail"
        return self._steady(wish, now)

    def _steps(self, observation: Observation, now: float) -> int:
        """Bins from the last complete one to the end of the horizon."""
        history = observation.history
        last = float(history.times[-1]) if len(history.times) else 0.0
        end = now + observation.lead_time + 2 * self.period
        return max(1, math.ceil((end - last) / history.width))

    def _steady(self, wish: int, now: float) -> int:
        """The largest wish of the window."""
        log = self._wished
        while log and now - log[0][0] >= self.stabilisation:
            log.pop(0)
        log.append((now, wish))
        most = max(value for _, value in log)
        if most > wish:
            self.reason = "stabilised"
        return most


def _replicas(rate: float, capacity: float) -> int:
    """Replicas that serve a rate; a hair more than a whole number does not cost another one."""
    return math.ceil(rate / capacity - 1e-9)
