"""The same study gives the same files, byte by byte, whoever computes it and whatever ran before."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from sim.scenario.build import build
from sim.scenario.load import loads
from sim.study.cells import expand
from sim.study.execute import run_study
from tests.platforms import column, content, rows, simulate, station

TEXT = """
name: small-study
seed: 4
duration: 60s
warmup: 5s
infrastructure:
  instances: {box: {cpu: 4, memory: 16Gi, price: 0.1 USD/h, power: {0%: 10W, 100%: 30W}}}
  sites:
    yard: {kind: device}
    plant: {kind: edge, grid: DE, pools: {boxes: {instance: box, nodes: 2}}}
    cloud:
      kind: cloud
      grid: FR
      pools:
        boxes: {instance: box, nodes: {initial: 1, min: 0, max: 3}, provisioning: 5s,
                boot: {dist: uniform, low: 1s, high: 4s}}
  network:
    links:
      lan: {between: [yard, plant], latency: {dist: exponential, mean: 2ms}, bandwidth: 100Mbps}
      wan: {between: [plant, cloud], latency: 20ms, bandwidth: 20Mbps}
  storage: {site: cloud, bandwidth: 1Gbps}
  faults: {crashes: {plant/boxes: {mtbf: 40s, mttr: 5s}}}
platform:
  services:
    near: {site: plant, time: {policy: constant, value: 80ms}, replicas: 4, queue: 8, timeout: 1s,
           router: random}
    far: {site: cloud, time: {policy: linear, base: 20ms, per_item: 5ms},
          replicas: {initial: 1, min: 1, max: 8},
          engine: {policy: dynamic-batch, max_batch: 4, max_delay: 5ms},
          image: 50MB, weights: 20MB,
          autoscaler: {policy: hpa, utilisation: 50%, period: 5s}}
  jobs:
    train: {arrivals: {process: poisson, rate: 0.2/s}, workers: 2, resources: {cpu: 1, accelerators: 0},
            duration: {dist: exponential, mean: 5s}}
applications:
  cameras:
    users: {yard: 20, plant: 3}
    arrivals: {process: poisson, rate: 2/s}
    send: {dist: lognormal, mean: 30kB, cv: 1}
    work: {dist: exponential, mean: 1}
    calls: {detect: {to: [near, far]}, refine: {to: far, probability: 30%}}
    slo: {latency: 300ms}
study:
  replications: 2
  arms:
    luck: {}
    care: {platform.services.near.router: least-load}
"""

FRESH = """
import sys
from pathlib import Path
from sim.scenario.load import loads
from sim.study.execute import run_study
if __name__ == "__main__":
    print(run_study(loads(sys.stdin.read()), out=Path(sys.argv[1]), keep="all", csv=True))
"""


def files(folder):
    """Content of all files but the one that holds wall-clock times."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert found.pop("manifest.json").exists()
    return {name: path.read_bytes() for name, path in found.items()}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return run_study(loads(TEXT), out=tmp_path_factory.mktemp("one"), keep="all", csv=True)


def test_the_study_is_worth_comparing(reference):
    names = list(files(reference))
    for table in ("requests", "calls", "units", "jobs", "nodes", "scaling", "faults", "steps"):
        assert (
            sum(name.startswith(f"tables/{table}/") and name.endswith(".parquet") for name in names) == 4
        ), table
    cells = json.loads((reference / "summary.json").read_text())["cells"]
    first, second = (cell["metrics"]["apps.cameras.latency.mean"]["values"] for cell in cells)
    assert len({*first, *second}) == 4


def test_two_processes_write_the_same_files(reference, tmp_path):
    folder = run_study(loads(TEXT), out=tmp_path, jobs=2, keep="all", csv=True)
    assert folder.name == reference.name
    assert files(folder) == files(reference)


def test_a_fresh_process_with_another_hash_seed_writes_the_same_files(reference, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path)],
        input=TEXT,
        env=os.environ | {"PYTHONHASHSEED": "4242" if os.environ.get("PYTHONHASHSEED") != "4242" else "1"},
        text=True,
        capture_output=True,
        check=True,
    )
    folder = tmp_path / "small-study" / reference.name
    assert done.stdout.strip() == str(folder)
    assert files(folder) == files(reference)


def test_what_ran_before_does_not_matter(reference, tmp_path):
    simulate(station(9, duration=50, warmup=0))
    simulate(TEXT, "seed=99", replication=7)
    folder = run_study(loads(TEXT), out=tmp_path, keep="all", csv=True)
    assert files(folder) == files(reference)


def test_a_scenario_is_not_used_up_by_a_run():
    scenario = loads(TEXT)
    first = content(build(scenario, 1).run())
    assert content(build(scenario, 1).run()) == first
    assert content(build(scenario, 0).run()) != first


def test_platforms_alive_at_the_same_time_do_not_touch_each_other():
    scenario = loads(TEXT)
    alone = content(build(scenario, 0).run())
    one, other = build(scenario, 0), build(scenario, 0)
    assert content(other.run()) == alone
    assert content(one.run()) == alone


def test_arms_see_the_same_requests_and_the_same_crashes():
    luck, care = (build(cell.scenario, 0).run() for cell in expand(loads(TEXT)))

    def asked(outcome):
        order = np.argsort(column(outcome, "requests", "id"))
        return [column(outcome, "requests", name)[order].tolist() for name in ("arrival", "origin")]

    assert asked(luck) == asked(care)
    assert luck.tables["faults"]["time"].tolist() == care.tables["faults"]["time"].tolist()
    sizes = [
        sorted((row["id"], row["submitted"], row["work"]) for row in rows(run, "jobs"))
        for run in (luck, care)
    ]
    assert sizes[0] == sizes[1]
    # And yet the arms differ, so that the comparison is one.
    assert content(luck) != content(care)


def test_replications_see_different_requests():
    first, second = (simulate(TEXT, replication=number) for number in (0, 1))
    assert (
        column(first, "requests", "arrival").tolist()[:20]
        != column(second, "requests", "arrival").tolist()[:20]
    )


def test_the_seed_changes_everything_and_the_name_nothing():
    plain = content(simulate(TEXT))
    assert content(simulate(TEXT, "name=other")) == plain
    assert content(simulate(TEXT, "seed=5")) != plain


def test_the_budget_of_rows_kept_in_memory_changes_nothing():
    text = station(50, service="engine: {policy: concurrent, servers: 8}", duration=1500, warmup=0)
    plain = simulate(text)
    assert len(column(plain, "calls", "id")) > 65_536, "too few rows for any to go to disk"
    assert content(simulate(text, "record.row_budget=1000")) == content(plain)
