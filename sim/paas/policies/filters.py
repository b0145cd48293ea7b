"""Which nodes a unit cannot go to: `reject(unit, nodes)`, True where a node is out.

`reason` says it to people. `retry_on` names the events of a node after which it may answer
otherwise there: "ready" (the node came up), "released" (something left it). An empty tuple means
that the answer for a shape and a node never changes, so the scheduler asks once and remembers.
A filter looks at the unit's shape (see `Unit.shape`) and at nothing else of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.iaas.resources import TOLERANCE
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit

Mask = NDArray[np.bool_]


class Filter(Protocol):
    """What the scheduler needs of a filter."""

    reason: ClassVar[str]
    retry_on: ClassVar[tuple[str, ...]]

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """One truth value a node: True where the unit cannot go."""
        ...


def _none(nodes: Nodes) -> Mask:
    return np.zeros(len(nodes.ready), dtype=np.bool_)


def _other(names: list[str], wanted: str, ids: NDArray[np.integer]) -> Mask:
    return ids != names.index(wanted) if wanted in names else np.ones(len(ids), dtype=np.bool_)


@policy("filter", "ready")
class NodeReady:
    """Only nodes that are up and not being drained (Kubernetes NodeUnschedulable)."""

    reason: ClassVar[str] = "not ready"
    retry_on: ClassVar[tuple[str, ...]] = ("ready",)

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where the node is not ready."""
        return ~nodes.ready


@policy("filter", "site")
class AtSite:
    """Only nodes of the site the unit names, if it names one."""

    reason: ClassVar[str] = "at another site"
    retry_on: ClassVar[tuple[str, ...]] = ()

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where the site is another."""
        return _none(nodes) if unit.site is None else _other(nodes.site_names, unit.site, nodes.site_id)


@policy("filter", "pool")
class InPool:
    """Only nodes of the pools the unit names, if it names any (Kubernetes NodeAffinity, required)."""

    reason: ClassVar[str] = "in another pool"
    retry_on: ClassVar[tuple[str, ...]] = ()

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where the pool is not among those named."""
        if unit.pools is None:
            return _none(nodes)
        wanted = np.array([name in unit.pools for name in nodes.pool_names] or [False])
        return ~wanted[nodes.pool_id]


@policy("filter", "device")
class HasDevice:
    """Only nodes with the accelerator the unit names, if it names one."""

    reason: ClassVar[str] = "has another accelerator"
    retry_on: ClassVar[tuple[str, ...]] = ()

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where the accelerator is another, or there is none."""
        return (
            _none(nodes) if unit.device is None else _other(nodes.device_names, unit.device, nodes.device_id)
        )


@policy("filter", "accelerator-memory")
class HasAcceleratorMemory:
    """Only nodes whose accelerators each have the memory the unit needs on one of them."""

    reason: ClassVar[str] = "too little accelerator memory"
    retry_on: ClassVar[tuple[str, ...]] = ()

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where one accelerator has too little memory."""
        return nodes.accelerator_memory < unit.accelerator_memory


@policy("filter", "fit")
class ResourcesFit:
    """Only nodes with enough of every requested resource free (Kubernetes NodeResourcesFit)."""

    reason: ClassVar[str] = "too little free"
    retry_on: ClassVar[tuple[str, ...]] = ("ready", "released")

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where some resource is short; what is not requested is not looked at."""
        short: Mask | None = None
        for column, amount in enumerate(unit.resources):
            if amount > 0:
                # Sums of fractional requests may miss a total by rounding.
                lacks = nodes.free[:, column] < amount * (1 - TOLERANCE)
                short = lacks if short is None else short | lacks
        return _none(nodes) if short is None else short


#: Filters of a scheduler that names none, the cheapest reason to explain first.
DEFAULT = ("ready", "site", "pool", "device", "accelerator-memory", "fit")
