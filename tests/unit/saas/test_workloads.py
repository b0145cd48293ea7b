"""Weekly rhythms, batches by the clock and jumps without memory."""

import numpy as np
import pytest

from sim import catalog
from sim.saas.policies.arrivals import RandomJumps
from sim.saas.policies.batches import Batches
from sim.saas.policies.varying import Crowd
from sim.saas.policies.weekly import Weekly

HOURS = [1.0, 3.0, 2.0, 6.0]
DAYS = [2.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


def test_a_week_runs_straight_between_the_middles_of_its_hours():
    process = Weekly(rate=3.0, hours=HOURS, day=80.0)
    # Mean weight 3: middles at 10, 30, 50 and 70 s of a day of 80 s, in requests per second of one user.
    at = np.array([10.0, 20.0, 30.0, 50.0, 60.0, 70.0, 80.0, 90.0, 0.0])
    assert process.expected(at, 1).tolist() == pytest.approx([1, 2, 3, 2, 4, 6, 3.5, 1, 3.5])
    assert process.expected(at, 4).tolist() == pytest.approx((4 * process.expected(at, 1)).tolist())


def test_the_mean_of_a_week_is_the_rate_whatever_the_weights():
    process = Weekly(rate=2.0, hours=HOURS, days=DAYS, day=80.0)
    # Midpoints of a grid whose cells end at every corner integrate straight lines exactly.
    grid = np.arange(0.5, 560.0, 1.0)
    assert process.expected(grid, 5).mean() == pytest.approx(10.0, rel=1e-12)
    monday = process.expected(grid[:80], 5).mean()
    assert monday == pytest.approx(10.0 * 2 * 7 / 7, rel=1e-12)
    assert process.expected(grid[400:480], 5).mean() == pytest.approx(5.0, rel=1e-12)
    # The eighth day is a Monday again, and a run may begin on any day.
    assert process.expected(grid[:80] + 560.0, 5) == pytest.approx(process.expected(grid[:80], 5))
    friday = Weekly(rate=2.0, hours=HOURS, days=DAYS, day=80.0, begins=320.0)
    assert friday.expected(grid[:80], 5) == pytest.approx(process.expected(grid[320:400], 5))


def test_weights_of_a_preset_are_those_of_the_catalog():
    card = catalog.preset("nyc-taxi")
    process = Weekly(preset="nyc-taxi")
    middles = (np.arange(7 * 24) + 0.5) * 3600
    due = card.rate * np.outer(card.week, card.curve).ravel()
    assert process.expected(middles, 1) == pytest.approx(
        due / np.outer(card.week, card.curve).mean(), rel=1e-9
    )
    # A preset without days has equal ones.
    one, other = Weekly(preset="burstgpt").expected(np.array([3600.0, 3600.0 + 5 * 86400.0]), 1)
    assert one == pytest.approx(other)


@pytest.mark.parametrize(
    "process",
    [
        Weekly(rate=1.0, hours=HOURS, days=DAYS, day=80.0, begins=333.0),
        Weekly(
            rate=1.0,
            hours=HOURS,
            day=80.0,
            crowds=[Crowd(at=50.0, factor=4.0, ramp=3.0, hold=9.0, decay=8.0)],
        ),
    ],
)
def test_the_bound_of_a_week_is_never_exceeded(process):
    rng = np.random.default_rng(5)
    for start, width in zip(rng.uniform(0, 900, 300), 10 ** rng.uniform(-1, 3, 300), strict=True):
        inside = process.expected(np.linspace(start, start + width, 1001), 1).max()
        crowd = 4.0 if process.crowds else 1.0
        assert inside <= process._highest(start, start + width) * crowd * (1 + 1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate": 1.0}, "either the weights of the `hours` or a `preset`"),
        ({"rate": 1.0, "hours": HOURS, "preset": "nyc-taxi"}, "either the weights"),
        ({"hours": HOURS}, "`rate` is missing"),
        ({"rate": 1.0, "hours": [0.0, 0.0]}, "hours: at least one"),
        ({"rate": 1.0, "hours": HOURS, "days": [0.0] * 7}, "days: at least one"),
    ],
)
def test_a_week_without_what_it_needs_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Weekly(**given)


def test_batches_are_steps_at_known_moments():
    process = Batches(rate=5.0, on=10.0, period=60.0, first=20.0, idle=1.0)
    at = np.array([0.0, 19.99, 20.0, 29.99, 30.0, 79.0, 80.0, 89.0, 90.0])
    assert process.expected(at, 2).tolist() == [2, 2, 10, 10, 2, 2, 10, 10, 2]
    with pytest.raises(ValueError, match="longer than the period"):
        Batches(rate=1.0, on=61.0, period=60.0)


def test_nothing_comes_between_batches_that_leave_nothing():
    blocks = Batches(rate=40.0, on=10.0, period=60.0, first=20.0).blocks(np.random.default_rng(3), 1, 3000.0)
    drawn = np.concatenate([block.times for block in blocks])
    assert (((drawn - 20.0) % 60.0) < 10.0).all()
    assert len(np.unique((drawn - 20.0) // 60.0)) == 50


def test_jumps_have_the_mean_of_a_log_uniform_level():
    process = RandomJumps(low=1.0, high=np.e**2, stay=10.0)
    assert process.expected(np.zeros(1), 3)[0] == pytest.approx(3 * (np.e**2 - 1) / 2)
    for low, high in ((0.0, 1.0), (2.0, 1.0), (1.0, 1.0)):
        with pytest.raises(ValueError, match="0 < low < high"):
            RandomJumps(low=low, high=high, stay=1.0)
