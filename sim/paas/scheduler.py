"""The scheduler: a queue of groups, and passes over it whenever something could have changed.

Order, discipline, filters and scores are policies and independent of each other. Nothing polls: a
pass runs once in a simulated moment, after all that happened in it, and only if a group came, a unit
left, or a node came up or went away. A group that did not fit is tried again when an event touches a
node where one of its units would now fit, since only that can change the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, Literal

from sim import registry
from sim.iaas.nodes import Cluster, Node
from sim.iaas.pools import NodePool
from sim.iaas.room import fits
from sim.kernel.context import Context
from sim.paas.backfill import Reservation
from sim.paas.decisions import DecisionLog
from sim.paas.elastic import ScaleUp, ever_fits
from sim.paas.fragmentation import FragmentationRecord
from sim.paas.nodedrain import NodeDrain
from sim.paas.nodescaling import PlannedScaleUp
from sim.paas.placement import Gate, Placer, applies
from sim.paas.plan import Plan
from sim.paas.policies.discipline import Discipline
from sim.paas.policies.filters import Filter, ResourcesFit
from sim.paas.policies.node_scaling import NodeScaling, Shrinking
from sim.paas.policies.order import Order
from sim.paas.policies.preemption import NoPreemption, Preemption
from sim.paas.policies.scores import Score
from sim.paas.queue import Bucket, WaitingQueue
from sim.paas.quota.ledger import Ledger
from sim.paas.roster import Roster
from sim.paas.units import Group, Knows, Shape, Unit
from sim.paas.walk import Walk


class Scheduler:
    """Gives groups of units their nodes, whole or not at all.

    Args:
        ctx: clock, randomness, records.
        cluster: the nodes.
        order: which group is tried first.
        discipline: what happens behind a group that does not fit.
        filters: which nodes are possible.
        scores: which possible node is best, with weights of 0 or more.
        preemption: who has to make room; None: nobody.
        decisions: which attempts to record in the `decisions` table.
        pools: elastic pools to ask for nodes when groups wait.
        node_scaling: when and how elastic pools grow; None: at once, first fit, cheapest pool first.
        ties: which of several nodes with the best score: the first, or any (from a stream of its own).
        quotas: of the tenants; None: nobody is limited.
        fragmentation: whether to record it.

    Attributes:
        queue: groups that wait.
        order: which of them is tried first.
        roster: who runs, and where.
        passes: passes over the queue so far.
        quotas: of the tenants, if they have any.
        pools: elastic pools that it asks for nodes.
    """

    def __init__(
        self,
        ctx: Context,
        cluster: Cluster,
        *,
        order: Order,
        discipline: Discipline,
        filters: Sequence[Filter],
        scores: Sequence[tuple[Score, float]],
        preemption: Preemption | None = None,
        decisions: Literal["off", "sampled", "all"] = "off",
        pools: Sequence[NodePool] = (),
        ties: Literal["first", "random"] = "first",
        node_scaling: NodeScaling | None = None,
        quotas: Ledger | None = None,
        fragmentation: bool = False,
    ) -> None:
        self.ctx = ctx
        self.cluster = cluster
        self.queue = WaitingQueue(order, by_tenant=quotas is not None)
        log = None
        if decisions != "off":
            log = DecisionLog(ctx, cluster, self.queue, discipline, scores, decisions)
        rng = ctx.streams.stream("paas/scheduler/ties") if ties == "random" else None
        self.placer = Placer(cluster, filters, scores, log, rng)
        self.roster = Roster(cluster, self.placer.census, quotas)
        self.quotas = quotas
        self._fragments = FragmentationRecord(ctx, self.placer) if fragmentation else None
        self.passes = 0
        self.order = order
        self._preemption = preemption or NoPreemption()
        #: Groups that came while a pass went through the queue; they join it afterwards.
        self._late: list[Group] = []
        self._walk = Walk(self, discipline, self._preemption, log)
        self._walking = False
        self._discipline = discipline
        self._log = log
        self._scale_up = ScaleUp(self.placer, pools) if pools else None
        if pools and node_scaling is not None:
            registry.start(node_scaling)
            planned = PlannedScaleUp(ctx, self.placer, pools, node_scaling, self._in_order)
            self._scale_up = planned
            if isinstance(node_scaling, Shrinking) and node_scaling.shrinks:
                NodeDrain(ctx, self, pools, node_scaling, planned)
        #: Filters whose answer for a node a release, or a placement, somewhere else may change.
        self._afar = {
            event: [f for f in filters if event in f.retry_on and not isinstance(f, ResourcesFit)]
            for event in ("released", "bound")
        }
        self.pools = list(pools)
        self._learning: list[Any] = [score for score, _ in scores if hasattr(score, "saw")]
        self._possible: dict[tuple[tuple[Shape, int], ...], bool] = {}
        self._due = False
        self._group_ids = count()
        self._unit_ids = count()
        self._waiting = ctx.recorder.series("paas/scheduler/waiting")
        for policy in (order, discipline, self._preemption, *filters, *(score for score, _ in scores)):
            registry.start(policy, self)
        cluster.listen(self._on_event)

    def submit(self, group: Group) -> None:
        """Queue a group; numbers it and its units."""
        now = self.ctx.kernel.now
        if group.id >= 0:
            raise ValueError(f"group {group.id} was submitted before; make a new one to try again")
        group.id = next(self._group_ids)
        if group.submitted != group.submitted:
            group.submitted = now
        if group.rank is None:
            group.rank = group.id
        group.queued = now
        self._number(group)
        if self._fragments is not None:
            self._fragments.saw(group)
        for score in self._learning:
            score.saw(group)
        if self._walking:
            self._late.append(group)
        else:
            self._enqueue(group)

    def _number(self, group: Group) -> None:
        for unit in group.units:
            unit.id = next(self._unit_ids)
            unit.submitted = group.queued

    def _enqueue(self, group: Group) -> None:
        bucket = self.queue.add(group, self.ctx.kernel.now)
        if self._preemption.evicts and bucket.entries[0][3] is group:
            # More groups run behind a new first of its shape than behind the last one that was tried.
            bucket.blocked = False
        if self._log is not None:
            self._log.queued(group)
        self._waiting.set(self.queue.units)
        for policy in (self._preemption, self.order):
            queued = getattr(policy, "queued", None)
            if queued is not None:
                queued(group)
        self.look()

    def reorder(self, group: Group) -> None:
        """A waiting group's key has changed: give it its new place in the queue."""
        self.queue.remove(group)
        self.queue.add(group, self.ctx.kernel.now)
        self.wake()

    def learn(self, service: float) -> None:
        """A job is done after so much service (accelerator seconds); told to an order that learns."""
        learn = getattr(self.order, "learn", None)
        if learn is not None:
            learn(service)

    def resize(self, group: Group, workers: int) -> None:
        """Let a waiting elastic group have so many workers when it starts.

        Raises:
            ValueError: it does not wait, or cannot have that many.
        """
        low, high = group.elastic or (len(group.units), len(group.units))
        if group not in self.queue or not low <= workers <= high or group.make_units is None:
            raise ValueError(f"group {group.id} cannot wait for {workers} workers")
        self.queue.remove(group)
        group.set_units(group.make_units(workers))
        self._number(group)
        self.queue.add(group, self.ctx.kernel.now)
        self._waiting.set(self.queue.units)
        self.look()

    def preempt(
        self, group: Group, reason: str, *, graceful: bool = True, for_group: Group | None = None
    ) -> None:
        """Take a running group off its nodes; it queues again.

        Args:
            group: it runs.
            reason: why; recorded with the run that ends.
            graceful: it may save its state first. A group that is not preempted whole (a replica) is
                told as if its node had gone.
            for_group: whom it makes room for.
        """
        if self._log is not None:
            self._log.preempted(group, for_group, reason)
        if group.on_preempted is not None:
            group.on_preempted(group, reason, graceful)
            return
        for unit in list(group.units):
            if unit.node is not None:
                self.done(unit)
                unit.on_evicted(unit, reason)

    def wake(self) -> None:
        """Try every waiting group anew at the end of this moment; something else than room changed."""
        for bucket in self.queue.buckets.values():
            bucket.blocked = False
        self.look()

    def possible(self, group: Group) -> bool:
        """Whether the group would fit if nothing else ran and elastic pools had all the nodes they may."""
        if self.quotas is not None and not self.quotas.possible(group):
            return False
        if group.shape not in self._possible:
            self._possible[group.shape] = ever_fits(group, self.placer, self.pools)
        return self._possible[group.shape]

    def withdraw(self, group: Group) -> None:
        """Take a group back: out of the queue, or its units off their nodes."""
        if group in self.queue:
            self.queue.remove(group)
            if self._log is not None:
                self._log.left(group)
            self._waiting.set(self.queue.units)
            self.look()
        else:
            for unit in group.units:
                self.done(unit)

    def done(self, unit: Unit) -> None:
        """The unit has ended and leaves its node; nothing happens if it was evicted before."""
        self.roster.leave(unit)

    def close(self) -> None:
        """Write what the log of decisions still holds; call it once, after the run."""
        if self._log is not None:
            self._log.close()

    def reserve(self, head: Group, knows: Knows = "estimate") -> Gate:
        """A gate that keeps the first moment free at which a waiting group can start."""
        return Reservation(head, self.placer, self.roster.expected(knows), self.ctx.kernel.now, knows)

    def plan(self, knows: Knows, most: int) -> Gate:
        """A gate that keeps the first moments free at which waiting groups can start, up to so many."""
        return Plan(self.placer, self.roster.expected(knows), self.ctx.kernel.now, knows, most)

    def _on_event(self, event: str, node: Node) -> None:
        if self._fragments is not None:
            self._fragments.touch((node.index,))
        if event == "gone":
            self.roster.lost(node)
        elif event in ("ready", "released"):
            for bucket in self.queue.buckets.values():
                if bucket.blocked and (self._preemption.evicts or self._helps(bucket, node, event)):
                    bucket.blocked = False
        self.look()

    def _helps(self, bucket: Bucket, node: Node, event: str) -> bool:
        """Whether some unit of the bucket's groups would now fit on that node."""
        if event == "released" and self._touched(bucket, event):
            return True
        at = node.index
        if not self.cluster.ready[at]:
            return False
        for unit in bucket.samples:
            if self.placer.allowed(unit)[at] and fits(self.cluster.room, at, unit.resources):
                return True
        return False

    def _touched(self, bucket: Bucket, event: str) -> bool:
        """Whether such an event anywhere may change what filters say of the bucket's units."""
        return any(applies(f, unit) for f in self._afar[event] for unit in bucket.samples)

    def _bound_somewhere(self) -> None:
        """Units were placed: let those try again whose filters that may please."""
        freed = [b for b in self.queue.buckets.values() if b.blocked and self._touched(b, "bound")]
        for bucket in freed:
            bucket.blocked = False
        if freed:
            self.look()

    def look(self) -> None:
        """Have a pass at the end of this moment, if it could find anything new."""
        if self._due or not len(self.queue):
            return
        if self._scale_up is not None or not all(b.blocked for b in self._eligible()):
            self._due = True
            self.ctx.kernel.call_in(0.0, self._pass)

    def _in_order(self) -> list[Bucket]:
        """What waits, in order of the queue."""
        return sorted(self.queue.buckets.values(), key=lambda bucket: bucket.entries[0])

    def _pass(self) -> None:
        self._due = False
        self.passes += 1
        now = self.ctx.kernel.now
        if self.order.time_dependent:
            self.queue.refresh(now)
            if self._preemption.evicts:
                # Not by `wake`, which would ask for one pass after the other without end.
                for bucket in self.queue.buckets.values():
                    bucket.blocked = False
        self._walking = True
        started = self._walk.through(self._eligible(), now)
        self._walking = False
        if self._log is not None:
            self._log.passed()
        if started:
            self._bound_somewhere()
        self._waiting.set(self.queue.units)
        if self._scale_up is not None and len(self.queue):
            self._scale_up.ask(self._in_order(), self._discipline.overtaking)
        self._settle(started)

    @property
    def interrupted(self) -> bool:
        """Whether groups came while the present pass went through the queue."""
        return bool(self._late)

    def _settle(self, started: list[Group]) -> None:
        """Tell owners of their places, and queue what came meanwhile."""
        # Owners may submit or end units at once: only now, with the pass complete.
        for group in started:
            for unit in group.units:
                if unit.node is not None:
                    unit.on_bound(unit)
        late, self._late = self._late, []
        for group in late:
            self._enqueue(group)

    def _eligible(self) -> list[Bucket]:
        """Buckets whose groups may start at any time, not in rounds only."""
        paces = getattr(self._preemption, "paces", None)
        buckets = self.queue.buckets.values()
        return [b for b in buckets if paces is None or not paces(b.entries[0][3])]

    def start_groups(self, plan: Sequence[tuple[Group, Gate | None]]) -> list[Group]:
        """Bind waiting groups now, in turn, each where its gate lets it; returns those that fit."""
        now = self.ctx.kernel.now
        started = []
        for group, gate in plan:
            if self._log is not None:
                self._log.begin(group)
            places = self.placer.place(group, gate)
            if self._log is not None:
                self._log.end(places is not None)
            if places is not None:
                self.bind(group, places, now)
                started.append(group)
        self._waiting.set(self.queue.units)
        self._settle(started)
        return started

    def bind(self, group: Group, places: list[int], now: float) -> None:
        """Give a waiting group its nodes."""
        self.queue.remove(group)
        if self._log is not None:
            self._log.left(group)
        self.roster.bind(group, places, now)
        if self._fragments is not None:
            self._fragments.touch(places)
        self._preemption.bound(group, self)
