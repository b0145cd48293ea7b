"""The prefix cache against one that looks block by block, in an engine that steps."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.paas.llm import (
    ByPriority,
    ChunkedPrefill,
    Engine,
    FirstCome,
    Host,
    LinearSteps,
    PrefillFirst,
    PrefixCache,
    SarathiServe,
    Sequence,
    simulate,
)
from tests.unit.paas.llm_reference import SIZE, Job, reference

TIMES = LinearSteps(5e-3, 2e-5, 3e-5, 7e-7, 1e-8)
RULES = [
    PrefillFirst(max_sequences=5, max_tokens=64),
    ChunkedPrefill(max_sequences=6, max_tokens=16),
    ChunkedPrefill(max_sequences=4, max_tokens=100),
    SarathiServe(max_sequences=6, chunk=16),
]


def content_of(number, path, private):
    """What the tokens of a prompt are: a way down a tree of texts, then an end of its own or a shared one."""
    parts, end, name = [], 0, ()
    for turn in path:
        name = (*name, turn)
        end += 3 + 5 * turn + len(name)
        parts.append((name, end))
    return (*parts, ((number, "own") if private else (name, "rest"), inf))


WORK = st.lists(
    st.tuples(
        st.floats(0.0, 0.2),
        st.integers(1, 40),
        st.integers(1, 40),
        st.lists(st.integers(0, 2), max_size=3),
        st.booleans(),
        st.integers(0, 2),
    ),
    min_size=2,
    max_size=16,
)


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize(
    ("room", "by_priority"), [(None, True), (0, False), (0, True), (15, False), (40, True)]
)
@settings(max_examples=20)
@given(WORK, st.integers(22, 60))
def test_jumping_equals_stepping(rule, room, by_priority, work, blocks):
    """Tokens, lost places, what was found and what was evicted: of every rule, with and without a cache."""
    clock, jobs, sequences = 0.0, [], []
    for number, (gap, prompt, output, path, private, priority) in enumerate(work):
        clock += gap
        content = content_of(number, path, private)
        jobs.append(Job(number, clock, prompt, output, priority, content))
        sequences.append(Sequence(number, clock, prompt, output, priority, content=content))
    cache = None if room is None else PrefixCache(SIZE, Host(room, SIZE, 1e-3) if room else None)
    line = ByPriority() if by_priority else FirstCome()
    engine = Engine(rule, TIMES, blocks, block_size=SIZE, waiting=line, cache=cache)
    done = simulate(engine, sequences)
    pool = reference(
        jobs,
        rule,
        blocks,
        TIMES,
        by_priority=by_priority,
        caching=cache is not None,
        host=room or 0,
        load=1e-3,
    )
    assert len(done) == len(jobs)
    for job, sequence in zip(jobs, sequences, strict=True):
        assert sequence.first == pytest.approx(job.moments[0], rel=1e-9)
        assert sequence.finish == pytest.approx(job.moments[-1], rel=1e-9)
        assert (sequence.preemptions, sequence.cached, sequence.loaded) == (
            job.preemptions,
            job.found,
            job.loaded,
        )
    assert engine.batch.free == blocks
    if cache is not None:
        cache.settle(blocks)
        assert cache.evicted == pool.evicted
        assert cache.idle == sum(map(len, pool.known.values())) <= blocks
        assert all(cache.known(job.content, job.prompt, blocks) == known(pool, job) for job in jobs)


def known(pool, job):
    job.target = job.prompt
    return SIZE * sum(map(len, pool.found(job)))


@settings(max_examples=40)
@given(WORK, st.integers(22, 60), st.sampled_from([None, 0, 30]), st.integers(1, 500))
def test_nothing_is_found_that_was_not_there(work, blocks, room, when):
    """A look in the midst of a stretch of iterations tells what it would if every one were a stretch."""

    def seen(ramp):
        cache = PrefixCache(SIZE, Host(room, SIZE, 1e-3) if room else None)
        times = TIMES if ramp else Stepped()
        engine = Engine(ChunkedPrefill(6, 16), times, blocks, block_size=SIZE, cache=cache)
        clock = 0.0
        for number, (gap, prompt, output, path, private, _) in enumerate(work):
            clock += gap
            while engine.until < clock:
                engine.proceed(engine.until)
            engine.offer(
                Sequence(number, clock, prompt, output, content=content_of(number, path, private)), clock
            )
        clock += when / 1000 + 1e-7
        while engine.until < clock:
            engine.proceed(engine.until)
        return [
            engine.cached(content_of(number, path, private), 40, clock)
            for number, (_, _, _, path, private, _) in enumerate(work)
        ]

    assert seen(True) == seen(False)


class Stepped:
    """The same times, told for one iteration only."""

    seconds = TIMES.seconds

    def ramp(self, sequences, context):
        first, _, _ = TIMES.ramp(sequences, context)
        return first, 0.0, 1


def engine(cache, blocks=100, **rules):
    times = LinearSteps(base=1.0, per_prompt_token=1.0)
    return Engine(ChunkedPrefill(**rules), times, blocks, block_size=4, cache=cache)


def test_a_second_turn_by_hand():
    """10 + 3 tokens leave 12 computed: 3 blocks. The second turn computes 20 - 12 of its tokens."""
    talk = (("talk", inf),)
    first, second = (
        Sequence(n, at, size, 3, content=talk) for n, (at, size) in enumerate([(0, 10), (50, 20)])
    )
    simulate(engine(PrefixCache(4)), [first, second])
    assert (first.first, first.finish, first.cached) == (11.0, 13.0, 0)
    assert (second.first, second.cached) == (50.0 + 1 + 8, 12)


def test_one_token_is_always_computed():
    """The same prompt of 8 tokens again: only its first block of 4 counts, and the other is computed anew."""
    talk = (("talk", inf),)
    sequences = [Sequence(n, 50.0 * n, 8, 1, content=talk) for n in range(2)]
    simulate(engine(PrefixCache(4)), sequences)
    assert [(one.cached, one.first - one.arrival) for one in sequences] == [(0, 9.0), (4, 5.0)]


def test_a_shared_beginning_is_held_once():
    """Two prompts of 41 tokens, 40 of them alike, take 11 + 1 blocks: 12 are enough for both at a time."""
    for cache, together in ((PrefixCache(4), True), (None, False)):
        pair = [Sequence(n, 0.0, 41, 4, content=(("system", 40), (n, inf))) for n in range(2)]
        simulate(engine(cache, blocks=12), pair)
        assert (pair[1].start < pair[0].finish) == together


def test_the_end_of_a_prompt_is_evicted_first():
    """Ten blocks, eight of them of an old prompt: a new one of four takes the two blank and the last two."""
    cache = PrefixCache(4)
    one = engine(cache, blocks=10)
    simulate(one, [Sequence(0, 0.0, 33, 1, content=(("old", inf),)), Sequence(1, 99.0, 16, 1)])
    assert one.cached((("old", inf),), 33, 200.0) == 24
    assert cache.evicted == 2


def test_what_the_host_keeps_is_loaded():
    """Of the old prompt's 8 blocks the 2 evicted are loaded in 0.5 s each; one token is computed."""
    cache = PrefixCache(4, Host(100, 4, 0.5))
    old = (("old", inf),)
    again = Sequence(2, 200.0, 33, 1, content=old)
    simulate(
        engine(cache, blocks=10),
        [Sequence(0, 0.0, 33, 1, content=old), Sequence(1, 99.0, 16, 1), again],
    )
    assert (again.cached, again.loaded, again.first) == (32, 8, 200.0 + 2 * 0.5 + 1 + 1)


def test_what_is_loaded_was_used_from_its_end():
    """Of two texts loaded one after the other, the end is given up first when four blocks are too few."""
    host, content = Host(4, 4, 0.0), (("s", 4), ("t", inf))
    for name, first, last in (("s", 0, 1), ("t", 1, 2), ("x", 0, 2)):
        host.put(name, first, last)
    host.use(list(host.walk(content, 0, 2)))
    host.put("y", 0, 3)
    assert [end for _, _, end in host.walk(content, 0, 2)] == [1]


def test_who_lost_its_place_finds_its_blocks_again():
    """With the cache less is computed a second time, so the last token comes sooner."""
    ends = []
    for cache in (None, PrefixCache(4)):
        work = [Sequence(n, 0.1 * n, 12, 30) for n in range(4)]
        simulate(engine(cache, blocks=24), work)
        assert sum(one.preemptions for one in work) > 0
        ends.append(max(one.finish for one in work))
    assert ends[1] < ends[0]


def test_the_lowest_priority_loses_its_place():
    """Three fill the cache; the first to come has the lowest priority, and loses its place to the others."""
    for line, loser in ((ByPriority(), 0), (FirstCome(), 2)):
        work = [Sequence(n, 0.0, 8, 20, priority=min(n, 1)) for n in range(3)]
        simulate(Engine(ChunkedPrefill(), LinearSteps(base=1.0), 14, block_size=4, waiting=line), work)
        assert [one.number for one in work if one.preemptions] == [loser]
