import pytest

from sim.paas.autoscaling.ray_serve import (
    Autoscaler,
    AutoscalingConfig,
    Delay,
    at_capacity,
    desired,
    gang_multiple,
    smoothed,
)


@pytest.mark.parametrize(
    ("requests", "current", "up", "down", "expected"),
    [
        (20.0, 10, 1.0, 1.0, 10),
        (40.0, 10, 1.0, 1.0, 20),
        (40.0, 10, 0.5, 1.0, 15),
        (40.0, 10, 2.0, 1.0, 30),
        (21.0, 10, 1.0, 1.0, 11),
        (10.0, 10, 1.0, 1.0, 5),
        (10.0, 10, 1.0, 0.5, 8),  # 7.5
        (18.0, 10, 1.0, 0.5, 9),  # 9.5 rounds back to ten: stuck, so one is taken
        (19.0, 10, 1.0, 0.5, 10),  # the wish itself rounds to ten
        (0.0, 10, 1.0, 1.0, 0),
        (0.0, 1, 1.0, 0.1, 0),
    ],
)
def test_wish_and_factors(requests, current, up, down, expected):
    config = AutoscalingConfig(upscaling_factor=up, downscaling_factor=down)
    assert smoothed(desired(requests, current, config), current, config) == expected


def test_from_none_factors_do_not_count():
    assert smoothed(2.4, 0, AutoscalingConfig(upscaling_factor=3.0)) == 3


@pytest.mark.parametrize(
    ("replicas", "percent", "expected"),
    [(10, None, 10), (10, 100, 10), (10, 50, 5), (5, 50, 3), (3, 10, 1), (0, 50, 0), (10, 0, 0), (10, 25, 3)],
)
def test_target_capacity(replicas, percent, expected):
    assert at_capacity(replicas, percent) == expected


def test_gangs():
    assert [gang_multiple(n, 4) for n in (0, 1, 4, 5)] == [0, 4, 4, 8]


CONFIG = AutoscalingConfig(upscale_delay=30.0, downscale_delay=60.0, min_replicas=0, max_replicas=100)


def test_a_decision_must_last():
    delay = Delay()
    assert [delay.apply(8, 4, CONFIG, t) for t in (0.0, 29.9, 30.0)] == [4, 4, 8]
    assert delay.apply(9, 8, CONFIG, 30.1) == 8  # counted anew after it was carried out


def test_the_latest_wish_is_carried_out():
    delay = Delay()
    assert [delay.apply(n, 4, CONFIG, t) for n, t in ((9, 0.0), (7, 15.0), (6, 30.0))] == [4, 4, 6]


@pytest.mark.parametrize("between", [4, 2])
def test_a_flip_or_a_draw_resets_the_delay(between):
    delay = Delay()
    wishes = [(8, 0.0), (between, 20.0), (8, 29.0), (8, 58.9), (8, 59.0)]
    assert [delay.apply(n, 4, CONFIG, t) for n, t in wishes] == [4, 4, 4, 4, 8]


def test_rounding_of_the_clock_is_forgiven():
    delay = Delay()
    delay.apply(8, 4, CONFIG, 0.1)
    assert delay.apply(8, 4, CONFIG, 0.1 + 30.0 - 1e-9) == 8


def test_zero_is_reached_from_one_with_its_own_delay():
    config = AutoscalingConfig(downscale_delay=60.0, downscale_to_zero_delay=600.0, min_replicas=0)
    delay = Delay()
    assert [delay.apply(0, 5, config, t) for t in (0.0, 60.0)] == [5, 1]
    assert [delay.apply(0, 1, config, t) for t in (61.0, 660.9, 661.0)] == [1, 1, 0]
    plain = Delay()
    assert [plain.apply(0, 1, CONFIG, t) for t in (0.0, 60.0)] == [1, 0]


@pytest.mark.parametrize(
    ("requests", "target", "factor", "expected"),
    [(0.0, 0, 1.0, 0), (0.0, 2, 1.0, 2), (5.0, 0, 1.0, 1), (5.0, 0, 2.5, 3), (5.0, 4, 1.0, 4)],
)
def test_cold_start_has_no_delay(requests, target, factor, expected):
    config = AutoscalingConfig(min_replicas=0, max_replicas=10, upscaling_factor=factor)
    assert Autoscaler(config, Delay()).decide(requests, 0, target, 0.0) == expected


def test_bounds_come_last():
    config = AutoscalingConfig(min_replicas=2, max_replicas=6, upscale_delay=0.0, downscale_delay=0.0)
    scaler = Autoscaler(config, Delay())
    assert scaler.decide(100.0, 4, 4, 0.0) == 6
    assert scaler.wish == 50
    assert scaler.decide(0.0, 6, 6, 1.0) == 2


def test_defaults():
    config = AutoscalingConfig()
    assert (config.target_ongoing_requests, config.upscale_delay, config.downscale_delay) == (
        2.0,
        30.0,
        600.0,
    )
    assert config.bounds() == (1, 1)
