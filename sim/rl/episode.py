"""One run of a scenario in which somebody else decides, look by look, how many replicas a service has."""

from __future__ import annotations

from math import nan
from typing import Any

from sim import registry
from sim.errors import UsageError, did_you_mean
from sim.paas.autoscaling.features import Vector, change, features
from sim.paas.autoscaling.rewards import Reward
from sim.paas.policies.autoscalers import footing
from sim.paas.policies.autoscalers.base import Autoscaler, Observation, Surroundings
from sim.paas.scaling import BIN
from sim.scenario.build import build
from sim.scenario.spec import Scenario

#: Replications that training takes begin here: no study reaches them, so none is trained on and tested on.
FIRST = 1_000_000


class Steered:
    """The autoscaler of the service: keeps the replicas, and stops the clock at each look.

    The run works on copies of its policies; this one must stay the one that the episode holds.
    """

    policy = "steered"
    reason = ""

    def __init__(self, period: float, bin_: float, base: Autoscaler | None) -> None:
        self.period = period
        self.bin = bin_
        self.seen: Observation | None = None
        self.begun = footing.Footing(None, nan)
        self.stop: Any = None
        self._base = base

    def start(self, surroundings: Surroundings) -> None:
        """Let the autoscaler that is corrected begin its run."""
        footing.start(self._base, surroundings)

    def __deepcopy__(self, memo: dict[int, Any]) -> Steered:
        return self

    def want(self, observation: Observation, now: float) -> int:
        """The replicas as they are; what is decided is applied at the same moment, after the look."""
        self.seen = observation
        self.begun = footing.footing(self._base, observation, now)
        self.stop.succeed()
        return observation.wanted


class Episode:
    """A run from its first look to its end.

    Args:
        scenario: what is run.
        service: whose replicas are decided.
        replication: number of the run; changes every random number.
        residual: steps correct what the service's own autoscaler wants; else that one does not count
            and steps change the replicas asked for.
        actions: 2k + 1 actions are -k .. +k steps.
        step: a step as a share of the replicas.
        day: seconds after which the load tends to repeat.
        period: seconds between two looks.
        reward: what is paid.

    Attributes:
        state: the features at the present look, unscaled.
        over: whether the run has ended.

    Raises:
        UsageError: the scenario has no such service, or ends before the first look.
    """

    def __init__(
        self,
        scenario: Scenario,
        service: str,
        replication: int,
        *,
        residual: bool = False,
        actions: int = 5,
        step: float = 0.05,
        day: float = 86400.0,
        period: float = 15.0,
        reward: Reward | None = None,
    ) -> None:
        services = scenario.platform.services
        if service not in services:
            raise UsageError(f"no service is called {service!r}{did_you_mean(service, services)}")
        base = registry.fresh(services[service].autoscaler) if residual else None
        self._steered = Steered(period, float(getattr(base, "bin", BIN)), base)
        changed = services[service].model_copy(update={"autoscaler": self._steered})
        platform = scenario.platform.model_copy(update={"services": {**services, service: changed}})
        self._platform = build(scenario.model_copy(update={"platform": platform}), replication)
        self._service = self._platform.services[service]
        self._actions, self._step, self._day, self._period = actions, step, day, period
        self._reward = Reward() if reward is None else reward
        self._end = self._platform.ctx.kernel.event()
        self._platform.ctx.kernel.call_at(scenario.duration, self._end.succeed)
        self.over = False
        self.state: Vector
        self._advance()
        if self.over:
            raise UsageError(f"the run ends before the first look, after {period:g} s")

    def act(self, action: int) -> float:
        """Change the replicas and go on to the next look; the reward of the time in between.

        Args:
            action: 0 .. actions - 1.
        """
        seen, bounds = self._now(), self._service.bounds
        wish = change(action, self._actions, self._steered.begun.replicas(seen), self._step)
        replicas = min(max(wish, bounds.minimum), bounds.maximum)
        if replicas != seen.wanted:
            self._service.replica_set.scale(replicas)
        self._advance()
        return 0.0 if self.over else self._reward.of(self._now(), action - self._actions // 2, self._period)

    def _now(self) -> Observation:
        assert self._steered.seen is not None
        return self._steered.seen

    def _advance(self) -> None:
        kernel = self._platform.ctx.kernel
        self._steered.stop = kernel.event()
        kernel.run(until=kernel.any_of([self._steered.stop, self._end]))
        self.over = self._end.triggered or kernel.stopped is not None
        if not self.over:
            begun = self._steered.begun
            self.state = features(self._now(), self._day, begun.wish, begun.foreseen)
