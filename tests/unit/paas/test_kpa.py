import pytest

from sim.paas.autoscaling.kpa import (
    Autoscaler,
    Decider,
    ZeroScaler,
    activators,
    excess_burst,
    resolve,
    sample_size,
)


def decide(ready, stable, panic=None, now=0.0, **spec):
    spec.setdefault("target", 10.0)
    return Autoscaler(Decider(**spec)).scale(ready, stable, stable if panic is None else panic, now)


@pytest.mark.parametrize(
    ("ready", "stable", "spec", "pods"),
    [
        (1, 10.0, {}, 1),
        (1, 10.001, {"panic_threshold": 99.0}, 2),  # rounded up
        (2, 100.0, {"max_scale_up": 2.0, "panic_threshold": 99.0}, 4),
        (3, 100.0, {"max_scale_up": 1.1, "panic_threshold": 99.0}, 4),  # ceil(3.3): one at least
        (10, 0.0, {}, 5),  # at most halved
        (9, 0.0, {}, 4),  # floor(4.5)
        (10, 0.0, {"reachable": False}, 0),
        (1, 0.0, {}, 0),  # floor(0.5)
        (0, 5.0, {}, 1),  # zero ready count as one
        (0, 100.0, {"max_scale_up": 3.0, "panic_threshold": 99.0}, 3),
        (0, 5.0, {"activation_scale": 3}, 3),
        (0, 0.0, {"activation_scale": 3}, 0),  # nothing asked: nothing to activate
        (4, 50.0, {"activation_scale": 3}, 5),
    ],
)
def test_stable_mode(ready, stable, spec, pods):
    got = decide(ready, stable, **spec)
    assert (got.pods, got.panicking) == (pods, False)


def test_no_data_changes_nothing():
    assert Autoscaler(Decider()).scale(3, None, 5.0, 0.0) is None
    assert Autoscaler(Decider()).scale(3, 5.0, None, 0.0) is None


@pytest.mark.parametrize(
    ("ready", "panic", "panics"),
    [
        (2, 30.0, False),  # 3 / 2
        (2, 30.1, True),  # ceil first: 4 / 2
        (2, 40.0, True),  # the threshold itself is over
        (0, 10.0, False),  # 1 / max(1, 0)
        (0, 10.1, True),
    ],
)
def test_panic_begins_at_the_threshold(ready, panic, panics):
    assert decide(ready, 10.0, panic).panicking is panics


def test_the_panic_ratio_is_not_held_by_the_rates():
    got = decide(10, 10.0, 1000.0, max_scale_up=1.5)
    assert (got.pods, got.panicking, got.raw) == (15, True, 100)


def test_panic_never_shrinks_and_ends_after_a_whole_stable_window():
    scaler = Autoscaler(Decider(target=10.0))
    assert scaler.scale(2, 10.0, 100.0, 0.0).pods == 10
    assert scaler.scale(10, 30.0, 40.0, 10.0).pods == 10
    assert scaler.scale(10, 120.0, 40.0, 20.0).pods == 12  # the larger of both windows
    assert scaler.scale(12, 20.0, 20.0, 60.0) == (12, 2, 969, True)  # exactly one window: not yet
    assert scaler.scale(12, 20.0, 20.0, 62.0) == (6, 2, 969, False)


def test_a_new_surge_prolongs_the_panic():
    scaler = Autoscaler(Decider(target=10.0))
    scaler.scale(1, 10.0, 50.0, 0.0)
    scaler.scale(2, 10.0, 50.0, 50.0)
    assert scaler.scale(5, 10.0, 10.0, 100.0).panicking
    assert not scaler.scale(5, 10.0, 10.0, 110.1).panicking


def test_a_new_autoscaler_keeps_what_there_is():
    scaler = Autoscaler.begin(Decider(target=10.0), ready=5, now=0.0)
    assert scaler.scale(5, 0.0, 0.0, 2.0).pods == 5
    assert scaler.scale(5, 0.0, 0.0, 62.0).pods == 2
    assert Autoscaler.begin(Decider(target=10.0), ready=1, now=0.0).scale(1, 0.0, 0.0, 2.0).pods == 0


def test_scale_down_delay():
    scaler = Autoscaler(Decider(target=10.0, scale_down_delay=10.0))
    assert [
        scaler.scale(4, load, load, now).pods for load, now in ((40.0, 0.0), (20.0, 2.0), (20.0, 8.0))
    ] == [4, 4, 4]
    # Five buckets of 2 s: at 10 s the wish of 0 s is out.
    assert scaler.scale(4, 20.0, 20.0, 10.0).pods == 2
    assert scaler.scale(2, 60.0, 30.0, 12.0).pods == 6


@pytest.mark.parametrize(
    ("ready", "total", "burst", "panic", "expected"),
    [
        (2, 100.0, 211.0, 50.0, -61),
        (3, 100.0, 211.0, 50.5, 38),  # floored
        (0, 100.0, 10.0, 0.0, -10),  # zero ready are zero here
        (1, 10.0, 0.0, 99.0, 0),
        (1, 10.0, -1.0, 0.0, -1),
        (2, 10.0, 25.0, 0.5, -6),  # floor(-5.5)
    ],
)
def test_excess_burst_capacity(ready, total, burst, panic, expected):
    assert excess_burst(ready, total, burst, panic) == expected


@pytest.mark.parametrize(
    ("ready", "burst", "expected"),
    [(0, 0.0, 2), (1, 200.0, 3), (1, -1.0, 2), (5, -1.0, 5), (0, 10.0, 2), (9, 1.0, 10)],
)
def test_activators(ready, burst, expected):
    assert activators(ready, 100.0, burst) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (70.0, 100.0)),
        ({"container_concurrency": 10.0}, (7.0, 10.0)),
        ({"target": 50.0}, (35.0, 50.0)),
        ({"target": 50.0, "container_concurrency": 10.0}, (7.0, 10.0)),  # never above the container's
        ({"target": 5.0, "container_concurrency": 10.0, "utilisation": 1.0}, (5.0, 5.0)),
        ({"metric": "rps"}, (140.0, 200.0)),
        ({"metric": "rps", "target": 10.0, "container_concurrency": 2.0}, (7.0, 10.0)),
        ({"target": 0.01, "utilisation": 0.5}, (0.01, 0.01)),
    ],
)
def test_targets(given, expected):
    assert resolve(**given) == pytest.approx(expected)


@pytest.mark.parametrize(("pods", "sample"), [(0, 0), (1, 1), (3, 3), (10, 7), (100, 14), (1000, 16)])
def test_sample_size(pods, sample):
    assert sample_size(pods) == sample


def test_bounds_and_initial_scale():
    scaler = ZeroScaler(minimum=2, maximum=5, initial=3)
    assert scaler.apply(0, 3, 1, 0.0) == 3  # not reached: the wish does not count
    assert scaler.apply(9, 3, 1, 1.0) == 5
    assert scaler.apply(0, 3, 3, 2.0) == 2
    assert scaler.apply(9, 3, 3, 4.0) == 5
    assert scaler.apply(-1, 4, 4, 6.0) == 4


def test_to_zero_takes_a_stable_window_and_the_grace():
    scaler = ZeroScaler(reached=True)
    assert scaler.apply(2, 2, 2, 100.0) == 2
    assert scaler.apply(0, 2, 2, 159.0) == 1  # active for less than 60 s
    assert scaler.apply(0, 1, 1, 160.0) == 1  # inactive from now on
    assert scaler.apply(0, 1, 1, 189.9) == 1
    assert scaler.apply(0, 1, 1, 190.0) == 0
    assert scaler.apply(0, 0, 0, 192.0) == 0


def test_traffic_in_the_grace_period_makes_it_active_again():
    scaler = ZeroScaler(reached=True)
    scaler.apply(1, 1, 1, 0.0)
    scaler.apply(0, 1, 1, 60.0)
    assert scaler.apply(1, 1, 1, 70.0) == 1
    assert scaler.apply(0, 1, 1, 95.0) == 1
    assert scaler.apply(0, 1, 1, 130.0) == 1
    assert scaler.apply(0, 1, 1, 160.0) == 0


def test_the_last_pod_may_be_kept_and_zero_may_be_off():
    scaler = ZeroScaler(reached=True, retention=600.0)
    scaler.apply(1, 1, 1, 0.0)
    assert [scaler.apply(0, 1, 1, t) for t in (60.0, 659.0, 660.0)] == [1, 1, 0]
    assert ZeroScaler(reached=True, enabled=False).apply(0, 3, 3, 999.0) == 1


def test_with_the_activator_in_the_path_already_the_grace_is_over():
    scaler = ZeroScaler(reached=True)
    scaler.apply(1, 1, 1, 0.0)
    assert scaler.apply(0, 1, 1, 60.0, proxied_for=45.0) == 0


def test_while_it_activates_nobody_takes_the_pod_away():
    assert ZeroScaler(reached=True).apply(0, 1, 0, 500.0) == 1
