"""Static, adaptive and dynamic batching; the last against a brute force that looks at every instant."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.paas.policies.batching import AdaptiveBatch, StaticBatch
from sim.paas.policies.engines import DynamicBatch
from sim.paas.policies.times import LinearTime
from tests.unit.paas.conftest import Bench


@pytest.mark.parametrize(
    ("preferred", "delay", "waiting", "age", "taken"),
    [
        ([4, 8], 1.0, 3, 0.0, 0),  # may still become a preferred size
        ([4, 8], 1.0, 4, 0.0, 4),
        ([4, 8], 1.0, 6, 0.0, 4),  # the largest preferred one that is there
        ([4, 8], 1.0, 10, 0.0, 8),
        ([4, 8], 1.0, 20, 0.0, 8),
        ([4, 8], 1.0, 3, 1.0, 3),  # the oldest has waited enough: whatever is there
        ([4, 8], 1.0, 6, 1.0, 6),
        ([4, 8], 1.0, 10, 1.0, 10),
        ([4, 8], 1.0, 20, 1.0, 16),  # up to the largest batch
        ([4, 8], 0.0, 3, 5.0, 3),  # without a delay nothing waits
        ([4, 8], 0.0, 6, 5.0, 4),
        ([], 1.0, 15, 0.0, 0),  # none preferred: the full batch is
        ([], 1.0, 16, 0.0, 16),
        ([], 1.0, 15, 1.0, 15),
    ],
)
def test_preferred_sizes(preferred, delay, waiting, age, taken):
    engine = DynamicBatch(max_batch=16, max_delay=delay, preferred=preferred)
    assert engine.take(waiting, 0.0, age) == taken


def test_preferred_sizes_fit_into_a_batch():
    with pytest.raises(ValueError, match="preferred"):
        DynamicBatch(max_batch=4, preferred=[8])


def brute_force(arrivals, max_batch, delay, preferred, base, per_item, instances):
    """Starts and batch sizes of calls, looking at every tick; times are whole ticks."""
    line, free_at, found = [], [0] * instances, {}
    wanted = sorted(preferred) or [max_batch]
    ticks = 0
    while len(found) < len(arrivals):
        line += [number for number, at in enumerate(arrivals) if at == ticks]
        while line and min(free_at) <= ticks:
            pending = line[:max_batch]
            late = delay > 0 and ticks >= arrivals[pending[0]] + delay
            fitting = [size for size in wanted if size <= len(pending)]
            if fitting and not late:
                pending = pending[: fitting[-1]]
            elif not (late or delay == 0 or len(pending) >= wanted[-1]):
                break
            line = line[len(pending) :]
            free_at[free_at.index(min(free_at))] = ticks + base + per_item * len(pending)
            for number in pending:
                found[number] = (ticks, len(pending))
        ticks += 1
    return [found[number] for number in range(len(arrivals))]


#: Ticks per unit of time: calls come at ticks of their own, so that no two things happen at once.
UNIT = 16


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=UNIT - 1),
    st.integers(1, 6),
    st.sampled_from([0, 2, 5]),
    st.sets(st.integers(1, 6), max_size=3),
    st.integers(1, 4),
    st.integers(0, 2),
    st.integers(1, 2),
)
def test_dynamic_batching_equals_the_brute_force(
    gaps, max_batch, delay, preferred, base, per_item, instances
):
    preferred = sorted(size for size in preferred if size <= max_batch)
    arrivals = [gap * UNIT + number for number, gap in enumerate(sorted(gaps))]
    expected = brute_force(
        arrivals, max_batch, delay * UNIT, preferred, base * UNIT, per_item * UNIT, instances
    )
    bench = Bench()
    bench.serve(
        engine=DynamicBatch(
            max_batch=max_batch, max_delay=float(delay), instances=instances, preferred=preferred
        ),
        time=LinearTime(base=float(base), per_item=float(per_item)),
    )
    calls = [bench.call_at(at / UNIT) for at in arrivals]
    bench.finish()
    assert [(call.start * UNIT, call.batch) for call in calls] == expected


def test_a_static_batch_waits_for_company(bench):
    bench.serve(engine=StaticBatch(size=3))
    calls = [bench.call_at(t) for t in (1.0, 2.0, 9.0, 9.5)]
    bench.finish(until=50.0)
    assert [(c.start, c.batch) for c in calls[:3]] == [(9.0, 3)] * 3
    assert calls[3].status == "in-flight"


def test_a_static_batch_may_give_up_waiting(bench):
    bench.serve(engine=StaticBatch(size=3, max_wait=2.0))
    calls = [bench.call_at(t) for t in (1.0, 2.0, 9.0)]
    bench.finish()
    assert [(c.start, c.batch) for c in calls] == [(3.0, 2), (3.0, 2), (11.0, 1)]


def test_adaptive_batches_rise_by_one_and_fall_by_a_tenth():
    engine = AdaptiveBatch(target=0.1)
    engine.start()
    for size in range(1, 30):
        assert engine.size == size
        engine.learn(size, 0.1)
    engine.learn(30, 0.11)
    assert engine.size == pytest.approx(27.0)
    engine.learn(3, 0.01)  # a small batch says nothing about larger ones
    assert engine.size == pytest.approx(27.0)


def test_adaptive_batches_settle_where_they_take_as_long_as_aimed_at(bench):
    # 20 ms + 2 ms a call: 40 calls take 100 ms. Under a flood sizes saw between 0.9 x 41 and 41.
    bench.serve(2, engine=AdaptiveBatch(target=0.1), time=LinearTime(base=0.02, per_item=0.002))
    calls = [bench.call_at(0.0001 * number) for number in range(20_000)]
    bench.finish()
    sizes = [call.batch for call in calls[12_000:18_000]]
    assert min(sizes) >= 36
    assert max(sizes) == 41
