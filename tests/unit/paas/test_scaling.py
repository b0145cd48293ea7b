from dataclasses import dataclass

import numpy as np
import pytest

from sim.paas.autoscaling.hpa_behaviour import Rules
from sim.paas.policies.autoscalers.fixed import Fixed
from sim.paas.policies.autoscalers.kubernetes import Hpa
from sim.paas.policies.autoscalers.predictive import Predictive
from sim.paas.policies.engines import Concurrent
from sim.paas.policies.forecasters import SeasonalNaive


# Not registered: the registry is shared by all tests.
@dataclass
class Script:
    """Wishes what it was told, and keeps what it saw."""

    wishes: list[int]
    period: float = 10.0
    policy: str = "script"

    def want(self, observation, now):
        """Wished replicas."""
        SEEN.append(observation)
        return self.wishes[min(len(SEEN), len(self.wishes)) - 1]


SEEN = []


@pytest.fixture(autouse=True)
def _clear():
    SEEN.clear()


def test_means_are_exact_integrals_since_the_last_look(bench):
    bench.serve((2, 1, 4), engine=Concurrent(2), autoscaler=Script([2]))
    for t, work in ((1.0, 4.0), (2.0, 4.0), (9.0, 2.5), (12.0, 1.0)):
        bench.call_at(t, work)
    bench.finish(25.0)
    first, second = SEEN
    assert (first.time, second.time) == (10.0, 20.0)
    # 4 s + 4 s + 1 s of calls by 10 s on four servers; 1.5 s + 1 s after it.
    assert first.in_system == pytest.approx(0.9)
    assert first.utilisation == pytest.approx(0.9 / 4)
    assert first.rate == pytest.approx(0.3)
    assert second.in_system == pytest.approx(0.25)
    assert second.utilisation == pytest.approx(0.25 / 4)
    assert second.rate == pytest.approx(0.1)
    assert (first.wanted, first.ready, first.starting, first.queued) == (2, 2, 0, 0)
    assert (first.servers_per_replica, first.minimum, first.maximum) == (2, 1, 4)


def test_servers_that_were_not_there_all_the_time_count_for_their_share(bench):
    service = bench.serve((1, 1, 4), autoscaler=Script([2]))
    bench.call_at(0.0, 10.0)
    bench.kernel.call_at(5.0, service.replica_set.scale, 2)
    bench.finish(12.0)
    # One busy server against one for 5 s and two for 5 s.
    assert SEEN[0].utilisation == pytest.approx(1.0 / 1.5)


def test_capacity_is_that_of_full_batches_of_calls_like_those_seen(bench):
    bench.serve((1, 1, 1), engine=Concurrent(2), autoscaler=Script([1]))
    bench.call_at(12.0, 4.0)
    bench.finish(25.0)
    assert [seen.capacity for seen in SEEN] == pytest.approx([2.0, 0.5])


def test_wishes_are_held_in_bounds_recorded_and_applied(bench):
    service = bench.serve((2, 1, 4), autoscaler=Script([9, 0, 3]))
    tables = bench.finish(35.0)
    rows = [
        (r["time"], r["policy"], r["current"], r["wanted"], r["applied"], r["ready"], r["reason"])
        for r in tables["scaling"]
    ]
    assert rows == [
        (10.0, "script", 2, 9, 4, 2, "maximum"),
        (20.0, "script", 4, 0, 1, 4, "minimum"),
        (30.0, "script", 1, 3, 3, 1, ""),
    ]
    assert service.ready == 3
    wanted = bench.recorded.steps["paas/detector/wanted"]
    assert wanted[1].tolist() == [2.0, 4.0, 1.0, 3.0]


def test_the_service_can_set_another_period(bench):
    bench.serve((2, 1, 4), autoscaler=Script([2]), period=4.0)
    bench.finish(13.0)
    assert [seen.time for seen in SEEN] == [4.0, 8.0, 12.0]


def test_history_has_complete_bins_and_a_look_sees_the_bin_that_ends_with_it(bench):
    @dataclass
    class Bins:
        """Keeps what it saw."""

        period: float = 10.0
        bin: float = 5.0
        policy: str = "bins"

        def want(self, observation, now):
            """Wished replicas."""
            SEEN.append(observation)
            return observation.wanted

    bench.serve((2, 1, 4), autoscaler=Bins())
    for t in (1.0, 2.0, 6.0, 11.0):
        bench.call_at(t, 0.1)
    bench.finish(21.0)
    assert SEEN[0].history.times.tolist() == [5.0, 10.0]
    assert SEEN[0].history.rates.tolist() == [0.4, 0.2]
    assert SEEN[1].history.rates.tolist() == [0.4, 0.2, 0.2, 0.0]
    assert SEEN[1].history.width == 5.0


def test_a_long_history_keeps_every_bin_and_what_was_handed_out(bench):
    policy = Script([1], period=100.0)
    policy.bin = 1.0
    bench.serve(1, autoscaler=policy)
    for second in range(0, 400, 3):
        bench.call_at(second + 0.5, 0.1)
    bench.finish(400.5)
    assert [len(seen.history.times) for seen in SEEN] == [100, 200, 300, 400]
    expected = [1.0 if second % 3 == 0 else 0.0 for second in range(400)]
    for seen in SEEN:
        assert seen.history.rates.tolist() == expected[: len(seen.history.rates)]
        assert seen.history.times.tolist() == [1.0 + n for n in range(len(seen.history.times))]


def test_closing_stops_the_loop(bench):
    service = bench.serve((1, 1, 2), autoscaler=Script([1]))
    bench.kernel.run(25.0)
    service.close()
    bench.kernel.run()
    assert len(SEEN) == 2
    assert bench.kernel.now <= 60.0


def test_the_policy_of_the_scenario_is_not_touched(bench):
    configured = Hpa()
    bench.serve((1, 1, 2), autoscaler=configured)
    bench.finish(100.0)
    assert configured._controller.recommended == []
    assert configured.signal != configured.signal


def arrivals(bench, rate, start, end):
    for t in np.arange(start, end, 1.0 / rate):
        bench.call_at(float(t))


def test_hpa_grows_under_load_and_shrinks_five_minutes_after(bench):
    service = bench.serve((1, 1, 4), autoscaler=Hpa(utilisation=0.5))
    arrivals(bench, 1.5, 0.5, 120.0)
    tables = bench.finish(600.0)
    applied = {r["time"]: r["applied"] for r in tables["scaling"]}
    # 1.5 calls/s of one second keep 1.5 servers busy: three at a target of one half, four with the backlog.
    assert applied[30.0] == 4
    # Work ends within seconds of 120 s; the looks until 135 s may want more than one.
    assert applied[405.0] >= 3
    assert applied[450.0] == 1
    assert service.completed == service.submitted


def test_predictive_is_ready_before_the_rise_that_it_knows(make_bench):
    # Square load, 3 calls/s for the second half of every 200 s; replicas take 20 s to start.
    def waits(autoscaler):
        bench = make_bench(nodes=8)
        bench.serve((1, 1, 8), autoscaler=autoscaler, warmup=20.0)
        for start in range(0, 1000, 200):
            arrivals(bench, 0.2, start + 0.5, start + 100)
            arrivals(bench, 3.0, start + 100, start + 200)
        bench.finish(1100.0)
        return np.mean([c.start - c.enter for c in bench.done if c.enter > 400])

    forecast = waits(
        Predictive(SeasonalNaive(200.0), quantile=0.9, target=0.8, bin=10.0, stabilisation=30.0, guard=False)
    )
    reactive = waits(Hpa(utilisation=0.8, scale_down=Rules(30.0)))
    assert forecast < 0.1
    assert reactive > 10 * forecast


def test_fixed_holds_its_number(bench):
    service = bench.serve((1, 1, 4), autoscaler=Fixed(3))
    tables = bench.finish(200.0)
    assert [r["applied"] for r in tables["scaling"]] == [3, 3, 3]
    assert service.ready == 3
