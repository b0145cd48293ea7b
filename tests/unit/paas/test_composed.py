"""The loop in parts: signal, forecaster, recommender, stabilisers; and what monitoring sees of it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from sim.paas.policies.autoscalers.base import History, Observation
from sim.paas.policies.autoscalers.composed import Composed
from sim.paas.policies.forecasters import Forecast
from sim.paas.policies.recommenders import Capacity, SquareRoot, Target
from sim.paas.policies.stabilisers import Cooldown, Persistence, StepLimit, Window
from sim.paas.scrape import Scrape

PLAIN = Observation(
    time=0.0,
    wanted=4,
    ready=4,
    starting=0,
    minimum=0,
    maximum=50,
    rate=0.0,
    in_system=0.0,
    queued=0,
    utilisation=0.0,
    history=History(np.empty(0), np.empty(0), 60.0),
    lead_time=30.0,
    servers_per_replica=2,
    capacity=10.0,
)


def ask(policy, now, **changes):
    observation = replace(PLAIN, time=now, **changes)
    return policy.want(observation, now)


@pytest.mark.parametrize(
    ("recommender", "value", "expected"),
    [
        (Target(5.0), 21.0, 5),
        (Target(5.0), 20.0, 4),
        (Target(5.0, tolerance=0.1), 22.0, 4),
        (Target(5.0, tolerance=0.1), 22.1, 5),
        (Capacity(0.5), 21.0, 5),  # 21 / (0.5 x 10)
        (SquareRoot(1.0), 50.0, 7),  # ten servers' load, sqrt(10) more: 13.16 in replicas of two
        (SquareRoot(1.0), 0.0, 0),
    ],
)
def test_recommenders(recommender, value, expected):
    assert recommender.recommend(value, PLAIN) == expected


def held(stabiliser, *steps):
    stabiliser.start()
    return [stabiliser.hold(wish, current, now) for now, current, wish in steps]


def test_a_window_takes_the_nearest_wish():
    steps = [(0.0, 4, 9), (10.0, 4, 2), (25.0, 4, 8), (31.0, 4, 8)]
    assert held(Window(up=20.0, down=30.0), *steps) == [9, 4, 4, 8]


def test_a_cooldown_counts_from_the_last_change():
    steps = [(0.0, 4, 6), (10.0, 6, 3), (29.9, 6, 3), (30.0, 6, 3), (31.0, 3, 5)]
    assert held(Cooldown(up=0.0, down=30.0), *steps) == [6, 6, 6, 3, 5]


def test_a_cooldown_counts_changes_by_others():
    assert held(Cooldown(down=30.0), (0.0, 4, 4), (10.0, 6, 4), (39.9, 6, 4), (40.0, 6, 4)) == [4, 6, 6, 4]


def test_persistence_needs_one_direction():
    steps = [(0.0, 4, 6), (9.0, 4, 6), (10.0, 4, 7), (11.0, 7, 2), (15.0, 7, 8), (20.0, 7, 2)]
    assert held(Persistence(up=10.0, down=5.0), *steps) == [4, 4, 7, 7, 7, 7]


def test_a_step_limit():
    assert held(StepLimit(up=2, down=1), (0.0, 4, 9), (0.0, 4, 1), (0.0, 4, 5)) == [6, 3, 5]


def test_stabilisers_follow_each_other_and_the_first_that_held_is_named():
    policy = Composed(recommender=Target(1.0), stabilisers=[StepLimit(up=3), Window(down=60.0)])
    assert ask(policy, 0.0, in_system=20.0) == 7
    assert (policy.recommended, policy.reason, policy.signal) == (20, "step-limit", 20.0)
    assert ask(policy, 15.0, wanted=7, in_system=6.0) == 7
    assert (policy.recommended, policy.reason) == (6, "window")


@dataclass
class Known:
    """Foresees one rate."""

    rate: float | None

    def predict(self, rates, width, steps):
        if self.rate is None:
            return None
        return Forecast(np.full(steps, self.rate), np.ones(steps), np.empty(0))


@pytest.mark.parametrize(("foreseen", "expected"), [(40.0, 8), (5.0, 4), (None, 4)])
def test_a_forecast_can_only_add(foreseen, expected):
    policy = Composed("rate", Known(foreseen), recommender=Target(5.0), stabilisers=[])
    assert ask(policy, 0.0, rate=20.0) == expected


def test_a_forecaster_needs_the_rate():
    with pytest.raises(ValueError, match="rate"):
        Composed("queue", Known(1.0))


# ---------------------------------------------------------------- monitoring


@dataclass
class Watch:
    """Keeps what it saw, and wishes what there is."""

    period: float = 10.0
    policy: str = "watch"

    def want(self, observation, now):
        SEEN.append((now, observation.time, observation.rate, observation.wanted))
        return observation.wanted


SEEN = []


@pytest.fixture(autouse=True)
def _clear():
    SEEN.clear()


def watched(bench, scrape, until):
    bench.serve((2, 1, 4), autoscaler=Watch(), scrape=scrape)
    for t in (1.0, 2.0, 13.0, 14.0, 15.0, 16.0):
        bench.call_at(t, 0.1)
    return bench.finish(until)


def test_a_sample_is_the_mean_since_the_one_before(bench):
    watched(bench, Scrape(5.0), 21.0)
    # At 10 s both samples are there: that of 5 s has two calls in 5 s, that of 10 s none.
    assert SEEN == [(10.0, 10.0, 0.0, 2), (20.0, 20.0, 0.2, 2)]


def test_a_late_sample_is_seen_later(bench):
    tables = watched(bench, Scrape(5.0, delay=12.0), 31.0)
    assert [row[:3] for row in SEEN] == [(20.0, 5.0, 0.4), (30.0, 15.0, 0.6)]
    assert [row["reason"] for row in tables["scaling"]] == ["no-measurement", "", ""]


def test_between_two_samples_the_old_one_is_seen_with_the_present_replicas(bench):
    service = bench.serve((2, 1, 4), autoscaler=Watch(), scrape=Scrape(15.0))
    bench.kernel.call_at(18.0, service.replica_set.scale, 3)
    bench.finish(21.0)
    assert SEEN == [(20.0, 15.0, 0.0, 3)]


def test_lost_samples(bench):
    watched(bench, Scrape(1.0, missing=0.5), 2001.0)
    ages = [now - taken for now, taken, _, _ in SEEN]
    # The age at a look is geometric with p = 1/2: mean 1. 200 looks, sd sqrt(2): 4 sd are 0.4 (1 in 16,000).
    assert np.mean(ages) == pytest.approx(1.0, abs=0.4)
    assert max(ages) > 1.0
    # Lost samples lengthen no mean: a sample still covers one second.
    assert {round(rate) for _, _, rate, _ in SEEN} <= {0, 1}


def test_all_samples_lost_changes_nothing(bench):
    tables = watched(bench, Scrape(1.0, missing=1.0), 40.0)
    assert SEEN == []
    assert {(row["applied"], row["reason"]) for row in tables["scaling"]} == {(2, "no-measurement")}
