"""What the scheduler places: units (a replica or a worker) in groups (placed whole or not at all)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import TYPE_CHECKING, Any, Literal

from sim.iaas.resources import Resources
from sim.paas.rules import NO_RULES, Rules

if TYPE_CHECKING:
    from sim.iaas.nodes import Node

#: What decides on which nodes a unit can go; equal shapes get equal answers.
Shape = tuple[Resources, str | None, frozenset[str] | None, str | None, float, Rules]


def _nothing(*_: object) -> None:
    """What a unit without callbacks does."""


class Unit:
    """One thing that runs on one node: a replica of a service or a worker of a job.

    Args:
        kind: what it is.
        owner: name of the service or of the job.
        resources: what it reserves on its node.
        site: the only site it may run at; None for any.
        pools: the only node pools ("site/pool") it may run in; None for any.
        device: catalog name of the accelerator it needs, or several with "|" between them; None for any.
        accelerator_memory: bytes it needs on one accelerator.
        rules: what it says about labels, taints and other units.
        artifacts: (name, bytes) of image and weights that its node must have on disk.
        priority: larger goes first, where the order looks at it.
        on_bound: called with the unit once its whole group is bound.
        on_evicted: called with the unit and a reason after its node was lost; it has no node then.

    `id` is given by the scheduler at submission. The moments `submitted` to `ended` are NaN until
    they come; the scheduler writes `submitted` and `bound`, the owner the others.
    """

    __slots__ = (
        "accelerator_memory",
        "artifacts",
        "bound",
        "device",
        "devices",
        "ended",
        "group",
        "id",
        "kind",
        "loaded",
        "node",
        "on_bound",
        "on_evicted",
        "owner",
        "pools",
        "priority",
        "pulled",
        "ready",
        "resources",
        "rules",
        "shape",
        "site",
        "submitted",
        "where",
    )

    def __init__(
        self,
        kind: Literal["replica", "worker"],
        owner: str,
        resources: Resources,
        *,
        site: str | None = None,
        pools: frozenset[str] | None = None,
        device: str | None = None,
        accelerator_memory: float = 0.0,
        rules: Rules = NO_RULES,
        artifacts: tuple[tuple[str, float], ...] = (),
        priority: float = 0.0,
        on_bound: Callable[[Unit], Any] | None = None,
        on_evicted: Callable[[Unit, str], Any] | None = None,
    ) -> None:
        self.id = -1
        self.kind = kind
        self.owner = owner
        self.resources = resources
        self.site = site
        self.pools = pools
        self.device = device
        self.accelerator_memory = accelerator_memory
        self.rules = rules
        self.artifacts = artifacts
        self.priority = priority
        self.on_bound: Callable[[Unit], Any] = on_bound or _nothing
        self.on_evicted: Callable[[Unit, str], Any] = on_evicted or _nothing
        #: Filters may look at these attributes only: the scheduler remembers answers by shape.
        self.shape: Shape = (resources, site, pools, device, accelerator_memory, rules)
        self.node: Node | None = None
        #: Numbers of the devices it has on its node.
        self.devices: tuple[int, ...] = ()
        #: Name of the node it was bound to last, "" before.
        self.where = ""
        self.group: Group | None = None
        self.submitted = nan
        self.bound = nan
        self.pulled = nan
        self.loaded = nan
        self.ready = nan
        self.ended = nan


class Group:
    """Units that start together: a gang of workers, or a single replica.

    Args:
        units: its members, one or more.
        submitted: seconds; the moment that counts for the order. None: when it is submitted.
        priority: larger goes first, where the order looks at it.
        tenant: who owns it.
        estimate: running time its user stated, seconds; None for "until told otherwise".
        work: true running time, seconds; only policies declared clairvoyant may look.
        deadline: moment by which it should be done.
        preemptible: may be evicted for the sake of another.
    """

    __slots__ = (
        "deadline",
        "estimate",
        "id",
        "live",
        "preemptible",
        "priority",
        "shape",
        "started",
        "submitted",
        "tenant",
        "units",
        "work",
    )

    def __init__(
        self,
        units: Sequence[Unit],
        *,
        submitted: float | None = None,
        priority: float = 0.0,
        tenant: str = "",
        estimate: float | None = None,
        work: float = nan,
        deadline: float = float("inf"),
        preemptible: bool = False,
    ) -> None:
        if not units:
            raise ValueError("a group needs at least one unit")
        self.id = -1
        self.units = list(units)
        self.submitted = nan if submitted is None else submitted
        self.priority = priority
        self.tenant = tenant
        self.estimate = estimate
        self.work = work
        self.deadline = deadline
        self.preemptible = preemptible
        #: Runs of equal units: (shape, how many).
        self.shape: tuple[tuple[Shape, int], ...] = _runs(self.units)
        self.started = nan
        #: Units now on a node.
        self.live = 0
        for unit in self.units:
            unit.group = self


def _runs(units: list[Unit]) -> tuple[tuple[Shape, int], ...]:
    runs: list[tuple[Shape, int]] = []
    for unit in units:
        if runs and runs[-1][0] == unit.shape:
            runs[-1] = (unit.shape, runs[-1][1] + 1)
        else:
            runs.append((unit.shape, 1))
    return tuple(runs)
