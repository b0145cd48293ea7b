"""Energy, carbon and cost of scripted loads, to the joule, gram and cent, from YAML to the metrics."""

import pytest

from sim import catalog
from sim.stats.metrics import measure
from tests.platforms import area, rows, simulate

# A node of one core that idles at 10 W and works at 30 W; it works for 2 s of every 10 s.
ON_OFF = """
name: on-off
duration: 100s
infrastructure:
  instances: {box: {cpu: 1, memory: 1Gi, price: 3.6 USD/h, power: {0%: 10W, 100%: 30W}}}
  sites:
    here: {kind: cloud, pue: 1.5, grid: DE, pools: {boxes: {instance: box}}}
platform:
  services:
    station: {site: here, time: {policy: constant, value: 2s}, resources: {cpu: 1}}
applications:
  users:
    users: {here: 1}
    arrivals: {process: periodic, period: 10s}
    calls: {ask: {to: station}}
"""


def test_energy_of_an_on_off_pattern_to_the_joule():
    metrics = measure(simulate(ON_OFF))
    assert metrics["pools.here/boxes.energy"] == pytest.approx(1.5 * (100 * 10 + 20 * 20), rel=1e-12)
    assert metrics["total.energy"] == metrics["pools.here/boxes.energy"]
    assert metrics["total.energy_per_1000"] == pytest.approx(2100 / 10 * 1000, rel=1e-12)
    assert metrics["pools.here/boxes.utilisation"] == pytest.approx(0.2, rel=1e-12)
    assert metrics["pools.here/boxes.allocated"] == pytest.approx(1.0, rel=1e-12)


def test_only_the_window_counts():
    # The first of the ten services lies in the warm-up but for its last second.
    metrics = measure(simulate(ON_OFF, "warmup=1s"))
    assert metrics["pools.here/boxes.energy"] == pytest.approx(1.5 * (99 * 10 + 19 * 20), rel=1e-12)
    assert metrics["pools.here/boxes.cost"] == pytest.approx(99 * 0.001, rel=1e-12)


def test_half_a_node_at_work_draws_the_watts_in_between():
    metrics = measure(simulate(ON_OFF, "platform.services.station.resources.cpu=0.5"))
    assert metrics["pools.here/boxes.energy"] == pytest.approx(1.5 * (100 * 10 + 20 * 10), rel=1e-12)


def test_a_bent_power_curve_is_followed():
    curve = "infrastructure.instances.box.power={0%: 10W, 50%: 28W, 100%: 30W}"
    metrics = measure(simulate(ON_OFF, curve, "platform.services.station.resources.cpu=0.5"))
    assert metrics["pools.here/boxes.energy"] == pytest.approx(1.5 * (100 * 10 + 20 * 18), rel=1e-12)


def test_servers_of_a_replica_share_what_it_reserves():
    # Two servers of half a core each: two calls at once draw the whole, a single one the half.
    engine = "platform.services.station.engine={policy: concurrent, servers: 2}"
    aligned = "applications.users.arrivals.phase=aligned"
    single = measure(simulate(ON_OFF, engine))
    double = measure(simulate(ON_OFF, engine, aligned, "applications.users.users.here=2"))
    assert single["pools.here/boxes.energy"] == pytest.approx(1.5 * (1000 + 20 * 10), rel=1e-12)
    assert double["pools.here/boxes.energy"] == pytest.approx(1.5 * (1000 + 20 * 20), rel=1e-12)


def test_cost_of_a_node_is_its_time():
    metrics = measure(simulate(ON_OFF))
    assert metrics["pools.here/boxes.node_hours"] == pytest.approx(100 / 3600, rel=1e-12)
    assert metrics["total.cost"] == pytest.approx(0.1, rel=1e-12)
    assert metrics["total.cost_per_1000"] == pytest.approx(10.0, rel=1e-12)
    # A price of the pool stands instead of that of the type.
    assert measure(simulate(ON_OFF, "infrastructure.sites.here.pools.boxes.price=7.2 USD/h"))[
        "total.cost"
    ] == pytest.approx(0.2, rel=1e-12)


def test_carbon_follows_the_grid_hour_by_hour():
    hourly = catalog.grid("DE").hourly
    assert len(set(hourly[:3])) == 3, "hours that are alike cannot be told apart"
    metrics = measure(simulate(ON_OFF, "duration=2.5h"))
    hour = 1.5 * 3600 * (10 + 0.2 * 20)
    expected = hour * (hourly[0] + hourly[1] + 0.5 * hourly[2])
    assert metrics["pools.here/boxes.carbon"] == pytest.approx(expected, rel=1e-12)
    assert metrics["total.carbon"] == metrics["pools.here/boxes.carbon"]


# A second replica is wanted from second 60 on; its node is asked for then and ready at 150.
GROWING = """
name: growing
duration: 300s
infrastructure:
  instances: {box: {cpu: 1, memory: 1Gi, price: 3.6 USD/h, power: {0%: 10W, 100%: 30W}}}
  sites:
    here:
      kind: cloud
      pools: {boxes: {instance: box, nodes: {initial: 1, min: 1, max: 4}, provisioning: 70s, boot: 20s}}
platform:
  services:
    station:
      {site: here, time: {policy: constant, value: 1s}, replicas: {initial: 1, min: 1, max: 2},
       autoscaler: {policy: fixed, replicas: 2}, warmup: 5s}
applications:
  users:
    users: {here: 1}
    arrivals: {process: periodic, period: 100s}
    calls: {ask: {to: station}}
"""


def test_a_node_is_billed_from_the_request_for_it():
    outcome = simulate(GROWING)
    metrics = measure(outcome)
    first, second = sorted(rows(outcome, "nodes"), key=lambda row: row["id"])
    assert (first["requested"], first["ready"]) == (0, 0)
    assert (second["requested"], second["ready"]) == (60, 150)
    assert metrics["pools.here/boxes.node_hours"] == pytest.approx((300 + 240) / 3600, rel=1e-12)
    assert metrics["total.cost"] == pytest.approx(0.001 * (300 + 240), rel=1e-12)
    assert metrics["total.energy"] == pytest.approx(10 * (300 + 240) + 20 * 3, rel=1e-12)
    # Provisioning, boot and warm-up make the lead time.
    assert metrics["services.station.lead_time"] == pytest.approx(95)
    assert metrics["services.station.cold_starts"] == metrics["services.station.scalings"] == 1
    assert metrics["services.station.replica_hours"] == pytest.approx((300 + 145) / 3600, rel=1e-12)


ON_DEMAND = """
name: on-demand
duration: 1000s
infrastructure:
  instances: {box: {cpu: 2, memory: 1Gi, price: 3.6 USD/h, power: {0%: 10W, 100%: 30W}}}
  sites:
    here:
      kind: cloud
      pools:
        boxes: {instance: box, nodes: {initial: 0, min: 0, max: 4},
                provisioning: 70s, boot: 20s, idle_timeout: 60s}
platform:
  jobs:
    train:
      arrivals: {process: periodic, period: 500s}
      workers: 3
      resources: {cpu: 2}
      duration: 100s
"""


def test_a_pool_that_grows_for_a_job_and_shrinks_again_is_billed_for_that_time():
    outcome = simulate(ON_DEMAND)
    metrics = measure(outcome)
    # Twice: 90 s to come up, 100 s of work, 60 s idle, three nodes each time.
    nodes = rows(outcome, "nodes")
    assert len(nodes) == 6
    assert {(n["requested"], n["ready"], n["ended"]) for n in nodes} == {(0, 90, 250), (500, 590, 750)}
    assert {n["reason"] for n in nodes} == {"idle"}
    assert metrics["total.cost"] == pytest.approx(6 * 250 * 0.001, rel=1e-12)
    assert metrics["total.energy"] == pytest.approx(6 * (250 * 10 + 100 * 20), rel=1e-12)
    assert metrics["jobs.jct.mean"] == pytest.approx(190)
    assert metrics["jobs.wait.mean"] == pytest.approx(90)
    assert metrics["jobs.utilisation"] == pytest.approx(100 / 250)


def test_without_idle_time_a_node_goes_once_it_is_empty_but_not_before_it_was_used():
    outcome = simulate(ON_DEMAND, "infrastructure.sites.here.pools.boxes.idle_timeout=0s")
    nodes = rows(outcome, "nodes")
    assert [(n["requested"], n["ready"], n["ended"]) for n in nodes] == 3 * [(0, 90, 190)] + 3 * [
        (500, 590, 690)
    ]
    assert measure(outcome)["jobs.completed"] == 2


def test_a_node_under_repair_draws_and_costs_nothing():
    fault = "infrastructure.faults.script=[{at: 55s, target: here/boxes/0, for: 10s}]"
    outcome = simulate(ON_OFF, fault)
    metrics = measure(outcome)
    assert area(outcome, "iaas/here/boxes/0/on") == pytest.approx(90)
    assert metrics["pools.here/boxes.cost"] == pytest.approx(0.09, rel=1e-12)
    # The request of second 60 waits until 65 and is served then, so the work is all done.
    assert metrics["apps.users.completed"] == 10
    assert metrics["pools.here/boxes.energy"] == pytest.approx(1.5 * (90 * 10 + 20 * 20), rel=1e-12)
    assert metrics["apps.users.latency.max"] == pytest.approx(7.0)
