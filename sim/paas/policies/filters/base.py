"""What every filter is: `reject(unit, nodes)`, True where a node is out.

`reason` says it to people. `retry_on` names the events of a node after which it may answer
otherwise: "ready" (it came up), "released" (something left it), "bound" (a unit was placed
somewhere). An empty tuple means that the answer for a shape and a node never changes, so the
scheduler asks once and remembers.
A filter looks at the unit's shape (see `Unit.shape`) and at nothing else of it. One that most units
do not concern may say so with `applies(unit)`, and is not asked then. `attach(placer)` and
`start(scheduler)` are called first where there are such methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.units import Unit

Mask = NDArray[np.bool_]


class Filter(Protocol):
    """What the scheduler needs of a filter."""

    reason: ClassVar[str]
    retry_on: ClassVar[tuple[str, ...]]

    def reject(self, unit: Unit, nodes: Nodes) -> Mask:
        """One truth value a node: True where the unit cannot go."""
        ...


def none(nodes: Nodes) -> Mask:
    """A mask that rejects no node."""
    return np.zeros(len(nodes.ready), dtype=np.bool_)
