"""Offload policies: which of the services that could answer a call is asked.

Before a run `start` tells a policy what kind each site is; `place` is then asked for every call that
has alternatives, all of them at sites where the data may go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le

from sim.registry import policy
from sim.units import Fraction, Number, PositiveSeconds, Seconds

if TYPE_CHECKING:
    from sim.iaas.network import Network
    from sim.paas.service import Service
    from sim.saas.requests import Request


class _ByKind:
    """Finds services by the kind of their site."""

    def start(self, kinds: Mapping[str, str]) -> None:
        """Learn the kind (device, edge, cloud) of each site."""
        self._kinds = kinds

    def _nearest(
        self, kind: str, request: Request, services: Sequence[Service], network: Network
    ) -> Service | None:
        """The service of that kind with the least latency from the data; ties go to the one named first."""
        best, least = None, inf
        for service in services:
            if self._kinds[service.site] == kind:
                latency = network.latency(request.at, service.site)
                if latency < least:
                    best, least = service, latency
        return best


@policy("offload", "edge")
class Edge(_ByKind):
    """Stay near: the nearest service at an edge site, else the first one named."""

    def place(self, request: Request, services: Sequence[Service], now: float, network: Network) -> Service:
        """Pick the service for the next call of a request."""
        return self._nearest("edge", request, services, network) or services[0]


@policy("offload", "cloud")
class Cloud(_ByKind):
    """Go to the data centre: the nearest service at a cloud site, else the first one named."""

    def place(self, request: Request, services: Sequence[Service], now: float, network: Network) -> Service:
        """Pick the service for the next call of a request."""
        return self._nearest("cloud", request, services, network) or services[0]


def expected(request: Request, service: Service, network: Network) -> float:
    """Seconds until the reply of a service would be back, by what is known now."""
    return (
        network.estimate(request.at, service.site, request.payload)
        + network.estimate(service.site, request.origin, request.reply)
        + service.expected_wait()
        + service.expected_seconds(request.work, request.tokens_in, request.tokens_out)
    )


@policy("offload", "latency-weighted")
class LatencyWeighted:
    """Spread calls over the services, each in proportion to one over the time its reply would take.

    The time is that of `latency-greedy`; `sharpness` is the power it is taken to. The shares are kept in
    turns, not by chance: each service earns its weight, and the one with the most pays all of them (smooth
    weighted round robin, as in nginx).
    """

    sharpness: Annotated[float, Ge(0), Le(10)] = 1.0

    def start(self, kinds: Mapping[str, str]) -> None:
        """Begin with nothing earned."""
        self._earned: dict[str, float] = {}

    def place(self, request: Request, services: Sequence[Service], now: float, network: Network) -> Service:
        """Pick the service for the next call of a request."""
        times = [max(1e-9, expected(request, service, network)) for service in services]
        shortest = min(times)
        weights = [(shortest / seconds) ** self.sharpness for seconds in times]
        earned = self._earned
        for service, weight in zip(services, weights, strict=True):
            earned[service.name] = earned.get(service.name, 0.0) + weight
        best = max(services, key=lambda service: earned[service.name])
        earned[best.name] -= sum(weights)
        return best


@policy("offload", "variant")
class Variant:
    """Choose among variants of a model, named from the cheapest to the best, one that is fast enough.

    Of those whose reply should be back within `latency` the best one, or with `prefer: cost` the cheapest;
    if none is, the fastest. So quality gives way under load before latency does (the idea of INFaaS,
    ATC 2021, without its search over hardware).
    """

    latency: PositiveSeconds = 1.0
    prefer: Literal["quality", "cost"] = "quality"

    def start(self, kinds: Mapping[str, str]) -> None:
        """Nothing to learn: kinds of sites do not matter here."""

    def place(self, request: Request, services: Sequence[Service], now: float, network: Network) -> Service:
        """Pick the service for the next call of a request."""
        times = [expected(request, service, network) for service in services]
        able = [place for place, seconds in enumerate(times) if seconds <= self.latency]
        if not able:
            return services[times.index(min(times))]
        return services[able[-1] if self.prefer == "quality" else able[0]]


@policy("offload", "latency-greedy")
class LatencyGreedy:
    """Go where the reply should be back first, by what is known now; ties go to the service named first.

    The estimate is the transfer there and back at the share of the network that is free now, plus
    the wait in the service, plus the service time. It does not foresee what other requests decide.
    """

    def start(self, kinds: Mapping[str, str]) -> None:
        """Nothing to learn: kinds of sites do not matter here."""

    def place(self, request: Request, services: Sequence[Service], now: float, network: Network) -> Service:
        """Pick the service for the next call of a request."""
        best, least = services[0], inf
        for service in services:
            seconds = expected(request, service, network)
            if seconds < least:
                best, least = service, seconds
        return best


@policy("offload", "threshold")
class Threshold(_ByKind):
    """Stay at the edge until it is too busy there, then go to the cloud.

    One threshold passed is enough. If none is given, a backlog of 4 calls is the threshold.

    wait: seconds of expected wait at the edge above which a call goes to the cloud.
    backlog: calls in the edge service per ready replica above which it does.
    utilisation: share of the edge service's servers busy at the moment above which it does.
    """

    wait: Seconds | None = None
    backlog: Number | None = None
    utilisation: Fraction | None = None

    def place(self, request: Request, services: Sequence[Service], now: float, network: Network) -> Service:
        """Pick the service for the next call of a request."""
        edge = self._nearest("edge", request, services, network)
        cloud = self._nearest("cloud", request, services, network)
        if edge is None or cloud is None:
            return edge or cloud or services[0]
        return cloud if self._too_busy(edge) else edge

    def _too_busy(self, edge: Service) -> bool:
        backlog = self.backlog
        if backlog is None and self.wait is None and self.utilisation is None:
            backlog = 4.0
        if backlog is not None and edge.in_system > backlog * edge.ready:
            return True
        if self.wait is not None and edge.expected_wait() > self.wait:
            return True
        if self.utilisation is None:
            return False
        servers = edge.replica_set.servers.value
        return not servers or edge.busy.value > self.utilisation * servers
