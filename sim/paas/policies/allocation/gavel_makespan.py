"""Shortest time until all jobs are done (Gavel)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.paas.policies.allocation.base import Claim, Floats, Supply, rates_of
from sim.paas.policies.allocation.lp import fill, solve
from sim.registry import policy


@policy("allocation", "gavel-makespan")
class GavelMakespan:
    """All jobs that are here end as early as possible together.

    The smallest M with T_i . X_i >= remaining_i / M for all jobs (Gavel, OSDI 2020, section 4.2);
    one linear program in 1/M, where Gavel's code searches for M in steps. What is left goes where it
    adds most. Knows throughputs and users' estimates; jobs without an estimate get what is left.
    """

    def allocate(self, claims: Sequence[Claim], supply: Supply) -> Floats:
        """Shares of time."""
        rates = rates_of(claims, supply)
        left = np.array([claim.remaining for claim in claims])
        known = rates.any(axis=1) & np.isfinite(left) & (left > 0)
        least = np.zeros(len(claims))
        if known.any():
            need = np.where(known, left, 0.0)
            # In units of the longest, so that the level is near 1.
            slope = need / need.max()
            found = solve(claims, supply, floor=rates, least=least, slope=slope)
            if found is not None:
                least = found.level * slope
        return fill(claims, supply, worth=rates, least=least)
