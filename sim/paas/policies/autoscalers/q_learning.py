"""An autoscaler that learns from what its decisions lead to."""

from __future__ import annotations

from dataclasses import field
from math import nan
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from sim.errors import StratusError
from sim.paas.autoscaling import weights as files
from sim.paas.autoscaling.features import change, features
from sim.paas.autoscaling.qtable import QTable, cell
from sim.paas.autoscaling.rewards import Reward
from sim.paas.policies.autoscalers.base import Observation, Surroundings
from sim.registry import policy
from sim.units import Fraction, PositiveSeconds

#: Cuts of the features that make up a state: load, ahead, wait (minutes), starting.
EDGES = ((0.4, 0.55, 0.65, 0.75, 0.85, 0.95, 1.1), (0.5, 0.7, 0.85, 1.0, 1.2), (0.02, 0.1, 0.5), (0.05, 0.2))
#: Where those features stand in the vector.
COLUMNS = (0, 1, 3, 4)
STATES = int(np.prod([len(cuts) + 1 for cuts in EDGES]))


@policy("autoscaler", "q-learning")
class QLearning:
    """Tabular Q-learning (Watkins and Dayan 1992): learn how many replicas to add or to take away.

    A state is a cell of the load of the replicas asked for, that load a day before the moment a new
    replica would be ready, the wait of the backlog and the share of replicas that are starting. Actions
    are -k to +k steps. It learns while it runs, from nothing or from the weights that
    `stratus train --algorithm q-learning` wrote; with `explore: 0` and `learn: false` it only applies
    them. In states it has never met it keeps the number. A learner from nothing makes mistakes that
    users pay for: give it a warm-up, or weights.

    weights: file of a trained table; its actions, step and day then count.
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

    signal = nan
    recommended = -1
    reason = ""

    def __post_init__(self) -> None:
        if self.actions % 2 == 0:
            raise ValueError("actions: an odd number, so that one of them keeps the replicas")
        self._last: tuple[int, int] | None = None
        self._looks = 0

    def start(self, surroundings: Surroundings) -> None:
        """Take a stream for exploring, and the table."""
        self._draw = surroundings.streams.uniforms(f"{surroundings.path}/explore")
        self._begin()

    def _begin(self) -> None:
        if self.weights is None:
            self.table = QTable(STATES, self.actions, self.discount)
            return
        about, arrays = self.load()
        self.actions, self.step, self.day = about["actions"], about["step"], about["day"]
        self.table = QTable(STATES, self.actions, self.discount)
        # The run must not change the arrays that are kept for the next one.
        self.table.values = arrays["values"].astype(float)
        self.table.visits = arrays["visits"].astype(np.int64)

    def load(self) -> files.Weights:
        """The trained table.

        Raises:
            ScenarioError: the file is not one.
        """
        assert self.weights is not None
        found = files.load(self.weights, "q-learning")
        shape = (STATES, found.about["actions"])
        if any(found.arrays.get(name, np.empty(0)).shape != shape for name in ("values", "visits")):
            raise files.unfit(self.weights, f"expected tables of {shape[0]} x {shape[1]}")
        return found

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        if not observation.capacity > 0:
            raise StratusError("autoscaler q-learning: the service's time model gives no capacity")
        state = cell(features(observation, self.day)[list(COLUMNS)], EDGES)
        middle = self.actions // 2
        if self.learn and self._last is not None:
            before, action = self._last
            self.table.learn(before, action, self.reward.of(observation, action - middle), state)
        explore = self.explore / (1 + self._looks / self.fade) if self.learn else 0.0
        self._looks += 1
        draw = self._draw()
        action = self.table.chosen(state, middle, explore, draw)
        self._last = (state, action)
        self.signal = observation.rate
        self.recommended = change(action, self.actions, observation.wanted, self.step)
        self.reason = "exploring" if draw < explore else ""
        return self.recommended

    def trained(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is to be said of the table, and its arrays, as a weights file has them."""
        about = {"kind": "q-learning", "actions": self.actions, "step": self.step, "day": self.day}
        return about | {"period": self.period}, {"values": self.table.values, "visits": self.table.visits}
