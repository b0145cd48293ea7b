"""Nodes and the cluster they form: states, places, and what each node did over time.

What schedulers look at lies in numpy columns, one row a node, so that one decision over thousands of
nodes is a few vector operations. Rows are never removed: a node that was given back keeps its row
and its number, with `ready` False.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from math import isnan, nan
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sim.iaas import room
from sim.iaas.nodetype import NodeType as NodeType
from sim.iaas.resources import RESOURCE_NAMES, TOLERANCE, InvariantError, Resources
from sim.kernel.context import Context
from sim.kernel.series import StepSeries


class NodeState(IntEnum):
    """Where a node is in its life."""

    PROVISIONING = 0
    BOOTING = 1
    READY = 2
    DRAINING = 3
    OFF = 4
    FAILED = 5
    RECLAIMED = 6


_P, _B, _R, _D = NodeState.PROVISIONING, NodeState.BOOTING, NodeState.READY, NodeState.DRAINING
_OFF, _FAILED, _RECLAIMED = NodeState.OFF, NodeState.FAILED, NodeState.RECLAIMED

#: States a node may go to; OFF and RECLAIMED are final.
_NEXT = {
    _P: (_B, _R, _OFF, _RECLAIMED),
    _B: (_R, _OFF, _RECLAIMED),
    _R: (_D, _OFF, _FAILED, _RECLAIMED),
    _D: (_R, _OFF, _FAILED, _RECLAIMED),
    _FAILED: (_R, _OFF, _RECLAIMED),
    _OFF: (),
    _RECLAIMED: (),
}
_ENDED = (_OFF, _RECLAIMED)
_RUNNING = (_R, _D)
_STOPPED = (_FAILED, *_ENDED)
_EVENTS = {_R: "ready", _D: "draining", _FAILED: "gone", _OFF: "gone", _RECLAIMED: "gone"}

Listener = Callable[[str, "Node"], object]


class Placed(Protocol):
    """What the cluster needs of a unit of work."""

    id: int
    node: Node | None
    devices: tuple[int, ...]

    @property
    def resources(self) -> Resources:
        """What it takes of its node."""

    @property
    def on_evicted(self) -> Callable[[Any, str], object]:
        """Called with the unit and a reason after its node went away under it."""


class Node:
    """One machine.

    Attributes:
        index: its row in the cluster's columns.
        name: path, `iaas/<site>/<pool>/<k>`.
        site: where it stands.
        pool: `<site>/<pool>`.
        rack: number of its rack in the cluster.
        nvlink: number of its NVLink domain in the cluster.
        type: what it is.
        main: which resource `use`, `busy` and `allocated` count: accelerators if it has any, else cores.
        state: where it is in its life; set through the cluster only.
        units: units bound to it, by id.
        artifacts: name -> bytes of what its disk caches, least recently used first.
        failures: how often it went down.
        requested: second at which it was asked for.
        first_ready: second at which it could first run units, NaN before.
        busy: series of the fraction of the main resource at work.
        allocated: series of the fraction of the main resource promised to units.
        on: series, 1 while it is billed and powered (from the request to the end, but for failures).
    """

    __slots__ = (
        "_used",
        "allocated",
        "artifacts",
        "busy",
        "failures",
        "first_ready",
        "index",
        "main",
        "name",
        "nvlink",
        "on",
        "pool",
        "rack",
        "requested",
        "site",
        "state",
        "type",
        "units",
    )

    def __init__(
        self, ctx: Context, index: int, name: str, site: str, pool: str, node_type: NodeType
    ) -> None:
        self.index = index
        self.name = name
        self.site = site
        self.pool = pool
        self.rack = -1
        self.nvlink = -1
        self.type = node_type
        self.main = 2 if node_type.capacity.accelerators > 0.0 else 0
        self.state = NodeState.PROVISIONING
        self.units: dict[int, Any] = {}
        self.artifacts: dict[str, float] = {}
        self.failures = 0
        self.requested = float(ctx.kernel.now)
        self.first_ready = nan
        self.busy: StepSeries = ctx.recorder.series(f"{name}/busy")
        self.allocated: StepSeries = ctx.recorder.series(f"{name}/allocated")
        self.on: StepSeries = ctx.recorder.series(f"{name}/on")
        self._used = 0.0

    @property
    def running(self) -> bool:
        """Whether units may work on it: it is READY or DRAINING."""
        return self.state in _RUNNING

    def use(self, amount: float) -> None:
        """Put `amount` more of the main resource to work (less if negative).

        After a crash the work is gone with the node, so giving it back then changes nothing.

        Raises:
            InvariantError: the node is not running, or has not that much.
        """
        if self.state not in _RUNNING:
            if amount > 0.0:
                raise InvariantError(f"{self.name} is {self.state.name} and cannot run work")
            return
        total = self.type.capacity[self.main]
        used = self._used + amount
        if not -TOLERANCE * total <= used <= total * (1.0 + TOLERANCE):
            raise InvariantError(f"{self.name}: {used} of {total} {RESOURCE_NAMES[self.main]} at work")
        # Amounts such as 0.1 do not cancel exactly; what is left over must not pile up.
        self._used = used if used > TOLERANCE * total else 0.0
        self.busy.set(min(1.0, self._used / total))

    def _drop_work(self) -> None:
        self._used = 0.0
        self.busy.set(0.0)


class Cluster:
    """All nodes of a run, and who is where.

    Attributes:
        nodes: every node there ever was, by index.
        total: what each node has, one row a node, one column a resource.
        room: what each node has left, device by device; see `sim.iaas.room`.
        free: what each node has left, one column a resource.
        ready: whether each node takes new units.
        site_id: place of each node's site in `site_names`.
        pool_id: place of each node's pool in `pool_names`.
        device_id: place of each node's device in `device_names`, -1 for none.
        kind_id: place of each node's type in `kinds`.
        rack_id: number of each node's rack.
        nvlink_id: number of each node's NVLink domain.
        accelerator_memory: bytes of memory of one device of each node.
        price: USD per second of each node.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._table = ctx.recorder.table("nodes")
        self._listeners: list[Listener] = []
        self._in_pool: dict[str, int] = {}
        self._kinds: dict[int, int] = {}
        self._racks: dict[tuple[str, int], int] = {}
        self._nvlinks: dict[tuple[str, int], int] = {}
        self.nodes: list[Node] = []
        self.site_names: list[str] = []
        self.pool_names: list[str] = []
        self.device_names: list[str] = []
        self.kinds: list[NodeType] = []
        flat = np.zeros(0)
        self._columns: dict[str, npt.NDArray[Any]] = {
            "total": room.table(0, len(RESOURCE_NAMES)),
            "room": room.table(0, room.FIRST),
        }
        self._columns |= {"ready": flat.astype(np.bool_), "accelerator_memory": flat, "price": flat}
        self._columns |= dict.fromkeys(
            ("site_id", "pool_id", "device_id", "kind_id", "rack_id", "nvlink_id"), flat.astype(np.int64)
        )
        self._grow(16)

    def _grow(self, rows: int) -> None:
        for name, column in self._columns.items():
            if column.ndim == 2:
                self._columns[name] = room.widened(column, rows, column.shape[1])
            else:
                self._columns[name] = np.concatenate([column, np.zeros(rows - len(column), column.dtype)])
        self._show(len(self.nodes))

    def _show(self, n: int) -> None:
        """Let the public columns end at the last node; they are views, so writes show at once."""
        columns = self._columns
        self.total: npt.NDArray[np.float64] = columns["total"][:n]
        self.room: npt.NDArray[np.float64] = columns["room"][:n]
        self.free: npt.NDArray[np.float64] = self.room[:, : room.WHOLE]
        self.ready: npt.NDArray[np.bool_] = columns["ready"][:n]
        self.site_id: npt.NDArray[np.int64] = columns["site_id"][:n]
        self.pool_id: npt.NDArray[np.int64] = columns["pool_id"][:n]
        self.device_id: npt.NDArray[np.int64] = columns["device_id"][:n]
        self.kind_id: npt.NDArray[np.int64] = columns["kind_id"][:n]
        self.rack_id: npt.NDArray[np.int64] = columns["rack_id"][:n]
        self.nvlink_id: npt.NDArray[np.int64] = columns["nvlink_id"][:n]
        self.accelerator_memory: npt.NDArray[np.float64] = columns["accelerator_memory"][:n]
        self.price: npt.NDArray[np.float64] = columns["price"][:n]

    def add(self, node_type: NodeType, site: str, pool: str) -> Node:
        """A new node in PROVISIONING, billed from now on.

        Args:
            node_type: what it is.
            site: where it stands.
            pool: name of its pool within the site.
        """
        index, path = len(self.nodes), f"{site}/{pool}"
        k = self._in_pool.get(path, 0)
        self._in_pool[path] = k + 1
        node = Node(self._ctx, index, f"iaas/{path}/{k}", site, path, node_type)
        self.nodes.append(node)
        if index == len(self._columns["ready"]):
            self._grow(2 * index)
        if room.width(node_type.capacity) > self.room.shape[1]:
            table = self._columns["room"]
            self._columns["room"] = room.widened(table, len(table), room.width(node_type.capacity))
        self._show(index + 1)
        device = node_type.device
        self.total[index] = node_type.capacity
        room.fill(self.room, index, node_type.capacity)
        self.site_id[index], self.pool_id[index] = self.declare(site, pool)
        # By identity: types are long-lived, and comparing them all would cost more than it saves.
        self.kind_id[index] = self._kinds.setdefault(id(node_type), len(self.kinds))
        if self.kind_id[index] == len(self.kinds):
            self.kinds.append(node_type)
        node.rack = self.rack_id[index] = _number(self._racks, path, k, node_type.rack_size)
        node.nvlink = self.nvlink_id[index] = _number(self._nvlinks, path, k, node_type.nvlink_size)
        self.device_id[index] = _place(self.device_names, device.name) if device is not None else -1
        self.accelerator_memory[index] = device.memory if device is not None else 0.0
        self.price[index] = node_type.price
        node.on.set(1.0)
        return node

    def declare(self, site: str, pool: str) -> tuple[int, int]:
        """Make a pool known that may have no node yet; returns the numbers of site and pool."""
        return _place(self.site_names, site), _place(self.pool_names, f"{site}/{pool}")

    def foresee(self, blocks: Sequence[tuple[NodeType, str, int, int]]) -> tuple[list[int], list[int]]:
        """Racks and NVLink domains of nodes to come, block after block; new ones get new numbers.

        Args:
            blocks: (type, pool "site/pool", how many of the pool's newest nodes the block begins with,
                how many nodes it has).
        """
        racks, nvlinks = dict(self._racks), dict(self._nvlinks)
        rack, nvlink = [], []
        for kind, path, back, count in blocks:
            first = self._in_pool.get(path, 0) - back
            for k in range(first, first + count):
                rack.append(_number(racks, path, k, kind.rack_size))
                nvlink.append(_number(nvlinks, path, k, kind.nvlink_size))
        return rack, nvlink

    def fits(self, resources: Resources) -> npt.NDArray[np.bool_]:
        """Which nodes are ready and have that much left."""
        return np.logical_and(self.ready, ~room.lacks(self.room, resources))

    def listen(self, fn: Listener) -> None:
        """Call `fn(event, node)` at once whenever something changes.

        Events: "ready" (takes units now), "released" (a unit left it), "draining" (takes no more
        units), "gone" (failed, reclaimed or given back; its units were told before).
        """
        self._listeners.append(fn)

    def bind(self, unit: Placed, node: Node, device: int | None = None) -> None:
        """Give a unit its place.

        Args:
            unit: it has none.
            node: it has room.
            device: which one a share comes from; None: the one with the least left that is enough.

        Raises:
            InvariantError: the unit has a place, the node is not ready or has not enough left.
        """
        index = node.index
        if unit.node is not None:
            raise InvariantError(f"unit {unit.id} is on {unit.node.name} and cannot be bound to {node.name}")
        if node.state is not NodeState.READY:
            raise InvariantError(f"unit {unit.id} cannot be bound: {node.name} is {node.state.name}")
        for column, least in room.needed(unit.resources):
            have = float(self.room[index, column])
            if have < least * (1.0 - TOLERANCE):
                what = RESOURCE_NAMES[min(column, room.ACCELERATORS) if column >= room.WHOLE else column]
                raise InvariantError(f"{node.name}: unit {unit.id} wants {least:g} {what}, {have} left")
        if not min(unit.resources) >= 0.0:
            raise InvariantError(f"unit {unit.id} wants less than nothing: {unit.resources}")
        unit.devices = room.take(self.room, index, unit.resources, device)
        node.units[unit.id] = unit
        unit.node = node
        self._show_allocated(node)

    def release(self, unit: Placed) -> None:
        """Take a unit from its node.

        Raises:
            InvariantError: it has no place.
        """
        node = self._take(unit)
        self._tell("released", node)

    def set_state(self, node: Node, state: NodeState, reason: str = "") -> None:
        """Move a node on in its life; see `set_states`."""
        self.set_states((node,), state, reason)

    def set_states(self, nodes: Sequence[Node], state: NodeState, reason: str = "") -> None:
        """Move several nodes on at once, so that none takes units that another of them loses.

        A node that fails, is reclaimed or switched off loses its units: each is taken off the node
        first, and then told by `unit.on_evicted(unit, reason)`.

        Raises:
            InvariantError: that state cannot follow the present one.
        """
        for node in nodes:
            self._enter(node, state, reason)
        for node in nodes:
            evicted = list(node.units.values()) if state in _STOPPED else ()
            for unit in evicted:
                self._take(unit)
            for unit in evicted:
                unit.on_evicted(unit, reason)
        event = _EVENTS.get(state)
        if event is not None:
            for node in nodes:
                self._tell(event, node)

    def _enter(self, node: Node, state: NodeState, reason: str) -> None:
        if state not in _NEXT[node.state]:
            raise InvariantError(f"{node.name} cannot go from {node.state.name} to {state.name}")
        now = self._ctx.kernel.now
        node.state = state
        self.ready[node.index] = state is _R
        if state is _R:
            node.on.set(1.0)
            if isnan(node.first_ready):
                node.first_ready = now
        elif state in _STOPPED:
            node.on.set(0.0)
            node._drop_work()
            if state is _FAILED:
                node.failures += 1
            else:
                self._write(node, now, reason)

    def close(self) -> None:
        """Write the rows of the nodes that are still there; call it once, after the run."""
        for node in self.nodes:
            if node.state not in _ENDED:
                self._write(node, nan, "")

    def _take(self, unit: Placed) -> Node:
        node = unit.node
        if node is None or node.units.pop(unit.id, None) is None:
            raise InvariantError(f"unit {unit.id} has no place to give up")
        unit.node = None
        index = node.index
        if node.units:
            room.give(self.room, index, unit.resources, unit.devices)
        else:
            # An empty node is whole again, whatever rounding did to the sums before.
            room.fill(self.room, index, node.type.capacity)
        unit.devices = ()
        self._show_allocated(node)
        return node

    def _show_allocated(self, node: Node) -> None:
        total = node.type.capacity[node.main]
        free = float(self.free[node.index, node.main])
        node.allocated.set(min(1.0, max(0.0, (total - free) / total)))

    def _tell(self, event: str, node: Node) -> None:
        for fn in self._listeners:
            fn(event, node)

    def _write(self, node: Node, ended: float, reason: str) -> None:
        kind = node.type.name
        times = (node.requested, node.first_ready, ended)
        device = node.type.device
        has = (*node.type.capacity, "" if device is None else device.name)
        memory = 0.0 if device is None else device.memory
        self._table.add((node.index, node.name, node.pool, node.site, kind, *times, reason, *has, memory))


def _place(names: list[str], name: str) -> int:
    """Number of a name in a list, which grows by it if it is new."""
    if name not in names:
        names.append(name)
    return names.index(name)


def _number(known: dict[tuple[str, int], int], pool: str, k: int, size: int | None) -> int:
    """Number, in the cluster, of the block of `size` nodes that the k-th node of a pool is in."""
    return known.setdefault((pool, 0 if size is None else k // size), len(known))
