"""Max-min fairness over accelerators of several types (Gavel)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim.paas.policies.allocation.base import Claim, Floats, Supply, rates_of
from sim.paas.policies.allocation.lp import fill, solve
from sim.registry import policy

#: Dual price above which a job's floor binds.
_BINDS = 1e-9


@policy("allocation", "gavel-max-min")
class GavelMaxMin:
    """The job that is worst off gets as much throughput as possible, weighted by claim and size.

    Maximises min_i (size_i / weight_i) (T_i . X_i) / (T_i . X_eq), where T is the throughput by
    type and X_eq an equal share of every type (Gavel, OSDI 2020, section 4.1). With
    `water_filling` the next worst are raised after it, as far as they go (section 4.3; up to one linear
    program a kind of job); without, what is left goes where it adds most. `agnostic` takes all types for
    equally fast: the policy that Gavel compares itself with. Knows throughputs, not running times.
    """

    agnostic: bool = False
    water_filling: bool = False

    def allocate(self, claims: Sequence[Claim], supply: Supply) -> Floats:
        """Shares of time; jobs that claim the same get the same."""
        kinds: dict[Any, list[int]] = {}
        for index, claim in enumerate(claims):
            kinds.setdefault((claim.size, claim.rates, claim.weight), []).append(index)
        shares = np.zeros((len(claims), len(supply.counts)))
        alike = [claims[members[0]] for members in kinds.values()]
        copies = np.array([float(len(members)) for members in kinds.values()])
        for members, share in zip(kinds.values(), self._by_kind(alike, copies, supply), strict=True):
            shares[members] = share
        return shares

    def _by_kind(self, claims: Sequence[Claim], copies: Floats, supply: Supply) -> Floats:
        """Shares of one job of each kind."""
        worth = normalised(claims, supply, agnostic=self.agnostic)
        plenty = _all_at_best(claims, copies, supply, worth)
        if plenty is not None:
            return plenty
        runs = worth.any(axis=1)
        # Those of weight 0 come after all others.
        active = runs & np.array([claim.weight > 0 for claim in claims])
        least = np.zeros(len(claims))
        while active.any():
            slope = active.astype(float)
            found = solve(claims, supply, floor=worth, least=least, slope=slope, copies=copies)
            if found is None:
                break
            least = np.where(active, found.level, least) * (1 - 1e-9)
            # Floors with a price hold in every optimum: those jobs cannot be raised any further.
            held = active & (found.duals > _BINDS)
            if not self.water_filling or not held.any():
                break
            active &= ~held
        return fill(claims, supply, worth=worth, least=least, copies=copies)


def _all_at_best(claims: Sequence[Claim], copies: Floats, supply: Supply, worth: Floats) -> Floats | None:
    """Every job all the time on the type that suits it best, if there are enough of each.

    Types that suit a job equally well share it by their numbers.
    """
    counts = np.array(supply.counts)
    suits = np.where((worth > 0) & (worth >= worth.max(axis=1, keepdims=True)), counts, 0.0)
    shares: Floats = suits / np.maximum(suits.sum(axis=1, keepdims=True), 1e-9)
    asked = np.array([claim.size for claim in claims]) * copies
    return shares if (asked @ shares <= counts * (1 + 1e-9)).all() else None


def normalised(claims: Sequence[Claim], supply: Supply, *, agnostic: bool = False) -> Floats:
    """Worth of a share of time: (size / weight) x rate / rate under an equal share of every type."""
    rates = rates_of(claims, supply, agnostic=agnostic)
    counts = np.array(supply.counts)
    equal = rates @ (counts / counts.sum())
    sizes = np.array([claim.size for claim in claims])
    weights = np.array([claim.weight or 1.0 for claim in claims])
    factors: Floats = sizes / weights / np.where(equal > 0, equal, 1.0)
    return rates * factors[:, None]
