"""Pools of equal nodes that grow on request and shrink when idle.

A new node takes its time: PROVISIONING (the provider finds a machine), BOOTING (the system starts),
READY. It is billed from the request on, as clouds do, and given back after standing empty for
`idle_timeout`.
"""

from __future__ import annotations

from math import inf

from sim.iaas.nodes import Cluster, Node, NodeState, NodeType
from sim.kernel.context import Context
from sim.kernel.distributions import Distribution

_PENDING = (NodeState.PROVISIONING, NodeState.BOOTING)
_ENDED = (NodeState.OFF, NodeState.RECLAIMED)


class NodePool:
    """Nodes of one type at one site.

    Attributes:
        name: within the site.
        site: where its nodes stand.
        path: `<site>/<pool>`, as the nodes carry it.
        node_type: what its nodes are.
        minimum: nodes it never gives back; lost ones are replaced up to here.
        maximum: nodes it may have at once (the quota).
        nodes: those it has now, by index, from those asked for to those down for repair.
    """

    def __init__(
        self,
        ctx: Context,
        cluster: Cluster,
        name: str,
        site: str,
        node_type: NodeType,
        *,
        initial: int,
        minimum: int,
        maximum: int,
        provisioning: Distribution,
        boot: Distribution,
        idle_timeout: float = inf,
    ) -> None:
        if not 0 <= minimum <= initial <= maximum:
            raise ValueError(f"pool {site}/{name}: needs 0 <= minimum <= initial <= maximum nodes")
        self.name = name
        self.site = site
        self.path = f"{site}/{name}"
        self.node_type = node_type
        self.minimum = minimum
        self.maximum = maximum
        self.nodes: dict[int, Node] = {}
        self._kernel = ctx.kernel
        self._cluster = cluster
        self._idle_timeout = idle_timeout
        self._provisioning = ctx.streams.sampler(f"iaas/{self.path}/provisioning", provisioning)
        self._boot = ctx.streams.sampler(f"iaas/{self.path}/boot", boot)
        #: Moment since which each node stands empty; nodes a look is due at; idle ones kept at the minimum.
        self._idle_since: dict[int, float] = {}
        self._watched: dict[int, Node] = {}
        self._spared: dict[int, Node] = {}
        cluster.declare(site, name)
        cluster.listen(self._on_event)
        for _ in range(initial):
            cluster.set_state(self._new(), NodeState.READY)

    @property
    def pending(self) -> int:
        """Nodes asked for that are not ready yet."""
        return sum(node.state in _PENDING for node in self.nodes.values())

    def request(self, count: int) -> int:
        """Ask for more nodes; returns how many the quota allows, which are on their way then."""
        accepted = max(0, min(count, self.maximum - len(self.nodes)))
        for _ in range(accepted):
            self._kernel.call_in(self._provisioning(), self._boot_up, self._new())
        return accepted

    def _new(self) -> Node:
        node = self._cluster.add(self.node_type, self.site, self.name)
        self.nodes[node.index] = node
        return node

    def _boot_up(self, node: Node) -> None:
        if node.state is NodeState.PROVISIONING:
            self._cluster.set_state(node, NodeState.BOOTING)
            self._kernel.call_in(self._boot(), self._finish, node)

    def _finish(self, node: Node) -> None:
        if node.state is NodeState.BOOTING:
            self._cluster.set_state(node, NodeState.READY)

    # ---------------------------------------------------------------- giving back

    def _on_event(self, event: str, node: Node) -> None:
        if node.index not in self.nodes:
            return
        if event == "gone":
            if node.state in _ENDED:
                del self.nodes[node.index]
                self._spared.pop(node.index, None)
                self.request(self.minimum - len(self.nodes))
        elif self._idle_timeout < inf and event != "draining":
            self._idle_since[node.index] = self._kernel.now
            self._watch(node)
            if event == "ready" and self._spared:
                # There is one more than before, so one that was idle but needed may go now.
                spared, self._spared = self._spared, {}
                for other in spared.values():
                    self._watch(other)

    def _watch(self, node: Node) -> None:
        """Look at an empty node when it will have been idle for long enough; one look is due at most."""
        if not node.units and node.state is NodeState.READY and node.index not in self._watched:
            self._watched[node.index] = node
            wait = self._idle_since[node.index] + self._idle_timeout - self._kernel.now
            if wait > 0.0:
                self._kernel.call_in(wait, self._look, node)
            else:
                # One turn later: whoever heard of the empty node at this moment may first put a unit on it.
                self._kernel.call_in(0.0, self._kernel.call_in, 0.0, self._look, node)

    def _look(self, node: Node) -> None:
        del self._watched[node.index]
        if node.units or node.state is not NodeState.READY:
            return
        # The slack keeps a rounding error of the clock from looking twice at one moment.
        if self._kernel.now - self._idle_since[node.index] < self._idle_timeout * (1.0 - 1e-9):
            self._watch(node)
        elif len(self.nodes) > self.minimum:
            self._cluster.set_state(node, NodeState.OFF, "idle")
        else:
            self._spared[node.index] = node
