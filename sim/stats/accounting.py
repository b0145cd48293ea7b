"""Cost, energy and carbon: exact integrals of recorded steps times price, power and grid intensity.

Nothing is sampled. Power is constant between two changes of a node's state or load and grid
intensity is constant within an hour, so every integral is a finite sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.stats.steps import Steps, integral, sampled

HOUR = 3600.0


def power(curve: Sequence[Sequence[float]], on: Steps, busy: Steps) -> Steps:
    """Watts of a node over time.

    Args:
        curve: points (utilisation 0 to 1, watts), utilisation ascending; linear in between.
        on: 1 while the node is powered, 0 while not.
        busy: share of its main resource in use.
    """
    times = np.union1d(on[0], busy[0])
    points = np.asarray(curve, dtype=float)
    watts = np.interp(sampled(busy, times), points[:, 0], points[:, 1])
    return times, watts * sampled(on, times)


def energy(curve: Sequence[Sequence[float]], on: Steps, busy: Steps, start: float, end: float) -> float:
    """Joules a node draws between two moments, without the overhead of its building."""
    return integral(power(curve, on, busy), start, end)


def hours(start: float, end: float, start_hour: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Edges that cut a window at full hours, and the hour of the day (0 to 23) of each piece.

    Args:
        start: beginning of the window, in simulated seconds.
        end: its end.
        start_hour: hour of the day, UTC, at simulated second 0.
    """
    shift = start_hour * HOUR
    first = np.floor((start + shift) / HOUR) + 1
    full = np.arange(first, np.ceil((end + shift) / HOUR)) * HOUR - shift
    edges = np.concatenate(([start], full, [end]))
    middles = (edges[:-1] + edges[1:]) / 2
    return edges, ((middles + shift) // HOUR).astype(np.int64) % 24


def carbon(joules: NDArray[np.float64], day_hours: NDArray[np.int64], hourly: Sequence[float]) -> float:
    """Grams of CO2e of energy drawn in pieces that each lie within one hour.

    Args:
        joules: energy of each piece.
        day_hours: hour of the day of each piece, from `hours`.
        hourly: 24 intensities in grams per joule, hour 0 UTC first.
    """
    return float(np.sum(joules * np.asarray(hourly, dtype=float)[day_hours]))


def rent(on: Steps, price: float, start: float, end: float) -> float:
    """US dollars for a node at `price` dollars per second, for the seconds it is on."""
    return integral(on, start, end) * price


def traffic(rates: Sequence[Steps], start: float, end: float) -> float:
    """Bytes sent over a link, from the rates of its directions in bytes per second."""
    return float(sum(integral(rate, start, end) for rate in rates))
