"""Which of the possible nodes is best; one small file a family."""

from sim.paas.policies.scores.allocation import BalancedAllocation, LeastAllocated, MostAllocated
from sim.paas.policies.scores.base import Floats, Indices, Score
from sim.paas.policies.scores.plain import Cheapest, FirstFit, RandomNode
from sim.paas.policies.scores.spread import Spread

__all__ = [
    "BalancedAllocation",
    "Cheapest",
    "FirstFit",
    "Floats",
    "Indices",
    "LeastAllocated",
    "MostAllocated",
    "RandomNode",
    "Score",
    "Spread",
]
