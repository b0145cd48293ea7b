"""Pipelines, drafts and adapters of a service are those of the engine alone."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest

from sim import catalog
from sim.kernel.streams import RandomStreams
from sim.paas.llm import LinearSteps, Sequence, StepwiseEngine, simulate
from sim.paas.policies.continuous import ContinuousBatch
from sim.paas.policies.extras import Choice, LowRank, Pipeline, Speculate
from sim.paas.policies.steps import Linear
from tests.platforms import column
from tests.platforms import simulate as run
from tests.unit.paas import schedules

LINEAR = Linear(base=5e-3, per_prompt_token=2e-5, per_sequence=3e-5, per_context_token=7e-7)


def engine(**more):
    return ContinuousBatch(blocks=120, steps=LINEAR, max_sequences=16, max_tokens=512, **more)


def work(rate=10.0, count=120):
    draw = random.Random(4)
    now, found = 0.0, []
    for _ in range(count):
        now += draw.expovariate(rate)
        found.append((now, draw.randint(1, 300), draw.randint(1, 200)))
    return found


@pytest.mark.parametrize(
    "more",
    [
        {"pipeline": Pipeline(2, 1e-3), "scheduling": "sarathi"},
        {"pipeline": Pipeline(4), "scheduling": "prefill-first"},
        {"speculation": Speculate(3, 0.7, cost=0.1, accepted="expected")},
        {"adapters": LowRank(2, 9), "pipeline": Pipeline(2), "order": "priority"},
    ],
    ids=str,
)
def test_the_service_adds_nothing_to_the_engine(bench, more):
    service = bench.serve(1, engine=engine(**more))
    calls = [bench.call_at(at, tokens_in=prompt, tokens_out=output) for at, prompt, output in work()]
    tables = bench.finish()
    sequences = [Sequence(number, *item) for number, item in enumerate(work())]
    if "adapters" in more:
        choice = Choice(more["adapters"], RandomStreams(1).stream("paas/detector/adapters"))
        for sequence in sequences:
            sequence.adapter = choice.of(sequence.number)
    alone = engine(**more).build()
    assert isinstance(alone, StepwiseEngine)
    simulate(alone, sequences)
    assert alone.iterations > 500
    for call, sequence in zip(calls, sequences, strict=True):
        assert call.start == pytest.approx(sequence.start, rel=1e-12)
        assert call.finish == pytest.approx(sequence.finish, rel=1e-12)
    assert (service.completed, service.in_system, service.serving, service.busy.value) == (120, 0, 0, 0)
    assert len(tables["sequences"]) == 120


@pytest.mark.parametrize("scheduler", ["vllm", "sarathi"])
@pytest.mark.parametrize("stages", [1, 2])
def test_a_run_replays_vidur(tmp_path, scheduler, stages):
    """From its file of requests through scenario, service and engine: every moment within 1e-9 s."""
    jobs = [schedules.Job(number, *item) for number, item in enumerate(work(count=60))]
    rows = [f"{job.arrival!r},{job.prefill},{job.decode}" for job in jobs]
    file = tmp_path / "requests.csv"
    file.write_text("\n".join(["arrived_at,num_prefill_tokens,num_decode_tokens", *rows, ""]))
    rule = "prefill-first" if scheduler == "vllm" else "sarathi"
    outcome = run(f"""
name: replay
duration: 10min
drain: true
infrastructure:
  instances: {{box: {{cpu: 16, memory: 64GB, device: a100-sxm-80, accelerators: 2}}}}
  sites: {{dc: {{kind: cloud, pools: {{gpu: {{instance: box, nodes: 1}}}}}}}}
platform:
  services:
    llm:
      site: dc
      time: {{policy: constant, value: 1s}}
      engine: {{policy: continuous-batch, blocks: 60, scheduling: {rule}, max_sequences: 16, max_tokens: 512,
               steps: {{policy: linear, base: 20ms, per_prompt_token: 100us, per_context_token: 100ns}}
               {", pipeline: {stages: 2, latency: 1ms}" if stages == 2 else ""}}}
      resources: {{cpu: 8, memory: 32GB, accelerators: 2}}
applications:
  chat:
    users: {{dc: 1}}
    arrivals: {{process: trace, file: {file}, format: vidur}}
    calls: {{answer: {{to: llm}}}}
""")
    times = LinearSteps(20e-3 / stages, 100e-6 / stages, 0.0, 100e-9 / stages)
    hops = [1e-3] * (stages - 1) + [0.0]
    schedules.vidur(
        jobs,
        scheduler,
        60,
        16,
        16,
        512,
        0.01,
        [lambda batch, hop=hop: schedules.seconds(batch, times) + hop for hop in hops],
    )
    order = np.argsort(column(outcome, "sequences", "enter"), kind="stable")
    found = [
        column(outcome, "sequences", name)[order] for name in ("enter", "first", "finish", "preemptions")
    ]
    known = np.array([(job.arrival, job.first, job.finish, job.restarts) for job in jobs]).T
    assert np.abs(np.array(found) - known).max() < 1e-9
    assert known[3].sum() > 10


def test_drafts_are_drawn_from_the_streams_of_the_run():
    """The same again for the same seed, other ones for another; on average as expected."""
    text = """
name: drafts
seed: {seed}
duration: 2min
drain: true
infrastructure:
  instances: {{box: {{cpu: 16, memory: 64GB, device: h100-sxm, accelerators: 1}}}}
  sites: {{dc: {{kind: cloud, pools: {{gpu: {{instance: box, nodes: 1}}}}}}}}
platform:
  services:
    llm:
      site: dc
      time: {{policy: constant, value: 1s}}
      engine: {{policy: continuous-batch, blocks: 5000, steps: {{policy: linear, base: 10ms}},
               speculation: {{drafts: 4, acceptance: 70%, cost: 0.05}}}}
      resources: {{cpu: 8, memory: 32GB, accelerators: 1}}
applications:
  chat: {{users: {{dc: 1}}, arrivals: {{process: poisson, rate: 2/s}}, tokens_in: 100, tokens_out: 101,
         calls: {{answer: {{to: llm}}}}}}
"""
    first, again, other = (run(text.format(seed=seed)) for seed in (1, 1, 2))
    spans = [
        column(each, "sequences", "finish") - column(each, "sequences", "first")
        for each in (first, again, other)
    ]
    assert np.array_equal(spans[0], spans[1])
    assert not np.array_equal(spans[0][:100], spans[2][:100])
    # 100 tokens in 100 / 2.7731 iterations of 12 ms; the last one gives more than is wanted.
    assert spans[0].mean() == pytest.approx(100 / 2.7731 * 0.012, rel=0.03)


def test_which_adapter_a_request_needs():
    """In proportion to 1 / n, for four in five; whoever asks first."""
    spec = LowRank(2, 5, share=0.8)
    streams = RandomStreams(3)
    choice = Choice(spec, streams.stream("a"))
    found = [choice.of(number) for number in range(20_000)]
    shares = np.bincount([5 if each is None else each for each in found]) / len(found)
    harmonic = sum(1 / n for n in range(1, 6))
    assert shares == pytest.approx([*(0.8 / harmonic / n for n in range(1, 6)), 0.2], abs=0.01)
    late = Choice(spec, RandomStreams(3).stream("a"))
    assert [late.of(number) for number in (9000, 5, 0)] == [found[9000], found[5], found[0]]
    everybody = Choice(LowRank(1, 3), streams.stream("b"))
    assert {everybody.of(number) for number in range(5000)} == {0, 1, 2}
    policy = engine(adapters=spec)
    assert policy.adapter(SimpleNamespace(request=None)) is None
    policy.belong(RandomStreams(3), "chat")
    attempt = SimpleNamespace(request=SimpleNamespace(id=999, owner=SimpleNamespace(id=7)))
    plain = SimpleNamespace(request=SimpleNamespace(id=7, owner=None))
    assert policy.adapter(attempt) == policy.adapter(plain)


def test_the_cache_of_a_stage():
    """Llama 3.1 70B has 80 layers: of 3 stages the largest has 27, on two of six A100."""
    model, device = catalog.model("llama-3.1-70b"), catalog.device("a100-sxm-80")
    room = (0.9 * device.memory - 5.5 * 2**30) * 2
    part = 27 / 80
    blocks = (room - part * model.weights("bf16")) / (part * model.kv_bytes_per_token * 16)
    three = ContinuousBatch(LINEAR, pipeline=Pipeline(3))
    assert three.capacity(model, "bf16", device, 6) == int(blocks)
    one, two = ContinuousBatch(LINEAR), ContinuousBatch(LINEAR, pipeline=Pipeline(2))
    assert one.capacity(model, "bf16", device, 4) == two.capacity(model, "bf16", device, 4)
    loras = ContinuousBatch(LINEAR, adapters=LowRank(8, 100, rank=64))
    lost = one.capacity(model, "bf16", device, 4) - loras.capacity(model, "bf16", device, 4)
    assert lost == pytest.approx(8 * 64 * 2e6 / (model.kv_bytes_per_token * 16), abs=1)


def test_a_hop_takes_the_activations_of_its_tokens():
    """1 ms + 100 x 8192 x 2 bytes at 10 GB/s."""
    model = catalog.model("llama-3.1-70b")
    assert Pipeline(2, 1e-3, 10e9).hop(model)(100) == pytest.approx(1e-3 + 100 * 8192 * 2 / 10e9)
    assert Pipeline(2, 1e-3).hop(model)(100) == 1e-3
    two = engine(pipeline=Pipeline(2)).build()
    (one,) = simulate(two, [Sequence(0, 0.0, 100, 1)])
    assert one.finish == pytest.approx(5e-3 + 100 * 2e-5)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "one of the two"),
        ({"acceptance": 0.5, "length": 2.0}, "one of the two"),
        ({"length": 5.5}, "at most 5"),
    ],
)
def test_acceptance_is_told_once(more, message):
    with pytest.raises(ValueError, match=message):
        Speculate(4, **more)
    assert Speculate(4, length=2.76).build(None, "").acceptance == pytest.approx(0.6975, abs=1e-4)


def test_there_is_a_sequence_for_each_stage():
    with pytest.raises(ValueError, match="too few for 4 stages"):
        ContinuousBatch(LINEAR, max_sequences=3, pipeline=Pipeline(4))
