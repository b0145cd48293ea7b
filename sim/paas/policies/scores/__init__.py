"""Which of the possible nodes is best; one small file a family."""

from sim.paas.policies.scores import kubernetes
from sim.paas.policies.scores.allocation import BalancedAllocation, LeastAllocated, MostAllocated
from sim.paas.policies.scores.base import Floats, Indices, Score
from sim.paas.policies.scores.compact import Compact
from sim.paas.policies.scores.fit import BestFit, DotProduct, WorstFit
from sim.paas.policies.scores.fragmentation import FragmentationGradientDescent
from sim.paas.policies.scores.plain import Cheapest, FirstFit, RandomNode
from sim.paas.policies.scores.power import CarbonAware, EnergyAware
from sim.paas.policies.scores.preferences import FewTaints, ImageLocality, LikedCompany, LikedLabels
from sim.paas.policies.scores.ratio import RequestedToCapacityRatio
from sim.paas.policies.scores.spread import Spread

__all__ = [
    "BalancedAllocation",
    "BestFit",
    "CarbonAware",
    "Cheapest",
    "Compact",
    "DotProduct",
    "EnergyAware",
    "FewTaints",
    "FirstFit",
    "Floats",
    "FragmentationGradientDescent",
    "ImageLocality",
    "Indices",
    "LeastAllocated",
    "LikedCompany",
    "LikedLabels",
    "MostAllocated",
    "RandomNode",
    "RequestedToCapacityRatio",
    "Score",
    "Spread",
    "WorstFit",
    "kubernetes",
]
