"""Accelerators that several replicas have shares of: who is at work slows the others down.

Batches on one device go on at one common pace, which depends on how many replicas are at work on it
(egalitarian processor sharing). A batch that takes `s` seconds alone ends when the device's virtual
time, which runs at that pace, has gone on by `s`; so a change costs one look at the next end.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from sim.kernel.kernel import Kernel, Timer

if TYPE_CHECKING:
    from sim.paas.policies.sharing import SharingPolicy

Finish = Callable[[int], object]


class SharedDevice:
    """One device and the batches at work on it.

    Args:
        kernel: the clock.
        rate: pace of each replica by how many are at work, 1 for one that is alone.
    """

    def __init__(self, kernel: Kernel, rate: Callable[[int], float]) -> None:
        self._kernel = kernel
        self._rate = rate
        #: (virtual end, number, owner, what to call, with what)
        self._ends: list[tuple[float, int, int, Finish, int]] = []
        self._at_work: dict[int, int] = {}
        self._virtual = self._since = 0.0
        self._pace = 1.0
        self._number = 0
        self._timer: Timer | None = None

    def begin(self, owner: int, seconds: float, finish: Finish, key: int) -> None:
        """A batch begins.

        Args:
            owner: number of the replica.
            seconds: that it takes alone.
            finish: called with `key` when it has ended.
            key: tells the batches of a replica apart.
        """
        self._advance()
        self._number += 1
        heappush(self._ends, (self._virtual + seconds, self._number, owner, finish, key))
        self._at_work[owner] = self._at_work.get(owner, 0) + 1
        self._plan()

    def drop(self, owner: int) -> None:
        """The batches of a replica are gone; nobody is told."""
        if owner in self._at_work:
            self._advance()
            self._ends = [each for each in self._ends if each[2] != owner]
            heapify(self._ends)
            del self._at_work[owner]
            self._plan()

    def _advance(self) -> None:
        now = self._kernel.now
        self._virtual = self._virtual + (now - self._since) * self._pace if self._ends else 0.0
        self._since = now

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ends:
            self._pace = self._rate(len(self._at_work))
            left = max(0.0, self._ends[0][0] - self._virtual)
            self._timer = self._kernel.timer(left / self._pace, self._next)

    def _next(self) -> None:
        self._timer = None
        self._since = self._kernel.now
        self._virtual, _, owner, finish, key = heappop(self._ends)
        self._at_work[owner] -= 1
        if not self._at_work[owner]:
            del self._at_work[owner]
        self._plan()
        finish(key)


class Sharing:
    """All shared devices of a platform.

    Args:
        kernel: the clock.
        policy: at what pace replicas go that are at work on one device.
    """

    def __init__(self, kernel: Kernel, policy: SharingPolicy) -> None:
        self._kernel = kernel
        self._policy = policy
        self._devices: dict[tuple[int, int], SharedDevice] = {}

    def device(self, node: int, number: int) -> SharedDevice:
        """That device of that node."""
        known = self._devices.get((node, number))
        if known is None:
            known = self._devices[node, number] = SharedDevice(self._kernel, self._policy.rate)
        return known
