"""A queue that cannot keep up is flagged in the metrics and in a study's summary; one that can is not."""

import json

import pytest

from sim.scenario.load import loads
from sim.stats.metrics import measure
from sim.study.execute import run_study
from tests.platforms import simulate, station

# By the rule's own account: overloaded by a fifth, practically always found after 5,000 arrivals; at a
# load of 90 % flagged in fewer than one run of 300. The seeds are fixed.
ARMS = """
study:
  replications: 3
  baseline: steady
  arms:
    steady: {}
    overloaded: {applications.users.arrivals.rate: 12/s}
    bounded: {applications.users.arrivals.rate: 12/s, platform.services.station.queue: 20}
"""


@pytest.mark.parametrize("replication", range(4))
def test_an_overloaded_queue_is_flagged(replication):
    metrics = measure(simulate(station(12, duration=700), replication=replication))
    assert metrics["services.station.unstable"] == 1


@pytest.mark.parametrize("replication", range(4))
def test_a_busy_queue_is_not(replication):
    metrics = measure(simulate(station(9, duration=700), replication=replication))
    assert metrics["services.station.unstable"] == 0


def test_a_bounded_queue_is_never_unstable():
    metrics = measure(simulate(station(12, service="queue: 20", duration=700)))
    assert metrics["services.station.unstable"] == 0
    assert metrics["apps.users.dropped"] == pytest.approx(1 / 6, abs=0.03)


def test_an_overloaded_link_is_not_blamed_on_the_service():
    # Calls reach the service no faster than the link carries them: at most 8 of 12 per second, and fewer
    # as long as a growing crowd of half-done transfers shares it.
    text = station(12, duration=400).replace(
        "sites: {here:", "network: {links: {wan: {between: [there, here], latency: 1ms, bandwidth: 8kB/s}}}\n"
        "  sites: {there: {kind: device}, here:",
    ).replace("users: {here: 1}", "users: {there: 1}\n    send: 1kB")  # fmt: skip
    metrics = measure(simulate(text))
    assert metrics["services.station.unstable"] == 0
    assert metrics["links.wan.utilisation"] == pytest.approx(1.0, abs=0.01)
    assert metrics["services.station.utilisation"] < 0.8


def test_the_summary_of_a_study_names_the_unstable_arm(tmp_path):
    folder = run_study(loads(station(9, duration=600) + ARMS), out=tmp_path)
    cells = {cell["arm"]: cell for cell in json.loads((folder / "summary.json").read_text())["cells"]}
    assert cells["steady"]["unstable"] == []
    assert cells["overloaded"]["unstable"] == ["station"]
    assert cells["bounded"]["unstable"] == []
    assert cells["overloaded"]["metrics"]["services.station.unstable"]["values"] == [1, 1, 1]
