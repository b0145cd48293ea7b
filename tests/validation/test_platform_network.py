"""Transfers through the whole platform: shares of a link, latency, bytes, and chains of calls by hand."""

import math

import numpy as np
import pytest

from sim.stats.metrics import measure
from tests.platforms import area, column, rows, simulate

# 8 Mbit/s are a million bytes per second.
TWO_FLOWS = """
name: two-flows
duration: 100s
infrastructure:
  instances: {box: {cpu: 64, memory: 64Gi}}
  sites:
    plant: {kind: edge}
    cloud: {kind: cloud, pools: {boxes: {instance: box}}}
  network: {links: {wan: {between: [plant, cloud], latency: 0s, bandwidth: 8Mbps}}}
platform:
  services:
    station: {site: cloud, time: {policy: constant, value: 1ms}, engine: {policy: concurrent, servers: 64}}
applications:
  one:
    users: {plant: 1}
    arrivals: {process: periodic, period: 100s}
    send: 1MB
    calls: {ask: {to: station}}
  other:
    users: {plant: 1}
    arrivals: {process: periodic, period: 100s}
    send: 1MB
    calls: {ask: {to: station}}
"""


def uploads(outcome):
    return [row["enter"] for row in sorted(rows(outcome, "calls"), key=lambda row: row["request"])]


def test_two_equal_flows_get_half_each():
    outcome = simulate(TWO_FLOWS)
    assert uploads(outcome) == pytest.approx([2.0, 2.0], abs=1e-9)
    times, rates = outcome.steps["iaas/links/wan/plant->cloud/rate"]
    assert rates.tolist() == pytest.approx([1e6, 0.0])
    assert times.tolist() == pytest.approx([0.0, 2.0])


def test_what_the_shorter_flow_leaves_the_longer_one_takes():
    # Half each until 1 s, when the half megabyte is through; the other half then at full speed.
    outcome = simulate(TWO_FLOWS, "applications.other.send=500kB")
    assert uploads(outcome) == pytest.approx([1.5, 1.0], abs=1e-9)


def test_the_two_directions_do_not_share():
    outcome = simulate(TWO_FLOWS, "applications.other.send=0B", "applications.other.reply=1MB")
    latency = column(outcome, "requests", "done") - column(outcome, "requests", "arrival")
    assert latency.tolist() == pytest.approx([1.001, 1.001], abs=1e-9)


def test_without_contention_each_flow_has_the_link_for_itself():
    outcome = simulate(TWO_FLOWS, "infrastructure.network.sharing=constant")
    assert uploads(outcome) == pytest.approx([1.0, 1.0], abs=1e-9)


BUSY_LINK = """
name: busy-link
seed: 2
duration: 200s
drain: true
infrastructure:
  instances: {box: {cpu: 64, memory: 64Gi}}
  sites:
    plant: {kind: edge}
    cloud: {kind: cloud, pools: {boxes: {instance: box}}}
  network:
    links:
      wan: {between: [plant, cloud], latency: 0s, bandwidth: 8Mbps, price: 0.1 USD/GB, energy: 5J/MB}
platform:
  services:
    # Never full, so that the link alone holds anybody up.
    station: {site: cloud, time: {policy: constant, value: 20ms},
              engine: {policy: concurrent, servers: 100000}}
applications:
  cameras:
    users: {plant: 20}
    arrivals: {process: poisson, rate: 0.45/s}
    send: {dist: exponential, mean: 100kB}
    reply: 10kB
    calls: {detect: {to: station}}
"""


def test_latency_does_not_limit_throughput():
    near = simulate(BUSY_LINK)
    far = simulate(BUSY_LINK, "infrastructure.network.links.wan.latency=200ms")
    seconds = [column(run, "requests", "done") - column(run, "requests", "arrival") for run in (near, far)]
    # There and back, to the last bit that the sums of times have.
    assert np.allclose(seconds[1] - seconds[0], 0.4, rtol=0, atol=1e-9)
    before, after = measure(near), measure(far)
    for metric in ("apps.cameras.completed", "links.wan.bytes", "links.wan.cost", "links.wan.energy"):
        assert after[metric] == pytest.approx(before[metric], rel=1e-9), metric
    assert after["apps.cameras.latency.mean"] == pytest.approx(before["apps.cameras.latency.mean"] + 0.4)
    # The load of the link is high enough for the transfers to share it: 90 % of a megabyte per second.
    assert before["links.wan.utilisation"] > 0.8
    assert before["apps.cameras.network.mean"] > 3 * 0.11


def test_a_saturated_link_carries_its_bandwidth_at_any_latency():
    hold = "applications.cameras.arrivals.rate=0.9/s"
    for latency in ("0s", "200ms"):
        outcome = simulate(
            BUSY_LINK, hold, f"infrastructure.network.links.wan.latency={latency}", "drain=false"
        )
        assert measure(outcome)["links.wan.utilisation"] == pytest.approx(1.0, abs=0.02)


def test_bytes_are_the_integral_of_the_rate_and_what_requests_sent():
    outcome = simulate(BUSY_LINK)
    metrics = measure(outcome)
    directions = ("plant->cloud", "cloud->plant")
    there, back = (area(outcome, f"iaas/links/wan/{way}/rate") for way in directions)
    assert there == pytest.approx(column(outcome, "requests", "sent").sum(), rel=1e-9)
    assert back == pytest.approx(column(outcome, "requests", "received").sum(), rel=1e-9)
    assert metrics["links.wan.bytes"] == pytest.approx(there + back, rel=1e-9)
    assert metrics["total.wan_bytes"] == metrics["links.wan.bytes"]
    assert metrics["links.wan.cost"] == pytest.approx((there + back) * 0.1e-9, rel=1e-9)
    assert metrics["links.wan.energy"] == pytest.approx((there + back) * 5e-6, rel=1e-9)
    for way in directions:
        assert max(outcome.steps[f"iaas/links/wan/{way}/rate"][1]) <= 1e6 * (1 + 1e-9)


CHAIN = """
name: chain
duration: 100s
infrastructure:
  instances: {box: {cpu: 64, memory: 64Gi}}
  sites:
    yard: {kind: device}
    plant: {kind: edge, pools: {boxes: {instance: box}}}
    cloud: {kind: cloud, pools: {boxes: {instance: box}}}
  network:
    links:
      lan: {between: [yard, plant], latency: 1ms, bandwidth: 1Gbps}
      wan: {between: [plant, cloud], latency: 20ms, bandwidth: 100Mbps}
platform:
  services:
    shrink: {site: plant, time: {policy: constant, value: 4ms}}
    detect: {site: cloud, time: {policy: linear, base: 10ms, per_item: 2ms}}
    identify: {site: cloud, time: {policy: constant, value: 30ms}}
applications:
  cameras:
    users: {yard: 1}
    arrivals: {process: periodic, period: 1s}
    send: 60kB
    reply: 1kB
    work: 1.5
    calls:
      shrink: {to: shrink}
      detect: {to: detect, send: 10kB, work: 2}
    slo: {latency: 100ms}
"""

# Bytes per second of the two links.
LAN, WAN = 125e6, 12.5e6

UP = 0.001 + 60e3 / LAN
ACROSS = 0.020 + 10e3 / WAN
# The reply crosses both links as one flow, at the speed of the slower.
BACK = 0.021 + 1e3 / WAN
SHRINK, DETECT = 1.5 * 0.004, 0.010 + 1.5 * 2 * 0.002


def test_a_chain_on_an_idle_platform_takes_the_sum_of_its_parts():
    metrics = measure(simulate(CHAIN))
    total = UP + SHRINK + ACROSS + DETECT + BACK
    for statistic in ("mean", "p50", "max"):
        assert metrics[f"apps.cameras.latency.{statistic}"] == pytest.approx(total, abs=1e-9)
    assert metrics["apps.cameras.network.mean"] == pytest.approx(UP + ACROSS + BACK, abs=1e-9)
    assert metrics["apps.cameras.compute.mean"] == pytest.approx(SHRINK + DETECT, abs=1e-9)
    assert metrics["apps.cameras.queue.mean"] == 0
    assert metrics["apps.cameras.completed"] == 100
    assert metrics["apps.cameras.placed.plant"] == metrics["apps.cameras.slo_met"] == 1


def test_branches_run_side_by_side_and_the_slowest_counts():
    # After shrinking, both go to the cloud at once: two flows of 10 kB share the link.
    identify = "applications.cameras.calls.identify={to: identify, after: [shrink], send: 10kB, work: 1}"
    outcome = simulate(CHAIN, identify)
    across = 0.020 + 20e3 / WAN
    slowest = max(DETECT, 1.5 * 0.030)
    metrics = measure(outcome)
    total = UP + SHRINK + across + slowest + BACK
    assert metrics["apps.cameras.latency.mean"] == pytest.approx(total, abs=1e-9)
    # The parts are sums over the calls, whether or not they overlapped.
    assert metrics["apps.cameras.compute.mean"] == pytest.approx(SHRINK + DETECT + 0.045, abs=1e-9)
    assert metrics["apps.cameras.network.mean"] == pytest.approx(UP + 2 * across + BACK, abs=1e-9)


def test_an_alternative_is_where_the_policy_says_and_its_data_goes_there():
    both = CHAIN.replace("detect: {to: detect,", "detect: {to: [near, detect],").replace(
        "    detect: {site: cloud",
        "    near: {site: plant, time: {policy: constant, value: 50ms}}\n    detect: {site: cloud",
    )
    edge = measure(simulate(both, "applications.cameras.offload=edge"))
    cloud = measure(simulate(both, "applications.cameras.offload=cloud"))
    back = 0.001 + 1e3 / LAN
    assert edge["apps.cameras.latency.mean"] == pytest.approx(UP + SHRINK + 3 * 0.050 + back, abs=1e-9)
    assert edge["links.wan.bytes"] == 0
    assert cloud["apps.cameras.latency.mean"] == pytest.approx(UP + SHRINK + ACROSS + DETECT + BACK, abs=1e-9)
    assert cloud["links.wan.bytes"] == pytest.approx(100 * 11e3)
    # Greedy: 150 ms stays behind 20.8 ms + 16 ms + 21.08 ms, so it goes to the cloud as well.
    greedy = measure(simulate(both))
    assert math.isclose(greedy["links.wan.bytes"], cloud["links.wan.bytes"])
    held = measure(simulate(both, "applications.cameras.allowed_sites=[plant]"))
    assert held["links.wan.bytes"] == 0
