"""Rounds give every job the time it was allocated."""

from __future__ import annotations

import numpy as np
import pytest

from sim.paas.policies.allocation import Claim, Supply
from sim.paas.policies.allocation.gavel_max_min import GavelMaxMin
from sim.paas.turns import Turns


def held(claims, shares, supply, rounds, turns=None, spare=False):
    """Fraction of the time each job held each type, over so many rounds."""
    turns = turns or Turns()
    time = np.zeros(shares.shape)
    for _ in range(rounds):
        for i, j in turns.pick(claims, shares, supply, 1.0, spare=spare).items():
            turns.charge(claims[i].id, j, 1.0)
            time[i, j] += 1
    return time / rounds


def test_time_received_converges_to_the_allocation_of_the_gavel_paper():
    """Its worked example of 3 jobs on 2 types: after n rounds nobody is more than 3 rounds off."""
    supply = Supply(("v100", "k80"), (1.0, 1.0), (1.0, 1.0))
    claims = [Claim(i, 1.0, rates) for i, rates in enumerate([(4.0, 1.0), (3.0, 1.0), (2.0, 1.0)])]
    shares = GavelMaxMin().allocate(claims, supply)
    for rounds in (10, 100, 1000):
        assert np.abs(held(claims, shares, supply, rounds) - shares).max() <= 3 / rounds


def test_gangs_of_several_sizes_get_their_shares():
    supply = Supply(("a",), (4.0,), (1.0,))
    claims = [Claim(i, size, (1.0,)) for i, size in enumerate([4.0, 2.0, 2.0, 1.0, 1.0])]
    shares = np.array([[1 / 3], [0.5], [0.5], [1 / 3], [1 / 3]])
    assert held(claims, shares, supply, 600) == pytest.approx(shares, abs=0.02)


def test_no_round_gives_out_more_than_there_is_and_no_job_runs_twice():
    rng = np.random.default_rng(1)
    supply = Supply(("a", "b"), (3.0, 5.0), (1.0, 1.0))
    turns = Turns()
    for _ in range(50):
        claims = [Claim(i, float(rng.integers(1, 5)), (1.0, 1.0)) for i in rng.permutation(8)]
        picked = turns.pick(claims, rng.uniform(0, 0.5, (8, 2)), supply, 1.0, spare=True)
        for kind, count in enumerate(supply.counts):
            assert sum(claims[i].size for i, j in picked.items() if j == kind) <= count


def test_a_newcomer_goes_first_but_does_not_keep_out_those_who_had_much():
    """After 100 rounds alone a job has had them all; from then on two equal jobs have half each."""
    supply = Supply(("a",), (1.0,), (1.0,))
    old, new = Claim(0, 1.0, (1.0,)), Claim(1, 1.0, (1.0,))
    turns = Turns()
    held([old], np.array([[1.0]]), supply, 100, turns)
    assert turns.pick([old, new], np.full((2, 1), 0.5), supply, 1.0, spare=False) == {1: 0}
    turns.charge(1, 0, 1.0)
    assert held([old, new], np.full((2, 1), 0.5), supply, 20, turns)[:, 0] == pytest.approx(0.5, abs=0.06)


def test_what_is_left_over_goes_to_those_who_are_due_nothing_only_where_asked():
    supply = Supply(("a", "b"), (1.0, 1.0), (1.0, 1.0))
    claims = [Claim(0, 1.0, (1.0, 1.0)), Claim(1, 1.0, (1.0, 1.0))]
    shares = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert Turns().pick(claims, shares, supply, 1.0, spare=False) == {0: 0}
    assert Turns().pick(claims, shares, supply, 1.0, spare=True) == {0: 0, 1: 1}
