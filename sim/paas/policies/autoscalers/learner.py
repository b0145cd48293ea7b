"""What the autoscalers share that learn from what their decisions lead to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, fields, is_dataclass
from math import nan
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sim import registry
from sim.errors import StratusError
from sim.paas.autoscaling import weights as files
from sim.paas.autoscaling.features import Vector, change, features
from sim.paas.autoscaling.rewards import Reward
from sim.paas.policies.autoscalers import footing
from sim.paas.policies.autoscalers.base import NO_OUTLOOK, Autoscaler, Observation, Surroundings


class Memory(Protocol):
    """Values of actions by state: a table, or a function of tiles."""

    values: npt.NDArray[np.float64]
    visits: npt.NDArray[np.int64]
    caution: float

    def chosen(self, state: Any, otherwise: int, explore: float, draw: float) -> int:
        """The best action, or with probability `explore` any."""

    def learn(self, state: Any, action: int, reward: float, after: Any) -> None:
        """One update from what an action led to."""


class Learner(ABC):
    """A Q-learning autoscaler; subclasses are policies and say what a state is and what remembers."""

    policy: str
    weights: str | None
    base: Autoscaler | None
    caution: float
    learn: bool
    explore: float
    fade: int
    discount: float
    actions: int
    step: float
    day: float
    reward: Reward
    period: float

    signal = nan
    predicted = nan
    recommended = -1
    reason = ""

    def __post_init__(self) -> None:
        if self.actions % 2 == 0:
            raise ValueError("actions: an odd number, so that one of them keeps the replicas")
        self.outlook = NO_OUTLOOK
        self._last: tuple[Any, int, float] | None = None
        self._looks = 0

    @staticmethod
    @abstractmethod
    def state(found: Vector) -> Any:
        """The state that features make up."""

    @staticmethod
    @abstractmethod
    def memory(actions: int, discount: float) -> Memory:
        """Values of nothing tried yet."""

    def start(self, surroundings: Surroundings) -> None:
        """Take a stream for exploring, and what was learned before."""
        self._draw = surroundings.streams.uniforms(f"{surroundings.path}/explore")
        footing.start(self.base, surroundings)
        about, arrays = (None, {}) if self.weights is None else self.load()
        if about is not None:
            self.actions, self.step, self.day = about["actions"], about["step"], about["day"]
        self.known = self.memory(self.actions, self.discount)
        self.known.caution = self.caution
        if about is None:
            return
        # The run must not change the arrays that are kept for the next one.
        self.known.values = arrays["values"].astype(float)
        self.known.visits = arrays["visits"].astype(np.int64)

    def load(self) -> files.Weights:
        """What was learned before.

        Raises:
            ScenarioError: the file is not of this kind, or corrects another autoscaler.
        """
        assert self.weights is not None
        found = files.load(self.weights, self.policy)
        shape = self.memory(found.about["actions"], self.discount).values.shape
        if any(found.arrays.get(name, np.empty(0)).shape != shape for name in ("values", "visits")):
            raise files.unfit(self.weights, f"expected tables of {shape[0]} x {shape[1]}")
        files.check_base(self.weights, found.about, described(self.base))
        return found

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        if not observation.capacity > 0:
            raise StratusError(f"autoscaler {self.policy}: the service's time model gives no capacity")
        begun = footing.footing(self.base, observation, now)
        state = self.state(features(observation, self.day, begun.wish, begun.foreseen))
        middle = self.actions // 2
        if self.learn and self._last is not None:
            before, action, then = self._last
            paid = self.reward.of(observation, action - middle, now - then)
            self.known.learn(before, action, paid, state)
        explore = self.explore / (1 + self._looks / self.fade) if self.learn else 0.0
        self._looks += 1
        draw = self._draw()
        action = self.known.chosen(state, middle, explore, draw)
        self._last = (state, action, now)
        self.signal = observation.rate
        self.predicted = begun.foreseen
        self.outlook = getattr(self.base, "outlook", NO_OUTLOOK)
        self.recommended = change(action, self.actions, begun.replicas(observation), self.step)
        self.reason = "exploring" if draw < explore else ""
        return self.recommended

    def trained(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is to be said of what was learned, and its arrays, as a weights file has them."""
        about = {"kind": self.policy, "actions": self.actions, "step": self.step, "day": self.day}
        about |= {"period": self.period, "base": described(self.base)}
        return about, {"values": self.known.values, "visits": self.known.visits}


def described(policy: Any) -> Any:
    """A policy as plain data: its name and the settings that differ from their defaults, all the way down."""
    if not is_dataclass(policy):
        return [described(each) for each in policy] if isinstance(policy, list | tuple) else policy
    found = {}
    for one in fields(policy):
        value = getattr(policy, one.name)
        usual = one.default_factory() if one.default_factory is not MISSING else one.default
        if value != usual or one.name == registry.tag("autoscaler"):
            found[one.name] = described(value)
    return found
