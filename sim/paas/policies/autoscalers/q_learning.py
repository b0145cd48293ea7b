"""An autoscaler that learns a table from what its decisions lead to."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from sim.paas.autoscaling.features import Vector
from sim.paas.autoscaling.qtable import QTable, cell
from sim.paas.autoscaling.rewards import Reward
from sim.paas.policies.autoscalers.footing import Base
from sim.paas.policies.autoscalers.learner import Learner
from sim.registry import policy
from sim.units import Fraction, Number, PositiveSeconds

#: Cuts of the features that make up a state: load, ahead, wait (minutes), starting.
EDGES = ((0.4, 0.55, 0.65, 0.75, 0.85, 0.95, 1.1), (0.5, 0.7, 0.85, 1.0, 1.2), (0.02, 0.1, 0.5), (0.05, 0.2))
#: Where those features stand in the vector.
COLUMNS = (0, 1, 3, 4)
STATES = int(np.prod([len(cuts) + 1 for cuts in EDGES]))


@policy("autoscaler", "q-learning")
class QLearning(Learner):
    """Tabular Q-learning (Watkins and Dayan 1992): learn how many replicas to add or to take away.

    A state is a cell of the load of the replicas asked for, that load when a replica asked for now would
    be ready (as foreseen by the base, else a day before), the wait of the backlog and the share of
    replicas that are starting. Actions are -k to +k steps. It learns while it runs, from nothing or from
    the weights that `stratus train --algorithm q-learning` wrote; with `explore: 0` and `learn: false` it
    only applies them. In states it has never met it changes nothing. A learner from nothing makes
    mistakes that users pay for: give it a warm-up, or weights.

    weights: file of a trained table; its actions, step and day then count.
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
    step: Annotated[Fraction, Gt(0)] = 0.05
    day: PositiveSeconds = 86400.0
    reward: Reward = field(default_factory=Reward)
    bin: PositiveSeconds = 60.0
    period: PositiveSeconds = 15.0

    @staticmethod
    def state(found: Vector) -> int:
        """The cell of the features."""
        return cell(found[list(COLUMNS)], EDGES)

    @staticmethod
    def memory(actions: int, discount: float) -> QTable:
        """An empty table."""
        return QTable(STATES, actions, discount)
