"""Fluid transfers: flows of one path form a class and share pipes with the other classes.

All flows of a class run at the same rate, so each class needs one number only, its *progress*: the
bytes every one of its flows would have moved since the class last became active. A flow of `size`
bytes that joins at progress `p` ends at the mark `p + size`; the marks lie in a heap. Joining and
ending cost O(log n), and new rates are worked out only for the classes that are connected with the
change through shared pipes. A class has one timer, for its smallest mark. When rates fall the timer
is left alone: it wakes early, looks and sets itself again, which is cheaper than moving it at every
arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from math import inf, ulp
from typing import Any, Literal

from sim.iaas.fairshare import fair_rates
from sim.kernel.kernel import Kernel, Timer
from sim.kernel.series import StepSeries

Sharing = Literal["max-min", "constant"]

#: Part of a flow's size that rounding may leave over at its end.
_ROUNDING = 1e-12


class Pipe:
    """One direction of a link.

    Attributes:
        bandwidth: bytes per second when it works.
        capacity: bytes per second now: `bandwidth`, or 0 during an outage.
        rate: series of bytes per second through it; None: not recorded.
        classes: flow classes with flows on it now, by number.
    """

    __slots__ = ("bandwidth", "capacity", "classes", "rate")

    def __init__(self, bandwidth: float, rate: StepSeries | None = None) -> None:
        self.bandwidth = bandwidth
        self.capacity = bandwidth
        self.rate = rate
        self.classes: dict[int, FlowClass] = {}


class FlowClass:
    """The flows between two sites; see the module.

    Attributes:
        number: order of creation.
        path: pipes from end to end.
        count: flows under way.
        rate: bytes per second of each of them.
    """

    __slots__ = ("count", "marks", "number", "path", "progress", "rate", "since", "timer")

    def __init__(self, number: int, path: tuple[Pipe, ...]) -> None:
        self.number = number
        self.path = path
        self.count = 0
        self.rate = 0.0
        self.progress = 0.0
        self.since = 0.0
        self.marks: list[tuple[float, int, float, float, Callable[..., object], tuple[Any, ...]]] = []
        self.timer: Timer | None = None

    def advance(self, now: float) -> None:
        """Account for the bytes moved since the last look."""
        self.progress += self.rate * (now - self.since)
        self.since = now


class Flows:
    """All flows under way, and the rule by which they share pipes.

    `max-min`: fair to every flow. `constant`: each flow gets the smallest bandwidth of its path,
    whatever else is under way, so pipes may carry more than they can.
    """

    def __init__(self, kernel: Kernel, sharing: Sharing) -> None:
        self._kernel = kernel
        self._fair = sharing == "max-min"
        self._number = count()
        self._order = count()

    def new_class(self, path: tuple[Pipe, ...]) -> FlowClass:
        """A class of flows over these pipes, with no flow yet."""
        return FlowClass(next(self._number), path)

    def add(
        self, flows: FlowClass, size: float, delay: float, fn: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        """Start a flow of `size` bytes; `fn(*args)` is called `delay` seconds after its last byte left."""
        now = self._kernel.now
        if flows.count:
            flows.advance(now)
        else:
            flows.progress = 0.0
            flows.since = now
            for pipe in flows.path:
                pipe.classes[flows.number] = flows
        flows.count += 1
        heappush(flows.marks, (flows.progress + size, next(self._order), size, delay, fn, args))
        self._share(flows.path, flows)

    def set_capacity(self, pipes: Iterable[Pipe], working: bool) -> None:
        """Stop the pipes or let them work again; flows on a stopped pipe stall and lose nothing."""
        pipes = tuple(pipes)
        for pipe in pipes:
            pipe.capacity = pipe.bandwidth if working else 0.0
        self._share(pipes)

    def offer(self, flows: FlowClass) -> float:
        """Bytes per second one more flow would get at least, if it came now."""
        if not self._fair:
            return min(pipe.capacity for pipe in flows.path)
        return min(_offer(pipe) for pipe in flows.path)

    # ---------------------------------------------------------------- rates

    def _share(self, pipes: tuple[Pipe, ...], changed: FlowClass | None = None) -> None:
        """Work out the rates of all classes connected with these pipes."""
        if changed is not None and (not self._fair or all(len(pipe.classes) == 1 for pipe in pipes)):
            limit = min([pipe.capacity for pipe in pipes])
            self._set_rate(changed, limit / changed.count if self._fair else limit)
            for pipe in pipes:
                self._record(pipe)
            return
        seen: dict[int, FlowClass] = {}
        touched = dict.fromkeys(pipes)
        for pipe in pipes:
            for number, first in pipe.classes.items():
                if number not in seen:
                    component = _connected(first)
                    seen.update(component)
                    self._solve(list(component.values()), touched)
        for pipe in touched:
            self._record(pipe)

    def _solve(self, classes: list[FlowClass], touched: dict[Pipe, None]) -> None:
        if not self._fair:
            for flows in classes:
                self._set_rate(flows, min(pipe.capacity for pipe in flows.path))
                touched.update(dict.fromkeys(flows.path))
            return
        index: dict[Pipe, int] = {}
        paths = [[index.setdefault(pipe, len(index)) for pipe in flows.path] for flows in classes]
        touched.update(dict.fromkeys(index))
        rates = fair_rates([pipe.capacity for pipe in index], paths, [flows.count for flows in classes])
        for flows, rate in zip(classes, rates, strict=True):
            self._set_rate(flows, rate)

    def _set_rate(self, flows: FlowClass, rate: float) -> None:
        flows.advance(self._kernel.now)
        flows.rate = rate
        self._arm(flows)

    def _record(self, pipe: Pipe) -> None:
        if pipe.rate is None:
            return
        load = 0.0
        for flows in pipe.classes.values():
            load += flows.count * flows.rate
        if self._fair and abs(load - pipe.capacity) <= _ROUNDING * pipe.capacity:
            load = pipe.capacity
        pipe.rate.set(load)

    # ---------------------------------------------------------------- ends

    def _arm(self, flows: FlowClass) -> None:
        """See that the class is woken not later than its next flow ends."""
        kernel, timer = self._kernel, flows.timer
        delay = max(0.0, flows.marks[0][0] - flows.progress) / flows.rate if flows.rate > 0.0 else inf
        if timer is not None:
            if timer.time <= kernel.now + delay < inf:
                return
            timer.cancel()
            flows.timer = None
        if delay < inf:
            flows.timer = kernel.timer(delay, self._wake, flows)

    def _wake(self, flows: FlowClass) -> None:
        """End the flows whose marks are reached, or go back to sleep if rates fell meanwhile."""
        kernel, marks = self._kernel, flows.marks
        now = kernel.now
        flows.timer = None
        flows.advance(now)
        # The clock cannot tell moments apart that are closer than this; waiting longer would not help.
        blur = 4.0 * (flows.rate * ulp(now) + ulp(flows.progress))
        reached = flows.progress + blur
        before = flows.count
        while marks and marks[0][0] <= reached + _ROUNDING * marks[0][2]:
            _, _, _, delay, fn, args = heappop(marks)
            flows.count -= 1
            kernel.call_in(delay, fn, *args)
        if flows.count == before:
            self._arm(flows)
        elif flows.count:
            self._share(flows.path, flows)
        else:
            flows.rate = 0.0
            for pipe in flows.path:
                del pipe.classes[flows.number]
            self._share(flows.path)


def _connected(first: FlowClass) -> dict[int, FlowClass]:
    """Every class that can feel a change of this one: classes that share pipes, and so on."""
    found = {first.number: first}
    looked: set[Pipe] = set()
    todo = [first]
    while todo:
        for pipe in todo.pop().path:
            if pipe not in looked:
                looked.add(pipe)
                for number, flows in pipe.classes.items():
                    if number not in found:
                        found[number] = flows
                        todo.append(flows)
    return found


def _offer(pipe: Pipe) -> float:
    """Share of a pipe that a newcomer gets: an equal part, or what is spare if that is more."""
    load = flows_on = 0.0
    for flows in pipe.classes.values():
        load += flows.count * flows.rate
        flows_on += flows.count
    return max(pipe.capacity / (flows_on + 1.0), pipe.capacity - load)
