"""The clock and the event list: SimPy's environment with a faster way in.

SimPy keeps a heap of `(time, priority, number, event)`. `call_in` pushes
`(time, priority, number, None, function, arguments)` into the same heap, so plain callbacks and SimPy
processes share one order - time, then priority, then order of scheduling - and a callback costs no
Event object. Requests use callbacks; slow control loops may be SimPy processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import repeat
from math import inf
from operator import length_hint
from types import MethodType
from typing import TYPE_CHECKING, Any

import simpy
from simpy.core import EmptySchedule, StopSimulation
from simpy.events import NORMAL, URGENT, AllOf, AnyOf, Event, EventPriority, Process, Timeout

_PRIORITY = int(NORMAL)
_FIRST = -1

#: Cancelled timers stay in the heap until they are more than this many and more than half of it.
_DEAD_KEPT = 64

#: Limits and progress are looked at after this many events first, then ever less often, up to every
#: `progress_every` events, unless those take longer than `_LOOK_SECONDS` of real time.
_FIRST_LOOK = 256
_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that end a run cleanly; None is no bound.

    Attributes:
        events: events processed, counted over all runs of the kernel; exact.
        wall: seconds of real time spent inside `run`; looked at every few thousand events.
        memory: resident bytes of this process; looked at as often.
    """

    events: int | None = None
    wall: float | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        for name in ("events", "wall", "memory"):
            bound = getattr(self, name)
            if bound is not None and not bound > 0:
                raise ValueError(f"limit on {name} must be more than 0, got {bound!r}")


class Timer:
    """A call in the future that can be cancelled. Made by `Kernel.timer`.

    Attributes:
        time: simulated second at which it fires.
        active: whether it is still to fire.
    """

    __slots__ = ("_args", "_fn", "_kernel", "active", "time")

    def __init__(self, kernel: Kernel, time: float, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.time = time
        self.active = True
        self._kernel = kernel
        self._fn = fn
        self._args = args

    def cancel(self) -> None:
        """Make it not fire; nothing happens if it has fired or was cancelled before."""
        if self.active:
            self.active = False
            self._args = ()
            self._kernel._forget()


class Kernel(simpy.Environment):
    """A `simpy.Environment` with plain callbacks, timers that can be cancelled, limits and a count of events.

    Attributes:
        events: events processed so far, up to date between runs, steps and looks at progress; cancelled
            timers do not count, nor does the end set by `until`.
        limits: bounds after which `run` returns.
        stopped: which limit ended the last `run` ("events", "wall" or "memory"), else None.
        progress: called with the kernel now and then, at least every `progress_every` events, outside
            simulated time; it must not touch the model.
        wall: seconds of real time spent inside `run` so far.
    """

    #: The clock is a slot, so that `now` can be another name of it: read often, it costs no call.
    __slots__ = ("_now",)

    def __init__(self, initial_time: float = 0.0, limits: Limits | None = None) -> None:
        super().__init__(initial_time)
        # SimPy binds these early for Environment itself only; a subclass would look them up per event.
        for name, cls in (
            ("process", Process),
            ("timeout", Timeout),
            ("event", Event),
            ("all_of", AllOf),
            ("any_of", AnyOf),
        ):
            setattr(self, name, MethodType(cls, self))
        self.events = 0
        self.limits = limits or Limits()
        self.stopped: str | None = None
        self.progress: Callable[[Kernel], None] | None = None
        self.progress_every = 20_000
        self.wall = 0.0
        self._heap: list[Any] = self._queue
        self._dead = 0

    if TYPE_CHECKING:

        @property
        def now(self) -> float:
            """Simulated time in seconds."""

    # ---------------------------------------------------------------- scheduling

    def call_in(self, delay: float, fn: Callable[..., object], *args: Any) -> None:
        """Call `fn(*args)` after `delay` seconds of simulated time.

        Raises:
            ValueError: the delay is negative, infinite or not a number.
        """
        if not 0.0 <= delay < inf:
            raise ValueError(f"delay must be 0 s or more and finite, got {delay!r}")
        heappush(self._heap, (self._now + delay, _PRIORITY, next(self._eid), None, fn, args))

    def call_at(self, time: float, fn: Callable[..., object], *args: Any) -> None:
        """Call `fn(*args)` at a simulated time, which may be now but not before.

        Raises:
            ValueError: the time has passed, is infinite or not a number.
        """
        if not self._now <= time < inf:
            raise ValueError(f"time must be {self._now!r} s (now) or later and finite, got {time!r}")
        heappush(self._heap, (time, _PRIORITY, next(self._eid), None, fn, args))

    def timer(self, delay: float, fn: Callable[..., object], *args: Any) -> Timer:
        """Call `fn(*args)` after `delay` seconds unless the timer is cancelled before.

        Raises:
            ValueError: the delay is negative, infinite or not a number.
        """
        if not 0.0 <= delay < inf:
            raise ValueError(f"delay must be 0 s or more and finite, got {delay!r}")
        timer = Timer(self, self._now + delay, fn, args)
        heappush(self._heap, (timer.time, _PRIORITY, next(self._eid), timer))
        return timer

    def schedule(self, event: Event, priority: EventPriority = NORMAL, delay: float = 0) -> None:
        """Schedule a SimPy event; as in SimPy, but a delay that is not a number is refused.

        Raises:
            ValueError: the delay is negative or not a number.
        """
        if not delay >= 0:
            raise ValueError(f"delay must be 0 s or more, got {delay!r}")
        heappush(self._heap, (self._now + delay, priority, next(self._eid), event))

    def peek(self) -> float:
        """Time of the next event, infinity if there is none."""
        heap = self._heap
        while heap:
            entry = heap[0]
            if type(entry[3]) is not Timer or entry[3].active:
                return float(entry[0])
            heappop(heap)
            self._dead -= 1
        return inf

    def _forget(self) -> None:
        """One more timer in the heap is dead; rebuild the heap when most of it is."""
        self._dead += 1
        heap = self._heap
        if self._dead > _DEAD_KEPT and 2 * self._dead > len(heap):
            # In place: the loop in `_drive` holds the list.
            heap[:] = [entry for entry in heap if type(entry[3]) is not Timer or entry[3].active]
            heapify(heap)
            self._dead = 0

    # ---------------------------------------------------------------- running

    def step(self) -> None:
        """Process the next event.

        Raises:
            EmptySchedule: there is none.
        """
        before = self.events
        while self.events == before:
            self._drive(1)

    def run(self, until: float | Event | None = None) -> Any:
        """Process events until a time, a SimPy event, the last event or a limit.

        Args:
            until: simulated second (events of that very time are not processed), an event whose value
                is returned, or None for as long as there is anything to do.

        Returns:
            The value of the event `until`; None otherwise, and None with `stopped` set after a limit.

        Raises:
            ValueError: the time `until` is not in the future.
            RuntimeError: nothing is left to do and the event `until` has not happened.
        """
        self.stopped = None
        end: tuple[float, int, int, Event] | None = None
        if isinstance(until, Event):
            if until.callbacks is None:
                return until.value
            until.callbacks.append(StopSimulation.callback)
        elif until is not None:
            at = float(until)
            if not at > self._now:
                raise ValueError(f"until ({at}) must be greater than the current simulation time")
            stop = Event(self)
            stop._ok, stop._value = True, None
            stop.callbacks = [StopSimulation.callback]
            end = (at, int(URGENT), next(self._eid), stop)
            heappush(self._heap, end)
        try:
            self._drive_within_limits(end)
        except StopSimulation as reached:
            if end is not None and end[3].callbacks is None:
                self.events -= 1
            return reached.args[0]
        except EmptySchedule:
            if isinstance(until, Event):
                raise RuntimeError(
                    f'No scheduled events left but "until" event was not triggered: {until}'
                ) from None
            return None
        finally:
            self._withdraw(until, end)
        return None

    def _withdraw(self, until: object, end: tuple[float, int, int, Event] | None) -> None:
        """Take back what `run` planted, if the run ended before it was reached."""
        if end is not None and end[3].callbacks is not None:
            self._heap.remove(end)
            heapify(self._heap)
        elif isinstance(until, Event) and StopSimulation.callback in (until.callbacks or ()):
            until.callbacks.remove(StopSimulation.callback)

    def _drive_within_limits(self, end: tuple[float, int, int, Event] | None) -> None:
        """Process events in portions and look at limits and progress between them."""
        limits, most = self.limits, inf if self.limits.events is None else self.limits.events
        started, before = time.perf_counter(), self.wall
        portion = min(_FIRST_LOOK, self.progress_every)
        resident = _resident_bytes() if limits.memory is not None else None
        try:
            while True:
                left = most - self.events
                if left <= 0:
                    if self.peek() < inf and self._heap[0] is not end:
                        self.stopped = "events"
                        return
                    left = 1
                looked = time.perf_counter()
                self._drive(int(min(portion, left)))
                moment = time.perf_counter()
                # Slow events make portions smaller, so that limits on time and memory bite in time.
                if moment - looked > _LOOK_SECONDS:
                    portion = max(1, portion // 2)
                elif portion < self.progress_every:
                    portion = min(2 * portion, self.progress_every)
                if self.progress is not None:
                    self.progress(self)
                if limits.wall is not None and before + (moment - started) >= limits.wall:
                    self.stopped = "wall"
                    return
                if limits.memory is not None and resident is not None and resident() >= limits.memory:
                    self.stopped = "memory"
                    return
        finally:
            self.wall = before + (time.perf_counter() - started)

    def _drive(self, budget: int) -> None:
        """Process up to `budget` entries of the heap; the one loop of the simulator.

        Entries are counted by how far the iterator over `budget` got, which costs the loop nothing.

        Raises:
            EmptySchedule: the heap ran empty.
            StopSimulation: the event that `run` waits for was processed.
        """
        heap, pop = self._heap, heappop
        turns = repeat(None, budget)
        uncounted = 0
        try:
            for _ in turns:
                try:
                    entry = pop(heap)
                except IndexError:
                    uncounted += 1
                    raise EmptySchedule from None
                event = entry[3]
                if event is None:
                    self._now = entry[0]
                    entry[4](*entry[5])
                elif type(event) is Timer:
                    if event.active:
                        event.active = False
                        self._now = entry[0]
                        event._fn(*event._args)
                    else:
                        self._dead -= 1
                        uncounted += 1
                else:
                    self._now = entry[0]
                    callbacks, event.callbacks = event.callbacks, None
                    try:
                        for callback in callbacks:
                            callback(event)
                    except StopSimulation:
                        # As in SimPy: callbacks behind the one that stops the run are called when it resumes.
                        rest = callbacks[callbacks.index(callback) + 1 :]
                        if rest:
                            event.callbacks = rest
                            heappush(heap, (self._now, _FIRST, next(self._eid), event))
                            uncounted += 1
                        raise
                    if not event._ok and not hasattr(event, "_defused"):
                        # Nobody handled this failure: the run crashes with it. (SimPy raises a copy made
                        # from `args`, which fails for exceptions with a constructor of their own.)
                        raise event._value
        finally:
            self.events += budget - length_hint(turns) - uncounted


if not TYPE_CHECKING:
    Kernel.now = Kernel._now


def _resident_bytes() -> Callable[[], int]:
    """A function that returns the resident memory of this process in bytes."""
    import psutil

    process = psutil.Process()
    return lambda: int(process.memory_info().rss)
