"""The service in closed form: against Erlang's formula, and against the simulator."""

import numpy as np
import pytest

from sim.errors import UsageError
from sim.paas.autoscaling.rewards import Reward
from sim.rl.episode import Episode
from sim.rl.fluid import FluidEpisode
from sim.scenario.load import loads
from sim.stats.theory import erlang_c

SCENARIO = """
name: small
seed: 5
duration: DURATION
infrastructure:
  instances: {box: {cpu: 640, memory: 640GB, source: made up}}
  sites: {dc: {kind: cloud, pools: {cpus: {instance: box, nodes: 1}}}}
  storage: {site: dc, bandwidth: 1GB/s}
platform:
  services:
    api:
      site: dc
      time: {policy: constant, value: 20s}
      resources: {cpu: 1}
      replicas: {initial: 20, min: 1, max: 60}
      image: 10GB
      warmup: 30s
      autoscaler: AUTOSCALER
applications:
  shop:
    users: {dc: 1}
    arrivals: ARRIVALS
    work: {dist: exponential, mean: 1}
    calls: {ask: {to: api}}
    slo: {latency: 1min, quantile: 95%}
"""

DAYS = "{process: diurnal, rate: 0.8/s, period: 40min}"


def made(arrivals=DAYS, duration="2h", autoscaler="fixed"):
    text = SCENARIO.replace("ARRIVALS", arrivals).replace("DURATION", duration)
    return loads(text.replace("AUTOSCALER", autoscaler))


def test_held_at_fixed_replicas_it_is_erlangs_queue():
    episode = FluidEpisode(made("{process: poisson, rate: 0.85/s}", "40h"), "api", 0, period=30.0)
    inside = []
    while not episode.over:
        inside.append(episode._seen.in_system)
        episode.act(2)
    load = 0.85 * 20
    due = load + erlang_c(load, 20) * load / (20 - load)
    # Steps of 5 s against services of 20 s; the queue alone would be 3.5 calls of 20.5.
    assert np.mean(inside[100:]) == pytest.approx(due, rel=0.03)


def test_replicas_start_after_their_lead_and_the_newest_go_first():
    episode = FluidEpisode(made(), "api", 0, period=15.0, step=0.1)
    episode.act(4)
    assert (episode.wanted, episode._seen.ready, episode._seen.starting) == (24, 20, 4)
    # Four images of 10 GB at 1 GB/s together and 30 s of warm-up.
    assert episode._seen.lead_time == pytest.approx(70.0)
    for _ in range(4):
        assert episode._seen.ready == 20
        episode.act(2)
    assert (episode._seen.ready, episode._seen.starting) == (24, 0)
    episode.act(3)
    episode.act(0)
    assert (episode.wanted, episode._seen.ready, episode._seen.starting) == (20, 20, 0)
    episode.act(0)
    assert (episode.wanted, episode._seen.ready, episode._seen.starting) == (16, 16, 0)


def test_it_stays_near_the_simulator():
    base = "{policy: predictive, target: 80%, forecaster: {policy: seasonal-naive, season: 40min}}"

    def lived(kind):
        episode = kind(made(autoscaler=base), "api", 1, residual=True, day=2400.0, reward=Reward(patience=40))
        paid, held = 0.0, []
        while not episode.over:
            held.append(episode.state[5])
            paid += episode.act(2)
        return paid, np.array(held)

    (paid, held), (simulated, truly) = lived(FluidEpisode), lived(Episode)
    assert len(held) == len(truly)
    # What the base wants follows the arrivals, which are the very same.
    assert held.mean() == pytest.approx(truly.mean(), rel=0.03)
    assert np.corrcoef(held, truly)[0, 1] > 0.95
    assert paid == pytest.approx(simulated, rel=0.25)


def test_it_repeats_and_refuses():
    totals = []
    for _ in range(2):
        episode = FluidEpisode(made(duration="20min"), "api", 3)
        total = 0.0
        while not episode.over:
            total += episode.act(1)
        totals.append(total)
    assert totals[0] == totals[1] < 0
    with pytest.raises(UsageError, match='did you mean "api"'):
        FluidEpisode(made(), "apu", 0)
    with pytest.raises(UsageError, match="ends before the first look"):
        FluidEpisode(made(), "api", 0, period=9999.0)
