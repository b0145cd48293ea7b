"""Sites joined by links: which way data goes, how long it takes, what it meets there.

A transfer takes its path's pipes at the rate that sharing leaves it until its last byte has left,
and then the latency of the path. Latency therefore holds up the data but never the link: throughput
does not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf
from typing import Any

from sim.errors import did_you_mean
from sim.iaas.flows import FlowClass, Flows, Pipe, Sharing
from sim.kernel.context import Context
from sim.kernel.distributions import Constant, Distribution, constant_or
from sim.kernel.streams import Sampler


@dataclass(frozen=True, slots=True)
class Link:
    """A connection between two sites, full duplex: each direction has the whole bandwidth.

    Attributes:
        name: of the link.
        a: site at one end.
        b: site at the other.
        latency: one-way seconds; a distribution is drawn from once for each transfer.
        bandwidth: bytes per second in each direction.
        price: USD per byte, both directions.
        energy: joules per byte.
    """

    name: str
    a: str
    b: str
    latency: Distribution | float
    bandwidth: float
    price: float = 0.0
    energy: float = 0.0


class Route:
    """The way from one site to another."""

    __slots__ = ("fixed", "flows", "jitter", "links", "mean")

    def __init__(
        self, links: tuple[str, ...], mean: float, fixed: float, jitter: tuple[Sampler, ...]
    ) -> None:
        self.links = links
        self.mean = mean
        self.fixed = fixed
        self.jitter = jitter
        self.flows: FlowClass

    def delay(self) -> float:
        """Seconds of latency of one transfer."""
        delay = self.fixed
        for draw in self.jitter:
            delay += draw()
        return delay


class Network:
    """Sites, links and the transfers under way.

    Routes are fixed: the way with the least mean latency, then the fewest links, then the first by
    the links' names. An outage stalls the transfers on a link and those that come; nothing is
    re-routed.
    """

    def __init__(
        self, ctx: Context, sites: Sequence[str], links: Sequence[Link], sharing: Sharing = "max-min"
    ) -> None:
        self._ctx = ctx
        self._kernel = ctx.kernel
        self._flows = Flows(ctx.kernel, sharing)
        self.sites = list(sites)
        self.links = {link.name: link for link in sorted(links, key=lambda link: link.name)}
        self._pipes: dict[tuple[str, str], Pipe] = {}
        self._latency: dict[str, tuple[float, Sampler | None]] = {}
        self._outages = dict.fromkeys(self.links, 0)
        self._routes: dict[tuple[str, str], Route] = {}
        if len(self.links) != len(links):
            raise ValueError("two links have the same name")
        for link in self.links.values():
            self._lay(link)
        for source in self.sites:
            ways = _ways(source, self.links)
            for target in self.sites:
                if target == source:
                    continue
                if target not in ways:
                    raise ValueError(f"no link leads from site {source!r} to site {target!r}")
                self._routes[source, target] = self._route(source, ways[target])

    # ---------------------------------------------------------------- use

    def send(self, src: str, dst: str, size: float, fn: Callable[..., object], *args: Any) -> None:
        """Move `size` bytes and then call `fn(*args)`, never before this call returns.

        Within a site that takes no time. Without any bytes only the latency passes, unless a link
        of the route is out: then that message waits as well.

        Raises:
            ValueError: the size is below zero, infinite or not a number.
        """
        if not 0.0 <= size < inf:
            raise ValueError(f"size must be 0 bytes or more and finite, got {size!r}")
        if src == dst:
            self._kernel.call_in(0.0, fn, *args)
            return
        route = self._routes[src, dst]
        delay = route.delay()
        if size > 0.0 or any(pipe.capacity == 0.0 for pipe in route.flows.path):
            self._flows.add(route.flows, size, delay, fn, args)
        else:
            self._kernel.call_in(delay, fn, *args)

    def join(self, out: Pipe, src: str, dst: str, into: Pipe) -> Route:
        """The way from a machine at one site to a machine at one, through the connection of each."""
        if src == dst:
            route = Route((), 0.0, 0.0, ())
            route.flows = self._flows.new_class((out, into))
            return route
        between = self._routes[src, dst]
        route = Route(between.links, between.mean, between.fixed, between.jitter)
        route.flows = self._flows.new_class((out, *between.flows.path, into))
        return route

    def send_on(self, route: Route, size: float, delay: float, fn: Callable[..., object], *args: Any) -> None:
        """Move bytes, more than 0, on a way of `join`; calls `fn(*args)` `delay` later than `send` would."""
        self._flows.add(route.flows, size, route.delay() + delay, fn, args)

    def latency(self, src: str, dst: str) -> float:
        """Mean seconds of latency from site to site."""
        return 0.0 if src == dst else self._routes[src, dst].mean

    def estimate(self, src: str, dst: str, size: float) -> float:
        """Seconds a transfer would take if it started now and nothing changed; infinite in an outage."""
        if src == dst:
            return 0.0
        route = self._routes[src, dst]
        offer = self._flows.offer(route.flows)
        if offer <= 0.0:
            return inf
        return size / offer + route.mean

    def route(self, src: str, dst: str) -> tuple[str, ...]:
        """Names of the links from site to site."""
        return () if src == dst else self._routes[src, dst].links

    # ---------------------------------------------------------------- change

    def attach(self, name: str, site: str, bandwidth: float) -> None:
        """Add an endpoint at a site behind its own connection, such as a store's disks.

        The connection has no latency. It is recorded as a link of the endpoint's name.
        """
        if name in self.links or name in self.sites:
            raise ValueError(f"{name!r} is taken: a site, a link or an endpoint has this name")
        link = Link(name, name, site, 0.0, bandwidth)
        self.links[name] = link
        self._outages[name] = 0
        self._lay(link)
        for other in self.sites:
            onward, back = self.route(site, other), self.route(other, site)
            self._routes[name, other] = self._route(name, (name, *onward))
            self._routes[other, name] = self._route(other, (*back, name))
        self.sites.append(name)

    def set_up(self, link: str, working: bool) -> None:
        """Begin (False) or end (True) an outage of a link; it works when no outage is left."""
        if link not in self.links:
            raise ValueError(f"no link {link!r}{did_you_mean(link, self.links)}")
        before = self._outages[link]
        self._outages[link] = before + (-1 if working else 1)
        if self._outages[link] < 0:
            raise ValueError(f"link {link!r} has no outage to end")
        if (before == 0) != (self._outages[link] == 0):
            ends = self.links[link]
            pipes = (self._pipes[link, ends.a], self._pipes[link, ends.b])
            self._flows.set_capacity(pipes, working)

    # ---------------------------------------------------------------- building

    def _lay(self, link: Link) -> None:
        known = self.sites if link.a != link.name else [*self.sites, link.name]
        for end in (link.a, link.b):
            if end not in known:
                raise ValueError(f"link {link.name!r} ends at unknown site {end!r}{did_you_mean(end, known)}")
        if link.a == link.b or not link.bandwidth > 0.0:
            raise ValueError(f"link {link.name!r} must join two sites with a bandwidth above zero")
        for start, end in ((link.a, link.b), (link.b, link.a)):
            series = self._ctx.recorder.series(f"iaas/links/{link.name}/{start}->{end}/rate")
            self._pipes[link.name, start] = Pipe(link.bandwidth, series)
        dist = constant_or(link.latency)
        fixed = isinstance(dist, Constant)
        draw = None if fixed else self._ctx.streams.sampler(f"iaas/links/{link.name}/latency", dist)
        self._latency[link.name] = (dist.mean, draw)

    def _route(self, source: str, names: tuple[str, ...]) -> Route:
        path, at = [], source
        for name in names:
            path.append(self._pipes[name, at])
            at = _across(self.links[name], at)
        latencies = [self._latency[name] for name in names]
        fixed = sum(mean for mean, draw in latencies if draw is None)
        jitter = tuple(draw for _, draw in latencies if draw is not None)
        route = Route(names, sum(mean for mean, _ in latencies), fixed, jitter)
        route.flows = self._flows.new_class(tuple(path))
        return route


def _across(link: Link, site: str) -> str:
    return link.b if site == link.a else link.a


def _ways(source: str, links: dict[str, Link]) -> dict[str, tuple[str, ...]]:
    """Links of the best way from a site to each site it reaches (Dijkstra)."""
    leaving: dict[str, list[Link]] = {}
    for link in links.values():
        leaving.setdefault(link.a, []).append(link)
        leaving.setdefault(link.b, []).append(link)
    done: dict[str, tuple[str, ...]] = {}
    heap: list[tuple[float, int, tuple[str, ...], str]] = [(0.0, 0, (), source)]
    while heap:
        seconds, hops, way, site = heappop(heap)
        if site in done:
            continue
        done[site] = way
        for link in leaving.get(site, ()):
            other = _across(link, site)
            if other not in done:
                further = seconds + constant_or(link.latency).mean
                heappush(heap, (further, hops + 1, (*way, link.name), other))
    return done
