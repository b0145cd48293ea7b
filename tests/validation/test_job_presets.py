"""Jobs drawn from presets against the published figures of the clusters they stand for.

Counts are compared with binomial distributions; the bounds of all of them together are crossed by
chance less than once in 10,000 runs (Bonferroni), and the seed is fixed. Medians, means and largest
values of Helios, PAI and Acme: cluster_summary.csv of InternLM/AcmeTrace. Philly: the 82,247 jobs of
the reduction that Pollux and Sia replay.
"""

from itertools import islice

import numpy as np
import pytest
from scipy import stats

from sim import catalog
from sim.saas.jobtraces.synthetic import blocks

N = 12 * 4096
FALSE_ALARM = 1e-4

#: mean and median run time (s), mean and median accelerators, longest (s), most accelerators.
PUBLISHED = {
    "helios": (6651.681, 206.0, 3.716, 1.0, 4320009.0, 2048.0),
    "pai-v2020": (4787.109, 480.667, 0.683, 0.5, 626371.0, 8.0),
    "acme-seren": (1414.335, 122.0, 5.68, 1.0, 1209604.0, 1024.0),
    "acme-kalos": (1259.689, 124.0, 26.77, 1.0, 625740.0, 1024.0),
}

PHILLY = {
    0.01: 17,
    0.05: 48,
    0.1: 61,
    0.25: 115,
    0.5: 1144,
    0.75: 2932,
    0.9: 11265,
    0.95: 43646,
    0.99: 254758,
}


def drawn(name, number=N, rate=None):
    card = catalog.preset(name)
    made = list(islice(blocks(card, np.random.default_rng(2024), rate or card.rate or 1.0), number // 4096))
    joined = {key: np.concatenate([block.columns[key] for block in made]) for key in made[0].columns}
    times = np.concatenate([block.times for block in made])
    return times, joined["workers"] * joined["accelerators"], joined["work"]


def within(count, number, chance, tests):
    """Whether a count agrees with a binomial distribution at the level shared by `tests` of them."""
    return stats.binomtest(int(count), number, chance).pvalue > FALSE_ALARM / tests


@pytest.mark.parametrize("name", [*PUBLISHED, "philly"])
def test_sizes_have_their_shares(name):
    _, size, _ = drawn(name)
    table = catalog.preset(name).shares["workers"]
    assert set(np.unique(size).tolist()) <= {float(each) for each in table}
    total = sum(table.values())
    for each, share in table.items():
        assert within((size == float(each)).sum(), N, share / total, 5 * 12), each


@pytest.mark.parametrize("name", PUBLISHED)
def test_fitted_presets_have_the_published_mean_median_and_largest(name):
    mean, median, size, middle, longest, most = PUBLISHED[name]
    card = catalog.preset(name)
    chances, values = zip(
        *((float(k[1:]) / 100, v) for k, v in card.quantiles["duration"].items()), strict=True
    )
    # The mean of what is drawn, without drawing: the heavy tail would need millions of jobs.
    fine = np.exp(np.interp((np.arange(10**6) + 0.5) / 10**6, chances, np.log(values)))
    assert fine.mean() == pytest.approx(mean, rel=0.005)
    assert max(values) == pytest.approx(longest, rel=1e-5)
    shares = {float(each): share for each, share in card.shares["workers"].items()}
    assert sum(each * share for each, share in shares.items()) == pytest.approx(size, rel=0.005)
    assert max(shares) == most
    below = sum(share for each, share in shares.items() if each < middle)
    assert below < 0.5 <= below + shares[middle]
    _, _, work = drawn(name)
    assert within((work <= median).sum(), N, 0.5, len(PUBLISHED))
    assert work.min() >= 1 and work.max() <= longest * (1 + 1e-5)


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16])
def test_philly_durations_of_each_size_follow_their_quantiles(size):
    _, sizes, work = drawn("philly")
    mine = work[sizes == size]
    for name, value in catalog.preset("philly").quantiles[f"duration_of_{size}"].items():
        chance = float(name[1:]) / 100
        if 0 < chance < 1:
            assert within((mine <= value).sum(), len(mine), chance, 5 * 30), name


def test_philly_durations_of_all_sizes_together_are_those_published():
    _, _, work = drawn("philly")
    # 0.005 for sizes that have no quantiles of their own and for the lines between quantiles.
    bound = 0.005 + stats.norm.isf(FALSE_ALARM / 18) * 0.5 / N**0.5
    for chance, value in PHILLY.items():
        assert (work <= value).mean() == pytest.approx(chance, abs=bound), chance


@pytest.mark.parametrize("name", ["helios", "pai-v2020", "acme-seren"])
def test_arrivals_have_the_published_rate_and_hours(name):
    times, _, _ = drawn(name)
    card = catalog.preset(name)
    days = int(times[-1] // 86400)
    inside = times[times < days * 86400]
    expected = card.rate * days * 86400
    low, high = stats.poisson.interval(1 - FALSE_ALARM / 75, expected)
    assert low <= len(inside) <= high
    hours = np.bincount((inside // 3600 % 24).astype(int), minlength=24)
    curve = np.array(card.curve or [1.0] * 24)
    for hour in range(24):
        assert within(hours[hour], len(inside), curve[hour] / curve.sum(), 75), hour


def test_helios_hours_are_lowest_and_highest_as_published():
    """Venus by Lucid: 0.78 % of the arrivals at 6 h, 7.23 % at 16 h."""
    curve = np.array(catalog.preset("helios").curve)
    assert (curve.argmin(), curve.argmax()) == (6, 16)
    assert curve.min() / curve.sum() == pytest.approx(0.0078, abs=5e-5)
    assert curve.max() / curve.sum() == pytest.approx(0.0723, abs=5e-5)


def test_philly_gaps_are_as_bursty_as_published_but_for_the_longest():
    """Median 8 s and 90th percentile 361 s; their coefficient of variation of 15 comes from a few outages."""
    gaps = np.diff(drawn("philly")[0])
    # The clock of the day stretches gaps: hence 0.03 besides chance, which is below 0.01.
    assert (gaps <= 8).mean() == pytest.approx(0.5, abs=0.03)
    assert (gaps <= 361).mean() == pytest.approx(0.9, abs=0.03)
    assert gaps.mean() == pytest.approx(114.4, rel=0.05)
    assert gaps.std() / gaps.mean() > 2
