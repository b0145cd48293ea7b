"""Removal of nodes by a node autoscaler: looked for at its pace, drained, and given back when empty.

A node that is to go takes no more units. Replicas on it finish their calls while others start in their
stead; gangs are taken off, whole, with their work saved. What is still there after the policy's
longest termination is cut off. What a disruption budget holds is asked again every `RETRY` seconds; a
node that it holds for too long stays after all. A node to replace others is waited for before they go.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan
from typing import TYPE_CHECKING

from sim.iaas.nodes import Node, NodeState
from sim.iaas.pools import NodePool
from sim.kernel.context import Context
from sim.paas.autoscaling import scale_down
from sim.paas.autoscaling.scale_down import UNNEEDED
from sim.paas.nodescaling import PlannedScaleUp
from sim.paas.policies.node_scaling import Shrink, Shrinking

if TYPE_CHECKING:
    from sim.paas.scheduler import Scheduler

_THERE = (NodeState.READY, NodeState.DRAINING)

#: Seconds until an eviction that was refused is asked for again.
RETRY = 10.0


class NodeDrain:
    """Carries out what a policy's `shrink` wants.

    Args:
        ctx: clock and records.
        scheduler: takes gangs off their nodes.
        pools: those that can shrink.
        policy: the node autoscaler.
        scale_up: knows the pools as the policy sees them, and asks them for nodes.
    """

    def __init__(
        self,
        ctx: Context,
        scheduler: Scheduler,
        pools: Sequence[NodePool],
        policy: Shrinking,
        scale_up: PlannedScaleUp,
    ) -> None:
        self._kernel = ctx.kernel
        self._scheduler = scheduler
        self._cluster = scheduler.cluster
        self._pools = {pool.path: pool for pool in pools}
        self._policy = policy
        self._shrink = policy.shrink
        self._pace = policy.look
        self._scale_up = scale_up
        self._evict_jobs: bool = getattr(policy, "evict_jobs", False)
        self._patience: float = getattr(policy, "eviction_timeout", inf)
        self._termination: float = getattr(policy, "graceful_termination", inf)
        self._failed = getattr(policy, "failed", None)
        self._rows = ctx.recorder.table("node_scaling")
        self._name: str = getattr(policy, "policy", "")
        self._told: dict[str, str] = {}
        self._going: dict[int, str] = {}
        #: Units that a disruption budget kept on their node at the last try, by node.
        self._held: dict[int, set[int]] = {}
        #: Nodes that go when the node of that number is ready.
        self._replacing: dict[int, Shrink] = {}
        self._stamp: object = None
        self._events = 0
        self._nodes: list[scale_down.Node] = []
        self._cluster.listen(self._on_event)
        self._next()

    def _next(self) -> None:
        self._kernel.call_in(self._pace(self._kernel.now), self._begin)

    def _begin(self) -> None:
        """Look after all else that happens in this moment: a node just ready gets its units first."""
        self._kernel.call_in(0.0, self._kernel.call_in, 0.0, self._look)

    def _look(self) -> None:
        nodes = self._seen()
        if nodes:
            shrink: Shrink = self._shrink(nodes, self._scale_up.groups(), self._kernel.now)
            self._record(nodes, shrink)
            self._carry_out(shrink)
        self._next()

    def _seen(self) -> list[scale_down.Node]:
        """The nodes as the rules see them; the same list as long as nothing has changed."""
        view = self._scale_up.pods
        stamp = (self._scheduler.roster.changes, self._events, view.allowances())
        if stamp != self._stamp:
            self._stamp = stamp
            there = [node for node in self._cluster.nodes if node.state in _THERE]
            for node in there:
                for unit in node.units.values():
                    view.learn(unit)
            going = {name for each in self._replacing.values() for name in each.remove}
            self._nodes = [
                view.node(
                    node,
                    evict_jobs=self._evict_jobs,
                    protected=self._fixed(node),
                    going=node.state is not NodeState.READY or node.name in going,
                    held=self._held.get(node.index, ()),
                )
                for node in there
            ]
        return self._nodes

    def _fixed(self, node: Node) -> bool:
        pool = self._pools.get(node.pool)
        return pool is None or len(pool.nodes) <= pool.minimum

    def _record(self, nodes: Sequence[scale_down.Node], shrink: Shrink) -> None:
        """Write what has changed since the last look."""
        now = self._kernel.now
        going = set(shrink.remove)
        for node in nodes:
            reason = shrink.reasons.get(node.name)
            if reason is None or node.name in going or self._told.get(node.name) == reason:
                continue
            self._told[node.name] = reason
            action = "unneeded" if reason == UNNEEDED else "kept"
            used = scale_down.utilisation(node)
            self._rows.add((now, self._name, node.group, node.name, action, 1, used, reason))

    def _carry_out(self, shrink: Shrink) -> None:
        if not shrink.remove:
            return
        pool = self._pools.get(shrink.replacement or "")
        if shrink.replacement is None or pool is None:
            self._drain(shrink)
            return
        new = self._scale_up.request(pool, 1, "cheaper than " + ", ".join(shrink.remove))
        for node in new:
            self._events += 1
            self._replacing[node.index] = shrink

    def _drain(self, shrink: Shrink) -> None:
        names = set(shrink.remove)
        nodes = [node for node in self._cluster.nodes if node.name in names]
        nodes = [node for node in nodes if node.state is NodeState.READY]
        seen = {node.name: node for node in self._nodes}
        now = self._kernel.now
        for node in nodes:
            reason = shrink.reasons.get(node.name, "")
            used = scale_down.utilisation(seen[node.name]) if node.name in seen else nan
            action = "drain" if node.units else "removed"
            self._rows.add((now, self._name, node.pool, node.name, action, 1, used, reason))
            self._going[node.index] = reason
        # All at once, so that none takes what another loses.
        self._cluster.set_states(nodes, NodeState.DRAINING)
        for node in nodes:
            self._evict(node, now)

    def _evict(self, node: Node, since: float) -> None:
        """Take off what may go; what a disruption budget holds is asked again later, up to a limit."""
        if node.index not in self._going or node.state is not NodeState.DRAINING:
            return
        held: set[int] = set()
        for unit in list(node.units.values()):
            if unit.node is not node:
                continue
            if unit.guard is not None and not unit.guard.lets_go(unit):
                held.add(unit.id)
            elif unit.on_drained is not None:
                unit.on_drained(unit)
            else:
                self._scheduler.preempt(unit.group, "node-scaled-down")
        self._events += 1
        self._held[node.index] = held
        if held and self._kernel.now - since >= self._patience:
            self._let_off(node)
        elif held:
            self._kernel.call_in(RETRY, self._evict, node, since)
        elif node.index in self._going:
            self._finish(node)
            if node.index in self._going and self._termination < inf:
                self._kernel.call_in(self._termination, self._cut, node)

    def _let_off(self, node: Node) -> None:
        """The budget holds it for too long: it takes units again."""
        now = self._kernel.now
        del self._going[node.index]
        self._held.pop(node.index, None)
        self._told.pop(node.name, None)
        self._rows.add((now, self._name, node.pool, node.name, "failed", 1, nan, "disruption-budget"))
        self._cluster.set_state(node, NodeState.READY)
        if self._failed is not None:
            self._failed(now)

    def _finish(self, node: Node) -> None:
        """Give back a node that has become empty."""
        if not node.units and node.state is NodeState.DRAINING:
            reason = self._going.pop(node.index)
            self._cluster.set_state(
                node, NodeState.OFF, f"scaled-down: {reason}" if reason else "scaled-down"
            )

    def _cut(self, node: Node) -> None:
        if node.index in self._going and node.state is NodeState.DRAINING:
            del self._going[node.index]
            self._cluster.set_state(node, NodeState.OFF, "scaled-down: termination")

    def _on_event(self, event: str, node: Node) -> None:
        self._events += 1
        if event == "released" and node.index in self._going and not node.units:
            # One turn later: whoever leaves is still in the midst of it.
            self._kernel.call_in(0.0, self._later, node)
        elif event == "gone":
            self._going.pop(node.index, None)
            self._held.pop(node.index, None)
            self._replacing.pop(node.index, None)
            self._told.pop(node.name, None)
        elif event == "ready" and node.index in self._replacing:
            self._kernel.call_in(0.0, self._drain, self._replacing.pop(node.index))

    def _later(self, node: Node) -> None:
        if node.index in self._going:
            self._finish(node)
