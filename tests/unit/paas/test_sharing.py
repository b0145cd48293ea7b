"""Replicas that share one accelerator, against a plain loop over time and against processor sharing."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.kernel.kernel import Kernel
from sim.paas.policies.sharing import MultiProcess, TimeSlicing
from sim.paas.sharing import SharedDevice
from sim.scenario.build import build
from sim.scenario.load import loads


def by_hand(batches, drops, rate):
    """End of each batch (owner, begin, seconds), going from event to event; infinite for those dropped."""
    left = [seconds for _, _, seconds in batches]
    ends = [inf] * len(batches)
    moments = sorted({*(begin for _, begin, _ in batches), *(when for when, _ in drops)})
    now, gone = 0.0, set()
    while True:
        here = [k for k, (_, begin, _) in enumerate(batches) if begin <= now and k not in gone]
        pace = rate(len({batches[k][0] for k in here})) if here else 1.0
        event = min((m for m in moments if m > now), default=inf)
        until = min([now + left[k] / pace for k in here], default=inf)
        if until == event == inf:
            return ends
        step = min(until, event) - now
        for k in here:
            left[k] -= step * pace
        done = [k for k in here if left[k] < 1e-9]
        now = min(until, event)
        for k in done:
            ends[k] = now
            gone.add(k)
        for when, owner in drops:
            if when == now:
                gone |= {k for k in range(len(batches)) if batches[k][0] == owner and batches[k][1] < now}


#: Begins on whole seconds, drops between them.
seconds = st.integers(1, 40).map(lambda tenths: tenths / 8)
script = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 12).map(float), seconds), min_size=1, max_size=12
)
losses = st.lists(st.tuples(st.integers(0, 12).map(lambda s: s + 0.59375), st.integers(0, 3)), max_size=2)
ways = st.sampled_from([TimeSlicing(), TimeSlicing(overhead=0.1), MultiProcess(), MultiProcess(gain=0.94)])


@given(script, losses, ways)
def test_batches_end_when_a_plain_loop_says(batches, drops, policy):
    kernel = Kernel()
    device = SharedDevice(kernel, policy.rate)
    ends = [inf] * len(batches)

    def ended(key):
        ends[key] = kernel.now

    for key, (owner, begin, length) in enumerate(batches):
        kernel.call_at(begin, device.begin, owner, length, ended, key)
    for when, owner in drops:
        kernel.call_at(when, device.drop, owner)
    kernel.run()
    assert ends == pytest.approx(by_hand(batches, drops, policy.rate), abs=1e-7)


@pytest.mark.parametrize(
    ("policy", "rates"),
    [
        (TimeSlicing(), [1, 1 / 2, 1 / 4]),
        (TimeSlicing(overhead=0.2), [1, 0.4, 0.2]),
        (MultiProcess(gain=1.24), [1, 0.62, 0.31]),
        (MultiProcess(gain=3.0), [1, 1, 0.75]),
    ],
)
def test_rates(policy, rates):
    assert [policy.rate(count) for count in (1, 2, 4)] == pytest.approx(rates)


SHARED = """
name: shared
seed: 5
duration: 8h
warmup: 5min
infrastructure:
  instances: {box: {cpu: 64, memory: 64Gi, device: t4, accelerators: ACCELERATORS}}
  sites: {hall: {kind: cloud, pools: {boxes: {instance: box, nodes: 1}}}}
platform:
  sharing: time-slicing
  services:
    model:
      site: hall
      time: {policy: constant, value: 1s}
      router: {policy: least-load}
      resources: {cpu: 1, accelerators: 0.05}
      replicas: 20
applications:
  users:
    users: {hall: 1}
    arrivals: {process: poisson, rate: 0.5/s}
    work: WORK
    calls: {ask: {to: [model]}}
"""


@pytest.mark.parametrize("work", ["1", "{dist: lognormal, mean: 1, cv: 2}"])
def test_time_slicing_is_processor_sharing(work):
    """M/G/1 with processor sharing: 1 s / (1 - 0.5) in the mean whatever the distribution (Kleinrock)."""
    text = SHARED.replace("WORK", work).replace("ACCELERATORS", "1")
    outcome = build(loads(text)).run()
    calls = outcome.tables["calls"]
    assert np.nanmean(calls["finish"] - calls["enter"]) == pytest.approx(2.0, rel=0.08)


def test_without_a_way_of_sharing_or_with_whole_devices_nobody_is_slowed_down():
    text = SHARED.replace("WORK", "1").replace("ACCELERATORS", "1")
    alone = text.replace("accelerators: 0.05", "accelerators: 1").replace(
        "accelerators: 1}}", "accelerators: 20}}"
    )
    for settings in (["platform.sharing=null"], []):
        scenario = loads(alone if not settings else text, [*settings, "duration=10min"])
        calls = build(scenario).run().tables["calls"]
        served = calls["finish"] - calls["start"]
        assert served[np.isfinite(served)] == pytest.approx(1.0)


def test_a_wrong_way_of_sharing_is_named():
    with pytest.raises(Exception, match="time-slicing"):
        loads(SHARED.replace("WORK", "1").replace("ACCELERATORS", "1").replace("time-slicing", "time-slicin"))
