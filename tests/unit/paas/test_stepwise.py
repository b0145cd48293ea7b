"""Pipelines, drafts and adapters: closed forms, conservation, and schedules worked out step by step."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.paas.llm import (
    Adapters,
    ByPriority,
    ChunkedPrefill,
    Engine,
    FunctionSteps,
    LinearSteps,
    PrefillFirst,
    Sarathi,
    Sequence,
    Speculation,
    StepwiseEngine,
    simulate,
)
from sim.paas.llm.adapters import overhead
from sim.paas.llm.speculation import acceptance_of, expected_tokens, speed_up
from tests.unit.paas import schedules
from tests.unit.paas.test_schedules import SIZE, STAGES, TIMES, WORK, both, same

RULES = [ChunkedPrefill(5, 20), Sarathi(5, 20), PrefillFirst(5, 120)]


def test_one_sequence_passes_all_stages():
    """10 + 20 + 5 ms and 2 hops of 1 ms an iteration: nothing overlaps."""
    stages = [LinearSteps(base) for base in (0.010, 0.020, 0.005)]
    engine = StepwiseEngine(PrefillFirst(), stages, 100, hop=lambda tokens: 0.001)
    (one,) = simulate(engine, [Sequence(0, 1.0, 10, 5)])
    assert one.first == pytest.approx(1.037)
    assert one.finish == pytest.approx(1.0 + 5 * 0.037)
    assert engine.log.gaps().count == 4
    assert engine.log.gaps().quantile(1.0) == pytest.approx(0.037)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_full_pipeline_gives_an_iteration_each_beat(number):
    """Four sequences on n stages of 10 ms: n groups, one of which comes out every 10 ms."""
    engine = StepwiseEngine(PrefillFirst(4, 100), [LinearSteps(0.010)] * number, 1000)
    done = simulate(engine, [Sequence(i, 0.0, 10, 1001) for i in range(4)])
    beats = 1001 * number + number - 1
    assert max(each.finish for each in done) == pytest.approx(0.010 * beats)
    assert len({round(each.first, 6) for each in done}) == number


def test_the_slowest_stage_sets_the_beat():
    """Two groups on stages of 10 and 30 ms: the second never waits for the first but once."""
    engine = StepwiseEngine(PrefillFirst(2, 10), [LinearSteps(0.010), LinearSteps(0.030)], 1000)
    first, second = simulate(engine, [Sequence(i, 0.0, 10, 100) for i in range(2)])
    assert first.finish == pytest.approx(0.010 + 0.030 * 199)
    assert second.finish == pytest.approx(0.010 + 0.030 * 200)


@pytest.mark.parametrize(
    ("drafts", "acceptance", "cost"), [(1, 0.5, 0.0), (4, 0.8, 0.05), (3, 1.0, 0.1), (5, 0.0, 0.2)]
)
@pytest.mark.parametrize("drawn", [False, True])
def test_the_speed_up_of_drafts(drafts, acceptance, cost, drawn):
    """Theorem 3.8 of Leviathan et al.: if verifying costs no more than generating one token."""
    draw = random.Random(3).random if drawn else None
    output = 8_001
    times = LinearSteps(0.010)
    plain = StepwiseEngine(ChunkedPrefill(), [times], 1000)
    fast = StepwiseEngine(
        ChunkedPrefill(), [times], 2000, speculation=Speculation(drafts, acceptance, cost, draw)
    )
    (slow,) = simulate(plain, [Sequence(0, 0.0, 10, output)])
    (quick,) = simulate(fast, [Sequence(0, 0.0, 10, output)])
    found = (slow.finish - slow.first) / (quick.finish - quick.first)
    # Drawn: some 2,000 iterations or more, whose tokens deviate by less than the number of drafts each.
    assert found == pytest.approx(speed_up(drafts, acceptance, cost), rel=0.03 if drawn else 1e-3)
    assert fast.log.gaps().count == output - 1


def test_the_mean_number_of_tokens():
    """The closed form against the sum over how many are accepted, and against draws."""
    draw = random.Random(1).random
    for drafts, acceptance in ((1, 0.3), (4, 0.7), (8, 0.95)):
        chances = [acceptance**n * (1 - acceptance) for n in range(drafts)] + [acceptance**drafts]
        mean = sum((n + 1) * chance for n, chance in enumerate(chances))
        assert expected_tokens(drafts, acceptance) == pytest.approx(mean)
        guess = Speculation(drafts, acceptance, 0.0, draw)
        counts = np.bincount([guess.tokens(None, drafts) - 1 for _ in range(20_000)], minlength=drafts + 1)
        assert counts / 20_000 == pytest.approx(np.array(chances), abs=0.015)


@given(st.integers(1, 20), st.floats(0.0, 1.0))
def test_a_mean_number_of_tokens_tells_the_acceptance(drafts, acceptance):
    assert acceptance_of(drafts, expected_tokens(drafts, acceptance)) == pytest.approx(acceptance, abs=1e-6)


def test_published_figures_of_drafts():
    """DeepSeek-V3 (arXiv 2412.19437, 5.4.3): 85 to 90 % of single drafts accepted, 1.8 times as fast."""
    assert speed_up(1, 0.85, 0.0) > 1.8
    assert speed_up(1, 0.9, 0.05) == pytest.approx(1.8, abs=0.02)


@pytest.mark.parametrize("rule", RULES, ids=repr)
@settings(max_examples=30, deadline=None)
@given(WORK, st.integers(34, 80), st.integers(1, 5), st.floats(0.0, 1.0), st.booleans(), st.integers(1, 3))
def test_drafts_change_when_tokens_come_but_not_how_many(
    rule, work, blocks, drafts, acceptance, drawn, stages
):
    """Every token once, every block back, on any number of stages and however many are accepted."""
    draw = random.Random(5).random if drawn else None
    sequences = both(work)[1]
    guess = Speculation(drafts, acceptance, 0.1, draw)
    engine = StepwiseEngine(rule, STAGES[:stages], blocks, block_size=SIZE, speculation=guess)
    done = simulate(engine, sequences)
    assert len(done) == len(sequences)
    assert [each.generated for each in sequences] == [each.output for each in sequences]
    assert all(each.arrival <= each.start < each.first <= each.finish for each in sequences)
    assert engine.batch.free == blocks
    assert not engine.batch.running
    assert not engine.batch.resting
    if not any(each.preemptions for each in sequences):
        gaps = engine.log.gaps()
        assert gaps.count == sum(each.output - 1 for each in sequences)
        spans = sum(each.finish - each.first for each in sequences)
        assert gaps.count * gaps.mean() == pytest.approx(spans, abs=1e-9) if gaps.count else spans == 0.0


@settings(max_examples=30, deadline=None)
@given(WORK, st.integers(1, 4))
def test_drafts_that_are_never_accepted_only_cost(work, drafts):
    """As an engine whose iterations verify the drafts in vain."""
    left, right = both(work)[1], both(work)[1]
    plain = LinearSteps(5e-3, 2e-5, 3e-5, 7e-7)
    vain = StepwiseEngine(
        ChunkedPrefill(9, 1000), [plain], 1000, block_size=SIZE, speculation=Speculation(drafts, 0.0, 0.0)
    )
    simulate(vain, left)
    slow = FunctionSteps(
        lambda prompts, square, n, context: plain.seconds(prompts + drafts * n, square, n, context)
    )
    simulate(Engine(ChunkedPrefill(9, 1000), slow, 1000, block_size=SIZE), right)
    for mine, its in zip(left, right, strict=True):
        assert mine.finish == pytest.approx(its.finish, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    WORK,
    st.lists(st.none() | st.integers(0, 4), min_size=14, max_size=14),
    st.integers(28, 80),
    st.integers(1, 3),
    st.sampled_from([2, 5, 9]),
)
def test_who_needs_one_adapter_too_many_is_passed_by(work, names, blocks, slots, places):
    """Against the walk over the line written down job by job."""
    jobs, sequences = both(work)
    for job, sequence, name in zip(jobs, sequences, names, strict=False):
        job.adapter = sequence.adapter = name
    schedules.v1(jobs, blocks, SIZE, places, 20, TIMES, adapters=(slots, 3e-3, 0.05))
    engine = StepwiseEngine(
        ChunkedPrefill(places, 20), [TIMES], blocks, block_size=SIZE, adapters=Adapters(slots, 3e-3, 0.05)
    )
    simulate(engine, sequences)
    same(jobs, sequences)


def test_an_adapter_is_loaded_once_while_it_is_used():
    """10 ms an iteration, 2 % more for its adapter, 50 ms to load it; the second pays it all again."""
    loads = []
    engine = StepwiseEngine(
        ChunkedPrefill(8),
        [LinearSteps(0.010)],
        100,
        adapters=Adapters(1, 0.05, 0.02),
        note_load=loads.append,
    )
    work = [Sequence(0, 0.0, 4, 3, adapter=7), Sequence(1, 0.0, 4, 1, adapter=8), Sequence(2, 0.0, 4, 1)]
    simulate(engine, work)
    assert work[0].first == work[2].first == pytest.approx(0.0602)
    assert work[0].finish == pytest.approx(0.0602 + 2 * 0.0102)
    assert work[1].finish == pytest.approx(0.0602 + 2 * 0.0102 + 0.0602)
    assert loads == [(0, 0.0, 7, 0.05), (0, pytest.approx(0.0806), 8, 0.05)]
    assert [overhead(rank) for rank in (4, 8, 12, 24, 64)] == [0.02, 0.02, 0.02, 0.035, 0.06]


@pytest.mark.parametrize("rule", RULES, ids=repr)
@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.0, 0.1), st.integers(1, 30), st.integers(1, 40), st.floats(0.0, 0.5)),
        min_size=1,
        max_size=12,
    ),
    st.integers(30, 60),
    st.integers(1, 3),
)
def test_whoever_leaves_early_gives_its_blocks_back(rule, work, blocks, stages):
    """Waiting, resting or under way."""
    events, clock = [], 0.0
    for number, (gap, prompt, output, patience) in enumerate(work):
        clock += gap
        came = Sequence(number, clock, prompt, output, adapter=number % 3)
        events.append((clock, number, 0, came))
        if patience < 0.25:
            events.append((clock + patience + 1e-4, number, 1, came))
    engine = StepwiseEngine(
        rule,
        STAGES[:stages],
        blocks,
        block_size=SIZE,
        waiting=ByPriority(),
        speculation=Speculation(2, 0.5, 0.1),
        adapters=Adapters(2, 1e-3, 0.01),
    )
    done, left = [], 0
    for moment, _, kind, sequence in sorted(events, key=lambda event: event[:3]):
        while engine.until < moment:
            done += engine.proceed(engine.until)
        if kind == 0:
            engine.offer(sequence, moment)
        elif sequence not in done:
            engine.cancel(sequence, moment)
            left += 1
    while engine.until < np.inf:
        done += engine.proceed(engine.until)
    pool = engine.batch
    # One that leaves in its last iteration may still end.
    assert len(work) - left <= len(done) <= len(work)
    assert (pool.free, len(pool.waiting), len(pool.running), len(pool.leaving)) == (blocks, 0, 0, 0)
    assert pool.adapters.admits(0)


def test_what_it_cannot_do_is_said():
    engine = StepwiseEngine(ChunkedPrefill(), [TIMES], 8, speculation=Speculation(4, 0.5, 0.0))
    assert engine.refusal(Sequence(0, 0.0, 100, 25)) == ""
    assert engine.refusal(Sequence(0, 0.0, 100, 26)) == "exceeds-cache"
    with pytest.raises(ValueError, match="begins with prompts"):
        engine.offer(Sequence(0, 0.0, 10, 2, prefilled=0.0), 0.0)
    assert engine.use(engine.until) == 0.0
