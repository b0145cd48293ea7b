"""Pools whose accelerators are cut into slices: places, times, devices, wrong files."""

import pytest

from sim.errors import ScenarioError
from sim.scenario.load import loads
from sim.stats.metrics import measure
from tests.platforms import rows, simulate

SLICED = """
name: sliced
duration: 100s
infrastructure:
  instances: {box: {cpu: 64, memory: 512Gi, device: a100-sxm-40, accelerators: 2, price: 7.2 USD/h}}
  sites: {hall: {kind: cloud, pools: {cut: {instance: box, slices: 2g.10gb}, whole: {instance: box}}}}
platform:
  services:
    small: {site: hall, device: "a100-sxm-40:2g.10gb", model: resnet50, time: roofline, replicas: 6,
            resources: {cpu: 1, accelerators: 1}}
    large: {site: hall, device: a100-sxm-40, model: resnet50, time: roofline, replicas: 2,
            resources: {cpu: 1, accelerators: 1}}
applications:
  one: {users: {hall: 1}, arrivals: {process: periodic, period: 1s}, calls: {look: {to: small}}}
  two: {users: {hall: 1}, arrivals: {process: periodic, period: 1s}, calls: {look: {to: large}}}
"""


def model():
    from sim import catalog

    return next(name for name in catalog.names("model") if name.startswith("resnet50"))


def text():
    return SLICED.replace("resnet50", model())


def test_three_slices_of_two_devices_hold_six_replicas():
    outcome = simulate(text())
    units = rows(outcome, "units")
    where = {row["node"].split("/")[2] for row in units if row["owner"] == "small"}
    assert where == {"cut"} and len([row for row in units if row["owner"] == "small"]) == 6
    assert all(row["bound"] == row["bound"] for row in units)
    node = next(row for row in rows(outcome, "nodes") if row["pool"] == "hall/cut")
    assert (node["accelerators"], node["device"]) == (6, "a100-sxm-40:2g.10gb")
    assert node["accelerator_memory"] == pytest.approx(10e9)


def test_a_slice_is_slower_by_its_share():
    metrics = measure(simulate(text()))
    fast, slow = metrics["apps.two.latency.mean"], metrics["apps.one.latency.mean"]
    # Memory bandwidth is a quarter, computing 2/7: whichever decides, and a fixed part that is not divided.
    assert 1.0 < slow / fast <= 4.0
    # Two devices of each pool are paid for and counted, not six.
    assert metrics["total.accelerator_hours"] == pytest.approx(2 * 2 * 100 / 3600)


def test_a_seventh_replica_finds_no_place():
    outcome = simulate(text(), "platform.services.small.replicas=7")
    assert sum(row["bound"] != row["bound"] for row in rows(outcome, "units")) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "infrastructure.sites.hall.pools.cut.slices=2g.20gb",
            "has no slices '2g.20gb' (did you mean \"4g.20gb\"?)",
        ),
        ("infrastructure.instances.box.device=t4", "t4 cannot be cut into slices"),
        ("platform.services.small.device=a100-sxm-40:3g.20gb", "has a100-sxm-40:2g.10gb"),
        ("platform.services.small.device=a100-sxm-40:9g", "the catalog has no device 'a100-sxm-40:9g'"),
    ],
)
def test_wrong_slices_are_refused(change, message):
    with pytest.raises(ScenarioError) as caught:
        loads(text(), [change])
    assert message in str(caught.value)
