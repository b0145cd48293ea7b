"""Routers that know sessions, caches and signals of some age."""

from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.kernel.streams import RandomStreams
from sim.paas.calls import Call
from sim.paas.policies.routers import (
    CacheAware,
    ConsistentHash,
    FewestTokens,
    Gateway,
    LeastKv,
    LeastLoad,
    PowerOfTwo,
    SessionAffinity,
    Vllm,
)


class Place:
    """A replica as routers see it."""

    def __init__(self, load=0, kv=0.0, prompt=0, number=None, waiting=None):
        self.load = load
        self.kv_use = kv
        self.waiting = load if waiting is None else waiting
        self._prompt = prompt
        if number is not None:
            self.unit = SimpleNamespace(id=number)

    def cached(self, call):
        return self._prompt


class Plain:
    """One of an engine that tells nothing."""

    def __init__(self, load):
        self.load = load


def call(number=0, session=None, tokens=1000):
    asker = SimpleNamespace(id=number) if session is None else SimpleNamespace(id=number, session=session)
    return Call(number, asker, print, tokens_in=tokens)


def started(router, seed=1):
    router.start(RandomStreams(seed), "svc")
    return router


def picked(router, places, one=None, now=0.0):
    return places.index(started(router).pick(one or call(), places, now))


# ---------------------------------------------------------------- age of signals


@pytest.mark.parametrize("router", [LeastLoad, LeastKv])
def test_old_signals_send_a_burst_to_one_replica(router):
    fresh, old = started(router()), started(router(staleness=0.1))
    for chosen, spread in ((fresh, 2), (old, 1)):
        places = [Place() for _ in range(4)]
        seen = []
        for moment in (0.0, 0.05, 0.0999):
            best = chosen.pick(call(), places, moment)
            best.load += 1
            best.kv_use += 0.1
            seen.append(places.index(best))
        assert len(set(seen)) == 1 + spread * (spread - 1)
    # At 0.1 it looks again.
    assert old.pick(call(), places, 0.1) is places[1]


def test_a_new_replica_is_looked_at_once():
    router, places = started(LeastLoad(staleness=1.0)), [Place(3), Place(2)]
    assert router.pick(call(), places, 0.0) is places[1]
    places.append(Place(1))
    assert router.pick(call(), places, 0.1) is places[2]


def test_power_of_two_with_old_loads_draws_the_same():
    places = [Place(load) for load in (0, 1, 2, 3)]
    fresh, old = started(PowerOfTwo()), started(PowerOfTwo(staleness=1.0))
    assert [fresh.pick(call(), places, 0.0) for _ in range(50)] == [
        old.pick(call(), places, 0.0) for _ in range(50)
    ]


# ---------------------------------------------------------------- sessions


def test_a_session_stays_where_it_began_until_its_replica_is_gone():
    router, places = started(SessionAffinity()), [Place(5), Place(1), Place(3)]
    assert router.pick(call(1, "a"), places, 0.0) is places[1]
    places[1].load = 9
    assert router.pick(call(2, "a"), places, 1.0) is places[1]
    assert router.pick(call(3, "b"), places, 1.0) is places[2]
    assert router.pick(call(4, "a"), [places[0], places[2]], 2.0) is places[2]
    assert router.pick(call(5), places, 2.0) is places[2]  # no session: a new one


def test_few_sessions_move_when_a_replica_leaves_the_ring():
    router, places = started(ConsistentHash(bound=None)), [Place(number=number) for number in range(10)]
    before = {n: router.pick(call(n, n), places, 0.0) for n in range(2000)}
    fewer = [place for place in places if place is not places[3]]
    after = {n: router.pick(call(n, n), fewer, 0.0) for n in range(2000)}
    moved = [n for n in before if before[n] is not after[n]]
    assert {before[n] for n in moved} == {places[3]}  # nobody else's
    shares = Counter(places.index(place) for place in before.values())
    # 100 points a replica: shares of a tenth +- 10 % standard deviation, and that of 2000 draws.
    assert all(120 < shares[at] < 290 for at in range(10))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(0, 1000), st.floats(1.01, 3.0))
def test_nobody_is_loaded_beyond_the_bound(loads, session, bound):
    places = [Place(load, number=at) for at, load in enumerate(loads)]
    best = started(ConsistentHash(points=5, bound=bound)).pick(call(0, session), places, 0.0)
    assert best.load + 1 <= bound * (sum(loads) + 1) / len(loads) + 1


# ---------------------------------------------------------------- caches


@pytest.mark.parametrize(
    ("places", "chosen"),
    [
        ([Place(0), Place(9, prompt=301)], 1),  # more than 0.3 of 1000 tokens
        ([Place(0), Place(9, prompt=300)], 0),
        ([Place(5, 0.9), Place(9, 0.2)], 1),  # no match: the emptiest cache
        ([Place(1), Place(66, prompt=900)], 0),  # out of balance: 65 more, and more than 1.5 times
        ([Place(1), Place(65, prompt=900)], 1),  # 64 more is balanced
        ([Place(200), Place(265, prompt=900)], 1),  # 1.325 times is balanced
        ([Place(4, prompt=500), Place(1, prompt=800)], 1),  # the longest
    ],
)
def test_cache_aware(places, chosen):
    assert picked(CacheAware(), places) == chosen


def test_cache_aware_without_signals_is_least_load():
    assert picked(CacheAware(), [Plain(4), Plain(2), Plain(3)]) == 1


@pytest.mark.parametrize(
    ("weights", "places", "chosen"),
    [
        ({"queue": 1}, [Place(9), Place(2), Place(5)], 1),
        ({"kv": 1}, [Place(0, 0.9), Place(9, 0.1)], 1),
        ({"active": 1}, [Place(3), Place(1)], 1),
        ({"load": 1}, [Place(200), Place(127)], 1),
        ({"prefix": 2, "queue": 1, "kv": 1}, [Place(0, 0.0), Place(9, 0.5, prompt=992)], 1),  # 2 to 2.5
        ({"prefix": 1, "queue": 1, "kv": 1}, [Place(0, 0.0), Place(9, 0.5, prompt=992)], 0),
        ({"prefix": 1}, [Place(prompt=15), Place(prompt=16)], 1),  # whole blocks
    ],
)
def test_gateway(weights, places, chosen):
    assert picked(Gateway({name: float(w) for name, w in weights.items()}), places) == chosen


def test_gateway_draws_among_equals():
    router, places = started(Gateway()), [Place() for _ in range(3)]
    seen = Counter(places.index(router.pick(call(), places, 0.0)) for _ in range(3000))
    assert all(abs(seen[at] - 1000) < 130 for at in range(3))


# ---------------------------------------------------------------- tokens and vLLM's score


def test_the_fewest_tokens_wait_not_the_fewest_calls():
    """One long prompt is more than three short ones; among equals the load decides."""
    places = [Place(load=1), Place(load=3), Place(load=2), Plain(9)]
    for place, pending in zip(places, (8000, 300, 300), strict=False):
        place.pending = pending
    assert picked(FewestTokens(), places[:3]) == 2
    assert picked(FewestTokens(), [*places[:3], Plain(0)]) == 3


def test_vllm_counts_who_waits_four_times():
    """4 x 1 + 0 against 0 + 5 and 4 x 1 + 2."""
    places = [Place(load=1, waiting=1), Place(load=5, waiting=0), Place(load=3, waiting=1)]
    assert picked(Vllm(staleness=0.0), places) == 0
    places[0].load = 3  # 4 + 2
    assert picked(Vllm(staleness=0.0), places) == 1


def test_vllm_counts_what_it_sent_until_it_looks_again():
    """Scores 0, 6, 9 at the look: two go to the first (0, 4), one to the second (6), one to the first (8)."""
    router = started(Vllm())
    places = [Place(load=0), Place(load=6, waiting=0), Place(load=9, waiting=0)]
    sent = [places.index(router.pick(call(), places, now)) for now in (0.0, 0.02, 0.04, 0.06)]
    assert sent == [0, 0, 1, 0]
    places[0].load, places[0].waiting = 3, 0
    assert places.index(router.pick(call(), places, 0.1)) == 0
    assert places.index(router.pick(call(), places, 0.12)) == 1
