import math

import pytest

from sim.iaas.network import Link, Network
from sim.kernel.context import Context
from sim.kernel.distributions import Constant, Exponential
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.series import integrate
from sim.kernel.streams import RandomStreams


@pytest.fixture
def ctx():
    kernel = Kernel()
    return Context(kernel, RandomStreams(1), Recorder(kernel))


class Inbox:
    def __init__(self, ctx):
        self.ctx = ctx
        self.got = []

    def take(self, what):
        self.got.append((what, self.ctx.kernel.now))


def line(ctx, latency=0.0, bandwidth=100.0, sharing="max-min"):
    return Network(ctx, ["a", "b"], [Link("l", "a", "b", latency, bandwidth)], sharing)


def test_within_a_site_nothing_takes_time_but_never_returns_into_the_caller(ctx):
    inbox = Inbox(ctx)
    network = line(ctx)
    ctx.kernel.call_at(3.0, network.send, "a", "a", 1e9, inbox.take, "x")
    network.send("b", "b", 1e9, inbox.take, "y")
    assert inbox.got == []
    ctx.kernel.run()
    assert inbox.got == [("y", 0.0), ("x", 3.0)]
    assert network.estimate("a", "a", 1e9) == network.latency("b", "b") == 0.0
    assert network.route("a", "a") == ()


def test_a_message_without_bytes_costs_the_latency_only_even_on_a_full_link(ctx):
    inbox = Inbox(ctx)
    network = line(ctx, latency=Constant(0.25))
    network.send("a", "b", 1000.0, inbox.take, "big")
    network.send("a", "b", 0, inbox.take, "empty")
    ctx.kernel.run()
    assert inbox.got == [("empty", 0.25), ("big", 10.25)]


def test_latency_may_vary_and_is_the_same_whatever_the_load(ctx):
    def arrivals(extra):
        kernel = Kernel()
        own = Context(kernel, RandomStreams(5), Recorder(kernel))
        network = line(own, latency=Exponential(1.0), bandwidth=1e12)
        inbox = Inbox(own)
        for i in range(20):
            network.send("a", "b", 0, inbox.take, i)
        for _ in range(extra):
            network.send("a", "b", 1e15, inbox.take, -1)
        kernel.run(until=900.0)
        return sorted(inbox.got)

    quiet = arrivals(0)
    assert len({at for _, at in quiet}) == 20
    assert quiet == arrivals(3)


def test_routes_take_the_least_latency_then_fewest_links_then_names(ctx):
    links = [
        Link("slow", "a", "c", 0.5, 1.0),
        Link("x", "a", "b", 0.1, 5.0),
        Link("y", "b", "c", 0.1, 7.0),
        Link("y2", "b", "c", 0.1, 9.0),
        Link("zdirect", "c", "d", 0.2, 1.0),
        Link("first", "c", "e", 0.1, 1.0),
        Link("second", "e", "d", 0.1, 1.0),
    ]
    network = Network(ctx, ["a", "b", "c", "d", "e"], links)
    assert network.route("a", "c") == ("x", "y")
    assert network.route("c", "a") == ("y", "x")
    assert network.route("c", "d") == ("zdirect",)
    assert network.latency("a", "c") == pytest.approx(0.2)


def test_constant_sharing_ignores_what_else_is_under_way(ctx):
    inbox = Inbox(ctx)
    links = [Link("l", "a", "b", 0.5, 100.0), Link("m", "b", "c", 0.5, 50.0)]
    network = Network(ctx, ["a", "b", "c"], links, "constant")
    for i in range(3):
        network.send("a", "c", 100.0, inbox.take, i)
    network.send("a", "b", 100.0, inbox.take, 3)
    assert network.estimate("a", "c", 100.0) == 3.0
    ctx.kernel.run()
    assert inbox.got == [(3, 1.5), (0, 3.0), (1, 3.0), (2, 3.0)]
    steps = ctx.recorder.finish(3.0).steps
    assert integrate(*steps["iaas/links/l/a->b/rate"], 0.0, 3.0) == pytest.approx(400.0)
    assert integrate(*steps["iaas/links/m/b->c/rate"], 0.0, 3.0) == pytest.approx(300.0)


def test_estimate_is_what_a_newcomer_would_get(ctx):
    network = line(ctx, latency=0.5)
    assert network.estimate("a", "b", 100.0) == 1.5
    network.send("a", "b", 1e6, print)
    assert network.estimate("a", "b", 100.0) == 2.5
    assert network.estimate("b", "a", 100.0) == 1.5


def test_estimate_knows_of_spare_capacity(ctx):
    links = [Link("thin", "a", "b", 0.0, 10.0), Link("fat", "b", "c", 0.0, 100.0)]
    network = Network(ctx, ["a", "b", "c"], links)
    for _ in range(9):
        network.send("a", "c", 1e6, print)
    assert network.estimate("b", "c", 90.0) == pytest.approx(1.0)


@pytest.mark.parametrize("sharing", ["max-min", "constant"])
def test_an_outage_stalls_flows_and_loses_nothing(ctx, sharing):
    inbox = Inbox(ctx)
    network = line(ctx, latency=1.0, sharing=sharing)
    network.send("a", "b", 500.0, inbox.take, "early")
    ctx.kernel.call_at(2.0, network.set_up, "l", False)
    ctx.kernel.call_at(3.0, network.send, "a", "b", 0.0, inbox.take, "empty")
    ctx.kernel.call_at(4.0, lambda: inbox.take(network.estimate("a", "b", 1.0)))
    ctx.kernel.call_at(10.0, network.set_up, "l", True)
    ctx.kernel.run()
    assert inbox.got == [(math.inf, 4.0), ("empty", 11.0), ("early", 14.0)]
    times, values = ctx.recorder.finish(14.0).steps["iaas/links/l/a->b/rate"]
    assert times.tolist() == [0.0, 2.0, 10.0, 13.0]
    assert values.tolist() == [100.0, 0.0, 100.0, 0.0]


def test_overlapping_outages_end_with_the_last(ctx):
    inbox = Inbox(ctx)
    network = line(ctx)
    for at, working in ((1.0, False), (2.0, False), (3.0, True), (5.0, True)):
        ctx.kernel.call_at(at, network.set_up, "l", working)
    network.send("a", "b", 200.0, inbox.take, "x")
    ctx.kernel.run()
    assert inbox.got == [("x", 6.0)]
    with pytest.raises(ValueError, match="no outage to end"):
        network.set_up("l", True)
    with pytest.raises(ValueError, match='did you mean "l"'):
        network.set_up("ll", False)


@pytest.mark.parametrize("size", [-1.0, math.nan, math.inf])
def test_impossible_sizes_are_refused(ctx, size):
    with pytest.raises(ValueError, match="size"):
        line(ctx).send("a", "b", size, print)


def test_unreachable_sites_are_refused_at_build(ctx):
    with pytest.raises(ValueError, match="no link leads from site 'a' to site 'c'"):
        Network(ctx, ["a", "b", "c"], [Link("l", "a", "b", 0.0, 1.0)])


@pytest.mark.parametrize(
    ("links", "text"),
    [
        ([Link("l", "a", "bb", 0.0, 1.0)], 'unknown site .bb. \\(did you mean "b"'),
        ([Link("l", "a", "a", 0.0, 1.0)], "must join two sites"),
        ([Link("l", "a", "b", 0.0, 0.0)], "bandwidth above zero"),
        ([Link("l", "a", "b", 0.0, 1.0), Link("l", "a", "b", 0.0, 2.0)], "same name"),
    ],
)
def test_wrong_links_are_refused_at_build(ctx, links, text):
    with pytest.raises(ValueError, match=text):
        Network(ctx, ["a", "b"], links)


def test_an_endpoint_shares_its_own_connection_and_the_links_behind(ctx):
    inbox = Inbox(ctx)
    network = line(ctx, latency=0.5)
    network.attach("disks", "a", 20.0)
    network.send("disks", "a", 100.0, inbox.take, "here")
    network.send("disks", "b", 100.0, inbox.take, "there")
    ctx.kernel.run()
    assert inbox.got == [("here", 10.0), ("there", 10.5)]
    assert network.route("b", "disks") == ("l", "disks")
    with pytest.raises(ValueError, match="taken"):
        network.attach("disks", "b", 1.0)


@pytest.mark.parametrize("start", [1e3, 1e7, 1e10])
def test_late_in_a_long_run_small_flows_still_end_in_few_events(ctx, start):
    """The clock resolves 2 microseconds at 1e10 s; a flow that takes less must not spin."""
    inbox = Inbox(ctx)
    network = line(ctx, bandwidth=1e10)
    for i in range(100):
        ctx.kernel.call_at(start, network.send, "a", "b", 100.0 + i, inbox.take, i)
    ctx.kernel.run()
    assert len(inbox.got) == 100
    assert ctx.kernel.events <= 400
    assert ctx.kernel.now == pytest.approx(start, abs=1e-5)


def test_a_link_that_is_never_idle_keeps_its_precision(ctx):
    """Marks grow with all bytes since the link was idle, but no faster than the clock loses digits."""
    inbox = Inbox(ctx)
    network = line(ctx, bandwidth=1e12)
    network.send("a", "b", 1e14, inbox.take, "long")
    for i in range(60):
        ctx.kernel.call_at(float(i), network.send, "a", "b", 10.0, inbox.take, i)
    ctx.kernel.run()
    small = {what: at for what, at in inbox.got if what != "long"}
    for i in range(60):
        assert small[i] - i == pytest.approx(2e-11, abs=1e-13 + 4 * math.ulp(float(i)))
    times, values = ctx.recorder.finish(200.0).steps["iaas/links/l/a->b/rate"]
    assert integrate(times, values, 0.0, 200.0) == pytest.approx(1e14 + 600.0, rel=1e-12)


def test_five_hundred_flows_cost_few_events_each(ctx):
    """An exact count: a send, an end, a delivery, and at most one early look per end."""
    inbox = Inbox(ctx)
    network = line(ctx)
    for i in range(500):
        ctx.kernel.call_at(i * 1e-3, network.send, "a", "b", 1000.0 + i, inbox.take, i)
    ctx.kernel.run()
    assert [what for what, _ in inbox.got] == list(range(500))
    assert ctx.kernel.events <= 4 * 500
    # The link is full to the last digit whatever its number of flows: one plateau, not 1,000 ripples.
    _, values = ctx.recorder.finish(ctx.kernel.now).steps["iaas/links/l/a->b/rate"]
    assert values.tolist() == [100.0, 0.0]
