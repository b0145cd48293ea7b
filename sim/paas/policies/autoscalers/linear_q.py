"""An autoscaler that learns a linear function from what its decisions lead to."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le, Lt

from sim.paas.autoscaling.features import Vector
from sim.paas.autoscaling.rewards import Reward
from sim.paas.autoscaling.tiles import LinearQ, Tiles
from sim.paas.policies.autoscalers.footing import Base
from sim.paas.policies.autoscalers.learner import Learner
from sim.registry import policy
from sim.units import Fraction, Number, PositiveSeconds

#: Tiles over load, ahead, wait (minutes), starting and the replicas held: from, to, parts of each.
TILES = Tiles((0.4, 0.4, 0.0, 0.0, 0.7), (1.2, 1.2, 1.5, 0.4, 1.3), (4, 4, 5, 2, 3), 8)
#: Where those features stand in the vector.
COLUMNS = (0, 1, 3, 4, 8)


@policy("autoscaler", "linear-q")
class LinearQAutoscaler(Learner):
    """Q-learning with a linear function of tile-coded features (Sutton and Barto 2018, section 9.5.4).

    As `q-learning`, but what it learns in one state holds in its neighbourhood too, and it also sees how
    many replicas are held compared with what its base wants. Values are sums over eight shifted grids
    of the load, the load ahead, the wait of the backlog, the share of replicas that start and the
    replicas held. Made to correct another autoscaler (residual reinforcement learning, Johannink and
    others 2019): with all values equal it does what the base does.

    weights: file that `stratus train --algorithm linear-q` wrote; its actions, step and day then count.
    base: another autoscaler whose wish the steps correct, and loads are relative to; none: the replicas
        asked for so far.
    caution: what another action must promise more than changing nothing, in hours of a replica.
    learn: go on learning.
    explore: probability of a random action at first; it falls as 1 / (1 + looks / `fade`).
    fade: looks after which exploring has halved.
    discount: worth of a reward one look later.
    actions: number of actions, odd: 5 are -2 .. +2 steps.
    step: a step as a share of the replicas; at least one replica.
    day: seconds after which the load tends to repeat.
    reward: weights of the costs.
    """

    weights: str | None = None
    base: Base | None = None
    caution: Number = 0.0
    learn: bool = True
    explore: Fraction = 0.2
    fade: Annotated[int, Ge(1)] = 500
    discount: Annotated[float, Ge(0), Lt(1)] = 0.95
    actions: Annotated[int, Ge(3), Le(21)] = 5
    step: Annotated[Fraction, Gt(0)] = 0.1
    day: PositiveSeconds = 86400.0
    reward: Reward = field(default_factory=Reward)
    bin: PositiveSeconds = 60.0
    period: PositiveSeconds = 15.0

    @staticmethod
    def state(found: Vector) -> npt.NDArray[np.int64]:
        """The active tiles of the features."""
        return TILES.of(found[list(COLUMNS)])

    @staticmethod
    def memory(actions: int, discount: float) -> LinearQ:
        """Weights of nothing learned yet."""
        return LinearQ(TILES.count, actions, discount)
