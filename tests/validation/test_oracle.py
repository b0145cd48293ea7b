"""The oracle sees what comes, and a predictive scaler whose forecasts are true is the oracle."""

import numpy as np
import pytest

from sim.paas.policies.autoscalers.oracle import Oracle
from sim.paas.policies.autoscalers.predictive import Predictive
from sim.paas.policies.forecasters import Forecast
from sim.saas import future
from sim.scenario.build import build
from sim.scenario.load import loads
from sim.stats.metrics import measure
from tests.platforms import column, rows, station

WIDTH = 10.0


class Truth:
    """A forecaster that is never wrong."""

    def __init__(self, truth):
        self.truth = truth

    def predict(self, rates, width, steps):
        ahead = np.concatenate((self.truth, np.zeros(steps)))[len(rates) : len(rates) + steps]
        return Forecast(ahead, np.ones(steps), np.zeros(0))


def platform(autoscaler, more="", rate=60.0, duration=600):
    """A platform whose autoscaler need not have a name in a scenario."""
    service = (
        "engine: {policy: concurrent, servers: 1}, replicas: {initial: 6, min: 1, max: 40}, "
        f"autoscaler: fixed{more}"
    )
    text = station(rate, service=service, duration=duration, warmup=0)
    swing = f"{{process: diurnal, rate: {rate}/s, amplitude: 0.6, period: 200s}}"
    scenario = loads(text, [f"applications.users.arrivals={swing}"])
    service = scenario.platform.services["station"].model_copy(update={"autoscaler": autoscaler})
    parts = scenario.platform.model_copy(update={"services": {"station": service}})
    return build(scenario.model_copy(update={"platform": parts}))


def run(autoscaler, more=""):
    """The outcome, and the rates that were foreseen."""
    made = platform(autoscaler, more)
    return made.run(), made.services["station"].scaling._arrivals(WIDTH)


@pytest.mark.parametrize("more", ["", ", warmup: 25s"], ids=["no lead time", "25 s of lead time"])
def test_predictive_with_true_forecasts_is_the_oracle(more):
    options = {"target": 0.8, "bin": WIDTH, "period": 5.0}
    ideal, truth = run(Oracle(**options), more)
    foresees, _ = run(Predictive(Truth(truth), guard=False, stabilisation=0.0, **options), more)
    mine, theirs = rows(foresees, "scaling"), rows(ideal, "scaling")
    assert [row["applied"] for row in mine] == [row["applied"] for row in theirs]
    assert len({row["applied"] for row in mine}) > 4
    for path in ("wanted", "ready"):
        for ours, other in zip(
            foresees.steps[f"paas/station/{path}"], ideal.steps[f"paas/station/{path}"], strict=True
        ):
            assert ours.tolist() == other.tolist()
    assert column(foresees, "calls", "finish").tobytes() == column(ideal, "calls", "finish").tobytes()


def test_true_forecasts_have_no_error():
    _, truth = run(Oracle(bin=WIDTH))
    outcome, _ = run(Predictive(Truth(truth), bin=WIDTH, period=5.0, quantile=0.95))
    found = measure(outcome)
    assert found["services.station.forecast.mape"] == pytest.approx(0.0, abs=1e-12)
    assert found["services.station.forecast.pinball"] == pytest.approx(0.0, abs=1e-12)
    row = rows(outcome, "scaling")[20]
    # At 105 s, with a lead time of 0 and two periods of 5 s: the bin that ends at 120 s.
    assert (row["time"], row["due"], row["bin"], row["level"]) == (105.0, 120.0, WIDTH, 0.95)
    assert row["expected"] == row["low"] == row["high"] == truth[11]


def test_what_is_foreseen_is_what_comes():
    ideal, foreseen = run(Oracle(bin=WIDTH))
    enters = column(ideal, "calls", "enter")
    assert np.histogram(enters, WIDTH * np.arange(61))[0] / WIDTH == pytest.approx(foreseen)


def test_without_lead_time_the_oracle_never_has_fewer_than_the_demand():
    ideal, foreseen = run(Oracle(target=1.0, bin=WIDTH, period=5.0))
    for row in rows(ideal, "scaling"):
        now = int(row["time"] // WIDTH)
        if now < len(foreseen):
            # Ten calls per second each.
            assert row["applied"] >= min(40, foreseen[now] / 10 - 1e-9)


def test_calls_of_a_graph_are_counted_by_service():
    text = """
name: graph
seed: 5
duration: 500s
infrastructure:
  instances: {box: {cpu: 64, memory: 64Gi}}
  sites: {here: {kind: cloud, pools: {boxes: {instance: box}}}}
platform:
  services:
    a: {site: here, time: {policy: constant, value: 0s}, replicas: 1}
    b: {site: here, time: {policy: constant, value: 0s}, replicas: 1, autoscaler: oracle}
    c: {site: here, time: {policy: constant, value: 0s}, replicas: 1}
applications:
  one:
    users: {here: 1}
    arrivals: {process: poisson, rate: 4/s}
    calls: {first: {to: a}, second: {to: b, probability: 30%}}
  two:
    users: {here: 3}
    arrivals: {process: poisson, rate: 1/s}
    offload: threshold
    calls: {only: {to: [b, c]}}
"""
    made = build(loads(text.replace("value: 0s", "value: 1ms")))
    told = made.services["b"].scaling._arrivals(50.0)
    users = [
        future.Users(name, sum(each.users.values()), each.arrivals, made.applications[name].graph)
        for name, each in made.scenario.applications.items()
    ]
    assert len(users) == 2
    outcome = made.run()
    calls = [row for row in rows(outcome, "calls") if row["service"] == "b"]
    requests = {row["id"]: row for row in rows(outcome, "requests")}
    of_one = sum(requests[row["request"]]["app"] == "one" for row in calls)
    two = sum(row["app"] == "two" for row in requests.values())
    assert told.sum() * 50.0 == pytest.approx(of_one + two / 2)
