"""A loop that may change nothing changes nothing: the closed forms hold while any autoscaler looks on."""

import pytest

from tests.platforms import content, simulate, station

KEDA = "{policy: keda, triggers: [{signal: queue, threshold: 5}]}"
LOOKERS = ["hpa", "knative", KEDA, "ray-serve", "lepton", "queue-length", "predictive", "composed"]


def run(autoscaler, more=""):
    service = f"engine: {{policy: concurrent, servers: 4}}, autoscaler: {autoscaler}{more}"
    # 3.0 of 4 servers busy: the M/M/4 whose waits test_platform_queues compares with Erlang C.
    return simulate(station(30, service=service, duration=60, warmup=0))


@pytest.fixture(scope="module")
def alone():
    return content(run("fixed"))


@pytest.mark.parametrize("autoscaler", LOOKERS)
@pytest.mark.parametrize("more", ["", ", scrape: {period: 10s, delay: 3s, missing: 20%}"])
def test_every_call_of_mm4_is_served_as_without_a_loop(alone, autoscaler, more):
    looked = content(run(autoscaler, more))
    calls = {key: value for key, value in alone.items() if key[0] == "calls"}
    assert calls
    assert {key: looked[key] for key in calls} == calls
    assert looked["scaling", "time"] != alone["scaling", "time"] or autoscaler == "fixed"
