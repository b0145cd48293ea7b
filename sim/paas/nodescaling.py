"""Growth of pools by the plan of a node autoscaler (`sim.paas.policies.node_scaling`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, nan

import numpy as np

from sim.iaas import room
from sim.iaas.nodes import Node, NodeState
from sim.iaas.pools import NodePool
from sim.kernel.context import Context
from sim.paas.autoscaling.cluster_autoscaler import NodeGroup
from sim.paas.autoscaling.packing import Pod, Template
from sim.paas.elastic import ScaleUp
from sim.paas.placement import Placer
from sim.paas.podview import PodView, amounts
from sim.paas.policies.node_scaling import NodeScaling
from sim.paas.queue import Bucket

#: Pods that one plan looks at.
MOST_PODS = 2000

_COMING = (NodeState.PROVISIONING, NodeState.BOOTING)


class PlannedScaleUp(ScaleUp):
    """Asks pools for nodes when and as a node autoscaler plans it.

    Nodes that are coming count as there. A plan that asked for nodes is followed by another one, for
    what it left over; one that asked for none ends the series until something waits anew. Nodes that do
    not come in time are given up, and their pool is left alone for as long as the policy's backoff says.

    Args:
        ctx: clock and randomness.
        placer: knows what fits where.
        pools: those that can grow.
        policy: the node autoscaler.
        waiting: what waits at present, in order of the queue.

    Attributes:
        pods: units as the policy's rules see them.
    """

    def __init__(
        self,
        ctx: Context,
        placer: Placer,
        pools: Sequence[NodePool],
        policy: NodeScaling,
        waiting: Callable[[], Sequence[Bucket]],
    ) -> None:
        super().__init__(placer, pools)
        self._kernel = ctx.kernel
        self._policy = policy
        self._waiting = waiting
        self._uniform = ctx.streams.uniforms("paas/scheduler/expander")
        self._rows = ctx.recorder.table("node_scaling")
        self._name: str = getattr(policy, "policy", "")
        self._patience: float = getattr(policy, "provision_timeout", inf)
        self._backoff = getattr(policy, "backoff", None)
        self._added = getattr(policy, "added", None)
        self._due = False
        self._overtaking = True
        self.pods = PodView(placer, self._suitable)
        if self._backoff is not None:
            placer.cluster.listen(self._on_event)

    def ask(self, buckets: Sequence[Bucket], overtaking: bool) -> None:
        """Have a plan made; `buckets` are looked at when it is due."""
        self._overtaking = overtaking
        if not self._due:
            self._due = True
            self._kernel.call_in(self._policy.wait(self._kernel.now), self._plan)

    def _plan(self) -> None:
        self._due = False
        pods = self._left()
        if not pods:
            return
        now = self._kernel.now
        free = [index for index, pool in enumerate(self._pools) if not self._blocked(pool, now)]
        asked = self._policy.plan(
            pods, [self.group(index) for index in free], lambda count: int(self._uniform() * count)
        )
        got = [
            self.request(pool, asked[pool.path], "pods wait") for pool in self._pools if pool.path in asked
        ]
        if any(got):
            self.ask([], self._overtaking)

    def request(self, pool: NodePool, count: int, reason: str) -> list[Node]:
        """Ask a pool for nodes; returns those that are on their way."""
        now = self._kernel.now
        before = set(pool.nodes)
        if not pool.request(count):
            return []
        new = [node for index, node in pool.nodes.items() if index not in before]
        self._rows.add((now, self._name, pool.path, "", "grow", len(new), nan, reason))
        if self._added is not None:
            self._added(now)
        if self._patience < inf:
            self._kernel.call_in(self._patience, self._give_up, pool, new)
        return new

    def _give_up(self, pool: NodePool, nodes: Sequence[Node]) -> None:
        """Nodes that are still on their way are not waited for any longer."""
        late = [node for node in nodes if node.state in _COMING]
        if not late:
            return
        now = self._kernel.now
        for node in late:
            self._rows.add((now, self._name, pool.path, node.name, "failed", 1, nan, "provisioning-timeout"))
        if self._backoff is not None:
            until = self._backoff.failed(pool.path, now)
            self._kernel.call_at(until, self.ask, [], self._overtaking)
        self._placer.cluster.set_states(late, NodeState.OFF, "provisioning-timeout")
        self.ask([], self._overtaking)

    def _blocked(self, pool: NodePool, now: float) -> bool:
        return self._backoff is not None and bool(self._backoff.blocks(pool.path, now))

    def _on_event(self, event: str, node: Node) -> None:
        if event == "ready" and self._backoff is not None and node.first_ready == self._kernel.now:
            self._backoff.worked(node.pool)

    def _left(self) -> list[Pod]:
        """Units of the groups that fit whole on nodes to come, but not on those that are coming."""
        rooms = [max(0, pool.maximum - len(pool.nodes)) for pool in self._pools]
        coming = [pool.pending for pool in self._pools]
        most = [there + room for there, room in zip(coming, rooms, strict=True)]
        soon, ever = self._table(coming), self._table(most)
        pods: list[Pod] = []
        for bucket in self._waiting():
            seated = self._seat(bucket, soon, coming)
            possible = self._seat(bucket, ever, most)
            for entry in bucket.entries[seated:possible]:
                pods.extend(self.pods.pod(unit) for unit in entry[3].units)
            if len(pods) >= MOST_PODS or (seated < len(bucket.entries) and not self._overtaking):
                break
        return pods

    def _table(self, blocks: Sequence[int]) -> np.ndarray:
        """What is free now, and so many empty nodes of each pool."""
        rows = [np.repeat(t.room, size, axis=0) for t, size in zip(self._templates, blocks, strict=True)]
        return room.stacked([self._placer.cluster.room, *rows])

    def group(self, index: int) -> NodeGroup:
        """A pool as the rules see it."""
        pool = self._pools[index]
        kind = pool.node_type
        template = Template(pool.path, amounts(kind.capacity), kind.price * 3600.0, self.pods.of_pool(index))
        return NodeGroup(template, len(pool.nodes), pool.minimum, pool.maximum)

    def groups(self) -> dict[str, NodeGroup]:
        """All pools that can grow, by path."""
        return {pool.path: self.group(index) for index, pool in enumerate(self._pools)}
