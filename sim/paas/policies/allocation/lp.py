"""The linear program that the allocations of Gavel share.

Variables are the share of time X_ij of job i on type j, and a common level t:

    maximise    sum_ij copies_i gain_ij X_ij + worth * t
    subject to  sum_j X_ij <= 1                       a job is in one place at a time
                sum_i copies_i size_i X_ij <= count_j   no type is given out twice
                sum_j floor_ij X_ij - slope_i t >= least_i
                X >= 0, and 0 where a job cannot run

Jobs that claim the same can stand as one row with so many copies, each of which has the row's shares:
no job wins or loses when equals share equally, since the program is linear.

Source of the constraints: Narayanan et al., Heterogeneity-Aware Cluster Scheduling Policies for Deep
Learning Workloads (Gavel, OSDI 2020), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.errors import StratusError
from sim.paas.policies.allocation.base import Claim, Floats, Supply, usable

#: By how much a level already reached may be undercut, relative: rounding of the solver.
SLACK = 1e-7

#: Shares up to which a full matrix is solved sooner than a sparse one.
_SMALL = 50


@dataclass(frozen=True, slots=True)
class Solution:
    """An optimum: shares X, the level t, and the price of raising each job's floor (0: not binding)."""

    shares: Floats
    level: float
    duals: Floats


def solve(
    claims: Sequence[Claim],
    supply: Supply,
    *,
    floor: Floats,
    least: Floats,
    slope: Floats | None = None,
    gain: Floats | None = None,
    copies: Floats | None = None,
) -> Solution | None:
    """The best shares, None if the floors cannot be met.

    Args:
        claims: the jobs.
        supply: the accelerators.
        floor: what a share of time is worth to each job on each type.
        least: what each job must get at least.
        slope: how that grows with the level; if given, the level is worth 1.
        gain: what a share of time adds to the objective.
        copies: jobs that each row stands for; 1 unless given.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    n, m = floor.shape
    cells = np.arange(n * m)
    row, column = cells // m, cells % m
    count = np.ones(n) if copies is None else copies
    sizes = np.array([claim.size for claim in claims]) * count
    level = np.zeros(n) if slope is None else slope
    matrix: Any = coo_array(
        (
            np.concatenate([np.ones(n * m), sizes[row], -floor.ravel(), level]),
            (
                np.concatenate([row, n + column, n + m + row, n + m + np.arange(n)]),
                np.concatenate([cells, cells, cells, np.full(n, n * m)]),
            ),
        ),
        shape=(2 * n + m, n * m + 1),
    )
    cost = np.zeros(n * m + 1)
    if gain is not None:
        cost[:-1] = -(gain * count[:, None]).ravel()
    cost[-1] = 0.0 if slope is None else -1.0
    most = np.append(np.where(usable(claims, supply).ravel(), 1.0, 0.0), np.inf if slope is not None else 0.0)
    bounds: Any = np.column_stack([np.zeros(n * m + 1), most])
    found: Any = linprog(
        cost,
        A_ub=matrix.toarray() if n * m <= _SMALL else matrix.tocsr(),
        b_ub=np.concatenate([np.ones(n), supply.counts, -least]),
        bounds=bounds,
        method="highs",
    )
    if found.status == 2:
        return None
    if found.status != 0:
        raise StratusError(f"the solver of an allocation for {n} jobs failed: {found.message}")
    duals = -np.asarray(found.ineqlin.marginals)[n + m :]
    return Solution(np.clip(found.x[:-1], 0.0, 1.0).reshape(n, m), float(found.x[-1]), duals)


def fill(
    claims: Sequence[Claim], supply: Supply, *, worth: Floats, least: Floats, copies: Floats | None = None
) -> Floats:
    """Give out what is left: most total worth, with every job keeping what it must have.

    Args:
        claims: the jobs.
        supply: the accelerators.
        worth: of a share of time, to each job on each type.
        least: worth each job must have; a hair less is taken for as much.
        copies: jobs that each row stands for; 1 unless given.
    """
    found = None
    for slack in (SLACK, 100 * SLACK):  # the floors were reached before: only rounding can be in the way
        if found is None:
            found = solve(claims, supply, floor=worth, least=least * (1 - slack), gain=worth, copies=copies)
    if found is None:
        raise StratusError(f"an allocation for {len(claims)} jobs undercuts itself")
    return found.shares
