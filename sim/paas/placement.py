"""Where a group goes: filter, score, reserve - for all of its units or for none.

The three steps of the Kubernetes scheduling framework, over numpy columns instead of node by node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.iaas.nodes import Cluster, NodeType
from sim.iaas.room import ACCELERATORS, WHOLE, Floats, slots, take
from sim.paas.company import Census
from sim.paas.policies.filters import Filter, Mask
from sim.paas.policies.scores import Indices, Score
from sim.paas.units import Group, Shape, Unit

if TYPE_CHECKING:
    from sim.paas.decisions import DecisionLog


class Nodes(Protocol):
    """What filters and scorers may read: one row a node. `Cluster` is one, a pool's template another."""

    @property
    def total(self) -> Floats:
        """What each node has, one column a resource."""

    @property
    def free(self) -> Floats:
        """What each node has left, one column a resource."""

    @property
    def room(self) -> Floats:
        """What each node has left, device by device; see `sim.iaas.room`."""

    @property
    def ready(self) -> Mask:
        """Whether each node takes units."""

    @property
    def site_id(self) -> NDArray[np.int64]:
        """Place of each node's site in `site_names`."""

    @property
    def pool_id(self) -> NDArray[np.int64]:
        """Place of each node's pool in `pool_names`."""

    @property
    def device_id(self) -> NDArray[np.int64]:
        """Place of each node's device in `device_names`, -1 for none."""

    @property
    def kind_id(self) -> NDArray[np.int64]:
        """Place of each node's type in `kinds`."""

    @property
    def rack_id(self) -> NDArray[np.int64]:
        """Number of each node's rack."""

    @property
    def nvlink_id(self) -> NDArray[np.int64]:
        """Number of each node's NVLink domain."""

    @property
    def accelerator_memory(self) -> Floats:
        """Bytes of memory of one device of each node."""

    @property
    def price(self) -> Floats:
        """USD per second of each node."""

    @property
    def site_names(self) -> list[str]:
        """Names of the sites."""

    @property
    def pool_names(self) -> list[str]:
        """Names of the pools, "site/pool"."""

    @property
    def device_names(self) -> list[str]:
        """Names of the devices."""

    @property
    def kinds(self) -> list[NodeType]:
        """The types of the nodes, with their labels and taints."""


class Gate(Protocol):
    """What a group must respect that starts while another, ahead of it, has to wait.

    A group that ends by `until` may go anywhere; a longer one only where `mask` lets each unit.

    Attributes:
        until: seconds.
        open: whether it holds nobody up.
    """

    until: float
    open: bool

    def ends_by(self, group: Group, now: float) -> bool:
        """Whether a group started now might end by `until`."""
        ...

    def keeps(self, group: Group, places: Sequence[int], now: float) -> bool:
        """Whether it does on those nodes."""
        ...

    def mask(self, unit: Unit) -> Mask:
        """Nodes the unit may occupy beyond `until`."""
        ...

    def take(self, unit: Unit, node: int) -> None:
        """The unit will occupy the node beyond `until`."""
        ...

    def undo(self, times: int) -> None:
        """Forget the last so many `take`s."""
        ...


class Placer:
    """Finds nodes for groups; changes nothing that outlasts the call but its own bookkeeping.

    Args:
        cluster: the nodes.
        filters: which nodes are possible.
        scores: which possible node is best, with weights of 0 or more.
        log: told what was seen.
        ties: draws among nodes with the same best score; None takes the first.

    Attributes:
        census: who runs where; for rules about other units.
        about_others: filters whose answer for a node depends on what runs elsewhere.
        about_itself: the others.
    """

    def __init__(
        self,
        cluster: Cluster,
        filters: Sequence[Filter],
        scores: Sequence[tuple[Score, float]],
        log: DecisionLog | None = None,
        ties: np.random.Generator | None = None,
    ) -> None:
        self.cluster = cluster
        self.filters = list(filters)
        self.scores = list(scores)
        self.census = Census()
        #: Those whose answer for a node depends on what runs on others too.
        self.about_others = [f for f in filters if "bound" in f.retry_on]
        self.about_itself = [f for f in filters if "bound" not in f.retry_on]
        self._fixed = [f for f in filters if not f.retry_on]
        self._changing = [f for f in filters if f.retry_on]
        self._known: dict[Shape, Mask] = {}
        self._log = log
        self._ties = ties
        self._choosers = [score for score, weight in scores if weight > 0 and hasattr(score, "device")]
        self._single = len(self.scores) == 1 and self.scores[0][1] > 0.0 and ties is None
        for policy in (*self.filters, *(score for score, _ in self.scores)):
            attach = getattr(policy, "attach", None)
            if attach is not None:
                attach(self)

    def allowed(self, unit: Unit, nodes: Nodes | None = None) -> Mask:
        """Nodes that no filter rejects for good: right site, pool and device. Do not change it.

        Args:
            unit: what is to be placed.
            nodes: where; None: the cluster.
        """
        if nodes is not None and nodes is not self.cluster:
            return verdict(self._fixed, unit, nodes)
        known = self._known.get(unit.shape)
        if known is None or len(known) != len(self.cluster.nodes):
            known = verdict(self._fixed, unit, self.cluster)
            self._known[unit.shape] = known
        return known

    def enough(self, group: Group) -> bool:
        """Whether each kind of unit in the group finds room for all of its number, taken alone.

        Exact for a group of equal units under the filters that ship with Stratus.
        """
        if self._scarce(group):
            return False
        first = 0
        for shape, count in group.shape:
            unit = group.units[first]
            first += count
            room = slots(self.cluster.room, shape[0], count)
            if room[self.allowed(unit) & self.cluster.ready].sum() < count:
                return False
        return True

    def _scarce(self, group: Group) -> bool:
        """Whether there are too few free devices in all: seen at a glance, and so on most full clusters."""
        asked = max(count * int(shape[0][ACCELERATORS]) for shape, count in group.shape)
        return asked > 0 and bool(self.cluster.room[:, WHOLE].sum() < asked)

    def place(self, group: Group, gate: Gate | None = None, *, checked: bool = False) -> list[int] | None:
        """Node indices for its units in order, or None if they do not all find a place.

        Args:
            group: it waits.
            gate: what it must respect.
            checked: whether there is known to be `enough` for it.
        """
        units = group.units
        if len(units) == 1 and gate is None:
            if self._log is None and not checked and self._scarce(group):
                return None
            at = self._find(units[0], None)
            return None if at < 0 else [at]
        if not checked and not self.enough(group):
            if self._log is not None:
                self._log.short(units[0], self.filters)
            return None
        free = self.cluster.room
        chosen: list[int] = []
        before: list[Floats] = []
        for unit in units:
            at = self._find(unit, None if gate is None else gate.mask(unit))
            if at < 0:
                break
            # The exact row is put back afterwards: (a - b) + b need not be a.
            chosen.append(at)
            before.append(free[at].copy())
            take(free, at, unit.resources, unit.wish)
            self.census.count(unit, at, 1)
            if gate is not None:
                gate.take(unit, at)
        for i in reversed(range(len(chosen))):
            free[chosen[i]] = before[i]
            self.census.count(units[i], chosen[i], -1)
        if len(chosen) == len(units):
            return chosen
        if gate is not None:
            gate.undo(len(chosen))
        return None

    def _find(self, unit: Unit, also: Mask | None) -> int:
        ok = self.allowed(unit)
        for policy in self._changing:
            if applies(policy, unit):
                ok = ok & ~policy.reject(unit, self.cluster)
        if also is not None:
            ok = ok & also
        candidates: Indices = np.flatnonzero(ok)
        points: list[Floats] = []
        at = int(candidates[0]) if len(candidates) else -1
        logged = self._log is not None and self._log.active
        if len(candidates) > 1 and self._single:
            # Stretching one scorer's numbers does not change which is the highest.
            raw = self.scores[0][0].score(unit, self.cluster, candidates)
            at = int(candidates[raw.argmax()])
            points = [self._stretched(self.scores[0][0], raw)] if logged else []
        elif len(candidates) > 1:
            points = [
                self._stretched(policy, policy.score(unit, self.cluster, candidates))
                for policy, _ in self.scores
            ]
            at = self._choose(candidates, points)
        if self._choosers and at >= 0 and 0.0 < unit.resources.accelerators < 1.0:
            unit.wish = self._choosers[0].device(unit, self.cluster, at)
        if self._log is not None and logged:
            self._log.looked(unit, self.filters, also, candidates, at, points)
        return at

    @staticmethod
    def _stretched(policy: Score, raw: Floats) -> Floats:
        """Scores mapped to 0..100 over the candidates; all 0 where they do not differ."""
        if getattr(policy, "final", False):
            return raw
        low = raw.min()
        span = raw.max() - low
        points: Floats = (raw - low) * (100.0 / span) if span > 0 else np.zeros(len(raw))
        return points

    def _choose(self, candidates: Indices, points: list[Floats]) -> int:
        total = np.zeros(len(candidates))
        for (_, weight), part in zip(self.scores, points, strict=True):
            # Points that all share, which have no stride, do not matter.
            if part.strides[0]:
                total += weight * part
        if self._ties is None:
            return int(candidates[total.argmax()])
        best = np.flatnonzero(total == total.max())
        return int(candidates[best[self._ties.integers(len(best))]] if len(best) > 1 else candidates[best[0]])


def applies(policy: Filter, unit: Unit) -> bool:
    """Whether a filter could reject any node for that unit, as far as it says."""
    asked = getattr(policy, "applies", None)
    return asked is None or bool(asked(unit))


def verdict(filters: Sequence[Filter], unit: Unit, nodes: Nodes) -> Mask:
    """Nodes that none of the filters rejects."""
    ok = np.ones(len(nodes.ready), dtype=np.bool_)
    for policy in filters:
        ok &= ~policy.reject(unit, nodes)
    return ok
