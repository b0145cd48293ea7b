"""Who gets which share of the accelerators: one policy a file."""

from sim.paas.policies.allocation import gavel_cost, gavel_finish_time, gavel_makespan, gavel_max_min, goodput
from sim.paas.policies.allocation import isolated as isolated_shares
from sim.paas.policies.allocation.base import Allocation, Claim, Resizing, Supply

__all__ = [
    "Allocation",
    "Claim",
    "Resizing",
    "Supply",
    "gavel_cost",
    "gavel_finish_time",
    "gavel_makespan",
    "gavel_max_min",
    "goodput",
    "isolated_shares",
]
