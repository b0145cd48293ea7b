"""Jobs drawn from a preset of the catalog: sizes, durations and arrivals as published of a real cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from sim.catalog import Preset
from sim.saas.blocks import BLOCK, Block, Columns, Floats
from sim.saas.jobtraces.record import Job

DAY = 86400.0


def blocks(card: Preset, rng: np.random.Generator, rate: float, day: float = DAY) -> Iterator[Block]:
    """Endless jobs of a preset.

    Sizes follow its shares: one worker per accelerator, or one worker with a share of one. Durations
    are drawn from its quantiles, joined on a logarithmic scale, those of the job's size where it has
    them. Gaps are exponential, or of two exponentials where the preset knows of bursts, on a clock
    that runs faster and slower with the curve of the day.

    Args:
        card: a preset of kind "jobs".
        rng: source of randomness; what is drawn depends on nothing but the preset.
        rate: jobs per second, averaged over the day; more than 0.
        day: seconds that a day of the curve takes.
    """
    known = card.shares.get("workers", {"1": 1.0})
    sizes = np.array([float(size) for size in known])
    shares = np.cumsum(list(known.values()))
    reached = 0.0
    while True:
        # The clock of the mean rate: every day of the curve brings the same number of jobs on it.
        steady = reached + np.cumsum(_gaps(card, rng, rate))
        reached = float(steady[-1])
        size = sizes[np.searchsorted(shares, rng.random(BLOCK) * shares[-1])]
        columns: Columns = {
            "workers": np.maximum(size, 1.0),
            "accelerators": np.minimum(size, 1.0),
            "work": _durations(card, size, rng.random(BLOCK)),
        }
        yield Block(_warped(steady, card.curve, day), columns)


def jobs(card: Preset, rng: np.random.Generator, rate: float) -> Iterator[Job]:
    """The same jobs one by one."""
    for block in blocks(card, rng, rate):
        given = [block.columns[name].tolist() for name in ("work", "workers", "accelerators")]
        for arrival, work, workers, accelerators in zip(block.times.tolist(), *given, strict=True):
            yield Job(arrival, work, int(workers), accelerators)


def _gaps(card: Preset, rng: np.random.Generator, rate: float) -> Floats:
    if card.bursts is None or card.rate is None:
        return rng.exponential(1 / rate, BLOCK)
    share, short = card.bursts
    long = (1 / card.rate - share * short) / (1 - share)
    means = np.where(rng.random(BLOCK) < share, short, long)
    # A preset played at another rate keeps the shape of its gaps.
    return rng.exponential(1.0, BLOCK) * means * card.rate / rate


def _warped(steady: Floats, curve: tuple[float, ...], day: float) -> Floats:
    if not curve:
        return steady
    done = np.concatenate(([0.0], np.cumsum(curve)))
    whole, part = np.divmod(steady, day)
    return (whole + np.interp(part / day, done / done[-1], np.linspace(0.0, 1.0, len(done)))) * day


def _durations(card: Preset, size: Floats, chance: Floats) -> Floats:
    work = _quantile(card.quantiles["duration"], chance)
    for name, table in card.quantiles.items():
        if name.startswith("duration_of_"):
            mine = size == float(name.removeprefix("duration_of_"))
            work[mine] = _quantile(table, chance[mine])
    return work


def _quantile(table: Mapping[str, float], chance: Floats) -> Floats:
    points = sorted((float(name[1:]) / 100, value) for name, value in table.items())
    chances, values = zip(*points, strict=True)
    return np.exp(np.interp(chance, chances, np.log(np.maximum(values, 1.0))))
