"""Accelerators that several units have shares of: who is at work slows the others down.

Each replica (or worker of a job) at work on a device goes on at a pace that depends on which others are. A
batch that takes `s` seconds alone ends when the replica's own time, which runs at its pace, has gone on by
`s`. Language-model engines and training jobs keep their own time: they are told their pace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from sim.kernel.kernel import Kernel, Timer

if TYPE_CHECKING:
    from sim.paas.policies.sharing import SharingPolicy
    from sim.paas.units import Unit

Finish = Callable[[int], object]
Paces = Callable[[Sequence[str]], Sequence[float]]


class _AtWork:
    """A unit at work: its own time, and its batches by the end in that time."""

    __slots__ = ("changed", "ends", "name", "pace", "virtual")

    def __init__(self, name: str, changed: Callable[[float], object] | None) -> None:
        self.name = name
        self.changed = changed
        self.pace = 1.0
        self.virtual = 0.0
        #: (end in its own time, number, what to call, with what)
        self.ends: list[tuple[float, int, Finish, int]] = []


class SharedDevice:
    """One device and who is at work on it.

    Args:
        kernel: the clock.
        paces: of the units at work by the names of their services or kinds of jobs; 1 for one that is alone.
    """

    def __init__(self, kernel: Kernel, paces: Paces) -> None:
        self._kernel = kernel
        self._paces = paces
        self._here: dict[int, _AtWork] = {}
        self._since = 0.0
        self._number = 0
        self._timer: Timer | None = None
        self._next_of = -1

    def begin(self, owner: int, name: str, seconds: float, finish: Finish, key: int) -> None:
        """A batch begins.

        Args:
            owner: number of the replica.
            name: of its service.
            seconds: that it takes alone.
            finish: called with `key` when it has ended.
            key: tells the batches of a replica apart.
        """
        self._advance()
        unit = self._here.get(owner)
        come = unit is None
        if unit is None:
            unit = self._here[owner] = _AtWork(name, None)
        self._number += 1
        heappush(unit.ends, (unit.virtual + seconds, self._number, finish, key))
        self._plan(come)

    def enter(self, owner: int, name: str, changed: Callable[[float], object]) -> None:
        """A unit that keeps its own time is at work from now on; `changed` is called with each new pace."""
        self._advance()
        self._here[owner] = _AtWork(name, changed)
        self._plan(True)

    def leave(self, owner: int) -> None:
        """A unit is not at work any more; nobody is told of its batches."""
        if owner in self._here:
            self._advance()
            del self._here[owner]
            self._plan(True)

    def _advance(self) -> None:
        now = self._kernel.now
        passed = now - self._since
        for unit in self._here.values():
            unit.virtual += passed * unit.pace
        self._since = now

    def _plan(self, changed: bool) -> None:
        """Look when the next batch ends, at the paces of those that are at work now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        here = self._here
        if changed and here:
            told = []
            paces = self._paces([unit.name for unit in here.values()])
            for unit, pace in zip(here.values(), paces, strict=True):
                if pace != unit.pace:
                    unit.pace = pace
                    if unit.changed is not None:
                        told.append(unit)
            for unit in told:
                assert unit.changed is not None
                unit.changed(unit.pace)
        soonest, number = float("inf"), 0
        for owner, unit in here.items():
            if unit.ends:
                left = max(0.0, unit.ends[0][0] - unit.virtual) / unit.pace
                if left < soonest or (left == soonest and unit.ends[0][1] < number):
                    soonest, number, self._next_of = left, unit.ends[0][1], owner
        if number:
            self._timer = self._kernel.timer(soonest, self._next)

    def _next(self) -> None:
        self._timer = None
        self._advance()
        owner = self._next_of
        unit = self._here[owner]
        unit.virtual, _, finish, key = heappop(unit.ends)
        if not unit.ends:
            del self._here[owner]
        self._plan(not unit.ends)
        finish(key)


class Sharing:
    """All shared devices of a platform.

    Args:
        kernel: the clock.
        policy: at what pace units go that are at work on one device.
    """

    def __init__(self, kernel: Kernel, policy: SharingPolicy) -> None:
        self._kernel = kernel
        self._policy = policy
        self._devices: dict[tuple[int, int], SharedDevice] = {}

    def device_of(self, unit: Unit) -> SharedDevice | None:
        """The device that a unit with a place has a share of; None for whole devices, or none."""
        if unit.node is None or not 0.0 < unit.resources.accelerators < 1.0:
            return None
        key = unit.node.index, unit.devices[0]
        known = self._devices.get(key)
        if known is None:
            known = self._devices[key] = SharedDevice(self._kernel, self._policy.paces)
        return known
