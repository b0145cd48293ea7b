"""The record of the scaling loop: whatever is applied and not wanted is explained, for every autoscaler."""

from collections import Counter

import pytest

from tests.platforms import rows, simulate

TEXT = """
name: record
duration: 40min
infrastructure:
  sites: {{here: {{kind: cloud, pools: {{cpu: {{instance: c5.xlarge, nodes: 8}}}}}}}}
platform:
  services:
    web:
      site: here
      time: {{policy: constant, value: 1s}}
      warmup: 20s
      resources: {{cpu: 1, memory: 1GB}}
      replicas: {{initial: 2, min: {least}, max: 6}}
      autoscaler: {policy}
      {more}
applications:
  users:
    users: {{here: 1}}
    arrivals: {{process: mmpp, rates: [0.02/s, 6/s], dwell: [5min, 4min]}}
    calls: {{ask: {{to: web}}}}
"""

SLOW = (
    "{policy: hpa, utilisation: 60%, scale_up: {policies: [{type: pods, value: 1, period: 60s}]}, "
    "scale_down: {window: 60s, policies: [{type: pods, value: 1, period: 60s}]}}"
)
COMPOSED = (
    "{policy: composed, recommender: {policy: target, per_replica: 1}, "
    "stabilisers: [{policy: window, down: 60s}, {policy: step-limit}]}"
)
KNATIVE = "{policy: knative, target: 2}"
KEDA = "{policy: keda, triggers: [{signal: queue, threshold: 2}], cooldown: 60s}"
RAY = "{policy: ray-serve, target_ongoing_requests: 1, downscale_delay: 60s}"
STEPS = "{policy: steps, steps: [{lower: 0.7, by: 1}, {upper: 0.3, by: -1}], cooldown: 2min, period: 15s}"
#: With the reasons that each gives of its own in such a run.
POLICIES = {
    "{policy: hpa, utilisation: 60%}": {"stabilised"},
    SLOW: {"stabilised", "scale-up-rate", "scale-down-rate"},
    KNATIVE: {"panic", "scale-down-rate"},
    KEDA: {"stabilised", "scale-up-rate"},
    RAY: {"delay"},
    "lepton": set(),
    "{policy: predictive, forecaster: ewma}": {"stabilised", "guard-rail", "short-history"},
    "oracle": set(),
    STEPS: {"cooldown"},
    "queue-length": {"cooldown"},
    "q-learning": {"exploring"},
    COMPOSED: {"window", "step-limit"},
}
SCRAPED = "scrape: {period: 30s, delay: 20s, missing: 30%}"


RUNS = [(policy, 2, "") for policy in POLICIES]
RUNS += [(policy, 1, SCRAPED) for policy in (SLOW, KNATIVE, KEDA, RAY, COMPOSED, "queue-length")]


@pytest.mark.parametrize(("policy", "least", "more"), [*RUNS, (SLOW, 0, ""), (KNATIVE, 0, ""), (RAY, 0, "")])
def test_every_row_says_why(policy, least, more):
    looks = rows(simulate(TEXT.format(policy=policy, least=least, more=more)), "scaling")
    assert len(looks) > 30
    for row in looks:
        if row["applied"] != row["wanted"]:
            assert row["reason"], row
        if row["reason"] == "maximum":
            assert row["applied"] == 6
        if row["reason"] == "minimum":
            assert row["applied"] == least
        if row["reason"] == "no-measurement":
            assert row["applied"] == row["current"]
        else:
            assert row["signal"] == row["signal"] or "lepton" in policy or row["reason"]
        assert least <= row["applied"] <= 6
    given = Counter(row["reason"] for row in looks)
    assert given["no-measurement"] >= (2 if more else 0)
    if not more and least == 2:
        own = set(given) - {"", "minimum", "maximum", "call-at-zero"}
        assert own <= POLICIES[policy] | {"short-history"}
        assert own >= POLICIES[policy] - {"short-history", "guard-rail"}


def test_a_sample_is_as_old_as_its_delay_says():
    """The rate is 0 until 10 min and 2/s from then on; a look sees it half a minute and more later."""
    text = TEXT.replace("{{process: mmpp, rates: [0.02/s, 6/s], dwell: [5min, 4min]}}", "{arrivals}")
    arrivals = "{process: flash-crowd, rate: 0.001/s, factor: 3000, at: 10min, hold: 30min}"
    seen = {}
    for more in ("", "scrape: {period: 30s, delay: 20s}"):
        policy = "{policy: composed, signal_of: rate, period: 10s}"
        looks = rows(simulate(text.format(policy=policy, least=1, more=more, arrivals=arrivals)), "scaling")
        seen[more] = next(row["time"] for row in looks if row["signal"] > 1.0)
    assert seen[""] == 610.0
    assert seen["scrape: {period: 30s, delay: 20s}"] == 650.0
