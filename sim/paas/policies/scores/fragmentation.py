"""By how much a unit would break up what the usual work could use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from annotated_types import Gt, Le

from sim.iaas.resources import Resources
from sim.iaas.room import after
from sim.paas.fragmentation import TYPICAL, fragmented, typical
from sim.paas.policies.scores.base import Floats, Indices
from sim.registry import policy

if TYPE_CHECKING:
    from sim.paas.placement import Nodes
    from sim.paas.scheduler import Scheduler
    from sim.paas.units import Unit


@policy("score", "fgd")
class FragmentationGradientDescent:
    """Prefer the node where the unit leaves the fewest new fragments of devices (FGD).

    Weng et al., USENIX ATC 2023: a free part of a device is a fragment for work that it is too small
    for, or whose other needs the node cannot meet. What the usual work is, it learns from the units
    it was asked about so far, by what they ask for (not by named devices or labels): the most frequent
    kinds, until they make up `typical` of all. On a node a share goes to the device with the least
    left that is enough.
    """

    typical: Annotated[float, Gt(0), Le(1)] = TYPICAL

    def start(self, scheduler: Scheduler) -> None:
        """Begin without any experience."""
        self._seen: dict[Resources, int] = {}

    def score(self, unit: Unit, nodes: Nodes, candidates: Indices) -> Floats:
        """Negated growth of the fragments, in devices."""
        self._seen[unit.resources] = self._seen.get(unit.resources, 0) + 1
        mix = typical(self._seen, self.typical)
        room = nodes.room[candidates]
        return fragmented(room, mix) - fragmented(after(room, unit.resources), mix)
