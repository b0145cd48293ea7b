"""The scaling loop: signal, (forecast,) recommendation, stabilisation, limits, actuation - and the record.

Every `period` it takes what can be read of the service - its state at this moment, or the newest
sample of the monitoring (`sim.paas.scrape`) -, asks the autoscaler, holds the answer within the
service's bounds, writes down what was seen, predicted, wanted, allowed and applied and why they
differ, and applies it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from sim import registry
from sim.paas.policies.autoscalers.base import (
    NO_OUTLOOK,
    Autoscaler,
    History,
    Observation,
    Outlook,
    Surroundings,
)
from sim.paas.policies.forecasters.base import Floats
from sim.paas.scrape import Scrape, Scraper

if TYPE_CHECKING:
    from sim.paas.service import Service

#: Width of the bins of the arrival history for policies that state none (s).
BIN = 60.0


class ScalingLoop:
    """Looks every `period` seconds, the first time one period after the start.

    Two clocks run: one closes the bins of the arrival history (their width is the policy's `bin`),
    one looks. Where they meet the bin is closed first, so a look sees every bin that is complete.
    With `scrape` a third one takes samples, and looks see those.
    """

    def __init__(
        self,
        service: Service,
        policy: Autoscaler,
        period: float | None,
        scrape: Scrape | None = None,
        arrivals: Callable[[float], Floats] | None = None,
    ) -> None:
        self._arrivals = arrivals
        self._service = service
        self._policy = policy
        self._period = policy.period if period is None else period
        self._kernel = service.ctx.kernel
        self._rows = service.ctx.recorder.table("scaling")
        self._running = False
        self._submitted = 0
        self._looked = service.ctx.kernel.now
        self._width = float(getattr(policy, "bin", BIN))
        self._bin_end = 0.0
        self._binned = 0
        self._bins = 0
        self._times = np.empty(64)
        self._rates = np.empty(64)
        self._history = History(np.empty(0), np.empty(0), self._width)
        self._scraper = None
        if scrape is not None:
            uniform = service.ctx.streams.uniforms(f"paas/{service.name}/scrape")
            self._scraper = Scraper(self._kernel, scrape, self.observe, uniform)

    def start(self) -> None:
        """Begin to look."""
        self._running = True
        surroundings = Surroundings(
            self._service.ctx.streams, f"paas/{self._service.name}/autoscaler", self._arrivals
        )
        registry.start(self._policy, surroundings)
        self._open_bin()
        if self._scraper is not None:
            self._scraper.start()
        self._kernel.call_in(self._period, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._running = False
        if self._scraper is not None:
            self._scraper.stop()

    def _open_bin(self) -> None:
        self._bin_end = self._kernel.now + self._width
        self._kernel.call_at(self._bin_end, self._close_bin)

    def _close_bin(self) -> None:
        # A look at the same moment may have closed it already.
        if not self._running or self._kernel.now < self._bin_end:
            return
        submitted = self._service.submitted
        count = self._bins
        if count == len(self._times):
            # Twice the room each time; histories handed out look at what was written before, which stays.
            self._times, self._rates = (np.concatenate((kept, kept)) for kept in (self._times, self._rates))
        self._times[count] = self._kernel.now
        self._rates[count] = (submitted - self._binned) / self._width
        self._bins = count = count + 1
        self._binned = submitted
        self._history = History(self._times[:count], self._rates[:count], self._width)
        self._open_bin()

    def _look(self) -> None:
        if not self._running:
            return
        now = self._kernel.now
        seen = self._seen(now)
        if seen is None:
            wanted = self._service.replica_set.wanted
            self._record(now, (nan, nan, wanted, wanted, wanted, wanted), NO_OUTLOOK, "no-measurement")
        else:
            self._decide(seen, now)
        self._kernel.call_in(self._period, self._look)

    def _seen(self, now: float) -> Observation | None:
        """What can be read at this moment."""
        if self._scraper is None:
            return self.observe(now)
        return self._scraper.newest(now, self._state(now))

    def _decide(self, seen: Observation, now: float) -> None:
        policy, bounds = self._policy, self._service.bounds
        allowed = int(policy.want(seen, now))
        applied = min(max(allowed, bounds.minimum), bounds.maximum)
        reason = str(getattr(policy, "reason", ""))
        if applied != allowed:
            reason = "minimum" if applied > allowed else "maximum"
        signal = float(getattr(policy, "signal", nan))
        predicted = float(getattr(policy, "predicted", nan))
        wanted = int(getattr(policy, "recommended", allowed))
        outlook = getattr(policy, "outlook", NO_OUTLOOK)
        self._record(now, (signal, predicted, seen.wanted, wanted, allowed, applied), outlook, reason)
        if applied != seen.wanted:
            self._service.replica_set.scale(applied)

    def _record(
        self,
        now: float,
        figures: tuple[float, float, int, int, int, int],
        outlook: Outlook,
        reason: str,
    ) -> None:
        service = self._service
        ready = len(service.replica_set.ready)
        self._rows.add((now, service.name, self._policy.policy, *figures, ready, reason, *outlook))

    def observe(self, now: float) -> Observation:
        """What there is to see; the means begin anew with each look."""
        service = self._service
        replicas = service.replica_set
        self._close_bin()
        span = now - self._looked
        arrived = service.submitted - self._submitted
        self._looked = now
        self._submitted = service.submitted
        busy, servers = service.busy.mean(now), replicas.servers.mean(now)
        return self._state(
            now,
            rate=arrived / span if span > 0.0 else 0.0,
            in_system=service.inside.mean(now),
            utilisation=busy / servers if servers > 0.0 else 0.0,
        )

    def _state(
        self, now: float, *, rate: float = nan, in_system: float = nan, utilisation: float = nan
    ) -> Observation:
        """What is known without a mean over time, with those given."""
        service = self._service
        replicas = service.replica_set
        return Observation(
            time=now,
            wanted=replicas.wanted,
            ready=len(replicas.ready),
            starting=replicas.starting,
            minimum=service.bounds.minimum,
            maximum=service.bounds.maximum,
            rate=rate,
            in_system=in_system,
            queued=service.queued,
            utilisation=utilisation,
            history=self._history,
            lead_time=replicas.lead_time,
            servers_per_replica=service.engine.servers,
            capacity=service.capacity(),
            running=service.serving,
        )
