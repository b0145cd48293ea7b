"""What goes wrong: crashes and repairs, spot reclaims with notice, scripted outages.

Faults strike nodes that run (READY or DRAINING); one that is still being provisioned or boots comes
up later. Every node has its own random stream, so two arms of a study see the same faults on nodes
that live in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

from numpy.random import Generator

from sim.errors import did_you_mean
from sim.iaas.network import Network
from sim.iaas.nodes import Cluster, Node, NodeState
from sim.kernel.context import Context
from sim.kernel.distributions import Distribution
from sim.kernel.kernel import Timer

_ENDED = (NodeState.OFF, NodeState.RECLAIMED)


@dataclass(frozen=True, slots=True)
class Crashes:
    """Nodes of a pool crash now and then and come back after repair.

    Attributes:
        pool: `<site>/<pool>`.
        mtbf: seconds a node runs from being ready to its next crash.
        mttr: seconds from the crash until it is ready again.
    """

    pool: str
    mtbf: Distribution
    mttr: Distribution


@dataclass(frozen=True, slots=True)
class Reclaims:
    """The provider takes nodes of a pool back for good, as with spot capacity.

    Attributes:
        pool: `<site>/<pool>`.
        lifetime: seconds from a node's being ready first to the notice.
        notice: seconds from the notice, which makes it DRAINING, to its end.
    """

    pool: str
    lifetime: Distribution
    notice: float = 0.0


@dataclass(frozen=True, slots=True)
class Outage:
    """At a stated time something is down for a stated time.

    Attributes:
        at: second at which it begins.
        target: a site (all its nodes), a pool `<site>/<pool>`, a node `<site>/<pool>/<k>`, or a link.
        duration: seconds.
    """

    at: float
    target: str
    duration: float


class Faults:
    """Strikes nodes and links as the specs say, and writes the `faults` table.

    Build it after the pools. A site's links do not fail with it: script their outage as well.
    """

    def __init__(
        self,
        ctx: Context,
        cluster: Cluster,
        specs: Sequence[Crashes | Reclaims | Outage],
        network: Network | None = None,
    ) -> None:
        self._ctx = ctx
        self._kernel = ctx.kernel
        self._table = ctx.recorder.table("faults")
        self._cluster = cluster
        self._network = network
        self._crashes = {spec.pool: spec for spec in specs if isinstance(spec, Crashes)}
        self._reclaims = {spec.pool: spec for spec in specs if isinstance(spec, Reclaims)}
        self._streams: dict[str, Generator] = {}
        #: The next crash of each running node; whose reclaim is arranged; until when nodes are down.
        self._next: dict[int, Timer] = {}
        self._doomed: set[int] = set()
        self._down: dict[int, float] = {}
        #: Outages of sites, pools and nodes now: target -> end, for nodes that come up meanwhile.
        self._dark: dict[str, float] = {}
        for pool in (*self._crashes, *self._reclaims):
            self._check(pool, cluster.pool_names)
        for spec in specs:
            if isinstance(spec, Outage):
                self._script(spec)
        for node in cluster.nodes:
            if node.state is NodeState.READY:
                self._arm(node)
        cluster.listen(self._on_event)

    # ---------------------------------------------------------------- crashes and reclaims

    def _on_event(self, event: str, node: Node) -> None:
        if event == "gone":
            timer = self._next.pop(node.index, None)
            if timer is not None:
                timer.cancel()
        elif event == "ready":
            until = max((end for target, end in self._dark.items() if _within(node, target)), default=0.0)
            if until > self._kernel.now:
                self._fail([node], "outage", until)
            else:
                self._arm(node)

    def _arm(self, node: Node) -> None:
        crashes = self._crashes.get(node.pool)
        # One that is not drained after all comes up again without having gone.
        if crashes is not None and node.index not in self._next:
            delay = self._draw(node, "mtbf", crashes.mtbf)
            self._next[node.index] = self._kernel.timer(delay, self._crash, node, crashes)
        reclaims = self._reclaims.get(node.pool)
        if reclaims is not None and node.index not in self._doomed:
            self._doomed.add(node.index)
            lifetime = self._draw(node, "lifetime", reclaims.lifetime)
            self._kernel.call_in(lifetime, self._announce, node, reclaims)

    def _draw(self, node: Node, what: str, distribution: Distribution) -> float:
        # Not a sampler: a block of numbers for each of thousands of nodes would mostly go unused.
        name = f"{node.name}/{what}"
        if name not in self._streams:
            self._streams[name] = self._ctx.streams.stream(name)
        return float(distribution.sample(self._streams[name], 1)[0])

    def _crash(self, node: Node, crashes: Crashes) -> None:
        until = self._kernel.now + self._draw(node, "mttr", crashes.mttr)
        self._table.add((self._kernel.now, node.name, "crash", until, len(node.units)))
        self._fail([node], "crash", until)

    def _fail(self, nodes: list[Node], reason: str, until: float) -> None:
        """Take nodes down; one that is down stays so until the last of its faults is over."""
        for node in nodes:
            self._down[node.index] = max(until, self._down.get(node.index, until))
            self._kernel.call_at(until, self._repair, node)
        self._cluster.set_states([node for node in nodes if node.running], NodeState.FAILED, reason)

    def _repair(self, node: Node) -> None:
        if node.state is NodeState.FAILED and self._kernel.now >= self._down[node.index]:
            del self._down[node.index]
            self._cluster.set_state(node, NodeState.READY)

    def _announce(self, node: Node, reclaims: Reclaims) -> None:
        if node.state in _ENDED:
            return
        if node.state is NodeState.READY and reclaims.notice > 0.0:
            self._cluster.set_state(node, NodeState.DRAINING, "reclaim")
        self._kernel.call_in(reclaims.notice, self._reclaim, node)

    def _reclaim(self, node: Node) -> None:
        if node.state not in _ENDED:
            self._table.add((self._kernel.now, node.name, "reclaim", nan, len(node.units)))
            self._cluster.set_state(node, NodeState.RECLAIMED, "reclaim")

    # ---------------------------------------------------------------- outages

    def _script(self, outage: Outage) -> None:
        target = outage.target.removeprefix("iaas/")
        links = list(self._network.links) if self._network is not None else []
        if target in self._cluster.site_names or target.count("/") == 1:
            self._check(target, [*self._cluster.site_names, *self._cluster.pool_names])
            self._kernel.call_at(outage.at, self._darken, target, outage.duration)
        elif target.count("/") == 2:
            self._check(target.rpartition("/")[0], self._cluster.pool_names)
            self._kernel.call_at(outage.at, self._darken, target, outage.duration)
        else:
            self._check(target, [*links, *self._cluster.site_names])
            self._kernel.call_at(outage.at, self._cut, target, outage.duration)

    def _darken(self, target: str, duration: float) -> None:
        now = self._kernel.now
        until = now + duration
        self._dark[target] = max(until, self._dark.get(target, until))
        struck = [node for node in self._cluster.nodes if _within(node, target)]
        struck = [node for node in struck if node.running or node.state is NodeState.FAILED]
        self._table.add((now, target, "outage", until, sum(len(node.units) for node in struck)))
        self._fail(struck, "outage", until)

    def _cut(self, link: str, duration: float) -> None:
        assert self._network is not None
        self._table.add((self._kernel.now, link, "outage", self._kernel.now + duration, 0))
        self._network.set_up(link, False)
        self._kernel.call_in(duration, self._network.set_up, link, True)

    @staticmethod
    def _check(name: str, known: Sequence[str]) -> None:
        if name not in known:
            raise ValueError(f"fault of unknown {name!r}{did_you_mean(name, known)}")


def _within(node: Node, target: str) -> bool:
    """Whether a target - site, pool or node - takes in this node."""
    return node.name.startswith(f"iaas/{target}/") or node.name == f"iaas/{target}"
