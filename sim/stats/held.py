"""What jobs held of the cluster, from the rows of their workers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.stats.view import View, equals

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Held:
    """By row of the table of jobs.

    Attributes:
        demand: accelerators the whole gang asked for; workers where they need none.
        time: seconds for which it held places, over all its runs.
        service: accelerator-seconds it held.
    """

    demand: Floats
    time: Floats
    service: Floats


def held(view: View) -> Held:
    """What every job held until it ended, or the run did."""
    ids = view.numbers("jobs", "id").astype(np.int64)
    workers = view.numbers("jobs", "workers").astype(float)
    count = len(ids)
    owner = view.text("units", "owner")
    mine = np.flatnonzero(
        equals(view.text("units", "kind"), "worker") & ~np.isnan(view.numbers("units", "bound"))
    )
    row = {number: position for position, number in enumerate(ids.tolist())}
    rows_of = np.array([_row(word, row) for word in owner.words] or [-1], dtype=np.int64)
    rows = rows_of[owner.codes[mine]] if len(mine) else np.zeros(0, np.int64)
    mine, rows = mine[rows >= 0], rows[rows >= 0]
    bound, ended = view.numbers("units", "bound")[mine], view.numbers("units", "ended")[mine]
    stop = float(view.facts.get("ended", {}).get("time", view.end))
    seconds = np.where(np.isnan(ended), stop, ended) - bound
    each = view.numbers("units", "accelerators")[mine]
    each = np.where(each > 0, each, 1.0)
    # The workers of a gang come and go together: one of each run stands for its time.
    first = np.unique(np.column_stack([rows, bound]), axis=0, return_index=True)[1] if len(rows) else rows
    per_worker = np.ones(count)
    per_worker[rows] = each
    return Held(
        workers * per_worker,
        np.bincount(rows[first], seconds[first], minlength=count).astype(np.float64),
        np.bincount(rows, seconds * each, minlength=count).astype(np.float64),
    )


def _row(owner: str, row: dict[int, int]) -> int:
    """The job that a worker's owner, `class/number`, names; -1 for a service."""
    number = owner.rpartition("/")[2]
    return row.get(int(number), -1) if number.isdigit() else -1
