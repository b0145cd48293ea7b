"""A service in closed form instead of events, for pre-training: several times as many looks a second.

The arrivals are those of the run itself, drawn from its own streams. Calls in the system are a
number: those in service end as with exponential service times, Poisson in number over a short step; a
backlog longer than the service's time-out leaves. A replica asked for is ready after the mean time of
a node, image and weights at the store's bandwidth shared by all that start, loading and warm-up. What
it leaves out - nodes kept warm, draining, the spread of single times - is why agents are judged in
the simulator and not here.
"""

from __future__ import annotations

from functools import partial
from math import inf

import numpy as np

from sim import registry
from sim.errors import UsageError, did_you_mean
from sim.kernel.streams import RandomStreams
from sim.paas.autoscaling.features import change, features
from sim.paas.autoscaling.rewards import Reward
from sim.paas.policies.autoscalers import footing
from sim.paas.policies.autoscalers.base import History, Observation, Surroundings
from sim.paas.scaling import BIN
from sim.scenario.build import build
from sim.scenario.spec import Scenario

#: Longest step of the clock (s).
STEP = 5.0


class FluidEpisode:
    """A run from its first look to its end; the same as `sim.rl.episode.Episode`, nearly.

    Args:
        scenario: what is run.
        service: whose replicas are decided.
        replication: number of the run.
        residual, actions, step, day, period, reward: as there.

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
        if scenario.duration <= period:
            raise UsageError(f"the run ends before the first look, after {period:g} s")
        wanted = services[service]
        platform = build(scenario, replication)
        self._bounds = platform.services[service].bounds
        self._servers = platform.services[service].engine.servers
        self._capacity = platform.services[service].capacity()
        self._most_wait = inf if wanted.timeout is None else wanted.timeout
        self._startup = partial(platform.planned_lead, service)
        self._base = registry.fresh(wanted.autoscaler) if residual else None
        self._actions, self._step, self._day, self._period = actions, step, day, period
        self._reward = Reward() if reward is None else reward
        self._end = scenario.duration
        self._parts = max(1, round(period / STEP))
        self._arrivals = platform.future(service, period / self._parts)
        streams = RandomStreams(scenario.seed, replication)
        self._draw = streams.stream(f"rl/{service}/departures")
        footing.start(self._base, Surroundings(streams, f"paas/{service}/autoscaler"))
        self._width = float(getattr(self._base, "bin", BIN))
        self._looks = 0
        self.wanted = self._ready = self._bounds.initial
        self._due: list[float] = []
        self._inside = 0.0
        self._lead = self._startup(1)
        self._times: list[float] = []
        self._rates: list[float] = []
        self._history = History(np.empty(0), np.empty(0), self._width)
        self._binned = 0.0
        self.over = False
        self._advance()

    def act(self, action: int) -> float:
        """Change the replicas and go on to the next look; the reward of the time in between."""
        wish = change(action, self._actions, self._begun.replicas(self._seen), self._step)
        self._scale(min(max(wish, self._bounds.minimum), self._bounds.maximum))
        self._advance()
        return 0.0 if self.over else self._reward.of(self._seen, action - self._actions // 2, self._period)

    def _scale(self, replicas: int) -> None:
        """Ask for more, or let the newest go: those that start first."""
        more = replicas - self.wanted
        self.wanted = replicas
        if more > 0:
            self._lead = self._startup(len(self._due) + more)
            self._due += [self._now + self._lead] * more
        elif more < 0:
            gone = max(0, -more - len(self._due))
            del self._due[max(0, len(self._due) + more) :]
            if gone:
                # Those that drain finish what they have; it no longer waits for anybody.
                busy = min(self._inside, self._ready * self._servers)
                self._inside -= busy * gone / self._ready
                self._ready -= gone

    @property
    def _now(self) -> float:
        return self._looks * self._period

    def _advance(self) -> None:
        start, span = self._now, self._period / self._parts
        first = self._looks * self._parts
        self._looks += 1
        self.over = self._now >= self._end
        if self.over:
            return
        came = area = busy = 0.0
        for part in range(self._parts):
            moment = start + part * span
            while self._due and self._due[0] <= moment:
                self._due.pop(0)
                self._ready += 1
            calls = float(self._arrivals[first + part]) * span
            came += calls
            self._binned += calls
            serving = min(self._inside, self._ready * self._servers)
            served = self._draw.poisson(serving * self._capacity / self._servers * span)
            self._inside = max(0.0, self._inside + calls - min(served, self._inside + calls))
            longest = self._ready * (self._servers + self._capacity * self._most_wait)
            self._inside = min(self._inside, longest) if self._ready else self._inside
            area += self._inside * span
            busy += serving * span
            # A bin is closed by the step that reaches its end; periods need not divide it.
            while (len(self._times) + 1) * self._width <= moment + span:
                self._times.append((len(self._times) + 1) * self._width)
                self._rates.append(self._binned / self._width)
                self._binned = 0.0
        if len(self._times) > len(self._history.times):
            self._history = History(np.array(self._times), np.array(self._rates), self._width)
        self._look(came, area, busy)

    def _look(self, came: float, area: float, busy: float) -> None:
        period, servers = self._period, max(1, self._ready) * self._servers
        self._seen = Observation(
            time=self._now,
            wanted=self.wanted,
            ready=self._ready,
            starting=len(self._due),
            minimum=self._bounds.minimum,
            maximum=self._bounds.maximum,
            rate=came / period,
            in_system=area / period,
            queued=max(0, round(self._inside - self._ready * self._servers)),
            utilisation=min(1.0, busy / period / servers),
            history=self._history,
            lead_time=self._lead,
            servers_per_replica=self._servers,
            capacity=self._capacity,
            running=round(min(self._inside, self._ready * self._servers)),
        )
        self._begun = footing.footing(self._base, self._seen, self._now)
        self.state = features(self._seen, self._day, self._begun.wish, self._begun.foreseen)
