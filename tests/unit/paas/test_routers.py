from collections import Counter
from dataclasses import dataclass

import pytest

from sim.kernel.streams import RandomStreams
from sim.paas.policies.routers import LeastLoad, PowerOfTwo, RandomRouter, RoundRobin


@dataclass
class Place:
    load: int


def started(router, seed=1):
    router.start(RandomStreams(seed), "svc")
    return router


def picks(router, places, count):
    return [places.index(router.pick(None, places, 0.0)) for _ in range(count)]


def unlike(*loads):
    """Places that compare by identity, so that `index` finds the very one."""

    class Different(Place):
        __eq__ = object.__eq__
        __hash__ = object.__hash__

    return [Different(load) for load in loads]


def test_round_robin_takes_turns():
    assert picks(started(RoundRobin()), unlike(9, 0, 3), 7) == [0, 1, 2, 0, 1, 2, 0]


def test_round_robin_goes_on_when_replicas_come_and_go():
    router, places = started(RoundRobin()), unlike(0, 0, 0, 0)
    assert picks(router, places, 3) == [0, 1, 2]
    assert picks(router, places[:2], 3) == [0, 1, 0]
    assert picks(router, places, 3) == [1, 2, 3]


def test_least_load_takes_the_first_of_the_least_loaded():
    assert picks(started(LeastLoad()), unlike(2, 1, 5, 1), 2) == [1, 1]


def test_random_is_even_and_repeats_with_its_seed():
    places = unlike(0, 0, 0, 0)
    seen = picks(started(RandomRouter()), places, 8000)
    # Four cells of 2000 +- 5 standard deviations (38.7): false alarm below 1e-5.
    assert all(abs(count - 2000) < 194 for count in Counter(seen).values())
    assert seen == picks(started(RandomRouter()), places, 8000)
    assert seen != picks(started(RandomRouter(), seed=2), places, 8000)


@pytest.mark.parametrize("choices", [2, 3, 4, 9])
def test_choices_draw_different_replicas(choices):
    # Among n places with loads 0..n-1 the best of d different ones is at most n - d.
    places = unlike(0, 1, 2, 3, 4)
    seen = set(picks(started(PowerOfTwo(choices)), places, 2000))
    assert seen == set(range(max(1, 5 - choices + 1)))


def test_power_of_two_chances():
    # The least loaded of 4 is among 2 drawn with chance 1/2, the second decides with 1/3, the third 1/6.
    seen = Counter(picks(started(PowerOfTwo()), unlike(0, 1, 2, 3), 12000))
    for place, share in ((0, 1 / 2), (1, 1 / 3), (2, 1 / 6)):
        assert abs(seen[place] / 12000 - share) < 5 * (share * (1 - share) / 12000) ** 0.5
    assert seen[3] == 0


def test_power_of_two_ties_do_not_favour_low_numbers():
    seen = Counter(picks(started(PowerOfTwo()), unlike(0, 0, 0, 0), 8000))
    assert all(abs(count - 2000) < 194 for count in seen.values())


@pytest.mark.parametrize("router", [RandomRouter(), RoundRobin(), LeastLoad(), PowerOfTwo()])
def test_one_replica_is_always_picked(router):
    assert picks(started(router), unlike(7), 5) == [0] * 5
