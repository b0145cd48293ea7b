import itertools

import numpy as np
import pytest

from sim.kernel.distributions import Choice, Constant, Exponential, Hyperexponential
from sim.kernel.streams import RandomStreams


def draws(streams, name, n=1000):
    return streams.stream(name).random(n)


def test_a_stream_depends_on_its_name_and_not_on_the_others():
    alone = draws(RandomStreams(7), "saas/cameras/arrivals")
    crowded = RandomStreams(7)
    for name in ("a", "saas/cameras", "z"):
        draws(crowded, name)
    assert np.array_equal(alone, draws(crowded, "saas/cameras/arrivals"))


def test_the_numbers_are_those_of_earlier_versions():
    # A change here changes every result of every scenario: it needs an entry in the changelog.
    assert RandomStreams(7, 2).stream("saas/cameras/arrivals").integers(0, 2**32, 3).tolist() == GOLDEN


GOLDEN = [4088238149, 352647295, 3247683112]


def test_seed_replication_and_name_all_matter():
    keys = list(itertools.product((0, 1, 2**70), (0, 1), ("a", "b", "ab", "é")))
    firsts = {key: draws(RandomStreams(key[0], key[1]), key[2], 2)[1] for key in keys}
    assert len(set(firsts.values())) == len(keys)


def test_streams_are_uncorrelated():
    # 40 streams x 5,000 numbers: a correlation has deviation 1/sqrt(5000) = 0.01414. Among 780
    # pairs the largest exceeds 5 deviations by chance once in 2,200 seeds; this one is fixed.
    streams = RandomStreams(11)
    numbers = np.array([draws(streams, f"node/{i}", 5000) for i in range(20)])
    other = RandomStreams(11, 1)
    numbers = np.vstack([numbers, [draws(other, f"node/{i}", 5000) for i in range(20)]])
    correlations = np.corrcoef(numbers)[np.triu_indices(40, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(5000)
    assert 0.8 < correlations.std() * np.sqrt(5000) < 1.2


def test_a_name_can_be_taken_once():
    streams = RandomStreams(1)
    streams.stream("x")
    for again in (
        lambda: streams.stream("x"),
        lambda: streams.uniforms("x"),
        lambda: streams.sampler("x", Constant(1.0)),
    ):
        with pytest.raises(ValueError, match="'x' is in use"):
            again()


@pytest.mark.parametrize(("seed", "replication"), [(-1, 0), (1.0, 0), (True, 0), (1, -1), ("1", 0)])
def test_seeds_are_whole_numbers(seed, replication):
    with pytest.raises(ValueError, match="whole number"):
        RandomStreams(seed, replication)


@pytest.mark.parametrize("distribution", [Exponential(2.0), Hyperexponential(1.0, 3.0), Choice([1.0, 2.0])])
def test_samplers_give_python_floats_of_the_distribution_block_by_block(distribution):
    sampler = RandomStreams(3).sampler("s", distribution)
    got = [sampler() for _ in range(10_000)]
    assert all(type(number) is float for number in got)
    rng = RandomStreams(3).stream("s")
    expected = np.concatenate([distribution.sample(rng, size) for size in (64, 512, 4096, 4096, 4096)])
    assert got == expected[:10_000].tolist()


def test_constants_and_uniforms():
    streams = RandomStreams(3)
    constant = streams.sampler("c", Constant(4))
    assert [constant(), constant()] == [4.0, 4.0]
    uniform = streams.uniforms("u")
    numbers = np.array([uniform() for _ in range(20_000)])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # Kolmogorov-Smirnov at a false-alarm rate of 0.1 %; the seed is fixed.
    ranks = np.arange(1, 20_001) / 20_000
    assert np.abs(np.sort(numbers) - ranks).max() < 1.95 / np.sqrt(20_000)
