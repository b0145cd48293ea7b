"""The object store: images and weights travel to nodes once and stay on their disks.

The store's own bandwidth is a connection of its own between the store and its site, so fetches
share it, and the links behind it, with everything else under way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.iaas.network import Network
from sim.iaas.nodes import Node
from sim.kernel.context import Context


class ObjectStore:
    """Artifacts at one site, cached on every node that fetched them.

    A node's disk keeps what was used last as far as it has room; a node type without a stated disk
    keeps everything.

    Attributes:
        name: endpoint of the network, `<site>-store`.
        site: where it stands.
    """

    def __init__(self, ctx: Context, network: Network, site: str, bandwidth: float) -> None:
        self.name = f"{site}-store"
        self.site = site
        self._kernel = ctx.kernel
        self._network = network
        #: Who waits, by node, its failures so far (a crash ends the fetches before it) and artifact.
        self._waiting: dict[tuple[int, int, str], list[tuple[Callable[..., object], tuple[Any, ...]]]] = {}
        network.attach(self.name, site, bandwidth)

    def fetch(self, node: Node, artifact: str, size: float, fn: Callable[..., object], *args: Any) -> None:
        """Bring `size` bytes onto a node and then call `fn(*args)`, never before this call returns.

        What the node has cached is there at once; who asks for what is on its way waits for that.
        If the node goes down meanwhile, what was under way is lost and `fn` is never called.
        """
        cached = node.artifacts.pop(artifact, None)
        if cached is not None:
            node.artifacts[artifact] = cached
            self._kernel.call_in(0.0, fn, *args)
            return
        key = (node.index, node.failures, artifact)
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append((fn, args))
            return
        self._waiting[key] = [(fn, args)]
        self._network.send(self.name, node.site, size, self._arrive, node, key, size)

    def _arrive(self, node: Node, key: tuple[int, int, str], size: float) -> None:
        waiting = self._waiting.pop(key)
        _, failures, artifact = key
        if node.failures != failures or not node.running:
            return
        self._keep(node, artifact, size)
        for fn, args in waiting:
            fn(*args)

    def _keep(self, node: Node, artifact: str, size: float) -> None:
        """Put an artifact on the node's disk, for which those not used for longest make room."""
        disk = node.type.capacity.disk
        artifacts = node.artifacts
        if disk > 0.0:
            if size > disk:
                return
            taken = sum(artifacts.values())
            while artifacts and taken + size > disk:
                oldest = next(iter(artifacts))
                taken -= artifacts.pop(oldest)
        artifacts[artifact] = size
