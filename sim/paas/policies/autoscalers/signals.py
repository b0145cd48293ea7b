"""Signals of a service that rules may look at."""

from __future__ import annotations

from typing import Literal

from sim.paas.policies.autoscalers.base import Observation

#: What can be measured of a service, as totals over its replicas. Utilisation: busy servers in replicas.
Signal = Literal["concurrency", "queue", "rate", "running", "utilisation"]


def read(signal: Signal, seen: Observation) -> float:
    """The value for the whole service.

    Args:
        signal: `concurrency`: mean calls waiting or in service; `queue`: calls that wait now;
            `rate`: calls/s that came; `running`: calls in service now; `utilisation`: mean share
            of busy servers x ready replicas.
        seen: the observation.
    """
    if signal == "concurrency":
        return seen.in_system
    if signal == "queue":
        return float(seen.queued)
    if signal == "running":
        return float(seen.running)
    if signal == "rate":
        return seen.rate
    return seen.utilisation * seen.ready
