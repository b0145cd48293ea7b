"""What an autoscaler sees and has to answer.

An autoscaler is a policy with `want(observation, now)` and a `period` at which it is asked. The
loop in `sim.paas.scaling` builds the observation, holds the answer within the service's bounds,
records it and applies it. For the record a policy may set attributes in `want`: `signal` (the value
it looked at), `predicted` (what it forecast), `outlook` (the forecast with its band), `recommended`
(replicas before its own windows and rates) and `reason` (what held it back). A class attribute
`wakes = False` says that a call which finds no replica wanted waits for the policy's own look. One
that needs randomness or a look ahead has `start(surroundings)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from typing import NamedTuple, Protocol

from sim.kernel.streams import RandomStreams
from sim.paas.policies.forecasters import Floats


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
        running: calls in service now.
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
    running: int = 0


class Outlook(NamedTuple):
    """What was foreseen of one bin of arrivals, for the record.

    Attributes:
        due: its end (s).
        width: its length (s).
        expected: mean rate in it (calls/s).
        low: rate that is exceeded with probability `level`.
        high: rate that is exceeded with probability 1 - `level`.
        level: the quantile that `high` is.
    """

    due: float
    width: float
    expected: float
    low: float
    high: float
    level: float


#: Nothing was foreseen.
NO_OUTLOOK = Outlook(nan, nan, nan, nan, nan, nan)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an autoscaler with a method `start` is handed when its run begins.

    Attributes:
        streams: the run's random streams; those below `path` are the autoscaler's.
        path: `paas/<service>/autoscaler`.
        arrivals: calls per second that will come, by bins of a width in seconds from the start to the
            end of the run; None where nobody knows.
    """

    streams: RandomStreams
    path: str
    arrivals: Callable[[float], Floats] | None = None


class Autoscaler(Protocol):
    """What the scaling loop needs of an autoscaler."""

    policy: str
    period: float

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
