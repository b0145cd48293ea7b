"""Which nodes to ask elastic pools for, so that what waits would fit.

First fit of all waiting groups onto what is free, then onto nodes that are coming, then onto empty
template nodes of the pools, cheapest first: the estimate that the Kubernetes cluster autoscaler makes
for a node group. Groups that would not fit whole even then ask for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.iaas import room
from sim.iaas.nodes import NodeState, NodeType
from sim.iaas.pools import NodePool
from sim.iaas.room import pack, slots
from sim.paas.placement import Placer, verdict
from sim.paas.queue import Bucket
from sim.paas.units import Group, Shape, Unit

_ENDED = (NodeState.OFF, NodeState.RECLAIMED)


class Template:
    """An empty, ready node of a pool as filters see it: columns of one row."""

    def __init__(self, node_type: NodeType, site: str, pool: str) -> None:
        device = node_type.device
        self.total = np.array([node_type.capacity], dtype=np.float64)
        self.room = room.table(1, room.width(node_type.capacity))
        room.fill(self.room, 0, node_type.capacity)
        self.free = self.room[:, : room.WHOLE]
        self.ready = np.ones(1, dtype=np.bool_)
        self.site_id = self.pool_id = self.kind_id = self.rack_id = self.nvlink_id = np.zeros(
            1, dtype=np.int64
        )
        self.device_id = np.array([-1 if device is None else 0], dtype=np.int64)
        self.accelerator_memory = np.array([0.0 if device is None else device.memory])
        self.price = np.array([node_type.price])
        self.site_names = [site]
        self.pool_names = [pool]
        self.kinds = [node_type]
        self.device_names = [] if device is None else [device.name]


def ever_fits(group: Group, placer: Placer, pools: Sequence[NodePool]) -> bool:
    """Whether a group fits on empty nodes: those of fixed pools, and as many as elastic pools may have.

    Nodes that are down count, since they are repaired.
    """
    cluster = placer.cluster
    elastic = {pool.path for pool in pools}
    here = [node.state not in _ENDED and node.pool not in elastic for node in cluster.nodes]
    templates = [Template(pool.node_type, pool.site, pool.path) for pool in pools]
    rows = [np.repeat(t.room, pool.maximum, axis=0) for t, pool in zip(templates, pools, strict=True)]
    empty = room.table(len(cluster.nodes), cluster.room.shape[1])
    for node in cluster.nodes:
        room.fill(empty, node.index, node.type.capacity)
    free = room.stacked([empty, *rows])
    first = 0
    for shape, count in group.shape:
        unit = group.units[first]
        first += count
        suits = [
            np.full(pool.maximum, verdict(placer.filters, unit, t)[0])
            for t, pool in zip(templates, pools, strict=True)
        ]
        allowed = np.concatenate([placer.allowed(unit) & np.array(here, dtype=np.bool_), *suits])
        if pack(free, allowed, shape[0], count) < count:
            return False
    return True


class ScaleUp:
    """Asks pools for the nodes that waiting groups lack."""

    def __init__(self, placer: Placer, pools: Sequence[NodePool]) -> None:
        self._placer = placer
        self._pools = sorted(pools, key=lambda pool: pool.node_type.price)
        self._templates = [Template(pool.node_type, pool.site, pool.path) for pool in self._pools]
        self._suits: dict[Shape, list[bool]] = {}

    def ask(self, buckets: Sequence[Bucket], overtaking: bool) -> None:
        """Request the nodes on which the groups in these buckets would fit and that are not coming yet.

        Args:
            buckets: what waits, in order of the queue.
            overtaking: whether a group may start before one ahead of it that fits nowhere. If not,
                nodes for it would stand idle.
        """
        rooms = [max(0, pool.maximum - len(pool.nodes)) for pool in self._pools]
        if not any(rooms):
            return
        cluster = self._placer.cluster
        coming = [pool.pending for pool in self._pools]
        blocks = [there + room for there, room in zip(coming, rooms, strict=True)]
        rows = [np.repeat(t.room, size, axis=0) for t, size in zip(self._templates, blocks, strict=True)]
        free = room.stacked([cluster.room, *rows])
        empty = free.copy()
        for bucket in buckets:
            if self._seat(bucket, free, blocks) < len(bucket.entries) and not overtaking:
                break
        used = (free != empty).any(axis=1)
        first = len(cluster.nodes)
        for pool, there, size in zip(self._pools, coming, blocks, strict=True):
            new = int(used[first + there : first + size].sum())
            first += size
            if new:
                pool.request(new)

    def _seat(self, bucket: Bucket, free: np.ndarray, blocks: Sequence[int]) -> int:
        """Take room for as many of the bucket's groups as fit whole; how many that are."""
        kinds = bucket.entries[0][3].shape
        whole = len(bucket.entries)
        masks = []
        for unit, (shape, count) in zip(bucket.samples, kinds, strict=True):
            here = self._placer.allowed(unit) & self._placer.cluster.ready
            suits = self._suitable(unit)
            mask = np.concatenate([here, *(np.full(n, ok) for n, ok in zip(blocks, suits, strict=True))])
            masks.append(mask)
            total = slots(free, shape[0], whole * count)[mask].sum()
            whole = min(whole, int(total) // count)
        for mask, (shape, count) in zip(masks, kinds, strict=True):
            pack(free, mask, shape[0], whole * count)
        return whole

    def _suitable(self, unit: Unit) -> list[bool]:
        """Per pool, whether the unit could go to an empty node of it."""
        known = self._suits.get(unit.shape)
        if known is None:
            known = [bool(verdict(self._placer.filters, unit, t)[0]) for t in self._templates]
            self._suits[unit.shape] = known
        return known
