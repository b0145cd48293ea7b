"""How many replicas a service needs: the demand curve that elasticity is measured against.

Demand is the least number of replicas that would meet the SLO if the present rate went on for ever.
The present rate is counted: calls that came, in equal bins of about `BIN` seconds, wider where fewer
than `CALLS` come in one on average (chance alone would move the curve else).

A call is answered in time if its wait and its service together fit into the SLO's latency. Service
times are those measured in the run. A wait exceeds t with probability C exp(-t 2 (c - a) / (m (1 + v))):
c servers, offered load a, mean service m, squared variation of it v, C Erlang's formula. For
exponential service this is exact (M/M/c); else Allen and Cunneen's correction of the mean wait
(Allen 1990, section 5.3) is applied to its tail. Network and other calls of the request are left out.

Where a service batches, serves by tokens or has no SLO - or one that its service times alone break -
demand is the least number of replicas that keeps up: rate over the capacity of one.

Against simulation with a line at each replica, of which a call joins the shortest: so many replicas met the
SLO and one fewer did not in 19 of 20 settings (exponential, constant, uniform and log-normal service);
in one with log-normal times one replica more was needed (93.6 % in time of 95 wanted).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.stats.steps import Steps
from sim.stats.view import View, equals
from sim.tables import COMPLETED

Floats = NDArray[np.float64]

#: Width of a bin in seconds, and calls that one holds on average at least.
BIN, CALLS = 60.0, 100

#: Quantiles that stand for all measured service times.
QUANTILES = 1000

#: Servers after which no more are tried.
MOST = 100_000


def demand(view: View, service: str) -> Steps | None:
    """The demand curve of a service over the window; None where nothing tells its capacity.

    Args:
        view: a run.
        service: name of the service.
    """
    facts = view.facts["services"][service]
    rows = equals(view.text("calls", "service"), service)
    came = view.numbers("calls", "enter")[rows]
    came = came[(came >= view.start) & (came < view.end)]
    if not view.length > 0:
        return None
    bins = max(1, int(min(view.length / BIN, len(came) / CALLS)))
    edges = np.linspace(view.start, view.end, bins + 1)
    rates = np.histogram(came, edges)[0] / np.diff(edges)
    served = rows & equals(view.text("calls", "status"), COMPLETED)
    times = np.sort((view.numbers("calls", "finish") - view.numbers("calls", "start"))[served])
    needed = None
    if facts.get("slo") and facts.get("engine") == "concurrent" and len(times):
        slo = facts["slo"]
        needed = least(rates, _thinned(times), int(facts["servers"]), slo["latency"], slo["quantile"])
    if needed is None:
        capacity = float(facts.get("capacity") or 0.0)
        if not capacity > 0:
            return None
        needed = np.ceil(rates / capacity - 1e-9)
    changed = np.concatenate(([True], np.diff(needed) != 0))
    return edges[:-1][changed], needed[changed]


def least(rates: Floats, times: Floats, servers: int, latency: float, share: float) -> Floats | None:
    """Least replicas that answer a share of the calls within a latency, for each rate.

    Args:
        rates: calls per second.
        times: service times in seconds, equally likely.
        servers: of a replica.
        latency: seconds.
        share: of the calls that must be answered within it.

    Returns:
        One number a rate, 0 where nothing comes; None if no number of replicas is enough.
    """
    within = times[times <= latency * (1 + 1e-9)]
    if len(within) < share * len(times) or share >= 1.0:
        return None
    mean = float(times.mean())
    spread = 1.0 + (float(times.var()) / mean**2 if mean > 0 else 0.0)
    levels, place = np.unique(rates, return_inverse=True)
    load = levels * mean
    needed = np.zeros(len(levels))
    open_ = load > 0
    blocked = np.ones(len(levels))
    slack = np.maximum(0.0, latency - within)
    for count in range(1, MOST + 1):
        if not open_.any():
            return needed[place]
        blocked = load * blocked / (count + load * blocked)
        if count % servers:
            continue
        tried = np.flatnonzero(open_ & (load < count))
        use = load[tried] / count
        waits = blocked[tried] / (1 - use * (1 - blocked[tried]))
        pace = 2 * (count - load[tried]) / (mean * spread)
        late = waits * np.exp(-pace[:, None] * slack).sum(axis=1)
        # A hair of tolerance, as for requests: a share reached exactly counts.
        enough = (len(within) - late) >= share * len(times) * (1 - 1e-12)
        needed[tried[enough]] = count // servers
        open_[tried[enough]] = False
    return None


def _thinned(times: Floats) -> Floats:
    """At most `QUANTILES` of sorted values, the middle ones of equal parts."""
    if len(times) <= QUANTILES:
        return times
    return times[((np.arange(QUANTILES) + 0.5) * len(times) / QUANTILES).astype(np.int64)]
