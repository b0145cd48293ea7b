"""What theory says and what the simulator does, side by side: `stratus validate` without files.

Each case goes the whole way, from the text of a scenario to its metrics. A random one is repeated;
theory must lie within the 99.9 % interval (Student's t) of the runs' mean, so that a sound simulator
fails a case once in a thousand seeds. The seed is fixed: on any machine the same numbers come out.
The tests that ship with the source check much more; these are the ones a user can see in a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sim.kernel.outcome import Outcome
from sim.scenario.build import build
from sim.scenario.load import loads
from sim.stats import theory
from sim.stats.intervals import of_mean
from sim.stats.metrics import measure

#: Runs of a case with randomness, and the level of its interval.
REPLICATIONS = 12
LEVEL = 0.999

#: One service of 100 ms at one site: its engine, the rate, the work and the length are put in.
STATION = """
name: station
seed: 11
duration: {duration}s
warmup: {warmup}s
infrastructure:
  instances: {{box: {{cpu: 64, memory: 64Gi}}}}
  sites: {{here: {{kind: cloud, pools: {{boxes: {{instance: box}}}}}}}}
platform:
  services:
    station: {{site: here, time: {{policy: constant, value: 100ms}}, {service}}}
applications:
  users:
    users: {{here: 1}}
    arrivals: {{process: poisson, rate: {rate}/s}}
    work: {work}
    calls: {{ask: {{to: station}}}}
"""

_JOBS = """
name: jobs
seed: 11
duration: 1200h
warmup: 100h
infrastructure:
  instances: {box: {cpu: 1, memory: 1Gi}}
  sites: {here: {kind: cloud, pools: {boxes: {instance: box, nodes: 2}}}}
platform:
  jobs:
    training:
      arrivals: {process: poisson, rate: 1.4/h}
      workers: 1
      resources: {cpu: 1}
      duration: {dist: exponential, mean: 1h}
"""

_FLOWS = """
name: flows
duration: 100s
infrastructure:
  instances: {box: {cpu: 64, memory: 64Gi}}
  sites:
    plant: {kind: edge}
    cloud: {kind: cloud, pools: {boxes: {instance: box}}}
  network: {links: {wan: {between: [plant, cloud], latency: 5ms, bandwidth: 8Mbps}}}
platform:
  services:
    station: {site: cloud, time: {policy: constant, value: 1ms}, engine: {policy: concurrent, servers: 64}}
applications:
  users:
    users: {plant: 2}
    arrivals: {process: periodic, period: 100s, phase: aligned}
    send: 1MB
    calls: {ask: {to: station}}
"""

_POWER = """
name: power
duration: 100s
infrastructure:
  instances: {box: {cpu: 1, memory: 1Gi, price: 3.6 USD/h, power: {0%: 10W, 100%: 30W}}}
  sites: {here: {kind: cloud, pue: 1.5, pools: {boxes: {instance: box}}}}
platform:
  services:
    station: {site: here, time: {policy: constant, value: 2s}, resources: {cpu: 1}}
applications:
  users:
    users: {here: 1}
    arrivals: {process: periodic, period: 10s}
    calls: {ask: {to: station}}
"""

EXPONENTIAL = "{dist: exponential, mean: 1}"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to be held against theory.

    Attributes:
        name: what is simulated.
        quantity: what is compared, with its unit.
        source: where the truth comes from.
        truth: what theory says.
        text: of the scenario.
        read: the simulated value of one run.
        exact: nothing is random: one run, equal to rounding.
    """

    name: str
    quantity: str
    source: str
    truth: float
    text: str
    read: Callable[[Outcome], float]
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A case and what came of it: the simulated value, its interval, and whether theory lies in it."""

    case: Case
    value: float
    low: float
    high: float

    @property
    def agrees(self) -> bool:
        """Whether theory lies within the interval, up to rounding."""
        slack = 1e-9 * abs(self.case.truth)
        return self.low - slack <= self.case.truth <= self.high + slack


def cases() -> list[Case]:
    """All cases, the quickest last."""
    time = "time in system, s"
    return [
        _queue("M/M/1, load 0.7", 7, theory.mm1(7, 0.1).time, time),
        _queue("M/M/4, load 0.75", 30, theory.mmc(30, 0.1, 4).time, time, servers=4, duration=400),
        _queue("M/D/1, load 0.7", 7, theory.md1(7, 0.1).time, time, work="1"),
        _queue(
            "M/G/1, load 0.5, cv 1.2",
            5,
            theory.mg1(5, 0.1, 1.2).time,
            time,
            work="{dist: lognormal, mean: 1, cv: 1.2}",
            source="Pollaczek-Khinchine",
        ),
        _queue(
            "M/M/5/5, load 0.8",
            40,
            theory.erlang_b(4, 5),
            "share of the requests lost",
            servers=5,
            duration=400,
            more=", queue: 0",
            source="Erlang B",
            metric="apps.users.dropped",
        ),
        Case(
            "training jobs, M/M/2, load 0.7",
            "time to completion, h",
            "Erlang C",
            theory.mmc(1.4, 1.0, 2).time,
            _JOBS,
            lambda outcome: measure(outcome)["jobs.jct.mean"] / 3600,
        ),
        Case(
            "two transfers of 1 MB at once, 1 MB/s",
            "latency, s",
            "half the link each",
            2.011,
            _FLOWS,
            lambda outcome: measure(outcome)["apps.users.latency.max"],
            exact=True,
        ),
        Case(
            "2 s of work in every 10 s, 10 to 30 W, PUE 1.5",
            "energy, J",
            "integral of power",
            1.5 * (100 * 10 + 20 * 20),
            _POWER,
            lambda outcome: measure(outcome)["total.energy"],
            exact=True,
        ),
        Case(
            "one node for 100 s at 3.6 USD/h",
            "cost, USD",
            "price x time",
            0.1,
            _POWER,
            lambda outcome: measure(outcome)["total.cost"],
            exact=True,
        ),
    ]


def _queue(
    name: str,
    rate: float,
    truth: float,
    quantity: str,
    *,
    servers: int = 1,
    duration: int = 1000,
    work: str = EXPONENTIAL,
    more: str = "",
    source: str = "closed form",
    metric: str = "apps.users.latency.mean",
) -> Case:
    service = f"engine: {{policy: concurrent, servers: {servers}}}{more}"
    text = STATION.format(rate=rate, service=service, work=work, duration=duration, warmup=100)
    return Case(name, quantity, source, truth, text, lambda outcome: measure(outcome)[metric])


def verdicts() -> Iterator[Verdict]:
    """Simulate the cases, one after the other."""
    for case in cases():
        scenario = loads(case.text, file=case.name)
        if case.exact:
            value = case.read(build(scenario).run())
            yield Verdict(case, value, value, value)
            continue
        interval = of_mean([case.read(build(scenario, r).run()) for r in range(REPLICATIONS)], LEVEL)
        assert interval.low is not None
        assert interval.high is not None
        yield Verdict(case, interval.mean, interval.low, interval.high)
