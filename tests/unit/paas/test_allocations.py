"""Allocations against published examples, closed forms and exhaustive search."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.paas.policies.allocation import Claim, Supply
from sim.paas.policies.allocation.base import isolated
from sim.paas.policies.allocation.gavel_cost import GavelCost
from sim.paas.policies.allocation.gavel_finish_time import GavelFinishTime
from sim.paas.policies.allocation.gavel_makespan import GavelMakespan
from sim.paas.policies.allocation.gavel_max_min import GavelMaxMin, normalised
from sim.paas.policies.allocation.goodput import Goodput
from sim.paas.policies.allocation.isolated import Isolated
from sim.paas.policies.allocation.lp import fill, solve

TWO = Supply(("v100", "k80"), (1.0, 1.0), (2.0, 1.0))
LP_POLICIES = (GavelMaxMin, GavelMakespan, GavelFinishTime, GavelCost, Isolated)


def claims_of(rates, **columns):
    return [
        Claim(i, columns.get("size", [1.0] * len(rates))[i], tuple(row),
              **{name: values[i] for name, values in columns.items() if name != "size"})
        for i, row in enumerate(rates)
    ]  # fmt: skip


def shares(policy, claims, supply):
    if hasattr(policy, "start"):
        policy.start(None)
    return policy.allocate(claims, supply)


def throughput(claims, given_shares):
    return (np.array([claim.rates for claim in claims]) * given_shares).sum(axis=1)


def test_max_min_gives_the_worked_example_of_the_gavel_paper():
    """Section 4.1 of the paper: 3 jobs on a V100 and a K80; all gain about 10 % on 1/n of each."""
    claims = claims_of([(4, 1), (3, 1), (2, 1)])
    got = shares(GavelMaxMin(), claims, TWO)
    assert got == pytest.approx(np.array([[0.45, 0.0], [0.45, 0.09], [0.09, 0.91]]), abs=0.006)
    gain = throughput(claims, got) / throughput(claims, isolated(claims, TWO))
    assert gain == pytest.approx([12 / 11] * 3, rel=1e-6)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.floats(0.2, 5.0), st.floats(0.2, 5.0), st.integers(1, 3)), min_size=1, max_size=3)
)
def test_equals_as_one_row_lose_nothing_against_a_row_each(kinds):
    claims = claims_of([(fast, slow) for fast, slow, copies in kinds for _ in range(copies)])
    worth = normalised(claims, TWO)
    level = solve(claims, TWO, floor=worth, least=np.zeros(len(claims)), slope=np.ones(len(claims))).level
    each = fill(claims, TWO, worth=worth, least=np.full(len(claims), level * (1 - 1e-9)))
    got = shares(GavelMaxMin(), claims, TWO)
    assert (worth * got).sum(axis=1).min() == pytest.approx(level, rel=1e-5)
    assert (worth * got).sum() == pytest.approx((worth * each).sum(), rel=1e-5)


def test_with_enough_of_each_type_all_run_where_they_are_fastest():
    supply = Supply(("a", "b"), (4.0, 2.0), (1.0, 1.0))
    claims = claims_of([(4, 1), (4, 1), (1, 2), (0, 0)], size=[2.0, 1.0, 2.0, 1.0])
    assert shares(GavelMaxMin(), claims, supply).tolist() == [[1, 0], [1, 0], [0, 1], [0, 0]]
    blind = shares(GavelMaxMin(agnostic=True), claims, supply)
    assert blind == pytest.approx(np.array([[2 / 3, 1 / 3]] * 3 + [[0, 0]]))
    # One more of those that like the first type: there is not enough of it, so somebody gives way.
    crowd = shares(GavelMaxMin(), claims_of([(4, 1)] * 3, size=[2.0] * 3), supply)
    assert crowd[:, 0].sum() == pytest.approx(2.0) and crowd[:, 1].sum() == pytest.approx(1.0)


def grid(step=0.05):
    """All shares of two jobs on two accelerators, one of each type, on a grid."""
    points = np.arange(0, 1 + step / 2, step)
    for a, b in product(points, points):
        if a + b <= 1 + 1e-12:
            for c, d in product(points, points):
                if c + d <= 1 + 1e-12 and a + c <= 1 + 1e-12 and b + d <= 1 + 1e-12:
                    yield np.array([[a, b], [c, d]])


RATES = st.lists(st.tuples(*[st.floats(0.2, 5.0)] * 2), min_size=2, max_size=2)


def check_against_grid(claims, policy, value):
    """No point of the grid is better, and the best of them is near: a step of 1/20 costs little."""
    got = value(shares(policy, claims, TWO))
    best = max(value(x) for x in grid(0.1))
    assert got >= best * (1 - 1e-5) if best > 0 else got >= best * (1 + 1e-5)
    assert abs(got - best) <= 0.35 * abs(best)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(RATES, st.tuples(st.floats(0.5, 4), st.floats(0.5, 4)))
def test_max_min_is_the_best_of_all_shares(rates, weights):
    claims = claims_of(rates, weight=weights)
    worth = normalised(claims, TWO)
    for policy in (GavelMaxMin(), GavelMaxMin(water_filling=True)):
        check_against_grid(claims, policy, lambda x: (worth * x).sum(axis=1).min())


@settings(max_examples=12, deadline=None, derandomize=True)
@given(RATES, st.tuples(st.floats(10, 1000), st.floats(10, 1000)))
def test_makespan_is_the_best_of_all_shares(rates, left):
    claims = claims_of(rates, remaining=left)
    check_against_grid(
        claims, GavelMakespan(), lambda x: (throughput(claims, x) / np.array(left)).min()
    )  # 1 / makespan


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    RATES,
    st.tuples(st.floats(10, 1000), st.floats(10, 1000)),
    st.tuples(st.floats(0, 500), st.floats(0, 500)),
)
def test_finish_time_ratio_is_the_best_of_all_shares(rates, left, age):
    claims = claims_of(rates, remaining=left, age=age)
    alone = np.array(left) / throughput(claims, isolated(claims, TWO))

    def fairness(x):
        rate = throughput(claims, x)
        if (rate == 0).any():
            return -np.inf
        return -((np.array(age) + np.array(left) / rate) / alone).max()

    check_against_grid(claims, GavelFinishTime(), fairness)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(RATES)
def test_cost_is_the_best_of_all_shares(rates):
    claims = claims_of(rates)
    check_against_grid(claims, GavelCost(), lambda x: (np.array(rates) * x / np.array(TWO.prices)).sum())


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data(), st.integers(1, 9))
def test_every_allocation_keeps_the_limits(data, n):
    supply = Supply(("a", "b", "c"), (4.0, 2.0, 8.0), (3.0, 2.0, 1.0))
    rate = st.one_of(st.just(0.0), st.floats(0.1, 9))
    claims = claims_of(
        data.draw(st.lists(st.tuples(rate, rate, rate), min_size=n, max_size=n)),
        size=data.draw(st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0, 8.0, 16.0]), min_size=n, max_size=n)),
        weight=data.draw(st.lists(st.sampled_from([0.0, 1.0, 5.0]), min_size=n, max_size=n)),
        remaining=data.draw(st.lists(st.sampled_from([0.0, 1.0, 1e5, np.inf]), min_size=n, max_size=n)),
        patience=data.draw(st.lists(st.sampled_from([-5.0, 1.0, 1e5, np.inf]), min_size=n, max_size=n)),
    )
    sizes = np.array([claim.size for claim in claims])
    rates = np.array([claim.rates for claim in claims])
    for make in LP_POLICIES:
        got = shares(make(), claims, supply)
        assert (got >= 0).all() and (got.sum(axis=1) <= 1 + 1e-6).all()
        assert (sizes @ got <= np.array(supply.counts) * (1 + 1e-6)).all()
        assert not got[(rates == 0) | (sizes[:, None] > np.array(supply.counts))].any()


@pytest.mark.parametrize("make", [GavelMaxMin, GavelMakespan, GavelFinishTime])
@pytest.mark.parametrize(("jobs", "count"), [(2, 1.0), (6, 4.0), (3, 8.0)])
def test_equal_jobs_on_equal_accelerators_get_equal_shares(make, jobs, count):
    claims = claims_of([(2.0,)] * jobs, remaining=[100.0] * jobs)
    got = shares(make(), claims, Supply(("a",), (count,), (1.0,)))
    assert got == pytest.approx(np.full((jobs, 1), min(1.0, count / jobs)), abs=1e-4)


def test_makespan_on_equal_accelerators_is_the_lower_bound_of_mcnaughton():
    """max(sum of size x time / accelerators, longest time) (McNaughton 1959, with gangs that may be cut)."""
    for left, sizes, count in (
        ([10, 20, 30], [1, 1, 1], 2),
        ([10, 20, 90], [1, 2, 1], 2),
        ([5, 5], [4, 2], 4),
    ):
        claims = claims_of([(1.0,)] * len(left), remaining=left, size=sizes)
        got = shares(GavelMakespan(), claims, Supply(("a",), (float(count),), (1.0,)))
        span = (np.array(left) / throughput(claims, got)).max()
        assert span == pytest.approx(max(np.dot(left, sizes) / count, max(left)), rel=1e-5)


def test_water_filling_raises_the_next_worst_where_the_plain_policy_does_not():
    """Job 0 runs on the K80 only, at most at 1; jobs 1 and 2 share the rest of both by halves."""
    claims = claims_of([(0.0, 1.0), (4.0, 0.0), (4.0, 0.0)], weight=[1.0, 1.0, 3.0])
    got = shares(GavelMaxMin(water_filling=True), claims, TWO)
    assert got == pytest.approx(np.array([[0, 1], [0.25, 0], [0.75, 0]]), abs=1e-6)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(st.tuples(*[st.floats(0.2, 5.0)] * 2), min_size=2, max_size=5))
def test_nobody_ends_later_than_alone_with_one_nth(rates):
    """Sharing incentive: for jobs that come together the worst ratio is at most 1."""
    claims = claims_of(rates, remaining=[100.0] * len(rates))
    got = throughput(claims, shares(GavelFinishTime(), claims, TWO))
    assert (got >= throughput(claims, isolated(claims, TWO)) * (1 - 1e-4)).all()


def test_finish_time_makes_up_for_time_that_a_job_went_without():
    """Two equal jobs; one has waited 50 s for nothing. Alone each would do its 100 s in 200 s.

    The ratios (50 + 100/x) / 200 and 100/(1-x) / 200 are equal for x^2 + 3x - 2 = 0.
    """
    policy = GavelFinishTime()
    claims = claims_of([(1.0,)] * 2, remaining=[100.0] * 2, age=[50.0, 0.0])
    got = shares(policy, claims, Supply(("a",), (1.0,), (1.0,)))
    assert got[:, 0] == pytest.approx([(17**0.5 - 3) / 2, (5 - 17**0.5) / 2], abs=1e-4)


def test_cost_keeps_the_deadlines_that_can_be_met():
    """The K80 does twice as much per dollar, but is too slow for the deadline of job 0."""
    claims = claims_of([(2.0, 1.9), (2.0, 1.9)], remaining=[200.0, 200.0], patience=[100.0, np.inf])
    got = shares(GavelCost(), claims, TWO)
    assert got == pytest.approx(np.array([[1.0, 0.0], [0.0, 1.0]]), abs=1e-6)
    late = claims_of([(2.0, 1.9), (2.0, 1.9)], remaining=[200.0, 200.0], patience=[1.0, np.inf])
    assert throughput(late, shares(GavelCost(), late, TWO)).sum() == pytest.approx(3.9)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.lists(st.floats(0.2, 0.95), min_size=2, max_size=4),
    st.integers(2, 9),
    st.sampled_from([-1.0, 0.0, 1.0]),
)
def test_goodput_is_the_best_of_all_numbers_of_workers(exponents, accelerators, fairness):
    """Speed-up k^e is concave; every vector of workers is tried."""
    n = len(exponents)
    claims = [
        Claim(i, 1.0, (1.0,), elastic=(1, 6), speed_up=lambda k, e=e: float(k) ** e)
        for i, e in enumerate(exponents)
    ]
    got = Goodput(fairness).workers(claims, Supply(("a",), (float(accelerators),), (1.0,)))
    assert sum(got) <= accelerators
    if n > accelerators:
        assert sorted(got) == [0] * (n - accelerators) + [1] * accelerators
        return
    fair = max(1, accelerators // n)

    def fitness(workers):
        ups = np.array([(k / min(fair, 6)) ** e for k, e in zip(workers, exponents, strict=True)])
        return np.log(ups).sum() if fairness == 0 else np.sign(fairness) * (ups**fairness).sum()

    every = (w for w in product(range(1, 7), repeat=n) if sum(w) <= accelerators)
    assert fitness(got) == pytest.approx(max(map(fitness, every)), rel=1e-9)
