"""A service with a language model's engine serves calls at the moments the engine alone gives."""

from __future__ import annotations

import random

import pytest

from sim import catalog
from sim.errors import StratusError
from sim.paas.llm import Sequence, simulate
from sim.paas.policies.continuous import ContinuousBatch
from sim.paas.policies.steps import Linear

RULES = ["chunked-prefill", "prefill-first", "sarathi"]


def engine(scheduling="chunked-prefill"):
    return ContinuousBatch(
        blocks=120,
        steps=Linear(base=5e-3, per_prompt_token=2e-5, per_sequence=3e-5, per_context_token=7e-7),
        scheduling=scheduling,
        max_sequences=16,
        max_tokens=512,
    )


@pytest.mark.parametrize("scheduling", RULES)
def test_the_service_adds_nothing_to_the_engine(bench, scheduling):
    """200 calls, with preemptions: start and finish are those of the engine in plain Python."""
    draw = random.Random(4)
    work, now = [], 0.0
    for _ in range(200):
        now += draw.expovariate(10.0)
        work.append((now, draw.randint(1, 300), draw.randint(1, 200)))
    service = bench.serve(1, engine=engine(scheduling))
    calls = [bench.call_at(at, tokens_in=prompt, tokens_out=output) for at, prompt, output in work]
    bench.finish()
    alone = simulate(engine(scheduling).build(), [Sequence(i, *item) for i, item in enumerate(work)])
    assert len(alone) == 200
    assert sum(s.preemptions for s in alone) > 0
    for sequence in alone:
        assert calls[sequence.number].start == pytest.approx(sequence.start, rel=1e-12)
        assert calls[sequence.number].finish == pytest.approx(sequence.finish, rel=1e-12)
    assert (service.completed, service.in_system, service.serving, service.busy.value) == (200, 0, 0, 0)


def test_a_call_beyond_the_cache_is_rejected(bench):
    """120 blocks of 16 tokens hold 1920."""
    service = bench.serve(1, engine=engine())
    bench.call_at(1.0, tokens_in=1900, tokens_out=22)
    bench.call_at(1.0, tokens_in=1900, tokens_out=21)
    bench.finish()
    assert (service.rejected, service.completed) == (1, 1)


def test_a_call_that_waits_too_long_for_its_place_leaves(bench):
    """One place, 10 s a prompt: the second call waits from 1 on and leaves at 6, the third begins at 10."""
    one = ContinuousBatch(blocks=100, steps=Linear(base=10.0), max_sequences=1)
    service = bench.serve(1, engine=one, timeout=5.0)
    calls = [bench.call_at(at, tokens_in=4, tokens_out=1) for at in (0.0, 1.0, 7.0)]
    bench.finish()
    assert [call.status for call in calls] == ["completed", "timeout", "completed"]
    assert [call.finish for call in calls] == [10.0, 6.0, 20.0]
    assert (service.in_system, service.timeouts, service.replicas[0].load) == (0, 1, 0)


def test_the_order_of_the_line(bench):
    """While the first is served three wait: by priority, then by arrival."""
    one = ContinuousBatch(blocks=100, steps=Linear(base=10.0), max_sequences=1, order="priority")
    bench.serve(1, engine=one)
    calls = [bench.call_at(0.1 * n, tokens_in=4, tokens_out=1) for n in range(4)]
    for call, priority in zip(calls, (0, 1, 2, 1), strict=True):
        call.priority = priority
    bench.finish()
    assert [call.finish for call in calls] == [10.0, 30.0, 20.0, 40.0]


def test_the_cache_is_what_the_weights_leave():
    """Llama 3.1 8B on an A100 80 GB: (0.9 x 80e9 - 5.5 GiB - 16.06e9) / (131,072 x 16)."""
    model, device = catalog.model("llama-3.1-8b"), catalog.device("a100-sxm-80")
    engine = ContinuousBatch(steps=Linear(base=1.0))
    room = 0.9 * device.memory - 5.5 * 2**30 - model.weights("bf16")
    assert engine.capacity(model, "bf16", device, 1) == int(room / (131_072 * 16))
    assert 20_000 < engine.capacity(model, "bf16", device, 1) < 26_000
    two = engine.capacity(model, "bf16", device, 2)
    assert two == int((room + 0.9 * device.memory - 5.5 * 2**30) / (131_072 * 16))
    with pytest.raises(StratusError, match="no memory is left"):
        ContinuousBatch(Linear(base=1.0), memory_utilisation=0.2).build(model, "bf16", device)
    with pytest.raises(StratusError, match="give `blocks`"):
        engine.build()
