"""Q-learning with a linear function of tile-coded features, by itself: no simulation is needed.

Several grids, each shifted against the others by a fraction of a tile, cover the features; a state is
the one tile in each that it lies in, and Q(s, a) is the sum of those tiles' weights for a (Sutton and
Barto, Reinforcement Learning, 2nd ed. 2018, sections 9.5.4 and 10.1). The update is that of a table,
w += alpha / tilings (r + gamma max Q(s', .) - Q(s, a)), with step sizes n^-0.7 of each tile's own
visits; with one tiling it is the table's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sim.paas.autoscaling.qtable import DECAY, Floats, Whole, preferred


class Tiles:
    """Which tiles a point lies in.

    Args:
        low: least value of each feature; what lies below counts as that.
        high: greatest.
        parts: tiles across each feature.
        tilings: number of grids.
    """

    def __init__(
        self, low: Sequence[float], high: Sequence[float], parts: Sequence[int], tilings: int
    ) -> None:
        self._low, self._high = np.array(low, dtype=float), np.array(high, dtype=float)
        self._parts = np.array(parts, dtype=np.int64)
        # Odd shifts (1, 3, 5, ...) spread tilings evenly over the diagonals (Miller and Glanz, 1996).
        odd = 2 * np.arange(len(parts)) + 1
        self._shifts = (np.arange(tilings)[:, None] * odd) % tilings / tilings
        # A shifted grid needs one tile more to cover the same range.
        across = self._parts + (1 if tilings > 1 else 0)
        self._strides = np.concatenate((np.cumprod(across[::-1])[::-1][1:], [1]))
        self._offsets = np.arange(tilings) * int(np.prod(across))
        self.count = tilings * int(np.prod(across))

    def of(self, point: Floats) -> Whole:
        """Numbers of its tiles, one of each tiling, each below `count`."""
        share = (np.clip(point, self._low, self._high) - self._low) / (self._high - self._low)
        # The upper end belongs to the last tile.
        places = np.minimum(share, 1 - 1e-12) * self._parts + self._shifts
        found: Whole = places.astype(np.int64) @ self._strides + self._offsets
        return found


class LinearQ:
    """Values of actions as sums of the weights of active tiles.

    Attributes:
        values: weights, one row a tile, one column an action.
        visits: updates of each.
        caution: by how much an action must be better than the one otherwise taken to be preferred to it.
    """

    def __init__(self, tiles: int, actions: int, discount: float) -> None:
        self.values: Floats = np.zeros((tiles, actions))
        self.visits: Whole = np.zeros((tiles, actions), dtype=np.int64)
        self.caution = 0.0
        self._discount = discount

    def best(self, state: npt.NDArray[np.int64], otherwise: int) -> int:
        """The action of the highest value among those tried; `otherwise` among equals and without any."""
        tried: npt.NDArray[np.bool_] = np.any(self.visits[state], axis=0)
        return preferred(self.values[state].sum(axis=0), tried, otherwise, self.caution)

    def chosen(self, state: npt.NDArray[np.int64], otherwise: int, explore: float, draw: float) -> int:
        """The best action, or with probability `explore` any; `draw` is uniform in [0, 1)."""
        if draw < explore:
            return int(draw / explore * self.values.shape[1])
        return self.best(state, otherwise)

    def learn(
        self, state: npt.NDArray[np.int64], action: int, reward: float, after: npt.NDArray[np.int64]
    ) -> None:
        """One update from what an action led to."""
        self.visits[state, action] += 1
        due = reward + self._discount * float(self.values[after].sum(axis=0).max())
        error = due - float(self.values[state, action].sum())
        self.values[state, action] += self.visits[state, action] ** -DECAY * error / len(state)
