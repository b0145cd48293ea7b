"""Which nodes a unit cannot go to; one small file a family."""

from sim.paas.policies.filters.affinity import MatchesLabels, ToleratesTaints
from sim.paas.policies.filters.base import Filter, Mask
from sim.paas.policies.filters.company import EvenlySpread, GoodCompany
from sim.paas.policies.filters.fit import ResourcesFit
from sim.paas.policies.filters.location import AtSite, HasAcceleratorMemory, HasDevice, InPool
from sim.paas.policies.filters.ready import NodeReady

#: Filters of a scheduler that names none, the cheapest reason to explain first.
DEFAULT = (
    "ready",
    "site",
    "pool",
    "device",
    "accelerator-memory",
    "taints",
    "node-affinity",
    "fit",
    "unit-affinity",
    "spread",
)

__all__ = [
    "DEFAULT",
    "AtSite",
    "EvenlySpread",
    "Filter",
    "GoodCompany",
    "HasAcceleratorMemory",
    "HasDevice",
    "InPool",
    "Mask",
    "MatchesLabels",
    "NodeReady",
    "ResourcesFit",
    "ToleratesTaints",
]
