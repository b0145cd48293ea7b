"""What becomes of calls that their client no longer waits for, worked out by hand."""

from tests.platforms import rows, simulate

TEXT = """
name: cancel
seed: 1
duration: 100s
drain: true
infrastructure:
  instances: {{box: {{cpu: 64, memory: 64Gi}}}}
  sites:
    here: {{kind: cloud, pools: {{boxes: {{instance: box}}}}}}
    there: {{kind: device}}
  network: {{links: {{wan: {{between: [here, there], latency: 250ms, bandwidth: 1Gbps}}}}}}
platform:
  services:
    shop: {{site: here, time: {{policy: constant, value: 4s}}, replicas: {replicas}, engine: {engine}}}
applications:
  users:
    users: {{{origin}: 1}}
    arrivals: {{process: periodic, period: 50s, phase: aligned}}
    tokens_in: 4
    tokens_out: 8
    calls: {{ask: {{to: shop}}}}
    client: {client}
"""

#: A token a second, the first after a second: eight seconds an answer. One place, ten blocks.
TOKENS = "{policy: continuous-batch, blocks: 10, max_sequences: 1, steps: {policy: linear, base: 1s}}"


def run(client, engine, replicas=1, origin="here"):
    outcome = simulate(TEXT.format(client=client, engine=engine, replicas=replicas, origin=origin))
    return outcome, [row for row in rows(outcome, "calls") if row["request"] == 0]


def seen(calls):
    return [(row["start"], row["finish"], row["status"], row["reason"]) for row in calls]


def test_an_engine_of_tokens_stops_when_the_client_does_and_its_place_is_free():
    """The first attempt ends after 2.5 s; the iteration under way ends, and the next begins at 3."""
    outcome, calls = run("{timeout: 2500ms, retries: 1, backoff: {base: 0s, jitter: none}}", TOKENS)
    assert seen(calls) == [
        (0.0, 2.5, "cancelled", "client-cancelled"),
        (3.0, 5.0, "cancelled", "client-cancelled"),
    ]
    # Three iterations for the first, two for the second, which leaves at the end of its second.
    mine = [row for row in rows(outcome, "iterations") if row["time"] < 50]
    assert sum(row["count"] for row in mine) == 5
    assert rows(outcome, "sequences") == []
    # A client that just goes away leaves the work to be done for nobody.
    outcome, calls = run(
        "{timeout: 2500ms, retries: 1, backoff: {base: 0s, jitter: none}, cancel: false}", TOKENS
    )
    assert seen(calls) == [(0.0, 8.0, "completed", ""), (8.0, 16.0, "completed", "")]


def test_the_slower_of_two_attempts_is_cancelled():
    """Both replicas are alike, so the first attempt wins at 8 s and the hedge of second 3 stops with it."""
    outcome, calls = run("{hedge: 3s}", TOKENS, replicas=2)
    assert seen(calls) == [
        (0.0, 8.0, "completed", ""),
        (3.0, 8.0, "cancelled", "client-cancelled"),
    ]
    assert [row["status"] for row in rows(outcome, "requests")] == ["completed", "completed"]


def test_a_dynamic_batch_drops_what_waits_and_goes_on_with_what_runs():
    """Attempts at 0, 1, 2: the first runs until 4 s for nobody, the others leave the line at 2 and 3."""
    client = "{timeout: 1s, retries: 2, backoff: {base: 0s, jitter: none}}"
    _, calls = run(client, "{policy: dynamic-batch, max_batch: 1}")
    assert sorted((row["enter"], row["finish"], row["status"]) for row in calls) == [
        (0.0, 4.0, "completed"),
        (1.0, 2.0, "cancelled"),
        (2.0, 3.0, "cancelled"),
    ]
    _, levels = run(client, "{policy: dynamic-batch, max_batch: 1, priority_levels: 2, default_level: 1}")
    assert [(row["enter"], row["finish"]) for row in levels] == [(r["enter"], r["finish"]) for r in calls]
    # Plain servers do not notice.
    _, calls = run(client, "{policy: concurrent}")
    assert [row["finish"] for row in calls] == [4.0, 8.0, 12.0]


def test_what_is_cancelled_on_its_way_never_enters():
    """A quarter of a second to the service, and a client that waits a tenth."""
    client = "{timeout: 100ms, retries: 1, backoff: {base: 0s, jitter: none}}"
    outcome, calls = run(client, TOKENS, origin="there")
    assert calls == []
    assert [row["status"] for row in rows(outcome, "requests")] == ["timeout", "timeout"]
    _, calls = run(client, "{policy: concurrent}", origin="there")
    assert [row["finish"] for row in calls] == [4.25, 8.25]
