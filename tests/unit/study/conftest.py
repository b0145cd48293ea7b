import numpy as np
import pytest

from sim.kernel.outcome import Outcome
from sim.kernel.recorder import TextColumn
from sim.scenario.load import loads
from sim.tables import TABLES

TEXT = """
name: tiny
question: Which arm is faster?
seed: 5
duration: 100s
warmup: 10s
infrastructure:
  instances:
    box: {cpu: 4, memory: 8Gi, price: 0.1 USD/h, power: {0%: 10W, 100%: 30W}}
  sites:
    plant: {kind: edge, pools: {boxes: {instance: box, nodes: 1}}}
platform:
  services:
    finder: {site: plant, time: {policy: linear, base: 10ms, per_item: 1ms}, resources: {cpu: 1, memory: 1Gi}}
applications:
  cams:
    users: {plant: 1}
    arrivals: {process: poisson, rate: 2/s}
    calls: {find: {to: finder}}
study:
  replications: 3
  baseline: slow
  arms:
    slow: {}
    fast: {limits.events: 1000}
  axes:
    warmup: [10s, 20s]
  answer: {metric: total.completed, goal: max}
"""


@pytest.fixture
def scenario_text():
    return TEXT


@pytest.fixture
def scenario(scenario_text):
    return loads(scenario_text)


@pytest.fixture
def runner():
    """A made-up run: requests answered at a speed that follows from the scenario and the replication."""
    schemas = {name: [(column.name, column.kind) for column in columns] for name, columns in TABLES.items()}

    def run(scenario, replication):
        rng = np.random.default_rng([scenario.seed, replication])
        count = 200
        rows = {name: {} for name in schemas}
        for name, columns in schemas.items():
            size = count if name == "requests" else 0
            for column, kind in columns:
                if kind == "text":
                    rows[name][column] = TextColumn(np.zeros(size, np.int32), ["cams"] if size else [])
                else:
                    rows[name][column] = np.zeros(size, np.int64 if kind == "int" else np.float64)
        requests = rows["requests"]
        requests["arrival"] = np.sort(rng.uniform(0, scenario.duration, count))
        speed = 1.0 if scenario.limits.events == 1000 else 0.5
        requests["done"] = requests["arrival"] + rng.exponential(1 / speed, count)
        requests["id"] = np.arange(count)
        late = requests["done"] > scenario.duration
        requests["status"] = TextColumn(late.astype(np.int32), ["completed", "in-flight"])
        requests["reason"] = requests["site"] = TextColumn(np.zeros(count, np.int32), [""])
        window = [scenario.warmup, scenario.duration]
        facts = {
            "apps": {"cams": {"slo": {"latency": 2.0, "quantile": 0.9}}},
            "window": window,
            "ended": {"reason": "completed", "time": scenario.duration, "events": 2 * count},
        }
        steps = {"paas/s/ready": (np.array([0.0, 1.0]), np.array([0.0, 1.0 + replication]))}
        return Outcome(rows, steps, facts)

    return run
