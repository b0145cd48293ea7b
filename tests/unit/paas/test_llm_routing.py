"""Routing between and within sites on language models' services: small runs by hand."""

from collections import Counter

import pytest

from tests.platforms import rows, simulate

TEXT = """
name: routing
seed: 3
duration: {duration}s
drain: true
infrastructure:
  instances: {{box: {{cpu: 64, memory: 64Gi}}}}
  sites:
    home: {{kind: edge, pools: {{boxes: {{instance: box}}}}}}
    away: {{kind: cloud, pools: {{boxes: {{instance: box}}}}}}
  network: {{links: {{wan: {{between: [home, away], latency: 1s, bandwidth: 1Gbps}}}}}}
platform:
  services:
    near: &llm
      site: home
      time: {{policy: tokens, base: 0s, per_input: 0s, per_output: 500ms}}
      engine:
        {{policy: continuous-batch, blocks: 100, max_sequences: 8, steps: {{policy: linear, base: 500ms}}}}
    far: {{<<: *llm, site: away}}
applications:
  users:
    users: {{home: 1}}
    arrivals: {{process: periodic, period: {period}s, phase: aligned}}
    tokens_in: 4
    tokens_out: 4
    calls: {calls}
"""


def run(*sets, calls="{ask: {to: [near, far]}}", duration=90, period=10):
    return simulate(TEXT.format(calls=calls, duration=duration, period=period), *sets)


def served(outcome):
    return [row["service"] for row in sorted(rows(outcome, "sequences"), key=lambda row: row["enter"])]


def test_calls_are_spread_over_sites_by_the_latency_expected():
    """2 s at home against 1 + 2 + 1 s away: two of three stay, in turns."""
    outcome = run("applications.users.offload=latency-weighted")
    assert Counter(served(outcome)) == {"near": 6, "far": 3}
    took = {row["site"]: row["done"] - row["arrival"] for row in rows(outcome, "requests")}
    assert took == pytest.approx({"home": 2.0, "away": 4.0})


def test_signals_of_the_cache_that_are_old_send_everything_to_one_replica():
    """Answers of 4 s, one a second from 1 s on: fresh signals alternate, those of 10 s ago do not move."""

    def places(staleness):
        outcome = run(
            "platform.services.near.replicas=2",
            f"platform.services.near.router={{policy: least-kv, staleness: {staleness}}}",
            "applications.users.tokens_out=16",
            calls="{ask: {to: near}}",
            duration=9,
            period=1,
        )
        found = sorted(rows(outcome, "sequences"), key=lambda row: row["enter"])[1:]
        return Counter(row["replica"] for row in found).most_common()

    assert [count for _, count in places("0s")] == [4, 4]
    assert [count for _, count in places("20s")] == [8]


def test_the_better_model_until_it_is_too_slow():
    """The large model takes 4 s and has one place: who comes meanwhile would wait 4 s more."""
    outcome = run(
        "applications.users.offload={policy: variant, latency: 5s}",
        "platform.services.far.site=home",
        "platform.services.far.time.per_output=1s",
        "platform.services.far.engine.steps.base=1s",
        "platform.services.far.engine.max_sequences=1",
        duration=9,
        period=2,
    )
    assert served(outcome) == ["far", "near", "far", "near", "far"]


def test_a_cascade_asks_the_large_model_when_the_small_one_is_not_sure():
    """Who is asked again sees the tokens of the large model, after the whole of the small one's answer."""
    outcome = run(
        "platform.services.far.site=home",
        "platform.services.far.engine.steps.base=1s",
        calls="{draft: {to: near}, check: {to: far, probability: 40%}}",
        duration=600,
    )
    found = Counter(served(outcome))
    assert found["near"] == 60
    assert 12 <= found["far"] <= 36  # 24 expected, three standard deviations of 3.8
    again = {row["request"] for row in rows(outcome, "sequences") if row["service"] == "far"}
    for row in rows(outcome, "requests"):
        assert row["done"] - row["arrival"] == pytest.approx(2.0 + 4.0 * (row["id"] in again))
