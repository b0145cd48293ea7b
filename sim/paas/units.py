"""What the scheduler places: units (a replica or a worker) in groups (placed whole or not at all)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, nan
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sim.iaas.resources import Resources
from sim.paas.rules import NO_RULES, Rules
from sim.paas.speed import PLAIN, Speed

if TYPE_CHECKING:
    from sim.iaas.nodes import Node

#: What decides on which nodes a unit can go; equal shapes get equal answers.
Shape = tuple[Resources, str | None, frozenset[str] | None, str | None, float, Rules]


#: What of a running time a policy looks at: what the user stated, or what nobody can know before.
Knows = Literal["estimate", "truth"]


class Guard(Protocol):
    """Says how many units of an owner may be taken off their nodes, where a disruption budget does."""

    def allowed(self) -> int:
        """Units that may go now."""

    def lets_go(self, unit: Unit) -> bool:
        """Whether this one may go now."""


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
        on_drained: called with the unit to have it leave its node in peace and be placed anew; None: it
            cannot move by itself.
        guard: says whether it may be drained; None: always.

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
        "guard",
        "id",
        "kind",
        "loaded",
        "node",
        "on_bound",
        "on_drained",
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
        "wish",
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
        on_drained: Callable[[Unit], Any] | None = None,
        guard: Guard | None = None,
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
        self.on_drained = on_drained
        self.guard = guard
        #: Filters may look at these attributes only: the scheduler remembers answers by shape.
        self.shape: Shape = (resources, site, pools, device, accelerator_memory, rules)
        self.node: Node | None = None
        #: Numbers of the devices it has on its node.
        self.devices: tuple[int, ...] = ()
        #: Device its share should come from; None: the one with the least left that is enough.
        self.wish: int | None = None
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
        stated: running time its user stated for all of the job, seconds; None: `estimate`.
        length: true running time of all of the job, seconds; None: `work`.
        served: seconds of service the job got before, in earlier groups.
        restart: seconds it holds its nodes before it works on.
        weight: of its claim to a fair share.
        rank: number of the job's first group, which a job that queues again keeps; None: a new one.
        asked: workers that the running times are stated for; None: its units.
        elastic: fewest and most workers it can have; None: exactly its units.
        speed: the rate model of the job.
        make_units: makes so many new units of an elastic job.
        on_preempted: called with the group, a reason and whether it may save its work, to take it off
            its nodes and queue it again. None: it is never preempted whole.

    Running times are seconds of work: those on the reference accelerator with the workers asked for.
    """

    __slots__ = (
        "_done",
        "_since",
        "asked",
        "deadline",
        "elastic",
        "estimate",
        "id",
        "length",
        "live",
        "make_units",
        "on_preempted",
        "pace",
        "priority",
        "queued",
        "rank",
        "rate",
        "restart",
        "served",
        "shape",
        "size",
        "speed",
        "started",
        "stated",
        "submitted",
        "tenant",
        "units",
        "weight",
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
        deadline: float = inf,
        stated: float | None = None,
        length: float | None = None,
        served: float = 0.0,
        restart: float = 0.0,
        weight: float = 1.0,
        rank: int | None = None,
        asked: int | None = None,
        elastic: tuple[int, int] | None = None,
        speed: Speed = PLAIN,
        make_units: Callable[[int], list[Unit]] | None = None,
        on_preempted: Callable[[Group, str, bool], object] | None = None,
    ) -> None:
        if not units:
            raise ValueError("a group needs at least one unit")
        self.id = -1
        self.submitted = nan if submitted is None else submitted
        self.priority = priority
        self.tenant = tenant
        self.estimate = estimate
        self.work = work
        self.deadline = deadline
        self.stated = estimate if stated is None else stated
        self.length = work if length is None else length
        self.served = served
        self.restart = restart
        self.weight = weight
        self.rank = rank
        self.elastic = elastic
        self.speed = speed
        self.make_units = make_units
        self.on_preempted = on_preempted
        #: Moments it was queued and bound, NaN before.
        self.queued = nan
        self.started = nan
        #: Seconds of work it does per second, from `started + restart` on.
        self.rate = nan
        #: Share of that rate that it reaches beside others on its accelerators.
        self.pace = 1.0
        #: Work done when the pace last changed, and that moment.
        self._done = 0.0
        self._since = -inf
        #: Units now on a node.
        self.live = 0
        self.set_units(units)
        self.asked = len(self.units) if asked is None else asked

    def set_units(self, units: Sequence[Unit]) -> None:
        """Consist of these units; for groups that are not submitted."""
        self.units = list(units)
        #: Runs of equal units: (shape, how many).
        self.shape: tuple[tuple[Shape, int], ...] = _runs(self.units)
        #: Accelerators of all units, or their number where they need none.
        self.size = sum(unit.resources.accelerators for unit in self.units) or float(len(self.units))
        for unit in self.units:
            unit.group = self

    def attained(self, now: float) -> float:
        """Seconds the job has held nodes so far, over all its runs."""
        return self.served + (now - self.started if self.live else 0.0)

    def progress(self, now: float) -> float:
        """Seconds of work done since it was bound; 0 while it waits."""
        return self.progress_until(now) if self.live else 0.0

    def progress_until(self, moment: float) -> float:
        """Seconds of work done from when it was bound until a moment up to which it ran."""
        begin = max(self.started + self.restart, self._since)
        return self._done + self.rate * self.pace * max(0.0, moment - begin)

    def repace(self, pace: float, now: float) -> None:
        """Go on at another share of its rate."""
        self._done = self.progress_until(now)
        self._since = now
        self.pace = pace

    @property
    def steady(self) -> bool:
        """Whether its pace has never changed since it was bound."""
        return self._since == -inf

    def remaining(self, now: float) -> float:
        """Seconds of work left by what the user stated; never below 0, infinite without an estimate."""
        return inf if self.estimate is None else max(0.0, self.estimate - self.progress(now))

    def remaining_true(self, now: float) -> float:
        """Seconds of work that are really left; for policies declared clairvoyant only."""
        return self.work - self.progress(now)

    def rate_on(self, device: str | None) -> float:
        """Seconds of work its units would do per second, all on such accelerators, in one place."""
        return self.speed.rate(len(self.units), self.asked, (device,), "node")

    def left(self, knows: Knows) -> float:
        """Seconds of work left when it was queued, as stated or in truth; infinite where there is no end."""
        if knows == "truth":
            return self.work if self.work == self.work else inf
        return inf if self.estimate is None else self.estimate

    def soonest(self, knows: Knows) -> float:
        """Seconds from being bound to its end on the best nodes there could be."""
        return self.restart + self.left(knows) / self.speed.best(len(self.units), self.asked)

    def end(self, work: float) -> float:
        """Moment at which so much of the work is done, counted from when it was bound."""
        begin = max(self.started + self.restart, self._since)
        return begin + (work - self._done) / (self.rate * self.pace)

    @property
    def preemptible(self) -> bool:
        """Whether it can be taken off its nodes whole and goes on later."""
        return self.on_preempted is not None


def _runs(units: list[Unit]) -> tuple[tuple[Shape, int], ...]:
    runs: list[tuple[Shape, int]] = []
    for unit in units:
        if runs and runs[-1][0] == unit.shape:
            runs[-1] = (unit.shape, runs[-1][1] + 1)
        else:
            runs.append((unit.shape, 1))
    return tuple(runs)
