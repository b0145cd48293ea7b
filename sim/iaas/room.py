"""What nodes have left, as one table: a row a node, a column a resource, and a column a device.

Accelerators are not a heap of parts: a request below 1 is a share of *one* device, and a request of
whole numbers takes devices that nobody uses (two halves of two devices serve no request for one).
So behind the columns of the resource vector the table carries how many devices are wholly free, the
largest free share of one device, and the free share of each. Everything that copies or tries out a
table does so with these functions, and cannot disagree with the cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from sim.iaas.resources import RESOURCE_NAMES, TOLERANCE, Resources

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

ACCELERATORS = RESOURCE_NAMES.index("accelerators")
#: Columns behind the resources: wholly free devices, largest free share, then one column a device.
WHOLE = len(RESOURCE_NAMES)
LARGEST = WHOLE + 1
FIRST = WHOLE + 2

_ONE = 1.0 - TOLERANCE
_OTHERS = [column for column in range(WHOLE) if column != ACCELERATORS]


def width(capacity: Sequence[float]) -> int:
    """Columns a table needs for a node of this capacity."""
    return FIRST + ceil(capacity[ACCELERATORS])


def table(rows: int, columns: int) -> Floats:
    """An empty table; columns lie together in memory, since decisions read whole columns."""
    return np.zeros((rows, columns), order="F")


def fill(free: Floats, at: int, capacity: Sequence[float]) -> None:
    """Make a row that of an empty node."""
    free[at, :WHOLE] = capacity
    free[at, FIRST:] = np.clip(capacity[ACCELERATORS] - np.arange(free.shape[1] - FIRST), 0.0, 1.0)
    _sum_up(free, at, free[at, FIRST:].tolist())


def widened(free: Floats, rows: int, columns: int) -> Floats:
    """A larger copy: more rows below, more device columns on the right."""
    made = table(rows, columns)
    made[: len(free), : free.shape[1]] = free
    return made


def stacked(tables: Sequence[Floats]) -> Floats:
    """Tables below each other, as wide as the widest."""
    columns = max(each.shape[1] for each in tables)
    return np.concatenate([widened(each, len(each), columns) for each in tables])


@lru_cache(maxsize=4096)
def needed(resources: tuple[float, ...]) -> tuple[tuple[int, float], ...]:
    """(column, at least) for every resource that is asked for."""
    asked = [(column, resources[column]) for column in _OTHERS if resources[column] > 0]
    accelerators = resources[ACCELERATORS]
    if 0 < accelerators < _ONE:
        asked.append((LARGEST, accelerators))
    elif accelerators > 0:
        asked.append((WHOLE, ceil(accelerators * _ONE)))
    return tuple(asked)


def lacks(free: Floats, resources: tuple[float, ...]) -> Mask:
    """Rows that have too little of something; what is not asked for is not looked at."""
    short: Mask | None = None
    for column, amount in needed(resources):
        # Sums of fractional requests may miss a total by rounding.
        less = free[:, column] < amount * _ONE
        short = less if short is None else np.logical_or(short, less, out=short)
    return np.zeros(len(free), dtype=np.bool_) if short is None else short


def fits(free: Floats, at: int, resources: tuple[float, ...]) -> bool:
    """Whether one row has room."""
    return all(free[at, column] >= amount * _ONE for column, amount in needed(resources))


def slots(free: Floats, resources: tuple[float, ...], most: int) -> Floats:
    """Whole units that fit on each row, at most `most` (which also stands for "without bound").

    Args:
        free: the table.
        resources: what one unit takes.
        most: cap of the answer.
    """
    room = np.full(len(free), float(most))
    for column, amount in needed(resources):
        share = amount * _ONE
        there = free[:, FIRST:] if column == LARGEST else free[:, column]
        count = np.floor(there / share)
        np.minimum(room, count.sum(axis=1) if column == LARGEST else count, out=room)
    np.maximum(room, 0.0, out=room)
    return room


def slots_at(free: Floats, at: int, resources: tuple[float, ...], most: int) -> float:
    """What `slots` says of one row."""
    room = float(most)
    for column, amount in needed(resources):
        share = amount * _ONE
        if column == LARGEST:
            count = float(np.floor(free[at, FIRST:] / share).sum())
        else:
            count = float(floor(free[at, column] / share))
        room = min(room, count)
    return max(room, 0.0)


def take(free: Floats, at: int, resources: Sequence[float], wish: int | None = None) -> tuple[int, ...]:
    """Take one unit's room from a row where it fits; returns the devices it got, by number.

    A share comes from the device `wish`, or from the one with the least left that is enough; whole
    devices are the first that are free.
    """
    for column in _OTHERS:
        if resources[column]:
            free[at, column] = max(0.0, free[at, column] - resources[column])
    accelerators = resources[ACCELERATORS]
    if not accelerators > 0:
        return ()
    shares = free[at, FIRST:].tolist()
    if accelerators < _ONE:
        enough = [(share, k) for k, share in enumerate(shares) if share >= accelerators * _ONE]
        chosen: tuple[int, ...] = (min(enough)[1] if wish is None else wish,)
        left = shares[chosen[0]] - accelerators
        shares[chosen[0]] = left if left > TOLERANCE else 0.0
    else:
        unused = [k for k, share in enumerate(shares) if share >= _ONE]
        chosen = tuple(unused[: ceil(accelerators * _ONE)])
        for k in chosen:
            shares[k] = 0.0
    _sum_up(free, at, shares)
    return chosen


def give(free: Floats, at: int, resources: Sequence[float], devices: Sequence[int]) -> None:
    """Put back what `take` took."""
    for column in _OTHERS:
        if resources[column]:
            free[at, column] += resources[column]
    if not devices:
        return
    accelerators = resources[ACCELERATORS]
    shares = free[at, FIRST:].tolist()
    for k in devices:
        back = shares[k] + (accelerators if accelerators < _ONE else 1.0)
        shares[k] = back if back < _ONE else 1.0
    _sum_up(free, at, shares)


def after(free: Floats, resources: Resources, devices: NDArray[np.intp] | None = None) -> Floats:
    """A copy of the table with one unit taken from every row; rows where it does not fit mean nothing.

    Args:
        free: the table.
        resources: what the unit takes.
        devices: for a share of a device, which one it comes from on each row; None: as `take` chooses.
    """
    left = free.copy(order="F")
    for column in _OTHERS:
        left[:, column] -= resources[column]
    accelerators = resources[ACCELERATORS]
    shares = left[:, FIRST:]
    if not accelerators > 0 or not shares.shape[1]:
        return left
    rows = np.arange(len(shares))
    if accelerators < _ONE:
        if devices is None:
            devices = np.where(shares >= accelerators * _ONE, shares, np.inf).argmin(axis=1)
        shares[rows, devices] -= accelerators
        shares[np.abs(shares) <= TOLERANCE] = 0.0
    else:
        unused = shares >= _ONE
        shares[unused & (unused.cumsum(axis=1) <= ceil(accelerators * _ONE))] = 0.0
    _sum_all(left)
    return left


def pack(free: Floats, allowed: Mask, resources: tuple[float, ...], count: int) -> int:
    """Take room for up to `count` equal units, first row first; returns how many found some.

    For equal units this is as many as any way of placing them could seat. `free` is changed.
    """
    room = np.where(allowed, slots(free, resources, count), 0.0)
    taken = np.clip(count - (np.cumsum(room) - room), 0.0, room)
    accelerators = resources[ACCELERATORS]
    if 0 < accelerators < _ONE:
        for at in np.flatnonzero(taken).tolist():
            for _ in range(int(taken[at])):
                take(free, at, resources)
        return int(taken.sum())
    for column in _OTHERS:
        free[:, column] -= taken * resources[column]
    if accelerators > 0:
        shares = free[:, FIRST:]
        unused = shares >= _ONE
        shares[unused & (unused.cumsum(axis=1) <= taken[:, None] * ceil(accelerators * _ONE))] = 0.0
        _sum_all(free)
    return int(taken.sum())


def _sum_all(free: Floats) -> None:
    """Write what follows from the devices, in every row."""
    shares = free[:, FIRST:]
    free[:, ACCELERATORS] = shares.sum(axis=1)
    free[:, WHOLE] = (shares >= _ONE).sum(axis=1)
    free[:, LARGEST] = shares.max(axis=1, initial=0.0)


def _sum_up(free: Floats, at: int, shares: list[float]) -> None:
    """Write the devices of a row and what follows from them."""
    if not shares:
        return
    free[at, ACCELERATORS] = sum(shares)
    free[at, WHOLE:] = [len([share for share in shares if share >= _ONE]), max(shares), *shares]
