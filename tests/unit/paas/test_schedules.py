"""The engines replay the schedules of other simulators, request by request."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.paas.llm import (
    ByPriority,
    ChunkedPrefill,
    DetailedSteps,
    Engine,
    LinearSteps,
    PrefillFirst,
    Sarathi,
    SarathiServe,
    Sequence,
    StepwiseEngine,
    simulate,
)
from tests.unit.paas import schedules

SIZE = 4
TIMES = LinearSteps(5e-3, 2e-5, 3e-5, 7e-7, 1e-8)
WORK = st.lists(
    st.tuples(st.just(0.0) | st.floats(0.0, 0.1), st.integers(1, 40), st.integers(1, 60)),
    min_size=1,
    max_size=14,
)


def both(work):
    """(jobs of a reference, sequences) of the same work."""
    clock, jobs, sequences = 0.0, [], []
    for number, (gap, prompt, output) in enumerate(work):
        clock += gap
        jobs.append(schedules.Job(number, clock, prompt, output))
        sequences.append(Sequence(number, clock, prompt, output))
    return jobs, sequences


def same(jobs, sequences):
    """Start, first token, end and restarts of each."""
    for job, sequence in zip(jobs, sequences, strict=True):
        assert sequence.finish == pytest.approx(job.finish, rel=1e-9)
        assert sequence.first == pytest.approx(job.first, rel=1e-9)
        assert sequence.preemptions == job.restarts


@pytest.mark.parametrize("scheduler", ["vllm", "sarathi"])
@settings(max_examples=40, deadline=None)
@given(
    WORK,
    st.integers(28, 80),
    st.sampled_from([2, 5, 9]),
    st.sampled_from([64, 20, 3]),
    st.sampled_from([0.01, 0.1]),
)
def test_vidur(scheduler, work, blocks, places, most, watermark):
    if scheduler == "vllm":
        most, rule = 120, PrefillFirst(places, 120, watermark)
    else:
        rule = Sarathi(places, most, watermark)
    jobs, sequences = both(work)
    schedules.vidur(
        jobs,
        scheduler,
        blocks,
        SIZE,
        places,
        most,
        watermark,
        [lambda batch: schedules.seconds(batch, TIMES)],
    )
    simulate(Engine(rule, TIMES, blocks, block_size=SIZE), sequences)
    same(jobs, sequences)


@settings(max_examples=60, deadline=None)
@given(
    WORK, st.integers(28, 80), st.sampled_from([2, 5, 9]), st.sampled_from([64, 20, 9]), st.integers(1, 10)
)
def test_chunks_of_bounded_length(work, blocks, places, budget, longest):
    """Several prompts are begun at once; who generates behind them may lose its place to them."""
    jobs, sequences = both(work)
    schedules.v1(jobs, blocks, SIZE, places, budget, TIMES, longest=longest)
    rule = ChunkedPrefill(places, budget, longest_chunk=longest)
    simulate(StepwiseEngine(rule, [TIMES], blocks, block_size=SIZE), sequences)
    same(jobs, sequences)
    with pytest.raises(ValueError, match="takes an engine that steps"):
        Engine(rule, TIMES, blocks)


@settings(max_examples=60, deadline=None)
@given(
    WORK,
    st.lists(st.integers(0, 2), min_size=14, max_size=14),
    st.integers(28, 60),
    st.sampled_from([5, 9]),
    st.sampled_from([64, 20, 9]),
)
def test_vllm_by_priority(work, priorities, blocks, places, budget):
    """Who has the lowest priority loses its place, even if it was to be in the iteration already."""
    jobs, sequences = both(work)
    for job, sequence, priority in zip(jobs, sequences, priorities, strict=False):
        job.priority = sequence.priority = priority
    schedules.v1(jobs, blocks, SIZE, places, budget, TIMES, ranked=True)
    engine = StepwiseEngine(
        ChunkedPrefill(places, budget), [TIMES], blocks, block_size=SIZE, waiting=ByPriority()
    )
    simulate(engine, sequences)
    same(jobs, sequences)


STAGES = (TIMES, LinearSteps(4e-3, 3e-5, 2e-5, 5e-7, 2e-8), LinearSteps(6e-3, 1e-5, 4e-5, 6e-7))


@pytest.mark.parametrize("scheduler", ["vllm", "sarathi"])
@pytest.mark.parametrize("stages", [1, 2, 3])
@settings(max_examples=40, deadline=None)
@given(WORK, st.integers(28, 60), st.sampled_from([3, 5, 9]), st.sampled_from([64, 20, 3]))
def test_vidurs_pipelines(scheduler, stages, work, blocks, places, most):
    """Up to as many batches under way as stages, each of unlike speed; sending keeps the sender busy."""
    rule = PrefillFirst(places, 120) if scheduler == "vllm" else Sarathi(places, most)
    jobs, sequences = both(work)

    def stage(place):
        hop = 1e-3 if place < stages - 1 else 0.0
        return lambda batch: (
            schedules.seconds(batch, STAGES[place]) + hop + 1e-6 * sum(n for _, n in batch) * (hop > 0)
        )

    schedules.vidur(
        jobs,
        scheduler,
        blocks,
        SIZE,
        places,
        120 if scheduler == "vllm" else most,
        0.01,
        [stage(place) for place in range(stages)],
    )
    engine = StepwiseEngine(
        rule, STAGES[:stages], blocks, block_size=SIZE, hop=lambda tokens: 1e-3 + 1e-6 * tokens
    )
    simulate(engine, sequences)
    same(jobs, sequences)
    assert engine.batch.free == blocks
    assert engine.log.gaps().count >= sum(sequence.output - 1 for sequence in sequences)


@settings(max_examples=40, deadline=None)
@given(WORK, st.sampled_from([2, 5, 9]), st.sampled_from([64, 20, 9, 3]), st.integers(1, 3))
def test_pipelines_of_vllm_v1(work, places, budget, stages):
    """The chunks of a prompt follow each other without waiting."""
    jobs, sequences = both(work)
    schedules.v1_pipeline(jobs, places, budget, STAGES[:stages])
    simulate(
        StepwiseEngine(ChunkedPrefill(places, budget), STAGES[:stages], 1000, block_size=SIZE), sequences
    )
    same(jobs, sequences)


@pytest.mark.parametrize("rule", [ChunkedPrefill(5, 20), SarathiServe(5, 20), PrefillFirst(5, 120)], ids=repr)
@settings(max_examples=20, deadline=None)
@given(WORK, st.integers(28, 80))
def test_on_one_stage_both_engines_are_alike(rule, work, blocks):
    """Moments, and percentiles of the gaps."""
    left, right = both(work)[1], both(work)[1]
    one = StepwiseEngine(rule, [TIMES], blocks, block_size=SIZE)
    other = Engine(rule, TIMES, blocks, block_size=SIZE)
    simulate(one, left)
    simulate(other, right)
    for mine, its in zip(left, right, strict=True):
        assert (mine.start, mine.first, mine.finish) == pytest.approx((its.start, its.first, its.finish))
        assert mine.preemptions == its.preemptions
    assert one.iterations == other.iterations
    assert one.log.gaps().count == other.log.gaps().count
    for share in (0.1, 0.5, 0.9, 1.0):
        if one.log.gaps().count:
            assert one.log.gaps().quantile(share) == pytest.approx(other.log.gaps().quantile(share), rel=1e-6)
    assert sum(row[6] for row in one.log) == sum(row[6] for row in other.log)


@settings(max_examples=40, deadline=None)
@given(WORK, st.integers(28, 80), st.sampled_from([2, 5, 9]), st.sampled_from([64, 20, 3]))
def test_sarathi_serve(work, blocks, places, chunk):
    jobs, sequences = both(work)
    schedules.system(jobs, blocks, SIZE, places, chunk, 0.01, TIMES)
    simulate(Engine(SarathiServe(places, chunk), TIMES, blocks, block_size=SIZE), sequences)
    same(jobs, sequences)


@pytest.mark.parametrize(("whole", "anew"), [(False, False), (True, False), (False, True)])
@settings(max_examples=40, deadline=None)
@given(WORK, st.integers(28, 80), st.sampled_from([2, 5, 9]), st.sampled_from([64, 20, 3]))
def test_vllm_v1(whole, anew, work, blocks, places, budget):
    """As vLLM itself, LLMServingSim 2 (whole prompts) and BLIS (answers anew) have it."""
    jobs, sequences = both(work)
    schedules.v1(jobs, blocks, SIZE, places, budget, TIMES, whole, anew)
    rule = ChunkedPrefill(places, budget, whole, "prompt" if anew else "tokens")
    simulate(Engine(rule, TIMES, blocks, block_size=SIZE), sequences)
    same(jobs, sequences)


def test_a_model_that_looks_at_each_prompt():
    """Vidur's attention to prompts: the root of the sum of squares of their chunks."""

    def seconds(chunks, sequences, context):
        squares = sum(tokens**2 for tokens, _ in chunks)
        return 0.01 + 1e-4 * round(squares**0.5) + 1e-6 * sum(before for _, before in chunks) + 1e-5 * context

    work = [Sequence(0, 0.0, 30, 2), Sequence(1, 0.0, 40, 1)]
    engine = Engine(Sarathi(8, 60), DetailedSteps(seconds), 100)
    simulate(engine, work)
    assert work[0].first == pytest.approx(0.01 + 1e-4 * 42)  # 30 and 30
    both_end = work[0].first + 0.01 + 1e-4 * 10 + 1e-6 * 30 + 1e-5 * 31
    assert (work[0].finish, work[1].finish) == pytest.approx((both_end, both_end))
    assert DetailedSteps(seconds).seconds(30, 450.0, 0, 0) == pytest.approx(0.013)


@pytest.mark.skipif("STRATUS_DATA" not in os.environ, reason="STRATUS_DATA names no folder of public data")
@pytest.mark.parametrize("scheduler", ["vllm", "sarathi"])
def test_vidurs_own_trace(scheduler):
    """Its first 400 conversations on a cache that is too small for them, with its profile of Qwen2 7B."""
    with (Path(os.environ["STRATUS_DATA"]) / "vidur_traces" / "splitwise_conv.csv").open(newline="") as file:
        rows = [next_row for _, next_row in zip(range(400), csv.DictReader(file), strict=False)]
    work = [
        (float(row["arrived_at"]), int(row["num_prefill_tokens"]), int(row["num_decode_tokens"]))
        for row in rows
    ]
    times = LinearSteps(19.866e-3, 0.10788e-3, 0.03979e-3, 9.52e-8, 6.08e-9)
    jobs = [schedules.Job(number, *row) for number, row in enumerate(work)]
    sequences = [Sequence(number, *row) for number, row in enumerate(work)]
    most = 8192 if scheduler == "vllm" else 512
    rule = PrefillFirst(128, most) if scheduler == "vllm" else Sarathi(128, most)
    schedules.vidur(
        jobs, scheduler, 1000, 16, 128, most, 0.01, [lambda batch: schedules.seconds(batch, times)]
    )
    simulate(Engine(rule, times, 1000), sequences)
    same(jobs, sequences)
    assert sum(job.restarts for job in jobs) > 50
