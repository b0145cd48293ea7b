"""Most work per dollar (Gavel)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from sim.paas.policies.allocation.base import Claim, Floats, Supply, rates_of
from sim.paas.policies.allocation.lp import solve
from sim.registry import policy


@policy("allocation", "gavel-cost")
class GavelCost:
    """Throughput counted per dollar is as large as possible, with every deadline that can be met.

    Maximises sum_ij T_ij X_ij / price_j subject to T_i . X_i >= remaining_i / time to the deadline
    (Gavel's max_sum_throughput_normalized_by_cost with SLOs; where all types cost the same, plain
    total throughput). If the deadlines cannot all be met, that of the latest job falls first, where
    Gavel's code drops them all. Knows throughputs, prices and users' estimates.
    """

    #: What is left over in a round stays idle.
    spare: ClassVar[bool] = False

    def allocate(self, claims: Sequence[Claim], supply: Supply) -> Floats:
        """Shares of time."""
        rates = rates_of(claims, supply)
        prices = np.array(supply.prices)
        gain = rates / np.where(prices > 0, prices, 1.0) if (prices > 0).all() else rates
        patience = np.array([claim.patience for claim in claims])
        left = np.array([claim.remaining for claim in claims])
        bound = np.isfinite(patience) & (patience > 0) & np.isfinite(left) & rates.any(axis=1)
        least = np.where(bound, left / np.where(bound, patience, 1.0), 0.0)
        best = rates.max(axis=1, initial=0.0)
        least[least > best] = 0.0  # too late whatever is done
        while True:
            found = solve(claims, supply, floor=rates, least=least, gain=gain)
            if found is not None:
                return found.shares
            least[int(np.argmax(np.where(least > 0, patience, -1.0)))] = 0.0
