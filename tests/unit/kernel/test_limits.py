import pytest

from sim.kernel.kernel import Kernel, Limits


def endless(kernel, gap=1.0):
    def tick():
        kernel.call_in(gap, tick)

    kernel.call_in(gap, tick)


def test_the_event_limit_is_exact_and_the_run_can_go_on():
    kernel = Kernel(limits=Limits(events=1234))
    endless(kernel)
    assert kernel.run(until=1e9) is None
    assert (kernel.stopped, kernel.events, kernel.now) == ("events", 1234, 1234.0)
    kernel.limits = Limits(events=2000)
    kernel.run(until=1500.5)
    assert (kernel.stopped, kernel.events, kernel.now) == (None, 1500, 1500.5)
    kernel.run()
    assert (kernel.stopped, kernel.events) == ("events", 2000)


def test_a_run_that_ends_just_within_its_limit_was_not_stopped():
    for until in (None, 6.0):
        kernel = Kernel(limits=Limits(events=5))
        for i in range(5):
            kernel.call_in(i + 1, lambda: None)
        kernel.timer(5.5, print).cancel()
        kernel.run(until=until)
        assert (kernel.stopped, kernel.events) == (None, 5)


def test_cancelled_timers_do_not_use_up_the_event_limit():
    kernel = Kernel(limits=Limits(events=50))
    for i in range(60):
        timer = kernel.timer(i, lambda: None)
        if i % 2:
            timer.cancel()
    kernel.run()
    assert (kernel.stopped, kernel.events) == (None, 30)


def test_an_event_awaited_under_a_limit_gives_none():
    kernel = Kernel(limits=Limits(events=10))
    endless(kernel)
    never = kernel.event()
    assert kernel.run(until=never) is None
    assert kernel.stopped == "events"
    assert never.callbacks == []


def test_the_wall_limit_ends_a_run_that_would_not_end():
    kernel = Kernel(limits=Limits(wall=0.02))
    endless(kernel, gap=0.0)
    kernel.run(until=1.0)
    assert (kernel.stopped, kernel.now) == ("wall", 0.0)
    assert kernel.wall >= 0.02
    before = kernel.events
    kernel.run(until=1.0)
    assert kernel.stopped == "wall"
    # The time is used up already, which the first look, after 256 events, finds.
    assert kernel.events == before + 256


def test_the_memory_limit_ends_a_run():
    kernel = Kernel(limits=Limits(memory=1))
    endless(kernel)
    kernel.run(until=1e9)
    assert kernel.stopped == "memory"
    assert kernel.events <= kernel.progress_every


def test_limits_far_away_change_nothing():
    kernel = Kernel(limits=Limits(events=10**9, wall=1e6, memory=2**60))
    endless(kernel)
    kernel.run(until=30_000.5)
    assert (kernel.stopped, kernel.events) == (None, 30_000)


def test_progress_is_reported_at_least_every_so_many_events_with_exact_counts():
    kernel, seen = Kernel(), []
    kernel.progress_every = 100
    kernel.progress = lambda k: seen.append((k.events, k.now))
    endless(kernel)
    kernel.run(until=1000.5)
    counts = [events for events, _ in seen]
    assert all(events == now for events, now in seen)
    assert all(0 < b - a <= 100 for a, b in zip([0, *counts], counts, strict=False))
    assert counts[-1] >= 900


def test_progress_does_not_change_the_run():
    def trace(progress):
        kernel, seen = Kernel(), []
        kernel.progress_every = 7
        kernel.progress = progress
        endless(kernel, 0.1)
        kernel.call_in(5, seen.append, "x")
        kernel.run(until=10)
        return kernel.events, kernel.now, seen

    assert trace(None) == trace(lambda kernel: None)


@pytest.mark.parametrize("wrong", [{"events": 0}, {"wall": -1.0}, {"memory": 0}, {"wall": float("nan")}])
def test_limits_must_be_positive(wrong):
    with pytest.raises(ValueError, match="must be more than 0"):
        Limits(**wrong)
