"""Only nodes of the named site, pool or accelerator."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.paas.policies.filters.base import Mask, none
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit


def _other(names: list[str], wanted: str, ids: NDArray[np.integer]) -> Mask:
    return ids != names.index(wanted) if wanted in names else np.ones(len(ids), dtype=np.bool_)


@policy("filter", "site")
class AtSite:
    """Only nodes of the site the unit names, if it names one."""

    reason: ClassVar[str] = "at another site"
    retry_on: ClassVar[tuple[str, ...]] = ()

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where the site is another."""
        return none(nodes) if unit.site is None else _other(nodes.site_names, unit.site, nodes.site_id)


@policy("filter", "pool")
class InPool:
    """Only nodes of the pools the unit names, if it names any (Kubernetes NodeAffinity, required)."""

    reason: ClassVar[str] = "in another pool"
    retry_on: ClassVar[tuple[str, ...]] = ()

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where the pool is not among those named."""
        if unit.pools is None:
            return none(nodes)
        wanted = np.array([name in unit.pools for name in nodes.pool_names] or [False])
        return ~wanted[nodes.pool_id]


@policy("filter", "device")
class HasDevice:
    """Only nodes with the accelerator the unit names, if it names one; `a|b` is either of two."""

    reason: ClassVar[str] = "has another accelerator"
    retry_on: ClassVar[tuple[str, ...]] = ()

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where the accelerator is another, or there is none."""
        if unit.device is None:
            return none(nodes)
        wanted = [_other(nodes.device_names, name, nodes.device_id) for name in unit.device.split("|")]
        return wanted[0] if len(wanted) == 1 else np.logical_and.reduce(wanted)


@policy("filter", "accelerator-memory")
class HasAcceleratorMemory:
    """Only nodes whose accelerators each have the memory the unit needs on one of them."""

    reason: ClassVar[str] = "too little accelerator memory"
    retry_on: ClassVar[tuple[str, ...]] = ()

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """True where one accelerator has too little memory."""
        return nodes.accelerator_memory < unit.accelerator_memory
