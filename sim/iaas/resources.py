"""What a node offers and a unit asks for: the resource vector, and the error for a broken rule."""

from __future__ import annotations

from typing import NamedTuple

from sim.errors import StratusError


class Resources(NamedTuple):
    """Amounts of each resource: cores, bytes of memory, accelerators, bytes of disk."""

    cpu: float = 0.0
    memory: float = 0.0
    accelerators: float = 0.0
    disk: float = 0.0


#: Names of the resources, in the order of the columns of the cluster's tables.
RESOURCE_NAMES: tuple[str, ...] = Resources._fields

#: Share of a node's total by which sums of fractional requests (0.1 + 0.2) may miss it.
TOLERANCE = 1e-9


class InvariantError(StratusError):
    """A rule of the model was broken: a fault of Stratus or of a plug-in, never of a scenario."""
