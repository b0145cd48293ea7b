"""Replicas that share one accelerator, against a plain loop over time and against processor sharing."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.kernel.kernel import Kernel
from sim.paas.llm import ChunkedPrefill, Engine, LinearSteps, Sequence, simulate
from sim.paas.policies.sharing import Contention, Demand, Interference, MultiProcess, TimeSlicing
from sim.paas.sharing import SharedDevice
from sim.scenario.build import build
from sim.scenario.load import loads

NAMES = "abcd"


def by_hand(batches, drops, paces_of):
    """End of each batch (owner, begin, seconds), going from event to event; infinite for those dropped."""
    left = [seconds for _, _, seconds in batches]
    ends = [inf] * len(batches)
    moments = sorted({*(begin for _, begin, _ in batches), *(when for when, _ in drops)})
    now, gone = 0.0, set()
    while True:
        here = [k for k, (_, begin, _) in enumerate(batches) if begin <= now and k not in gone]
        names = list(dict.fromkeys(NAMES[batches[k][0]] for k in here))
        paces = dict(zip(names, paces_of(names), strict=True)) if here else {}
        pace = {k: paces[NAMES[batches[k][0]]] for k in here}
        event = min((m for m in moments if m > now), default=inf)
        until = min([now + left[k] / pace[k] for k in here], default=inf)
        if until == event == inf:
            return ends
        step = min(until, event) - now
        for k in here:
            left[k] -= step * pace[k]
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
ways = st.sampled_from(
    [
        TimeSlicing(),
        TimeSlicing(overhead=0.1),
        MultiProcess(),
        MultiProcess(gain=0.94),
        Interference({"a": {"b": 1.5, "c": 3.0}, "b": {"a": 1.25}, "c": {"d": 2.0}}, default=1.125),
        Contention({"a": Demand(0.9, 0.2), "b": Demand(0.3, 0.8), "c": Demand(0.1, 0.1)}),
    ]
)


@given(script, losses, ways)
def test_batches_end_when_a_plain_loop_says(batches, drops, policy):
    kernel = Kernel()
    device = SharedDevice(kernel, policy.paces)
    ends = [inf] * len(batches)

    def ended(key):
        ends[key] = kernel.now

    for key, (owner, begin, length) in enumerate(batches):
        kernel.call_at(begin, device.begin, owner, NAMES[owner], length, ended, key)
    for when, owner in drops:
        kernel.call_at(when, device.leave, owner)
    kernel.run()
    assert ends == pytest.approx(by_hand(batches, drops, policy.paces), abs=1e-7)


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
    for count, rate in zip((1, 2, 4), rates, strict=True):
        assert policy.paces(["x"] * count) == pytest.approx([rate] * count)


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


def test_interference_by_pairs_adds_the_excesses_up():
    policy = Interference({"a": {"b": 1.4, "c": 1.2, "a": 2.0}}, default=1.1)
    assert policy.paces(["a"]) == [1.0]
    assert policy.paces(["a", "b"]) == pytest.approx([1 / 1.4, 1 / 1.1])
    assert policy.paces(["a", "b", "c"]) == pytest.approx([1 / 1.6, 1 / 1.2, 1 / 1.2])
    assert policy.paces(["a", "a"]) == pytest.approx([0.5, 0.5])


def test_contention_is_for_the_scarcer_resource():
    policy = Contention({"conv": Demand(0.9, 0.2), "gather": Demand(0.1, 0.7), "decode": Demand(0.2, 0.9)})
    assert policy.paces(["gather"]) == [1.0]
    assert policy.paces(["conv", "gather"]) == [1.0, 1.0]
    assert policy.paces(["gather", "decode"]) == pytest.approx([1 / 1.6] * 2)
    # Who is not named uses all of both.
    assert policy.paces(["conv", "other"]) == pytest.approx([1 / 1.9] * 2)


MIXED = """
name: mixed
duration: 60s
infrastructure:
  instances: {box: {cpu: 64, memory: 64Gi, device: a100-sxm-80, accelerators: 1}}
  sites: {hall: {kind: cloud, pools: {boxes: {instance: box, nodes: 1}}}}
platform:
  sharing: SHARING
  services:
    chat:
      site: hall
      time: {policy: constant, value: 1s}
      engine: {policy: continuous-batch, blocks: 10000, steps: {policy: linear, base: 10ms}}
      resources: {cpu: 1, accelerators: 0.5}
    vision:
      site: hall
      time: {policy: constant, value: 700ms}
      resources: {cpu: 1, accelerators: 0.5}
applications:
  talk:
    users: {hall: 1}
    arrivals: {process: trace, file: TALK}
    calls: {ask: {to: chat}}
  look:
    users: {hall: 1}
    arrivals: {process: trace, file: LOOK}
    calls: {ask: {to: vision}}
"""


def alternating(talks, looks, slow):
    """Ends of both: iterations of 10 ms, `slow` times as long if `vision` is at work when they begin.

    Batches of 0.7 s go at one over `slow` while `chat` is at work. One sequence at a time.
    """
    now, chat, vision, ends = 0.0, None, None, {"talk": [], "look": []}
    talks, looks = [*talks], [*looks]
    line: list[float] = []
    while talks or looks or chat or vision or line:
        pace = 1 / slow if chat else 1.0
        moments = [talks[0][0] if talks and not chat else inf, looks[0] if looks else inf]
        moments += [chat[0] if chat else inf, now + vision / pace if vision else inf]
        at = min(moments)
        if vision:
            vision = None if at == moments[3] else vision - (at - now) * pace
            if vision is None:
                ends["look"].append(at)
        now = at
        if at == moments[1]:
            line.append(looks.pop(0))
        if line and not vision:
            vision = 0.7
            line.pop(0)
        if at == moments[2]:
            left = chat[1] - 1
            chat = (at + 0.01 * (slow if vision else 1.0), left) if left else None
            if not left:
                ends["talk"].append(at)
        if at == moments[0]:
            # The prompt and each token but the first take an iteration.
            chat = (at + 0.01 * (slow if vision else 1.0), talks.pop(0)[1])
    return ends


@pytest.mark.parametrize(
    ("sharing", "slow"),
    [
        ("time-slicing", 2.0),
        ("{policy: interference, slowdown: {chat: {vision: 1.7}, vision: {chat: 1.7}}}", 1.7),
        ("{policy: mps, gain: 1.24}", 2 / 1.24),
    ],
)
def test_a_language_model_on_a_share_of_a_gpu(tmp_path, sharing, slow):
    talks = [(1.0031, 120), (5.0017, 300), (14.0003, 40)]
    looks = [0.5, 1.2, 1.25, 5.51, 6.13, 20.0]
    (tmp_path / "talk.csv").write_text(
        "time_s,tokens_in,tokens_out\n" + "".join(f"{at},5,{tokens}\n" for at, tokens in talks)
    )
    (tmp_path / "look.csv").write_text("time_s\n" + "".join(f"{at}\n" for at in looks))
    text = MIXED.replace("SHARING", sharing)
    for name in ("talk", "look"):
        text = text.replace(name.upper(), str(tmp_path / f"{name}.csv"))
    tables = build(loads(text)).run().tables
    requests, expected = tables["requests"], alternating(talks, looks, slow)
    apps = np.array(requests["app"].texts())
    for app, ends in expected.items():
        assert np.sort(requests["done"][apps == app]) == pytest.approx(ends, abs=1e-9)


def test_a_stretch_at_another_pace_takes_as_much_longer():
    """Growing iterations and prompts, all of them at a third of the pace."""
    ends = []
    for pace in (1.0, 1 / 3):
        engine = Engine(ChunkedPrefill(), LinearSteps(base=0.01, per_context_token=1e-4), 1000)
        engine.rescale(pace, 0.0)
        (one,) = simulate(engine, [Sequence(0, arrival=0.0, prompt=40, output=50)])
        ends.append((one.first, one.finish))
    assert ends[1] == pytest.approx([3 * moment for moment in ends[0]])


JOBS = """
name: jobs
duration: 3h
infrastructure:
  instances: {box: {cpu: 64, memory: 64Gi, device: a100-sxm-80, accelerators: 1}}
  sites: {hall: {kind: cloud, pools: {boxes: {instance: box, nodes: 1}}}}
platform:
  sharing: {policy: interference, slowdown: {long: {short: 2}, short: {long: 1.5}}}
  jobs:
    long:
      arrivals: {process: job-trace, file: LONG}
      resources: {cpu: 1, accelerators: 0.5}
    short:
      arrivals: {process: job-trace, file: SHORT}
      resources: {cpu: 1, accelerators: 0.5}
"""


def test_jobs_with_shares_slow_each_other_down(tmp_path):
    """Long: 1000 s of work. Short: 200 s of work take 300 s, in which long does 150 s."""
    for name, at, work in (("LONG", 0, 1000), ("SHORT", 0, 200)):
        (tmp_path / f"{name}.csv").write_text(f"arrival_s,duration_s,workers\n{at},{work},1\n")
    text = JOBS.replace("LONG", str(tmp_path / "LONG.csv")).replace("SHORT", str(tmp_path / "SHORT.csv"))
    tables = build(loads(text)).run().tables
    finished = dict(zip(tables["jobs"]["name"].texts(), tables["jobs"]["finished"].tolist(), strict=True))
    assert finished == {"long": pytest.approx(1150.0), "short": pytest.approx(300.0)}
    runs = tables["runs"]
    assert runs["rate"] == pytest.approx(runs["progress"] / (runs["ended"] - runs["working"]))
    assert sorted(runs["progress"].tolist()) == pytest.approx([200.0, 1000.0])


def test_names_that_nothing_has_are_told():
    text = JOBS.replace("short: 2}", "shorter: 2}").replace("LONG", __file__).replace("SHORT", __file__)
    with pytest.raises(Exception, match="shorter"):
        loads(text)
