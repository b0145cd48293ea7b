"""Growth of pools by the plan of a node autoscaler (`sim.paas.policies.node_scaling`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sim.iaas import room
from sim.iaas.pools import NodePool
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.paas.autoscaling.cluster_autoscaler import NodeGroup
from sim.paas.autoscaling.packing import Pod, Template
from sim.paas.elastic import ScaleUp
from sim.paas.placement import Placer
from sim.paas.policies.node_scaling import NodeScaling
from sim.paas.queue import Bucket
from sim.paas.units import Shape, Unit

#: Pods that one plan looks at.
MOST_PODS = 2000


class PlannedScaleUp(ScaleUp):
    """Asks pools for nodes when and as a node autoscaler plans it.

    Nodes that are coming count as there. A plan that asked for nodes is followed by another one, for
    what it left over; one that asked for none ends the series until something waits anew.

    Args:
        ctx: clock and randomness.
        placer: knows what fits where.
        pools: those that can grow.
        policy: the node autoscaler.
        waiting: what waits at present, in order of the queue.
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
        self._due = False
        self._overtaking = True
        self._labels: dict[Shape, str] = {}

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
        groups = [self._group(index) for index in range(len(self._pools))]
        asked = self._policy.plan(pods, groups, lambda count: int(self._uniform() * count))
        got = [pool.request(asked[pool.path]) for pool in self._pools if pool.path in asked]
        if any(got):
            self.ask([], self._overtaking)

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
                pods.extend(self._pod(unit) for unit in entry[3].units)
            if len(pods) >= MOST_PODS or (seated < len(bucket.entries) and not self._overtaking):
                break
        return pods

    def _table(self, blocks: Sequence[int]) -> np.ndarray:
        """What is free now, and so many empty nodes of each pool."""
        rows = [np.repeat(t.room, size, axis=0) for t, size in zip(self._templates, blocks, strict=True)]
        return room.stacked([self._placer.cluster.room, *rows])

    def _pod(self, unit: Unit) -> Pod:
        """A unit as the rules see it; a label stands for the pools whose nodes the filters allow."""
        self._suitable(unit)
        label = self._labels.setdefault(unit.shape, f"shape-{len(self._labels)}")
        return Pod(str(unit.id), _amounts(unit.resources), {label: ""}, owner=label)

    def _group(self, index: int) -> NodeGroup:
        pool = self._pools[index]
        labels = {label: "" for shape, label in self._labels.items() if self._suits[shape][index]}
        template = Template(pool.path, _amounts(pool.node_type.capacity), pool.node_type.price, labels)
        return NodeGroup(template, len(pool.nodes), pool.minimum, pool.maximum)


def _amounts(resources: Resources) -> dict[str, float]:
    return {
        "cpu": resources.cpu,
        "memory": resources.memory,
        "gpu": resources.accelerators,
        "disk": resources.disk,
    }
