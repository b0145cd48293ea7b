"""How much of what is free is of no use to the usual work: the fragmentation measure of FGD.

For one kind of work and one node: everything free of its devices, if the work does not run there or
asks for no device; else the free parts of devices that are too small for it. The measure is the mean
over the kinds of work, by how often each comes.

Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
Gradient Descent", USENIX ATC 2023, section 3.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sim.iaas.resources import TOLERANCE, Resources
from sim.iaas.room import ACCELERATORS, FIRST, Floats, lacks


def fragmented(room: Floats, mix: Iterable[tuple[Resources, float]]) -> Floats:
    """Devices' worth of fragments on each row.

    Args:
        room: a table of what nodes have left; see `sim.iaas.room`.
        mix: (what a unit asks for, share of all units).
    """
    shares = room[:, FIRST:]
    idle = room[:, ACCELERATORS]
    result = np.zeros(len(room))
    for asked, share in mix:
        if not asked.accelerators > 0:
            result += share * idle
            continue
        # The part of a device that one unit needs: all of it where it asks for whole ones.
        part = min(1.0, asked.accelerators) * (1.0 - TOLERANCE)
        too_small = np.where(shares < part, shares, 0.0).sum(axis=1)
        result += share * np.where(lacks(room, asked), idle, too_small)
    return result
