"""A service with a language model's engine serves calls at the moments the engine alone gives."""

from __future__ import annotations

import random

import pytest

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


def test_a_timeout_is_refused(bench):
    """Rather than taken and not kept."""
    with pytest.raises(StratusError, match="knows no timeout"):
        bench.serve(1, engine=engine(), timeout=1.0)
