"""The closed forms against the balance equations solved directly, and against printed values."""

import math

import numpy as np
import pytest

from sim.stats import theory


def balance(rate, service, servers, capacity):
    """Stationary probabilities of a birth-death chain from its generator matrix."""
    generator = np.zeros((capacity + 1, capacity + 1))
    for state in range(capacity):
        generator[state, state + 1] = rate
        generator[state + 1, state] = min(state + 1, servers) / service
    generator -= np.diag(generator.sum(axis=1))
    equations = np.vstack([generator.T, np.ones(capacity + 1)])
    return np.linalg.lstsq(equations, np.append(np.zeros(capacity + 1), 1.0), rcond=None)[0]


@pytest.mark.parametrize(("rate", "service", "servers", "capacity"), [
    (3.0, 0.5, 2, 2), (3.0, 0.5, 2, 7), (9.0, 0.5, 3, 12), (0.1, 1.0, 1, 1), (5.0, 1.0, 4, 40),
])  # fmt: skip
def test_bounded_station_solves_its_balance_equations(rate, service, servers, capacity):
    states = balance(rate, service, servers, capacity)
    station = theory.mmck(rate, service, servers, capacity)
    number = states @ np.arange(capacity + 1)
    queue = states @ np.maximum(0, np.arange(capacity + 1) - servers)
    accepted = rate * (1 - states[-1])
    assert station.lost == pytest.approx(states[-1], rel=1e-8)
    assert station.number == pytest.approx(number, rel=1e-8)
    assert station.queue == pytest.approx(queue, rel=1e-8, abs=1e-12)
    assert station.time == pytest.approx(number / accepted, rel=1e-8)
    assert station.wait == pytest.approx(queue / accepted, rel=1e-8, abs=1e-12)
    assert station.utilisation == pytest.approx(accepted * service / servers, rel=1e-8)


@pytest.mark.parametrize(
    ("rate", "service", "servers"), [(0.5, 1.0, 1), (1.9, 0.5, 1), (7.0, 0.5, 4), (30.0, 0.3, 11)]
)
def test_open_station_is_the_bounded_one_with_a_very_long_line(rate, service, servers):
    states = balance(rate, service, servers, 900)
    station = theory.mmc(rate, service, servers)
    assert station.number == pytest.approx(states @ np.arange(901), rel=1e-6)
    assert theory.erlang_c(rate * service, servers) == pytest.approx(states[servers:].sum(), rel=1e-6)


def test_mm1_by_hand():
    station = theory.mm1(0.8, 1.0)
    assert (station.utilisation, station.number) == (0.8, pytest.approx(4.0))
    assert (station.wait, station.time, station.queue) == (
        pytest.approx(4.0),
        pytest.approx(5.0),
        pytest.approx(3.2),
    )


def test_erlang_b_by_its_definition():
    load, servers = 12.5, 20
    terms = [load**count / math.factorial(count) for count in range(servers + 1)]
    assert theory.erlang_b(load, servers) == pytest.approx(terms[-1] / sum(terms), rel=1e-12)
    assert theory.erlang_b(load, 0) == 1.0


def test_loss_system_is_a_bounded_station_without_line():
    assert theory.mmck(25.0, 0.5, 20, 20).lost == pytest.approx(theory.erlang_b(12.5, 20), rel=1e-12)


def test_long_bounded_line_does_not_overflow():
    station = theory.mmck(3000.0, 1.0, 1000, 5000)
    assert station.lost == pytest.approx(2 / 3, rel=1e-9)
    assert station.number == pytest.approx(5000 - 0.5, rel=1e-4)


def test_pollaczek_khinchine_meets_its_special_cases():
    assert theory.mg1(0.8, 1.0, 1.0).wait == pytest.approx(theory.mm1(0.8, 1.0).wait)
    assert theory.md1(0.8, 1.0).wait == pytest.approx(theory.mm1(0.8, 1.0).wait / 2)
    # Two-point service 0 or 2 with equal odds: E[S^2] = 2, so W = 0.8 * 2 / (2 * 0.2).
    assert theory.mg1(0.8, 1.0, 1.0).wait == pytest.approx(0.8 * 2 / (2 * 0.2))


def test_sharing_depends_on_the_mean_alone():
    assert theory.mg1_ps(0.8, 1.0).time == pytest.approx(1.0 / (1 - 0.8))


def test_allen_cunneen_is_exact_where_the_formula_is():
    assert theory.ggc(7.0, 0.5, 4, 1.0, 1.0).wait == pytest.approx(theory.mmc(7.0, 0.5, 4).wait)
    assert theory.ggc(0.8, 1.0, 1, 1.0, 0.0).wait == pytest.approx(theory.md1(0.8, 1.0).wait)
    assert theory.ggc(8.0, 1.0, 4, 1.0, 1.0).wait == math.inf


def test_wait_quantiles_invert_the_tail():
    waits = theory.erlang_c(3.5, 4)
    quantile = theory.mmc_wait_quantile(7.0, 0.5, 4, 0.99)
    assert waits * math.exp(-(4 - 3.5) * quantile / 0.5) == pytest.approx(0.01)
    assert theory.mmc_wait_quantile(7.0, 0.5, 4, 1 - waits - 1e-9) == 0.0


@pytest.mark.parametrize(
    "station", [theory.mm1(1.0, 1.0), theory.mmc(9.0, 1.0, 8), theory.mg1(2.0, 0.6, 3.0)]
)
def test_overload_has_no_steady_state(station):
    assert station.utilisation == 1.0
    assert station.wait == station.number == math.inf


@pytest.mark.parametrize("wrong", [
    lambda: theory.mm1(-1.0, 1.0), lambda: theory.mm1(1.0, 0.0), lambda: theory.mmck(1.0, 1.0, 3, 2),
    lambda: theory.erlang_b(-1.0, 3), lambda: theory.erlang_c(1.0, 0),
])  # fmt: skip
def test_stations_that_cannot_be(wrong):
    with pytest.raises(ValueError, match=r"no such station|cannot hold"):
        wrong()
