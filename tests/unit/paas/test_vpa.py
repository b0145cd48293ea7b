from math import inf

import pytest

from sim.paas.autoscaling.vpa import Range, Usage, recommend, should_evict
from sim.paas.autoscaling.vpa_histogram import CPU_BUCKETS, MEMORY_BUCKETS, Buckets, DecayingHistogram

DOUBLING = Buckets(100.0, 1.0, 2.0)


def test_buckets_grow_by_their_ratio():
    # Starts 0, 1, 3, 7, 15, 31, 63, 127: the last one is at or above 100.
    assert DOUBLING.count == 8
    assert [DOUBLING.start(i) for i in range(8)] == [0, 1, 3, 7, 15, 31, 63, 127]
    assert [DOUBLING.find(v) for v in (0.0, 0.99, 1.0, 2.9, 3.0, 6.9, 1e9)] == [0, 0, 1, 1, 2, 2, 7]


def test_upstream_bucket_tables():
    assert CPU_BUCKETS.start(1) == pytest.approx(0.01)
    assert CPU_BUCKETS.start(CPU_BUCKETS.count - 1) >= 1000.0
    assert CPU_BUCKETS.start(CPU_BUCKETS.count - 2) < 1000.0
    assert MEMORY_BUCKETS.start(2) == pytest.approx(1e7 * 2.05)


def test_a_percentile_is_the_end_of_its_bucket():
    histogram = DecayingHistogram(DOUBLING)
    assert histogram.percentile(0.5) == 0.0
    assert histogram.empty
    for value in (2.0, 2.0, 5.0, 20.0):
        histogram.add(value, 1.0, 0.0)
    got = [histogram.percentile(share) for share in (0.0, 0.5, 0.51, 0.75, 0.76, 1.0)]
    assert got == [3.0, 3.0, 7.0, 7.0, 31.0, 31.0]
    histogram.add(1e6, 10.0, 0.0)
    assert histogram.percentile(1.0) == 127.0  # the last bucket has no end


def test_samples_lose_half_their_weight_per_half_life():
    histogram = DecayingHistogram(DOUBLING, 10.0)
    histogram.add(2.0, 2.0, 0.0)
    histogram.add(20.0, 0.9, 10.0)
    assert histogram.percentile(0.5) == 3.0  # 2 against 1.8
    histogram.add(20.0, 0.2, 10.0)
    assert histogram.percentile(0.5) == 31.0  # 2 against 2.2


def test_a_far_moment_shifts_the_reference_and_forgets():
    histogram = DecayingHistogram(DOUBLING, 10.0)
    histogram.add(2.0, 1.0, 0.0)
    histogram.add(20.0, 1.0, 2000.0)
    assert histogram.reference == 2000.0
    assert histogram.percentile(0.0) == 31.0
    assert histogram.total == pytest.approx(1.0)


def test_taking_back_and_merging():
    one, two = DecayingHistogram(DOUBLING, 10.0), DecayingHistogram(DOUBLING, 10.0)
    one.add(2.0, 1.0, 0.0)
    one.add(20.0, 1.0, 0.0)
    one.subtract(20.0, 5.0, 0.0)  # never below zero
    assert (one.percentile(1.0), one.total) == (3.0, 1.0)
    two.add(5.0, 1.0, 2000.0)
    one.merge(two)
    assert one.percentile(0.5) == 7.0
    with pytest.raises(ValueError, match="kinds"):
        one.merge(DecayingHistogram(DOUBLING, 20.0))


def day_of_use(minutes=1440, cores=0.5, days=1):
    usage = Usage()
    for minute in range(minutes):
        usage.add_cpu(cores, 1.0, 60.0 * minute * days)
    return usage


def test_confidence_is_the_lesser_of_time_and_samples():
    assert Usage().confidence == 0.0
    assert day_of_use().confidence == pytest.approx(1439 / 1440)
    assert day_of_use(minutes=1440, days=3).confidence == 1.0
    assert day_of_use(minutes=720).confidence == pytest.approx(719 / 1440)


def test_recommendation():
    cpu, _ = recommend(day_of_use(days=2))
    end = CPU_BUCKETS.start(CPU_BUCKETS.find(0.5) + 1)
    assert cpu.target == pytest.approx(1.15 * end)
    assert cpu.upper == pytest.approx(1.15 * end * 2.0)
    assert cpu.lower == pytest.approx(1.15 * end / 1.001**2)


def test_without_history_the_bounds_are_open():
    usage = Usage()
    usage.add_cpu(1.0, 1.0, 0.0)
    cpu, _ = recommend(usage, containers=2)
    assert (cpu.lower, cpu.upper) == (0.0125, inf)


def test_little_requested_weighs_little():
    usage = Usage()
    usage.add_cpu(8.0, 0.0, 0.0)
    assert usage.cpu.total == pytest.approx(0.1)


def test_memory_keeps_the_peak_of_a_window():
    usage = Usage()
    for used, now in ((1e9, 0.0), (3e9, 100.0), (2e9, 200.0)):
        usage.add_memory(used, now)
    assert sum(weight > 1e-6 for weight in usage.memory.weights.values()) == 1
    assert usage.memory.percentile(0.0) == MEMORY_BUCKETS.start(MEMORY_BUCKETS.find(3e9) + 1)
    usage.add_memory(1e9, 86400.0)
    assert sum(weight > 1e-6 for weight in usage.memory.weights.values()) == 2


@pytest.mark.parametrize(
    ("request_", "peak", "sample"), [(1e9, 0.0, 1.2e9), (1e8, 0.0, 1e8 + 100 * 2**20), (1e9, 2e9, 2.4e9)]
)
def test_out_of_memory(request_, peak, sample):
    usage = Usage()
    usage.add_memory(peak, 0.0)
    usage.add_oom(request_, 10.0)
    assert usage.memory.percentile(1.0) == MEMORY_BUCKETS.start(MEMORY_BUCKETS.find(sample) + 1)


@pytest.mark.parametrize(
    ("request_", "age", "oom", "evicts"),
    [
        (0.9, 0.0, False, True),
        (3.1, 0.0, False, True),
        (2.0, 1e6, False, False),  # at the target
        (1.5, 43199.0, False, False),
        (1.5, 43200.0, False, True),
        (1.9, 1e6, False, False),  # 5 % off
        (1.9, 0.0, True, True),
        (2.0, 0.0, True, False),  # nothing would change
    ],
)
def test_eviction(request_, age, oom, evicts):
    assert should_evict(request_, Range(1.0, 2.0, 3.0), age, quick_oom=oom) is evicts
