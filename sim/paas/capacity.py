"""How many equal units a table of free resources has room for; plain arithmetic on columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.iaas.resources import TOLERANCE

Floats = NDArray[np.float64]


def slots(free: Floats, resources: Sequence[float], most: int) -> Floats:
    """Whole units that fit on each node, at most `most` (which also stands for "without bound").

    Args:
        free: one row a node, one column a resource.
        resources: what one unit takes.
        most: cap of the answer.
    """
    room = np.full(len(free), float(most))
    for column, amount in enumerate(resources):
        if amount > 0:
            np.minimum(room, np.floor(free[:, column] / (amount * (1 - TOLERANCE))), out=room)
    np.maximum(room, 0.0, out=room)
    return room


def pack(free: Floats, allowed: NDArray[np.bool_], resources: Sequence[float], count: int) -> int:
    """Take room for up to `count` equal units, first node first; returns how many found some.

    For equal units this is as many as any way of placing them could seat. `free` is changed.
    """
    room = np.where(allowed, slots(free, resources, count), 0.0)
    taken = np.clip(count - (np.cumsum(room) - room), 0.0, room)
    free -= taken[:, None] * np.asarray(resources)
    return int(taken.sum())
