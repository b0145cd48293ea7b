"""Which nodes to ask elastic pools for, so that what waits would fit.

First fit of all waiting groups onto what is free, then onto nodes that are coming, then onto empty
template nodes of the pools, cheapest first: the estimate that the Kubernetes cluster autoscaler makes
for a node group. Groups that would not fit whole even then ask for nothing. Rules about other units
hold on nodes to come as well: their labels, site, rack and NVLink domain are known beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.iaas import room
from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.pools import NodePool
from sim.iaas.room import pack, slots
from sim.paas.placement import Placer, applies, verdict
from sim.paas.queue import Bucket
from sim.paas.units import Group, Shape, Unit

#: Groups with rules about other units that one look considers.
_MOST_SINGLY = 200

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


class Foreseen:
    """The cluster and nodes of elastic pools that may follow, as filters see them.

    Args:
        cluster: the nodes there are.
        pools: those that can grow.
        blocks: how many nodes of each pool to add; those that are coming are the first.
        free: what is left: of the cluster, then of the blocks. A view: what is taken shows at once.

    Attributes:
        closed: for each block, the rows of nodes that nobody has asked for yet, the next one last.
    """

    def __init__(
        self, cluster: Cluster, pools: Sequence[NodePool], blocks: Sequence[int], free: np.ndarray
    ) -> None:
        types = [pool.node_type for pool in pools]
        coming = [min(pool.pending, count) for pool, count in zip(pools, blocks, strict=True)]
        racks, nvlinks = cluster.foresee(
            [
                (pool.node_type, pool.path, back, count)
                for pool, back, count in zip(pools, coming, blocks, strict=True)
            ]
        )
        places = [cluster.declare(pool.site, pool.name) for pool in pools]
        self.site_names, self.pool_names = cluster.site_names, cluster.pool_names
        self.kinds = [*cluster.kinds, *types]
        devices = [kind.device for kind in types]
        self.device_names = list(
            dict.fromkeys([*cluster.device_names, *(each.name for each in devices if each is not None)])
        )

        def column(there: np.ndarray, values: Sequence[float]) -> np.ndarray:
            return np.concatenate([there, np.repeat(np.asarray(values, dtype=there.dtype), blocks)])

        self.total = np.concatenate(
            [cluster.total, np.repeat(np.array([tuple(kind.capacity) for kind in types]), blocks, axis=0)]
        )
        self.room = free
        self.free = free[:, : room.WHOLE]
        self.ready = column(cluster.ready, [False] * len(pools))
        self.site_id = column(cluster.site_id, [site for site, _ in places])
        self.pool_id = column(cluster.pool_id, [pool for _, pool in places])
        self.kind_id = column(cluster.kind_id, range(len(cluster.kinds), len(self.kinds)))
        self.device_id = column(
            cluster.device_id,
            [-1 if each is None else self.device_names.index(each.name) for each in devices],
        )
        self.accelerator_memory = column(
            cluster.accelerator_memory, [0.0 if each is None else each.memory for each in devices]
        )
        self.price = column(cluster.price, [kind.price for kind in types])
        self.rack_id = np.concatenate([cluster.rack_id, np.array(racks, dtype=np.int64)])
        self.nvlink_id = np.concatenate([cluster.nvlink_id, np.array(nvlinks, dtype=np.int64)])
        self.closed: list[list[int]] = []
        first = len(cluster.nodes)
        for back, count in zip(coming, blocks, strict=True):
            self.ready[first : first + back] = True
            self.closed.append(list(range(first + back, first + count))[::-1])
            first += count

    def open(self, block: int) -> int:
        """Have one more node of a block; its row, or -1 if there is none left."""
        if not self.closed[block]:
            return -1
        at = self.closed[block].pop()
        self.ready[at] = True
        self._last = at
        return at

    def close(self, block: int) -> None:
        """Undo the last `open`, which was of that block."""
        self.ready[self._last] = False
        self.closed[block].append(self._last)


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
            np.full(pool.maximum, verdict(placer.about_itself, unit, t)[0])
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
        """Take room for as many of the bucket's groups as fit whole; how many that are.

        Args:
            bucket: groups of one shape.
            free: what the nodes have left, and below them blocks of empty nodes of each pool.
            blocks: lengths of the blocks; each begins with the nodes that are coming.
        """
        if any(self._minds(unit) for unit in bucket.samples):
            return self._seat_singly(bucket, free, blocks)
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

    def _minds(self, unit: Unit) -> bool:
        """Whether it matters to a unit, or to those that run, what else is near it."""
        if not (unit.rules.company or unit.rules.spread or any(self._placer.census.against(unit))):
            return False
        return any(applies(policy, unit) for policy in self._placer.about_others)

    def _seat_singly(self, bucket: Bucket, free: np.ndarray, blocks: Sequence[int]) -> int:
        """The same for units with rules about others: one after the other, on a new node only if need be."""
        soon = Foreseen(self._placer.cluster, self._pools, blocks, free)
        seated = 0
        placed: list[tuple[Unit, int]] = []
        for *_, group in bucket.entries[:_MOST_SINGLY]:
            start, before = len(placed), free.copy()
            for unit in group.units:
                at = self._seat_one(unit, soon)
                if at < 0:
                    break
                room.take(free, at, unit.resources)
                self._placer.census.count(unit, at, 1)
                placed.append((unit, at))
            if len(placed) == start + len(group.units):
                seated += 1
                continue
            free[:] = before
            for unit, at in placed[start:]:
                self._placer.census.count(unit, at, -1)
            del placed[start:]
        for unit, at in placed:
            self._placer.census.count(unit, at, -1)
        return seated

    def _seat_one(self, unit: Unit, soon: Foreseen) -> int:
        """The first node for a unit, or -1; nodes are opened one at a time, as they add a domain each."""
        at = self._first(unit, soon)
        tried = 0
        while at < 0 and tried < len(soon.closed):
            opened = soon.open(tried)
            if opened >= 0:
                at = self._first(unit, soon)
                if at < 0:
                    soon.close(tried)
            tried += 1
        return at

    def _first(self, unit: Unit, soon: Foreseen) -> int:
        ok = verdict(self._placer.filters, unit, soon)
        return int(ok.argmax()) if ok.any() else -1

    def _suitable(self, unit: Unit) -> list[bool]:
        """Per pool, whether the unit could go to an empty node of it."""
        known = self._suits.get(unit.shape)
        if known is None:
            known = [bool(verdict(self._placer.about_itself, unit, t)[0]) for t in self._templates]
            self._suits[unit.shape] = known
        return known
