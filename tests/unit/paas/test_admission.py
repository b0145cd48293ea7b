from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.paas.calls import Call
from sim.paas.policies.admission import ConcurrencyLimit, DeadlineAware, PriorityShedding, TokenBucket


@dataclass
class Door:
    """A service as admission sees it."""

    in_system: int = 0
    queued: int = 0
    ready: int = 1
    wait: float = 0.0
    seconds: float = 0.0

    def expected_wait(self):
        return self.wait

    def expected_seconds(self, work=1.0, tokens_in=None, tokens_out=None):
        return self.seconds * work


def call(priority=0, arrival=0.0, tokens=0, work=1.0):
    return Call(0, SimpleNamespace(id=0, arrival=arrival), print, work, tokens, priority=priority)


def test_a_bucket_lets_a_burst_in_and_then_its_rate():
    bucket = TokenBucket(rate=2.0, burst=3.0)
    bucket.start()
    moments = [0.0, 0.0, 0.0, 0.0, 0.4, 0.5, 1.0, 1.0, 10.0, 10.0, 10.0, 10.0]
    let_in = [bucket.admit(call(), Door(), moment) == "" for moment in moments]
    assert let_in == [True] * 3 + [False, False, True, True, False] + [True] * 3 + [False]


def test_a_bucket_may_count_tokens():
    bucket = TokenBucket(rate=100.0, burst=1000.0, cost="tokens")
    bucket.start()
    found = [bucket.admit(call(tokens=600), Door(), moment) for moment in (0.0, 0.0, 2.0)]
    assert found == ["", "rate-limit", ""]


@given(st.lists(st.floats(0.0, 3.0), max_size=60), st.floats(0.1, 20.0), st.integers(1, 10))
def test_no_interval_gets_more_than_burst_and_rate(gaps, rate, burst):
    bucket, now, admitted = TokenBucket(rate=rate, burst=float(burst)), 0.0, []
    bucket.start()
    for gap in gaps:
        now += gap
        if not bucket.admit(call(), Door(), now):
            admitted.append(now)
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            most = burst + rate * (admitted[last] - admitted[first])
            assert last - first + 1 <= most + 1e-6


@pytest.mark.parametrize(
    ("policy", "door", "reason"),
    [
        (ConcurrencyLimit(4), Door(in_system=3), ""),
        (ConcurrencyLimit(4), Door(in_system=4), "concurrency-limit"),
        (ConcurrencyLimit(4), Door(in_system=7, ready=2), ""),
        (ConcurrencyLimit(4, per="service"), Door(in_system=7, ready=2), "concurrency-limit"),
        (ConcurrencyLimit(4), Door(in_system=3, ready=0), ""),  # none ready yet: as for one
        (DeadlineAware(1.0), Door(wait=0.5, seconds=0.5), ""),
        (DeadlineAware(1.0), Door(wait=0.5, seconds=0.6), "would-be-late"),
        (DeadlineAware(1.0, margin=0.2), Door(wait=0.5, seconds=0.4), "would-be-late"),
    ],
)
def test_limits(policy, door, reason):
    assert policy.admit(call(), door, 0.0) == reason


def test_time_spent_before_counts_against_the_deadline():
    policy, door = DeadlineAware(1.0), Door(seconds=0.5)
    assert policy.admit(call(arrival=2.0), door, 2.4) == ""
    assert policy.admit(call(arrival=2.0), door, 2.6) == "would-be-late"


@pytest.mark.parametrize(
    ("priority", "queued", "admitted"),
    [
        (0, 19, True),
        (0, 20, False),
        (7, 19, True),
        (-1, 5, False),
        (-1, 4, True),
        (-9, 4, True),
        (-9, 5, False),
    ],
)
def test_the_less_important_are_shed_first(priority, queued, admitted):
    assert (PriorityShedding().admit(call(priority), Door(queued=queued), 0.0) == "") == admitted


def test_who_is_turned_away_is_rejected_with_the_reason(bench):
    service = bench.serve(admission=ConcurrencyLimit(2))
    calls = [bench.call_at(0.1 * number) for number in range(4)]
    late = bench.call_at(1.5)
    bench.finish()
    assert [(c.status, c.reason) for c in calls[2:]] == [("rejected", "concurrency-limit")] * 2
    assert [c.status for c in (*calls[:2], late)] == ["completed"] * 3
    assert (service.submitted, service.completed, service.rejected) == (5, 3, 2)


def test_a_concurrency_limit_of_c_servers_is_erlangs_loss_system():
    from tests.platforms import column, simulate, station

    service = "engine: {policy: concurrent, servers: 3}, admission: {policy: concurrency, limit: 3}"
    outcome = simulate(station(30, service=service, duration=800))
    lost = (column(outcome, "requests", "status") == "rejected").mean()
    a = 3.0
    terms = [1.0, a, a**2 / 2, a**3 / 6]
    # Erlang B; 24,000 calls, blocking is correlated over a few service times: 5 standard deviations.
    assert lost == pytest.approx(terms[-1] / sum(terms), abs=0.02)
