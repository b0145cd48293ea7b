"""The scaling loop: look at a service, ask its autoscaler, hold the answer in bounds, record, apply."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from sim.paas.policies.autoscalers import Autoscaler, History, Observation

if TYPE_CHECKING:
    from sim.paas.service import Service

#: Width of the bins of the arrival history for policies that state none (s).
BIN = 60.0


class ScalingLoop:
    """Looks every `period` seconds, the first time one period after the start.

    Two clocks run: one closes the bins of the arrival history (their width is the policy's `bin`),
    one looks. Where they meet the bin is closed first, so a look sees every bin that is complete.
    """

    def __init__(self, service: Service, policy: Autoscaler, period: float | None) -> None:
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
        self._times: list[float] = []
        self._rates: list[float] = []
        self._history = History(np.empty(0), np.empty(0), self._width)

    def start(self) -> None:
        """Begin to look."""
        self._running = True
        self._open_bin()
        self._kernel.call_in(self._period, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._running = False

    def _open_bin(self) -> None:
        self._bin_end = self._kernel.now + self._width
        self._kernel.call_at(self._bin_end, self._close_bin)

    def _close_bin(self) -> None:
        # A look at the same moment may have closed it already.
        if not self._running or self._kernel.now < self._bin_end:
            return
        submitted = self._service.submitted
        self._times.append(self._kernel.now)
        self._rates.append((submitted - self._binned) / self._width)
        self._binned = submitted
        self._history = History(np.array(self._times), np.array(self._rates), self._width)
        self._open_bin()

    def _look(self) -> None:
        if not self._running:
            return
        self._close_bin()
        now = self._kernel.now
        seen = self.observe(now)
        policy, bounds = self._policy, self._service.bounds
        allowed = int(policy.want(seen, now))
        applied = min(max(allowed, bounds.minimum), bounds.maximum)
        reason = str(getattr(policy, "reason", ""))
        if applied != allowed:
            reason = "minimum" if applied > allowed else "maximum"
        self._rows.add(
            (
                now,
                self._service.name,
                policy.policy,
                float(getattr(policy, "signal", nan)),
                float(getattr(policy, "predicted", nan)),
                seen.wanted,
                int(getattr(policy, "recommended", allowed)),
                allowed,
                applied,
                seen.ready,
                reason,
            )
        )
        if applied != seen.wanted:
            self._service.replica_set.scale(applied)
        self._kernel.call_in(self._period, self._look)

    def observe(self, now: float) -> Observation:
        """What there is to see; the means begin anew with each look."""
        service = self._service
        replicas = service.replica_set
        span = now - self._looked
        arrived = service.submitted - self._submitted
        self._looked = now
        self._submitted = service.submitted
        busy, servers = service.busy.mean(now), replicas.servers.mean(now)
        return Observation(
            time=now,
            wanted=replicas.wanted,
            ready=len(replicas.ready),
            starting=replicas.starting,
            minimum=service.bounds.minimum,
            maximum=service.bounds.maximum,
            rate=arrived / span if span > 0.0 else 0.0,
            in_system=service.inside.mean(now),
            queued=service.queued,
            utilisation=busy / servers if servers > 0.0 else 0.0,
            history=self._history,
            lead_time=replicas.lead_time,
            servers_per_replica=service.engine.servers,
            capacity=service.capacity(),
            running=service.serving,
        )
