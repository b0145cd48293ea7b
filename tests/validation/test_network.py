"""Transfers against closed forms: equal shares, bottlenecks, late joiners, pipelined latency, M/G/1-PS."""

import math

import numpy as np
import pytest

from sim.iaas.network import Link, Network
from sim.kernel.context import Context
from sim.kernel.distributions import Exponential, Hyperexponential
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.series import integrate
from sim.kernel.streams import RandomStreams


def new_context(seed=1, replication=0):
    kernel = Kernel()
    return Context(kernel, RandomStreams(seed, replication), Recorder(kernel))


def times(ctx, network, transfers):
    """Delivery time of each (start, src, dst, size)."""
    done = [math.nan] * len(transfers)

    def deliver(i):
        done[i] = ctx.kernel.now

    for i, (start, src, dst, size) in enumerate(transfers):
        ctx.kernel.call_at(start, network.send, src, dst, size, deliver, i)
    ctx.kernel.run()
    return done


def test_two_flows_on_one_link_get_half_each():
    ctx = new_context()
    network = Network(ctx, ["a", "b"], [Link("l", "a", "b", 0.0, 100.0)])
    # 100 B each at 50 B/s: the short one is done after 2 s; the other has 200 left at 100 B/s.
    assert times(ctx, network, [(0, "a", "b", 100), (0, "a", "b", 300)]) == pytest.approx([2.0, 4.0])


def test_equal_flows_of_one_class_end_together():
    ctx = new_context()
    network = Network(ctx, ["a", "b"], [Link("l", "a", "b", 0.5, 100.0)])
    assert times(ctx, network, [(0, "a", "b", 100)] * 7) == pytest.approx([7.5] * 7)


def test_a_late_joiner_slows_the_first_from_then_on():
    ctx = new_context()
    network = Network(ctx, ["a", "b"], [Link("l", "a", "b", 0.0, 100.0)])
    # First: 100 B alone until t=1, then 50 B/s: 200 B left take 4 s. Second: 100 B in 2 s from t=1...
    # it ends at 3 s, when the first has 100 B left at full rate.
    assert times(ctx, network, [(0, "a", "b", 300), (1, "a", "b", 100)]) == pytest.approx([4.0, 3.0])


def test_three_flows_with_a_bottleneck():
    """The parking lot: the long flow is held by the narrow link and leaves the rest to the other."""
    ctx = new_context()
    links = [Link("wide", "a", "b", 0.0, 90.0), Link("narrow", "b", "c", 0.0, 40.0)]
    network = Network(ctx, ["a", "b", "c"], links)
    # narrow: two flows, 20 B/s each; wide: the long flow takes 20, the short one gets 70.
    transfers = [(0, "a", "c", 200), (0, "a", "b", 700), (0, "b", "c", 200)]
    assert times(ctx, network, transfers) == pytest.approx([10.0, 10.0, 10.0])


def test_a_flow_held_elsewhere_leaves_its_share_and_takes_it_back():
    ctx = new_context()
    links = [Link("wide", "a", "b", 0.0, 90.0), Link("narrow", "b", "c", 0.0, 40.0)]
    network = Network(ctx, ["a", "b", "c"], links)
    # Until 5 s as above (20, 70, 20). Then b->c ends: the long flow could have 40 of narrow and
    # 45 of wide, so 40; the short one 50. Long: 100 + 40 t = 300 -> 5 more seconds.
    transfers = [(0, "a", "c", 300), (0, "a", "b", 600), (0, "b", "c", 100)]
    assert times(ctx, network, transfers) == pytest.approx([10.0, 10.0, 5.0])


@pytest.mark.parametrize("latency", [0.0, 0.1, 14.0, 1000.0])
def test_latency_does_not_limit_throughput(latency):
    """A message of 1 s transmission each second keeps up however long the propagation takes."""
    ctx = new_context()
    network = Network(ctx, ["a", "b"], [Link("l", "a", "b", latency, 100.0)])
    done = times(ctx, network, [(float(i), "a", "b", 100.0) for i in range(50)])
    assert done == pytest.approx([i + 1.0 + latency for i in range(50)])
    steps = ctx.recorder.finish(ctx.kernel.now).steps["iaas/links/l/a->b/rate"]
    assert integrate(*steps, 0.0, 50.0) == pytest.approx(5000.0, rel=1e-12)


def test_directions_do_not_disturb_each_other():
    ctx = new_context()
    network = Network(ctx, ["a", "b"], [Link("l", "a", "b", 0.0, 100.0)])
    assert times(ctx, network, [(0, "a", "b", 100), (0, "b", "a", 100)]) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("size", [Exponential(1.0), Hyperexponential(1.0, 3.0)], ids=["cv1", "cv3"])
def test_a_shared_link_is_a_processor_sharing_queue(size):
    """M/G/1-PS: mean time E[S]/(1-rho), whatever the spread of the sizes (Kleinrock vol. 2, 4.4).

    20 replications; a 99.9 % t interval (t = 3.883 for 19 degrees of freedom) must hold the value,
    so one seed in a thousand would fail: the seed is fixed.
    """
    rho, flows, means = 0.6, 4000, []
    for replication in range(20):
        ctx = new_context(seed=11, replication=replication)
        network = Network(ctx, ["a", "b"], [Link("l", "a", "b", 0.0, 1.0)])
        gaps = ctx.streams.sampler("gaps", Exponential(1.0 / rho))
        sizes = ctx.streams.sampler("sizes", size)
        spent = []

        def arrive(left, ctx=ctx, network=network, gaps=gaps, sizes=sizes, spent=spent):
            start = ctx.kernel.now
            network.send("a", "b", sizes(), lambda: spent.append(ctx.kernel.now - start))
            if left:
                ctx.kernel.call_in(gaps(), arrive, left - 1)

        ctx.kernel.call_in(gaps(), arrive, flows)
        ctx.kernel.run()
        means.append(np.mean(spent[500:]))
    half = 3.883 * np.std(means, ddof=1) / math.sqrt(len(means))
    assert abs(np.mean(means) - 1.0 / (1.0 - rho)) < half
    assert half < 0.4
