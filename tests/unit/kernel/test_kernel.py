import math
import subprocess
import sys

import pytest
import simpy

from sim.kernel.kernel import Kernel


def test_a_subclass_keeps_simpys_early_binding():
    kernel = Kernel()
    assert {"process", "timeout", "event", "all_of", "any_of"} <= set(vars(kernel))
    assert isinstance(kernel.timeout(1), simpy.Timeout)
    assert kernel.any_of([]).env is kernel


def test_call_in_and_call_at_pass_arguments_at_the_right_time():
    kernel, seen = Kernel(), []

    def note(*what):
        seen.append((kernel.now, *what))

    kernel.call_in(2.0, note, "b", 1)
    kernel.call_at(1.0, note, "a")
    kernel.call_in(0, note)
    kernel.run()
    assert seen == [(0,), (1.0, "a"), (2.0, "b", 1)]
    assert kernel.events == 3


@pytest.mark.parametrize("delay", [-1e-9, math.nan, math.inf, -math.inf])
def test_delays_that_are_no_delay_are_refused(delay):
    kernel = Kernel()
    for schedule in (kernel.call_in, kernel.timer):
        with pytest.raises(ValueError, match="delay must be"):
            schedule(delay, print)
    assert kernel.peek() == math.inf


def test_simpy_timeouts_refuse_nan_too():
    with pytest.raises(ValueError, match="delay"):
        Kernel().timeout(math.nan)


@pytest.mark.parametrize("time", [4.999, math.nan, math.inf])
def test_calls_in_the_past_are_refused(time):
    kernel = Kernel(initial_time=5.0)
    with pytest.raises(ValueError, match="now"):
        kernel.call_at(time, print)
    kernel.call_at(5.0, lambda: None)


def test_run_until_a_time_leaves_events_of_that_time_for_later():
    kernel, seen = Kernel(), []
    for delay in (1, 2, 2, 3):
        kernel.call_in(delay, seen.append, delay)
    assert kernel.run(until=2) is None
    assert (seen, kernel.now, kernel.events) == ([1], 2.0, 1)
    kernel.run(until=10)
    assert (seen, kernel.now, kernel.events) == ([1, 2, 2, 3], 10.0, 4)
    for past in (10, 9, math.nan):
        with pytest.raises(ValueError, match="until"):
            kernel.run(until=past)


def test_run_until_an_event_returns_its_value():
    kernel = Kernel()

    def work():
        yield kernel.timeout(3)
        return "done"

    process = kernel.process(work())
    kernel.call_in(5, lambda: None)
    assert kernel.run(until=process) == "done"
    assert kernel.now == 3
    assert kernel.run(until=process) == "done"
    with pytest.raises(RuntimeError, match="not triggered"):
        kernel.run(until=kernel.event())


def test_callbacks_behind_the_stop_run_when_the_run_resumes():
    kernel, seen = Kernel(), []
    event = kernel.timeout(1, value="x")
    event.callbacks.append(lambda _: kernel.call_in(0, event_callbacks_done))

    def event_callbacks_done():
        seen.append("after")

    stop = kernel.event()
    kernel.call_in(1, stop.succeed)
    stop.callbacks.append(simpy.core.StopSimulation.callback)
    stop.callbacks.append(lambda _: seen.append("behind"))
    with pytest.raises(simpy.core.StopSimulation):
        while True:
            kernel.step()
    assert seen == ["after"]
    kernel.run()
    assert seen == ["after", "behind"]
    assert kernel.events == 4


def test_who_waits_for_the_event_that_ends_a_run_goes_on_in_the_next():
    def play(env):
        seen = []
        done = env.timeout(2, value="x")

        def waiter():
            yield env.timeout(1)
            seen.append((yield done))
            yield env.timeout(1)
            seen.append(env.now)

        env.process(waiter())
        return env.run(until=done), list(seen), env.run(), seen, env.now

    assert play(Kernel()) == play(simpy.Environment()) == ("x", [], None, ["x", 3], 3)


def test_unhandled_failures_crash_the_run_with_their_own_exception():
    class Odd(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a}{b}")

    kernel = Kernel()

    def broken():
        yield kernel.timeout(1)
        raise Odd("x", "y")

    kernel.process(broken())
    with pytest.raises(Odd, match="xy"):
        kernel.run(until=5)
    # The end that this run had planted does not stop the next one.
    kernel.call_in(9, lambda: None)
    kernel.run()
    assert kernel.now == 10


def test_handled_failures_do_not_crash():
    kernel = Kernel()

    def broken():
        yield kernel.timeout(1)
        raise KeyError("inside")

    def watcher():
        try:
            yield kernel.process(broken())
        except KeyError:
            return kernel.now
        return None

    assert kernel.run(until=kernel.process(watcher())) == 1


def test_an_index_error_in_a_callback_is_not_taken_for_the_end():
    kernel = Kernel()
    kernel.call_in(1, [].pop)
    with pytest.raises(IndexError, match="pop from empty"):
        kernel.run()
    assert kernel.events == 1


def test_step_and_peek_work_as_in_simpy():
    kernel, seen = Kernel(), []
    cancelled = kernel.timer(1, seen.append, "never")
    kernel.timer(2, seen.append, "timer")
    kernel.call_in(3, seen.append, "call")
    cancelled.cancel()
    assert kernel.peek() == 2
    kernel.step()
    assert (seen, kernel.now, kernel.peek()) == (["timer"], 2, 3)
    kernel.step()
    assert kernel.peek() == math.inf
    with pytest.raises(simpy.core.EmptySchedule):
        kernel.step()
    assert kernel.events == 2


def test_resources_interrupts_and_conditions_of_simpy_work():
    kernel, seen = Kernel(), []
    resource = simpy.Resource(kernel, capacity=1)

    def user(name):
        with resource.request() as request:
            outcome = yield request | kernel.timeout(1.5)
            if request not in outcome:
                seen.append((kernel.now, name, "gave up"))
                return
            try:
                yield kernel.timeout(2)
                seen.append((kernel.now, name, "served"))
            except simpy.Interrupt as interrupt:
                seen.append((kernel.now, name, interrupt.cause))

    first = kernel.process(user("a"))
    kernel.process(user("b"))
    kernel.call_in(1, first.interrupt, "crash")
    kernel.run()
    assert seen == [(1, "a", "crash"), (3, "b", "served")]


def test_timers_know_their_state():
    kernel, seen = Kernel(initial_time=10.0), []
    timer = kernel.timer(2, seen.append, 1)
    assert (timer.time, timer.active) == (12.0, True)
    kernel.run()
    assert (seen, timer.active) == ([1], False)
    timer.cancel()
    other = kernel.timer(1, seen.append, 2)
    other.cancel()
    other.cancel()
    kernel.run()
    # A cancelled timer neither moves the clock nor counts.
    assert (seen, kernel.now, kernel.events) == ([1], 12.0, 1)


def test_cancelled_timers_do_not_pile_up():
    kernel, fired = Kernel(), []
    largest = 0
    for i in range(5_000):
        kernel.timer(1e6, fired.append, i).cancel()
        kernel.timer(1e6 + i, fired.append, i)
        largest = max(largest, len(kernel._queue))
        if i % 2:
            kernel.timer(0.5, fired.append, "x").cancel()
    assert largest < 2 * 5_000 + 200
    for timer in [kernel.timer(5, fired.append, -1) for _ in range(20_000)]:
        timer.cancel()
    assert len(kernel._queue) < 2 * 5_000 + 200
    kernel.run()
    assert fired == list(range(5_000))
    assert kernel.events == 5_000


def test_a_timer_can_be_cancelled_at_its_own_time_by_an_earlier_event():
    kernel, seen = Kernel(), []
    timers = []
    kernel.call_in(1, lambda: timers[0].cancel())
    timers.append(kernel.timer(1, seen.append, "late"))
    kernel.timer(1, seen.append, "other")
    kernel.run()
    assert seen == ["other"]


def test_the_kernel_loads_neither_scipy_nor_pandas():
    code = (
        "import sys, sim.kernel.context, sim.kernel.lines;"
        "print(*{'scipy', 'pandas', 'matplotlib', 'pydantic', 'psutil'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
