"""The parts of a cold start, from the node to the first call: image, weights, warm-up.

    submitted -> bound      the scheduler found a place (or first had to get a node: its boot is here)
    bound     -> pulled     the image came over the network, unless the node had it
    pulled    -> loaded     the weights came over the network, then into the accelerator's memory
    loaded    -> ready      first passes: kernels compiled, caches filled

Each moment is written on the unit and ends up in the `units` table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.iaas.nodes import Node

if TYPE_CHECKING:
    from sim.iaas.storage import ObjectStore
    from sim.kernel.kernel import Kernel
    from sim.paas.units import Unit

#: Name and size in bytes of something the object store keeps.
Artifact = tuple[str, float]


@dataclass(frozen=True, slots=True)
class Startup:
    """What a replica needs before it can serve.

    Attributes:
        image: container image, None for one that is on every node.
        weights: of the model, None for no weights.
        load_rate: bytes/s from the node into the accelerator's memory, None for no time.
        warmup: seconds of first passes.
    """

    image: Artifact | None = None
    weights: Artifact | None = None
    load_rate: float | None = None
    warmup: float = 0.0

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Image and weights, as far as there are any."""
        return tuple(each for each in (self.image, self.weights) if each is not None)

    @property
    def load_seconds(self) -> float:
        """Time to bring the weights from the node into the accelerator."""
        return self.weights[1] / self.load_rate if self.weights and self.load_rate else 0.0

    @property
    def shortest(self) -> float:
        """Seconds from a place to the first call with image and weights on the node already."""
        return self.load_seconds + self.warmup


class ColdStart:
    """One replica on its way from its place on a node to its first call."""

    __slots__ = ("_done", "_kernel", "_node", "_startup", "_stopped", "_store", "_unit")

    def __init__(
        self,
        kernel: Kernel,
        store: ObjectStore | None,
        startup: Startup,
        unit: Unit,
        done: Callable[[], object],
    ) -> None:
        if unit.node is None:
            raise ValueError(f"unit {unit.id} has no node to start on")
        self._kernel = kernel
        self._store = store
        self._startup = startup
        self._unit = unit
        self._node: Node = unit.node
        self._done = done
        self._stopped = False
        self._fetch(startup.image, self._pulled)

    def cancel(self) -> None:
        """Give up; nothing is called any more."""
        self._stopped = True

    def _fetch(self, artifact: Artifact | None, then: Callable[[], None]) -> None:
        if artifact is None or self._store is None:
            then()
        else:
            self._store.fetch(self._node, *artifact, then)

    def _pulled(self) -> None:
        if not self._stopped:
            self._unit.pulled = self._kernel.now
            self._fetch(self._startup.weights, self._fetched)

    def _fetched(self) -> None:
        if not self._stopped:
            self._kernel.call_in(self._startup.load_seconds, self._loaded)

    def _loaded(self) -> None:
        if not self._stopped:
            self._unit.loaded = self._kernel.now
            self._kernel.call_in(self._startup.warmup, self._warm)

    def _warm(self) -> None:
        if not self._stopped:
            self._unit.ready = self._kernel.now
            self._done()
