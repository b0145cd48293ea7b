"""The engine that jumps against one that steps through every iteration, sequence by sequence."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.paas.llm import (
    ChunkedPrefill,
    Engine,
    FunctionSteps,
    LinearSteps,
    Log,
    PrefillFirst,
    Sarathi,
    SarathiServe,
    Sequence,
    TableSteps,
    simulate,
)
from tests.unit.paas.llm_reference import SIZE, Job, reference

TIMES = LinearSteps(5e-3, 2e-5, 3e-5, 7e-7, 1e-8)
RULES = [
    PrefillFirst(max_sequences=5, max_tokens=64),
    ChunkedPrefill(max_sequences=6, max_tokens=16),
    ChunkedPrefill(max_sequences=4, max_tokens=100),
    SarathiServe(max_sequences=6, chunk=16),
    SarathiServe(max_sequences=6, chunk=4, watermark=0.1),
]
GRID = TableSteps({1: 5e-3, 64: 9e-3}, {1: {4: 4e-3, 40: 6e-3}, 6: {24: 5e-3, 90: 6e-3, 200: 9e-3}})


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("times", [TIMES, GRID, FunctionSteps(TIMES.seconds)], ids=["linear", "table", "any"])
@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 0.2), st.integers(1, 40), st.integers(1, 60)), min_size=1, max_size=14),
    st.integers(28, 80),
)
def test_jumping_equals_stepping(rule, times, work, blocks):
    """First and last token, preemptions and every percentile of the gaps agree to 1e-9."""
    clock, jobs, sequences = 0.0, [], []
    for number, (gap, prompt, output) in enumerate(work):
        clock += gap
        jobs.append(Job(number, clock, prompt, output))
        sequences.append(Sequence(number, clock, prompt, output))
    engine = Engine(rule, times, blocks, block_size=SIZE)
    done = simulate(engine, sequences)
    reference(jobs, rule, blocks, times)
    assert len(done) == len(jobs)
    for job, sequence in zip(jobs, sequences, strict=True):
        assert sequence.first == pytest.approx(job.moments[0], rel=1e-9)
        assert sequence.finish == pytest.approx(job.moments[-1], rel=1e-9)
        assert sequence.preemptions == job.preemptions
    gaps = np.sort(np.concatenate([np.diff(job.moments) for job in jobs]))
    assert engine.log.gaps().count == len(gaps)
    assert engine.batch.free == blocks
    assert engine.batch.context == 0
    if len(gaps):
        assert engine.log.gaps().mean() == pytest.approx(gaps.mean(), rel=1e-9)
        for share in (0.01, 0.5, 0.99, 1.0):
            exact = gaps[max(1, int(np.ceil(share * len(gaps) - 1e-9))) - 1]
            assert engine.log.gaps().quantile(share) == pytest.approx(exact, rel=1e-6)


def test_one_sequence_by_hand():
    """10 + 1 per prompt token, then 2 per step and 1 per token of context: 14; +7, +8."""
    times = LinearSteps(base=2.0, per_prompt_token=3.0, per_context_token=1.0)
    (one,) = simulate(Engine(ChunkedPrefill(), times, 100), [Sequence(0, 1.0, 4, 3)])
    assert (one.start, one.first, one.finish) == (1.0, 15.0, 29.0 + 1.0)


def test_iterations_are_jumped_over():
    """A thousand tokens of one sequence take one stretch of iterations."""
    engine = Engine(ChunkedPrefill(), TIMES, 1000)
    simulate(engine, [Sequence(0, 0.0, 10, 1000)])
    assert engine.iterations == 1000
    assert len(engine.log.gaps()) - 1 == 1


def test_what_can_never_fit_is_refused():
    """128 tokens of cache hold 100 + 29 - 1 tokens, not one more; a prompt first must fit an iteration."""
    engine = Engine(ChunkedPrefill(), TIMES, 8)
    assert engine.refusal(Sequence(0, 0.0, 100, 29)) == ""
    assert engine.refusal(Sequence(0, 0.0, 100, 30)) == "exceeds-cache"
    first = Engine(PrefillFirst(max_tokens=64), TIMES, 100)
    assert first.refusal(Sequence(0, 0.0, 65, 1)) == "prompt-too-long"


def test_empty_gaps_have_no_percentiles():
    """Nothing recorded, nothing said."""
    assert np.isnan(Log().gaps().quantile(0.5))
    assert np.isnan(Log().gaps().mean())


@pytest.mark.parametrize("rule", [*RULES, Sarathi(6, 16), ChunkedPrefill(6, 16, True, "prompt")], ids=repr)
@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 0.1), st.integers(2, 40), st.integers(1, 60), st.booleans(), st.floats(0.0, 0.5)
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(30, 80),
)
def test_leaving_early_and_coming_with_a_cache(rule, work, blocks):
    """Some come with their prompt processed, some are taken out again: as in the engine that steps."""

    def served(times):
        events, clock = [], 0.0
        for number, (gap, prompt, output, ready, patience) in enumerate(work):
            clock += gap
            came = Sequence(number, clock, prompt, output, prefilled=clock - 0.01 if ready else np.nan)
            events.append((clock, number, 0, came))
            if patience < 0.2:
                events.append((clock + patience + 1e-4, number, 1, came))
        engine = Engine(rule, times, blocks, block_size=SIZE)
        done, refused = [], set()
        for moment, number, kind, sequence in sorted(events, key=lambda event: event[:3]):
            while engine.until < moment:
                done += engine.proceed(engine.until)
            if kind == 0:
                if engine.refusal(sequence):
                    refused.add(number)
                else:
                    engine.offer(sequence, moment)
            elif number not in refused and sequence not in done:
                engine.cancel(sequence, moment)
        while engine.until < np.inf:
            done += engine.proceed(engine.until)
        assert (engine.batch.free, engine.batch.context, len(engine.batch.waiting)) == (blocks, 0, 0)
        return {each.number: each for each in done}, engine.log.gaps()

    jumped, gaps = served(TIMES)
    stepped, each = served(FunctionSteps(TIMES.seconds))
    assert jumped.keys() == stepped.keys()
    for number, sequence in jumped.items():
        assert sequence.finish == pytest.approx(stepped[number].finish, rel=1e-9)
        assert sequence.preemptions == stepped[number].preemptions
    assert gaps.count == each.count
    if gaps.count:
        assert gaps.mean() == pytest.approx(each.mean(), rel=1e-9)


def test_a_prompt_processed_elsewhere():
    """Four tokens of cache and the fifth: 2 + 1 x 5 for the next, 2 + 6 for the last; gaps 1 + 7 and 8."""
    engine = Engine(ChunkedPrefill(), LinearSteps(base=2.0, per_context_token=1.0), 100)
    (one,) = simulate(engine, [Sequence(0, 1.0, 5, 2, prefilled=0.0)])
    assert (one.start, one.finish, one.generated) == (1.0, 16.0, 2)
    assert engine.log.gaps().mean() == 8.0


@pytest.mark.parametrize("rule", RULES, ids=repr)
@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 0.1),
            st.integers(2, 40),
            st.integers(1, 60),
            st.sampled_from(["whole", "away", "keeps"]),
            st.floats(0.001, 0.3),
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(30, 80),
)
def test_caches_that_come_and_go(rule, work, blocks):
    """Some wait for their caches with their blocks, some keep theirs: as in the engine that steps."""

    def served(times):
        engine = Engine(rule, times, blocks, block_size=SIZE)
        delays, events, done, clock = {}, [], [], 0.0
        for number, (gap, prompt, output, kind, delay) in enumerate(work):
            clock += gap
            delays[number] = delay
            away, keeps = kind == "away", kind == "keeps"
            output = 1 if keeps else output
            moment = clock - 0.01 if away else np.nan
            came = Sequence(number, clock, prompt, output, prefilled=moment, away=away, keeps=keeps)
            if not engine.refusal(came):
                heappush(events, (clock, number, engine.offer, came))
        while events or engine.until < np.inf:
            if not events or engine.until < events[0][0]:
                now = engine.until
                ended = engine.proceed(now)
                for sequence in engine.fetching:
                    heappush(
                        events, (now + delays[sequence.number], sequence.number, engine.arrived, sequence)
                    )
                engine.fetching.clear()
                for sequence in ended:
                    if sequence.keeps:
                        heappush(
                            events, (now + delays[sequence.number], sequence.number, engine.cancel, sequence)
                        )
                done += ended
            else:
                now, _, act, sequence = heappop(events)
                act(sequence, now)
        batch = engine.batch
        assert (batch.free, batch.apart, batch.context, len(batch.waiting)) == (blocks, 0, 0, 0)
        return {each.number: each for each in done}, engine.log.gaps()

    jumped, gaps = served(TIMES)
    stepped, each = served(FunctionSteps(TIMES.seconds))
    assert jumped.keys() == stepped.keys()
    for number, sequence in jumped.items():
        assert sequence.finish == pytest.approx(stepped[number].finish, rel=1e-9)
        assert sequence.preemptions == stepped[number].preemptions
    assert gaps.count == each.count
    if gaps.count:
        assert gaps.mean() == pytest.approx(each.mean(), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 0.2), st.integers(1, 40), st.integers(1, 60)), min_size=1, max_size=8),
    st.integers(30, 80),
    st.lists(st.floats(0.0, 2.0), min_size=1, max_size=20),
)
def test_the_use_of_the_cache_is_that_of_the_moment(work, blocks, moments):
    """Whoever looks in the midst of a stretch sees what an engine that steps has taken by then."""

    def seen(times):
        engine, events, clock = Engine(ChunkedPrefill(6, 16), times, blocks, block_size=SIZE), [], 0.0
        for number, (gap, prompt, output) in enumerate(work):
            clock += gap
            events.append((clock, number, Sequence(number, clock, prompt, output)))
        events += [(moment, len(work) + place, None) for place, moment in enumerate(moments)]
        found = []
        for moment, _, sequence in sorted(events, key=lambda event: event[:2]):
            while engine.until < moment:
                engine.proceed(engine.until)
            if sequence is None:
                found.append(engine.use(moment))
            elif not engine.refusal(sequence):
                engine.offer(sequence, moment)
        return found

    assert seen(TIMES) == pytest.approx(seen(FunctionSteps(TIMES.seconds)), abs=1e-12)
