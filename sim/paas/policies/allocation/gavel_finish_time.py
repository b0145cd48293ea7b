"""Finish-time fairness over accelerators of several types (Themis, in Gavel's form)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim.paas.policies.allocation.base import Claim, Floats, Supply, isolated, rates_of
from sim.paas.policies.allocation.lp import fill, solve
from sim.registry import policy

#: Relative precision of the worst ratio.
_PRECISION = 1e-5


@policy("allocation", "gavel-finish-time")
class GavelFinishTime:
    """The worst ratio of finish time shared to finish time alone is as small as possible.

    Minimises max_i (age_i + remaining_i / T_i . X_i) / (alone_i + remaining_i / T_i . X_iso), where
    X_iso is 1/n of the cluster and alone_i the time the work done so far would have taken with it
    (Themis, NSDI 2020; Gavel, OSDI 2020, section 4.2). The ratio is found by bisection over linear
    programs. Knows throughputs and users' estimates; jobs without an estimate get what is left.
    """

    def start(self, scheduler: Any) -> None:
        """Forget earlier runs."""
        self._alone: dict[int, tuple[float, float]] = {}

    def allocate(self, claims: Sequence[Claim], supply: Supply) -> Floats:
        """Shares of time."""
        rates = rates_of(claims, supply)
        own = (rates * isolated(claims, supply)).sum(axis=1)
        left = np.array([claim.remaining for claim in claims])
        age = np.array([claim.age for claim in claims])
        known = (own > 0) & np.isfinite(left) & (left > 0)
        alone = self._so_far(claims, own) + np.where(known, left / np.where(known, own, 1.0), 1.0)
        least = np.zeros(len(claims))
        if known.any():
            least = _need(_worst(claims, supply, rates, left, age, alone, known), left, age, alone, known)
        return fill(claims, supply, worth=rates, least=least)

    def _so_far(self, claims: Sequence[Claim], own: Floats) -> Floats:
        """Seconds in which each job would have done its work so far alone, at the shares of each time."""
        times, now = [], {}
        for claim, rate in zip(claims, own.tolist(), strict=True):
            spent, done = self._alone.get(claim.id, (0.0, 0.0))
            if rate > 0:
                spent += (claim.done - done) / rate
            now[claim.id] = (spent, claim.done)
            times.append(spent)
        self._alone = now
        return np.array(times)


def _worst(
    claims: Sequence[Claim],
    supply: Supply,
    rates: Floats,
    left: Floats,
    age: Floats,
    alone: Floats,
    known: Any,
) -> float:
    """The smallest ratio that all can have at once, to the precision."""

    def reached(ratio: float) -> bool:
        need = _need(ratio, left, age, alone, known)
        if not np.isfinite(need).all():
            return False
        found = solve(claims, supply, floor=rates, least=np.zeros(len(claims)), slope=need)
        return found is not None and found.level >= 1.0

    best = np.where(known, left / np.where(known, rates.max(axis=1), 1.0), 0.0)
    low = float(((age + best) / alone)[known].max())
    high = max(low, 1.0)
    while not reached(high):
        low, high = high, 2 * high
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _need(ratio: float, left: Floats, age: Floats, alone: Floats, known: Any) -> Floats:
    """Rate each job needs to end at that ratio; infinite where it is too late for it."""
    time = ratio * alone - age
    rate = np.where(time > 0, left / np.where(time > 0, time, 1.0), np.inf)
    return np.where(known, rate, 0.0)
