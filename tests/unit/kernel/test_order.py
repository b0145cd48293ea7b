"""The same program on SimPy alone and on the kernel with callbacks and timers: same order, same count."""

from dataclasses import dataclass

import simpy
from hypothesis import given
from hypothesis import strategies as st

from sim.kernel.kernel import Kernel


@dataclass
class Act:
    kind: str
    delay: float
    then: list


# Few different delays, so that most events fall on the same moments.
delays = st.sampled_from([0, 0.5, 1, 1.0, 1.5, 2])
acts = st.recursive(
    st.builds(Act, st.sampled_from(["call", "at", "timer", "process", "event"]), delays, st.just([])),
    lambda inner: st.builds(
        Act,
        st.sampled_from(["call", "at", "timer", "process", "event"]),
        delays,
        st.lists(inner, max_size=4),
    ),
    max_leaves=40,
)


def play(env, program, call, at, timer):
    """Carry out a program; returns the (time, number of the act) of each happening."""
    trace = []
    numbers = {}

    def number(act):
        return numbers.setdefault(id(act), len(numbers))

    def begin(act):
        me = number(act)

        def happen(*_):
            trace.append((env.now, me))
            for inner in act.then:
                begin(inner)

        if act.kind == "call":
            call(act.delay, happen)
        elif act.kind == "at":
            at(env.now + act.delay, happen)
        elif act.kind == "timer":
            timer(act.delay, happen)
        elif act.kind == "process":

            def steps():
                trace.append((env.now, me, "begun"))
                yield env.timeout(act.delay)
                happen()
                yield env.timeout(act.delay)
                trace.append((env.now, me, "ended"))

            env.process(steps()).callbacks.append(lambda _: trace.append((env.now, me, "left")))
        else:
            event = env.event()
            event.callbacks.append(happen)
            env.timeout(act.delay).callbacks.append(lambda _: event.succeed())

    for act in program:
        begin(act)
    return trace


def by_simpy(program):
    env = simpy.Environment()

    def later(delay, fn):
        env.timeout(delay).callbacks.append(fn)

    # All moments are multiples of 0.5, so the difference is exact.
    trace = play(env, program, later, lambda time, fn: later(time - env.now, fn), later)
    return env, trace


def by_kernel(program):
    kernel = Kernel()
    trace = play(kernel, program, kernel.call_in, kernel.call_at, kernel.timer)
    return kernel, trace


@given(st.lists(acts, max_size=8))
def test_the_order_is_that_of_simpy(program):
    env, expected = by_simpy(program)
    steps = 0
    while env.peek() < float("inf"):
        env.step()
        steps += 1
    kernel, trace = by_kernel(program)
    kernel.run()
    assert trace == expected
    assert kernel.events == steps
    assert kernel.now == env.now


@given(st.lists(acts, max_size=8), st.lists(st.sampled_from([0.5, 1, 1.25, 2, 3]), min_size=1, max_size=4))
def test_runs_in_parts_and_single_steps_give_the_same_order(program, parts):
    env, expected = by_simpy(program)
    kernel, trace = by_kernel(program)
    for part in parts:
        env.run(until=env.now + part)
        if env._queue and env._queue[0][1] == -1:
            env.step()  # SimPy leaves the end of the run behind; the kernel takes it away
        kernel.run(until=kernel.now + part)
        assert trace == expected
        assert kernel.peek() == env.peek()
        if env.peek() < float("inf"):
            env.step()
            kernel.step()
            assert trace == expected


@given(
    st.lists(st.tuples(st.integers(0, 6), st.one_of(st.none(), st.integers(0, 6))), max_size=150),
    st.booleans(),
)
def test_cancelled_timers_never_fire_and_the_others_do(plans, cancel_first):
    """Each timer has a time and perhaps a moment of cancellation; equal moments go by order of scheduling."""
    kernel, fired = Kernel(), []
    timers = {}

    def cancel(i):
        timers[i].cancel()

    def plan_cancellations():
        for i, (_, moment) in enumerate(plans):
            if moment is not None:
                kernel.call_in(moment, cancel, i)

    if cancel_first:
        plan_cancellations()
    for i, (time, _) in enumerate(plans):
        timers[i] = kernel.timer(time, fired.append, i)
    if not cancel_first:
        plan_cancellations()
    kernel.run()

    def survives(time, moment):
        return moment is None or (moment >= time and not (cancel_first and moment == time))

    order = sorted(range(len(plans)), key=lambda i: (plans[i][0], i))
    assert fired == [i for i in order if survives(*plans[i])]
    cancellations = sum(moment is not None for _, moment in plans)
    assert kernel.events == len(fired) + cancellations
