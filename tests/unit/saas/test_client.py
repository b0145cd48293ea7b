"""Retries, hedges, budgets and breakers: alone, and in small platforms that can be worked out by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.saas.client import CREDIT, Backoff, Breaker, Breaking
from tests.platforms import rows, simulate

TEXT = """
name: client
seed: {seed}
duration: 1min
warmup: 0
drain: {drain}
infrastructure:
  instances: {{box: {{cpu: 64, memory: 64Gi}}}}
  sites: {{here: {{kind: cloud, pools: {{boxes: {{instance: box}}}}}}}}
platform:
  services:
    shop: {{site: here, time: {{policy: constant, value: {time}}}, replicas: {replicas}, {service}}}
applications:
  users:
    users: {{here: 1}}
    arrivals: {arrivals}
    work: {work}
    calls: {calls}
    client: {client}
    slo: {{latency: 5s, quantile: 50%}}
"""


def run(
    client,
    *,
    arrivals="{process: periodic, period: 20s, phase: aligned}",
    time="1s",
    replicas=1,
    service="router: round-robin",
    calls="{ask: {to: shop}}",
    work="1",
    seed=1,
    drain="true",
):
    return simulate(
        TEXT.format(
            client=client,
            arrivals=arrivals,
            time=time,
            replicas=replicas,
            service=service,
            calls=calls,
            work=work,
            seed=seed,
            drain=drain,
        )
    )


# ---------------------------------------------------------------- alone


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.1), (2, 0.2), (3, 0.4), (8, 10.0), (500, 10.0)])
def test_backoff_doubles_up_to_the_longest(failures, seconds):
    assert Backoff(jitter="none").wait(failures, lambda: 0.5) == pytest.approx(seconds)
    assert Backoff().wait(failures, lambda: 0.25) == pytest.approx(0.25 * seconds)


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_try():
    breaker = Breaker(Breaking(failures=2, open=10.0))
    for good in (False, True, False):
        assert breaker.passes(0.0)
        breaker.ended(good, 0.0)
    assert breaker.passes(1.0)
    breaker.ended(False, 1.0)
    assert not breaker.passes(10.9)
    assert breaker.passes(11.0)  # half open: one
    assert not breaker.passes(11.0)
    breaker.ended(False, 12.0)
    assert not breaker.passes(21.9)
    assert breaker.passes(22.0)
    breaker.ended(True, 23.0)
    assert breaker.passes(23.0)
    assert breaker.passes(23.0)


# ---------------------------------------------------------------- in a platform


def attempts(outcome):
    return [
        (row["request"], row["number"], row["kind"], row["began"], row["done"], row["status"])
        for row in rows(outcome, "attempts")
    ]


def test_an_attempt_that_takes_too_long_is_made_again_while_the_first_goes_on():
    # A call takes 1 s and the client waits 0.6 s: the second attempt queues behind the first.
    outcome = run("{timeout: 600ms, retries: 1, backoff: {base: 100ms, jitter: none}}", service="queue: 9")
    first = attempts(outcome)[:2]
    assert first == [
        (0, 0, "first", 0.0, 0.6, "timeout"),
        (0, 1, "retry", pytest.approx(0.7), pytest.approx(1.3), "timeout"),
    ]
    request = rows(outcome, "requests")[0]
    assert (request["status"], request["reason"]) == ("timeout", "client-timeout")
    assert request["done"] == pytest.approx(1.3)
    # The service did all the work, for nobody.
    done = [row for row in rows(outcome, "calls") if row["request"] == 0]
    assert [(row["start"], row["finish"], row["status"]) for row in done] == [
        (0.0, 1.0, "completed"),
        (1.0, 2.0, "completed"),
    ]


def test_a_rejected_attempt_is_made_again_until_it_is_served():
    # One server, no queue, and two calls of each request at once: the second one is always turned away.
    outcome = run(
        "{retries: 5, backoff: {base: 400ms, factor: 2, jitter: none}}",
        calls="{one: {to: shop, after: []}, two: {to: shop, after: []}}",
        service="queue: 0",
    )
    # The request is made again as a whole.
    kinds = [row["kind"] for row in rows(outcome, "attempts") if row["request"] == 0]
    assert kinds == ["first"] + ["retry"] * 5
    assert rows(outcome, "requests")[0]["status"] == "rejected"


def test_a_hedge_overtakes_a_call_that_waits():
    # Round robin over two replicas; the third request finds the first replica busy for 20 s.
    outcome = run(
        "{hedge: 500ms}",
        arrivals="{process: periodic, period: 6s, phase: aligned}",
        time="10s",
        replicas=2,
    )
    second = [row for row in attempts(outcome) if row[0] == 1]
    assert [row[2] for row in second] == ["first", "hedge"]
    requests = rows(outcome, "requests")
    assert {row["status"] for row in requests} == {"completed"}
    for request in requests:
        mine = [row for row in attempts(outcome) if row[0] == request["id"]]
        assert len([row for row in mine if row[5] == "completed"]) == 1
        assert request["done"] == next(row[4] for row in mine if row[5] == "completed")


def test_a_budget_bounds_the_retries():
    # Only the first of 60 requests is let in; each of the others would be tried 4 times.
    client = "{{retries: 3, backoff: {{base: 1ms}}, budget: {budget}}}"
    common = {
        "arrivals": "{process: periodic, period: 1s, phase: aligned}",
        "service": "admission: {policy: token-bucket, rate: 0/s, burst: 1}",
    }
    made = {
        budget: len(attempts(run(client.format(budget=budget), **common))) for budget in ("null", "10%", "0%")
    }
    first = 60
    assert made["null"] == first + 3 * (first - 1)
    # Each first attempt adds a tenth to at most ten in credit.
    assert made["0%"] == first + CREDIT
    assert first + CREDIT <= made["10%"] <= first + CREDIT + 0.1 * first


def test_an_open_breaker_spares_the_service():
    common = {
        "arrivals": "{process: periodic, period: 1s, phase: aligned}",
        "service": "admission: {policy: token-bucket, rate: 0/s, burst: 1}",
    }
    outcome = run("{breaker: {failures: 3, open: 10s}}", time="500ms", **common)
    reasons = [row["reason"] for row in sorted(rows(outcome, "requests"), key=lambda row: row["id"])]
    # 1 served, 3 fail and open it, 9 spared until 10 s after the last of them; then 1 in 10 is tried.
    assert reasons[:15] == [""] + ["rate-limit"] * 3 + ["circuit-open"] * 9 + ["rate-limit", "circuit-open"]
    assert len(rows(outcome, "calls")) == 4 + 5


def test_metrics_count_attempts_and_what_was_in_time():
    from sim.stats.metrics.measure import measure

    outcome = run("{timeout: 600ms, retries: 1, backoff: {base: 100ms, jitter: none}}")
    found = measure(outcome)
    assert found["apps.users.attempts"] == 2.0
    assert found["apps.users.goodput"] == 0.0
    assert measure(run("{}"))["apps.users.goodput"] == pytest.approx(3 / 60)


@settings(max_examples=15, deadline=None)
@given(
    retries=st.integers(0, 3),
    timeout=st.sampled_from(["null", "300ms", "2s"]),
    hedge=st.sampled_from(["null", "200ms"]),
    budget=st.sampled_from(["null", "20%"]),
    breaker=st.sampled_from(["null", "{failures: 3, open: 2s}"]),
    chain=st.booleans(),
    drain=st.booleans(),
    seed=st.integers(0, 99),
)
def test_requests_are_conserved_whatever_the_client_does(
    retries, timeout, hedge, budget, breaker, chain, drain, seed
):
    client = (
        f"{{retries: {retries}, timeout: {timeout}, hedge: {hedge}, budget: {budget}, breaker: {breaker}}}"
    )
    fork = (
        "{one: {to: shop}, two: {to: shop, after: [], probability: 0.5}, "
        "three: {to: shop, after: [one, two]}}"
    )
    outcome = run(
        client,
        arrivals="{process: poisson, rate: 5/s}",
        work="{dist: exponential, mean: 1}",
        time="150ms",
        service="queue: 4, timeout: 3s",
        calls="{ask: {to: shop}}" if chain else fork,
        drain="true" if drain else "false",
        seed=seed,
    )
    requests, tried = rows(outcome, "requests"), rows(outcome, "attempts")
    numbers = [row["id"] for row in requests]
    assert sorted(numbers) == list(range(len(numbers)))  # each once
    by_request = {}
    for row in tried:
        by_request.setdefault(row["request"], []).append(row)
    for request in requests:
        mine = by_request.get(request["id"], [])
        assert len([row for row in mine if row["kind"] != "hedge"]) <= 1 + retries
        assert len([row for row in mine if row["kind"] == "hedge"]) <= 1
        good = [row for row in mine if row["status"] == "completed"]
        assert len(good) == (request["status"] == "completed")
        if drain:
            assert request["status"] != "in-flight"
        if good:
            assert good[0]["done"] == request["done"]
        if request["status"] not in ("in-flight",):
            parts = request["network"] + request["queue"] + request["compute"]
            assert chain is False or parts <= request["done"] - request["arrival"] + 1e-9
    calls = rows(outcome, "calls")
    assert len({row["id"] for row in calls}) == len(calls)
