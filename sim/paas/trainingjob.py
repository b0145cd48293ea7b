"""One training job: waits, runs at the rate of its nodes, loses its place, goes on, is done.

Progress is counted in seconds of work; `sim.paas.speed` says how many of them pass per second. A job
that is preempted gracefully saves its state and loses nothing; one whose node is lost, or that is
killed, goes back to its last checkpoint. Either way it pays its restart when it goes on.
"""

from __future__ import annotations

from functools import partial
from math import floor, nan
from typing import TYPE_CHECKING

from sim.kernel.kernel import Timer
from sim.paas.units import Group, Unit

if TYPE_CHECKING:
    from sim.paas.jobs import JobClass, Jobs


class TrainingJob:
    """One job from its submission to its end.

    Attributes:
        id: number in the run.
        workers: gang that its work is stated for.
        work: seconds it runs on those, on the reference accelerator, if nothing goes wrong.
        estimate: seconds its user stated.
        submitted: seconds.
        started: moment it first ran, NaN before.
        finished: moment its work was done, NaN before.
        kept: seconds of work that it need not do again.
        lost: seconds of work done and lost again.
        served: seconds it held nodes, up to its present run.
        evictions: times it lost its place.
    """

    __slots__ = (
        "_bound",
        "_end",
        "_jobs",
        "_paces",
        "_rank",
        "estimate",
        "evictions",
        "finished",
        "group",
        "id",
        "kept",
        "kind",
        "lost",
        "served",
        "started",
        "submitted",
        "work",
        "workers",
    )

    def __init__(
        self, jobs: Jobs, kind: JobClass, number: int, workers: int, work: float, estimate: float
    ) -> None:
        self.id = number
        self.kind = kind
        self.workers = workers
        self.work = work
        self.estimate = estimate
        self.submitted = jobs.kernel.now
        self.started = nan
        self.finished = nan
        self.kept = 0.0
        self.lost = 0.0
        self.served = 0.0
        self.evictions = 0
        self.group: Group | None = None
        self._jobs = jobs
        self._bound = 0
        self._rank: int | None = None
        self._end: Timer | None = None
        #: Pace of each worker that has a share of an accelerator, by its number.
        self._paces: dict[int, float] = {}

    @property
    def deadline(self) -> float:
        """Moment by which it should be done, infinite for none."""
        return self.submitted + self.kind.deadline

    def gang(self) -> Group:
        """A group of new workers for the work that is left."""
        kind = self.kind
        return Group(
            self._units(self.workers),
            submitted=self.submitted,
            priority=kind.priority,
            tenant=kind.tenant,
            estimate=max(0.0, self.estimate - self.kept),
            work=self.work - self.kept,
            deadline=self.deadline,
            stated=self.estimate,
            length=self.work,
            served=self.served,
            restart=kind.restart if self.evictions else 0.0,
            weight=kind.weight,
            rank=self._rank,
            asked=self.workers,
            elastic=kind.elastic,
            speed=kind.speed,
            make_units=self._units if kind.elastic else None,
            on_preempted=self._on_preempted,
        )

    def queue(self, group: Group) -> None:
        """Wait for places for this gang, then run."""
        self._bound = 0
        self.group = group
        self._jobs.scheduler.submit(group)
        self._rank = group.rank

    def _units(self, number: int) -> list[Unit]:
        kind = self.kind
        owner = f"{kind.name}/{self.id}"
        return [
            Unit(
                "worker",
                owner,
                kind.resources,
                site=kind.site,
                pools=kind.pools,
                device=kind.device,
                accelerator_memory=kind.accelerator_memory,
                rules=kind.rules,
                priority=kind.priority,
                on_bound=self._on_bound,
                on_evicted=self._on_evicted,
            )
            for _ in range(number)
        ]

    def _on_bound(self, unit: Unit) -> None:
        self._bound += 1
        group = self.group
        assert group is not None
        if self._bound < len(group.units):
            return
        now = self._jobs.kernel.now
        if self.started != self.started:
            self.started = now
        for worker in group.units:
            worker.ready = now
            _use(worker, 1.0)
        self._jobs.running.add(1.0)
        seconds = group.restart + (self.work - self.kept) / group.rate
        self._end = self._jobs.kernel.timer(seconds, self._finish)
        if self._jobs.sharing is not None:
            for worker in group.units:
                device = self._jobs.sharing.device_of(worker)
                if device is not None:
                    self._paces[worker.id] = 1.0
                    device.enter(worker.id, self.kind.name, partial(self._paced, worker.id))

    def _paced(self, worker: int, pace: float) -> None:
        """A worker goes on at another pace beside others; a gang is as fast as its slowest worker."""
        group, now = self.group, self._jobs.kernel.now
        assert group is not None
        self._paces[worker] = pace
        slowest = min(self._paces.values())
        if slowest != group.pace and self._end is not None:
            self._jobs.scheduler.roster.repace(group, slowest, now)
            self._end.cancel()
            left = group.end(self.work - self.kept) - now
            self._end = self._jobs.kernel.timer(max(0.0, left), self._finish)

    def _finish(self) -> None:
        self.finished = self._jobs.kernel.now
        self._leave("completed", self.work - self.kept, 0.0)
        self._jobs.ended(self)

    def _on_preempted(self, group: Group, reason: str, graceful: bool) -> None:
        """The scheduler takes the gang off its nodes; it queues again."""
        self._lose_place(reason, graceful)

    def _on_evicted(self, unit: Unit, reason: str) -> None:
        """One worker's node was lost: the gang gives up its places and queues again."""
        if unit.group is self.group and self.group is not None:
            self._lose_place(reason, graceful=False)

    def _lose_place(self, reason: str, graceful: bool) -> None:
        assert self.group is not None
        progress = lost = 0.0
        # A gang that makes room in the moment it was bound has not begun, and loses nothing.
        if self._end is not None:
            self.evictions += 1
            progress = self.group.progress_until(self._jobs.kernel.now)
            if not graceful:
                lost = self.kept + progress - self._saved(self.kept + progress)
        self._leave(reason, progress, lost)
        self.lost += lost
        self.kept += progress - lost
        self.queue(self.gang())

    def _saved(self, done: float) -> float:
        """Seconds of work that survive if the gang is killed with so many done."""
        every = self.kind.checkpoint
        if every is None:
            return self.kept
        # Rounding must not lose the checkpoint written at this very moment; a saved state stays.
        return max(self.kept, min(done, every * floor(done / every * (1 + 1e-12))))

    def _leave(self, reason: str, progress: float, lost: float) -> None:
        """Give up the places; `progress` and `lost` are seconds of work of this run."""
        group = self.group
        assert group is not None
        now = self._jobs.kernel.now
        running = self._end is not None
        if self._end is not None:
            self._end.cancel()
            self._end = None
            self.served += now - group.started
            self._jobs.record_run(self, progress, lost, now, reason)
        for worker in group.units:
            if worker.id in self._paces:
                self._stands_aside(worker)
            if worker.node is not None and worker.ready == worker.ready:
                _use(worker, -1.0)
            self._jobs.record_unit(worker, reason)
            self._jobs.scheduler.done(worker)
        if running:
            self._jobs.running.add(-1.0)
        self.group = None

    def _stands_aside(self, worker: Unit) -> None:
        """A worker is not at work any more on the accelerator that it had a share of."""
        assert self._jobs.sharing is not None
        del self._paces[worker.id]
        device = self._jobs.sharing.device_of(worker)
        if device is not None:
            device.leave(worker.id)


def _use(worker: Unit, sign: float) -> None:
    node = worker.node
    assert node is not None
    node.use(sign * worker.resources[node.main])
