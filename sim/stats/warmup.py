"""How long a run takes to forget its empty start.

Only a suggestion: the warm-up of a scenario is its author's decision, and the report says when the
observations suggest a longer one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mser5(values: NDArray[np.float64], group: int = 5) -> int | None:
    """Observations to leave out at the start, by the MSER-5 rule.

    Means of groups of five are taken, and the cut is chosen that makes the squared standard error
    of what remains least. None when the best cut lies in the second half of the run: then the run
    is too short to tell. Values are in the order they were observed.

    Source: K. P. White Jr., An effective truncation heuristic for bias reduction in simulation
    output, Simulation 69 (1997); the batched form in White, Cobb and Spratt, Proc. 2000 Winter
    Simulation Conference.
    """
    count = len(values) // group
    if count < 10:
        return None
    means = np.asarray(values[: count * group], dtype=float).reshape(count, group).mean(axis=1)
    means = means - means.mean()
    left = np.arange(count, 0, -1)
    sums = np.cumsum(means[::-1])[::-1]
    squares = np.cumsum((means * means)[::-1])[::-1]
    # The last five groups are never judged: a handful of like values looks like certainty.
    error = ((squares - sums * sums / left) / (left * left))[: count - 5]
    best = int(np.argmin(error))
    return None if best > count // 2 else best * group
