import numpy as np
import pytest

from sim import registry
from sim.saas.blocks import BLOCK
from sim.saas.policies.arrivals import MarkovModulated, OnOff, Periodic, Poisson, RandomJumps
from sim.saas.policies.batches import Batches
from sim.saas.policies.recorded import Preset, Trace, two_levels
from sim.saas.policies.varying import Crowd, Diurnal, FlashCrowd, Ramp
from sim.saas.policies.weekly import Weekly

CROWD = Crowd(at=300.0, factor=10.0, ramp=20.0, hold=30.0, decay=40.0)
PROCESSES = [
    Poisson(3.0),
    Periodic(0.5),
    Periodic(0.5, jitter=0.5, phase="random"),
    Periodic(0.5, phase="aligned"),
    MarkovModulated([1.0, 0.0, 10.0], [5.0, 2.0, 0.5]),
    OnOff(4.0, 5.0, 15.0),
    Diurnal(1.0, 0.9, period=500.0, crowds=[CROWD]),
    FlashCrowd(1.0, at=100.0, factor=20.0, ramp=10.0, hold=20.0, decay=5.0),
    Ramp(0.0, 5.0, over=100.0, begin=50.0),
    Preset("azure-llm-conv"),
    Weekly(2.0, hours=[1.0, 4.0], days=[1, 0, 2, 1, 1, 1, 1], day=300.0),
    Weekly(2.0, hours=[1.0, 4.0], day=300.0, dispersion=5.0),
    Batches(5.0, on=20.0, period=90.0),
    RandomJumps(0.1, 9.0, stay=50.0),
]
NAMES = [f"{index}-{type(process).__name__}" for index, process in enumerate(PROCESSES)]


def times(process, users, until, seed=7):
    blocks = list(process.blocks(np.random.default_rng(seed), users, until))
    assert all(len(block.times) for block in blocks)
    return np.concatenate([block.times for block in blocks]) if blocks else np.empty(0)


@pytest.mark.parametrize("process", PROCESSES, ids=NAMES)
def test_times_are_sorted_and_inside_the_run(process):
    drawn = times(process, 10, 1000.0)
    assert len(drawn) > 100
    assert drawn[0] >= 0.0
    assert drawn[-1] < 1000.0
    assert (np.diff(drawn) >= 0).all()


@pytest.mark.parametrize("process", PROCESSES, ids=NAMES)
def test_a_longer_run_sees_the_same_arrivals_first(process):
    long = times(process, 10, 2000.0)
    short = times(process, 10, 777.7)
    assert np.array_equal(short, long[long < 777.7])


@pytest.mark.parametrize("process", PROCESSES, ids=NAMES)
def test_the_seed_decides(process):
    first, again, other = (times(process, 10, 300.0, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    random = not isinstance(process, Periodic) or process.phase == "random" or process.jitter
    assert np.array_equal(first, other) is not random


@pytest.mark.parametrize("process", PROCESSES, ids=NAMES)
def test_nobody_sends_nothing(process):
    assert len(times(process, 0, 100.0)) == 0
    assert not process.expected(np.array([0.0, 50.0]), 0).any()


@pytest.mark.parametrize("process", PROCESSES, ids=NAMES)
def test_blocks_are_small_whatever_the_rate(process):
    blocks = process.blocks(np.random.default_rng(1), 2000, 20.0)
    assert max((len(block.times) for block in blocks), default=0) < 3 * BLOCK


@pytest.mark.parametrize(
    "process",
    [
        Poisson(0.0),
        MarkovModulated([0.0, 0.0], [1.0, 1.0]),
        OnOff(0.0, 1.0, 1.0),
        Diurnal(0.0),
        FlashCrowd(0.0, at=1.0, factor=5.0),
        Ramp(0.0, 0.0, over=1.0),
        Preset("azure-llm-conv", rate=0.0),
    ],
)
def test_rate_zero_ends_at_once(process):
    assert len(times(process, 5, 1e9)) == 0


# ---------------------------------------------------------------- periodic


def test_spread_users_take_turns_at_exact_moments():
    drawn = times(Periodic(0.2), 4, 100.0)
    exact = [k * 0.2 + user * 0.2 / 4 for k in range(500) for user in range(4)]
    assert drawn.tolist() == sorted(exact)


def test_aligned_users_send_at_once_and_in_their_order():
    blocks = list(Periodic(2.0, phase="aligned").blocks(np.random.default_rng(1), 3, 6.0))
    assert np.concatenate([block.times for block in blocks]).tolist() == [0.0] * 3 + [2.0] * 3 + [4.0] * 3
    assert np.concatenate([block.columns["user"] for block in blocks]).tolist() == [0, 1, 2] * 3


def test_each_user_keeps_a_phase_of_its_own():
    blocks = list(Periodic(5.0, phase="random").blocks(np.random.default_rng(3), 50, 5000.0))
    drawn = np.concatenate([block.times for block in blocks])
    user = np.concatenate([block.columns["user"] for block in blocks])
    phases = np.array([drawn[user == u][0] for u in range(50)])
    assert len(np.unique(phases)) == 50
    for u in range(50):
        assert drawn[user == u] == pytest.approx(phases[u] + 5.0 * np.arange(1000))


def test_jitter_only_delays_and_by_less_than_stated():
    drawn = times(Periodic(1.0, jitter=1.0, phase="aligned"), 1, 9000.0)
    late = drawn - np.arange(len(drawn))
    assert late.min() >= 0.0
    assert late.max() < 1.0
    # Mean of n uniforms has sd 1/sqrt(12 n) = 0.003: five of them, a false alarm in 6e-7 of seeds.
    assert late.mean() == pytest.approx(0.5, abs=0.016)


def test_no_delayed_request_is_lost_between_blocks():
    blocks = list(Periodic(1.0, jitter=1.0).blocks(np.random.default_rng(3), 7, 5000.0))
    user = np.concatenate([block.columns["user"] for block in blocks])
    # Only the last two requests of each can be late enough to fall after the end.
    assert (np.bincount(user) >= 4998).all()
    assert (np.bincount(user) <= 5000).all()


def test_jitter_beyond_a_period_is_refused():
    with pytest.raises(ValueError, match="at most one period"):
        Periodic(1.0, jitter=1.5)


# ---------------------------------------------------------------- rate functions


def test_a_crowd_rises_stays_and_dies_away():
    shape = CROWD.shape(np.array([0.0, 299.9, 300.0, 310.0, 320.0, 350.0, 390.0, 430.0]))
    exact = [1, 1, 1, 5.5, 10, 10, 1 + 9 * np.exp(-1), 1 + 9 * np.exp(-2)]
    assert shape == pytest.approx(exact)


def test_a_crowd_without_ramp_and_decay_is_a_box():
    box = Crowd(at=10.0, factor=3.0, hold=5.0)
    assert box.shape(np.array([9.999, 10.0, 15.0, 15.001])).tolist() == [1.0, 3.0, 3.0, 1.0]


@pytest.mark.parametrize("crowd", [CROWD, Crowd(10.0, 3.0, hold=5.0), Crowd(10.0, 0.0, 3.0, 2.0, 1.0)])
def test_the_bound_of_a_crowd_is_never_exceeded_and_is_reached(crowd):
    rng = np.random.default_rng(5)
    for start, width in zip(rng.uniform(0, 500, 300), rng.uniform(0.1, 200, 300), strict=True):
        shape = crowd.shape(np.linspace(start, start + width, 2001))
        bound = crowd.bound(start, start + width)
        assert shape.max() <= bound + 1e-12
        if crowd.factor > 1 and crowd.ramp:
            assert shape.max() >= 0.97 * bound


def test_the_wave_has_its_peak_mean_and_trough_where_it_was_told():
    process = Diurnal(2.0, peak_to_mean=1.8, period=100.0, peak_at=30.0)
    rates = process.expected(np.array([30.0, 55.0, 80.0, 130.0]), 10)
    assert rates == pytest.approx([36.0, 20.0, 4.0, 36.0])


def test_amplitude_may_be_said_in_one_way_only():
    with pytest.raises(ValueError, match="same thing"):
        Diurnal(1.0, amplitude=0.5, peak_to_mean=1.5)
    assert Diurnal(1.0).swing == 0.5


def test_a_ramp_climbs_in_a_straight_line():
    process = Ramp(1.0, 5.0, over=100.0, begin=50.0)
    assert process.expected(np.array([0.0, 50.0, 100.0, 150.0, 1e6]), 2).tolist() == [2, 2, 6, 10, 10]


def test_levels_and_stays_go_together():
    with pytest.raises(ValueError, match="same length"):
        MarkovModulated([1.0, 2.0], [1.0])


# ---------------------------------------------------------------- presets


def dispersion(rates, dwell, window):
    """Variance over mean of a two-level process, straight from its autocovariance."""
    share = dwell / dwell.sum()
    mean = share @ rates
    variance = share @ (rates - mean) ** 2
    decay = (1 / dwell).sum()
    lags = np.linspace(0, window, 200_001)
    overlap = np.trapezoid(2 * (window - lags) * variance * np.exp(-decay * lags), lags)
    return 1 + overlap / (mean * window)


@pytest.mark.parametrize(("mean", "wanted", "swing"), [(5.5, 16.1, 100), (2.6, 164, 100), (10, 1.2, 3)])
def test_two_levels_have_the_mean_and_the_dispersion_asked_for(mean, wanted, swing):
    rates, dwell = two_levels(mean, wanted, swing)
    assert rates.min() >= 0.0
    assert dwell @ rates / dwell.sum() == pytest.approx(mean)
    assert 1 / (1 / dwell).sum() == pytest.approx(swing)
    assert dispersion(rates, dwell, 60.0) == pytest.approx(wanted, rel=1e-6)


def test_a_preset_draws_tokens_between_its_extremes():
    from sim import catalog

    card = catalog.preset("azure-llm-conv")
    blocks = list(Preset(card.name, rate=50.0).blocks(np.random.default_rng(1), 1, 1000.0))
    for name in ("tokens_in", "tokens_out"):
        table = card.quantiles[name]
        drawn = np.concatenate([block.columns[name] for block in blocks])
        assert drawn.dtype == np.int64
        assert drawn.min() >= min(table.values())
        assert drawn.max() <= max(table.values())


def test_the_rate_of_a_preset_can_be_set():
    assert Preset("azure-llm-conv", rate=3.0).expected(np.zeros(2), 5).tolist() == [3.0, 3.0]


def test_a_trace_does_not_pretend_to_know_its_rate():
    assert np.isnan(Trace("nowhere.csv").expected(np.zeros(3), 1)).all()


# ---------------------------------------------------------------- as policies


def test_every_process_has_help_for_each_field():
    registry.load_builtin()
    for name, cls in registry.classes("arrivals"):
        for field in cls.__dataclass_fields__:
            assert field == "process" or f"{field}:" in cls.__doc__, f"{name}: {field}"


def test_a_crowd_that_dwarfs_the_usual_rate_does_not_slow_the_time_before_it():
    process = Diurnal(1e-9, crowds=[Crowd(at=5e6, factor=1e6), Crowd(at=5e6, factor=1e6)])
    blocks = process.blocks(np.random.default_rng(1), 1, 1e6)
    assert sum(len(block.times) for block in blocks) == 0
