"""Tabular Q-learning (Watkins and Dayan, Machine Learning 8, 1992), by itself: no simulation is needed.

Q(s, a) += alpha (r + gamma max Q(s', .) - Q(s, a)). With every pair visited for ever and step sizes
alpha = 1 / n(s, a)^0.7 - whose sum diverges and whose squares' sum does not - Q converges to the optimum.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

#: Exponent of the step sizes: between 1/2 and 1, as convergence asks.
DECAY = 0.7


class QTable:
    """Values of actions by state, and how often each was tried.

    Attributes:
        values: Q, one row a state, one column an action.
        visits: updates of each.
        caution: by how much an action must be better than the one otherwise taken to be preferred to it.
    """

    def __init__(self, states: int, actions: int, discount: float) -> None:
        self.values: Floats = np.zeros((states, actions))
        self.visits: Whole = np.zeros((states, actions), dtype=np.int64)
        self.caution = 0.0
        self._discount = discount

    def best(self, state: int, otherwise: int) -> int:
        """The action of the highest value; `otherwise` among equals and in a state never met."""
        return preferred(self.values[state], self.visits[state] > 0, otherwise, self.caution)

    def chosen(self, state: int, otherwise: int, explore: float, draw: float) -> int:
        """The best action, or with probability `explore` any; `draw` is uniform in [0, 1)."""
        if draw < explore:
            return int(draw / explore * self.values.shape[1])
        return self.best(state, otherwise)

    def learn(self, state: int, action: int, reward: float, after: int) -> None:
        """One update from what an action led to."""
        self.visits[state, action] += 1
        alpha = float(self.visits[state, action]) ** -DECAY
        due = reward + self._discount * float(self.values[after].max())
        self.values[state, action] += alpha * (due - self.values[state, action])


def preferred(values: Floats, tried: npt.NDArray[np.bool_], otherwise: int, caution: float) -> int:
    """The best of the actions that were tried, if it beats another one by so much.

    Args:
        values: of the actions.
        tried: which of them are known.
        otherwise: the action that needs no reason; if it was never tried, any known one beats it.
        caution: by how much it must be beaten.
    """
    if not tried.any():
        return otherwise
    best = int(np.argmax(np.where(tried, values, -np.inf)))
    return otherwise if tried[otherwise] and values[best] <= values[otherwise] + caution else best


def cell(values: Floats, edges: tuple[tuple[float, ...], ...]) -> int:
    """Number of the cell that a point lies in, of a grid with these edges on each axis."""
    number = 0
    for value, cuts in zip(values, edges, strict=True):
        number = number * (len(cuts) + 1) + int(np.searchsorted(cuts, value, side="right"))
    return number
