"""An autoscaler trained beforehand by deep reinforcement learning; using it needs nothing but numpy."""

from __future__ import annotations

from math import nan

from sim.errors import StratusError
from sim.paas.autoscaling import weights as files
from sim.paas.autoscaling.features import change, features
from sim.paas.policies.autoscalers import footing
from sim.paas.policies.autoscalers.base import NO_OUTLOOK, Observation, Surroundings
from sim.paas.policies.autoscalers.footing import Base
from sim.paas.policies.autoscalers.learner import described
from sim.registry import policy
from sim.units import PositiveSeconds


@policy("autoscaler", "learned")
class Learned:
    """Replicas by a small network that was trained in this simulator (`stratus train`, PPO or DQN).

    It sees the nine features of `sim.paas.autoscaling.features` and adds or takes away steps of
    replicas, always the action it holds best: no chance, no learning. Its day, its step and the period
    it should be asked at are in the file. It knows nothing but what its training showed it: look at
    what the report says of that.

    weights: file that `stratus train` wrote (.npz).
    base: another autoscaler whose wish it corrects, the one it was trained with.
    guard: never fewer than serve the present rate: replicas that reach the rate at full load.
    """

    weights: str
    base: Base | None = None
    guard: bool = True
    bin: PositiveSeconds = 60.0
    period: PositiveSeconds = 15.0

    signal = nan
    predicted = nan
    recommended = -1
    reason = ""

    def __post_init__(self) -> None:
        self.outlook = NO_OUTLOOK

    def start(self, surroundings: Surroundings) -> None:
        """Read the network."""
        self._about, self._arrays = self.load()
        footing.start(self.base, surroundings)

    def load(self) -> files.Weights:
        """The trained network.

        Raises:
            ScenarioError: the file is not one, or corrects another autoscaler.
        """
        found = files.load(self.weights, "network")
        files.check_base(self.weights, found.about, described(self.base))
        return found

    def want(self, observation: Observation, now: float) -> int:
        """Wished replicas."""
        if not observation.capacity > 0:
            raise StratusError("autoscaler learned: the service's time model gives no capacity")
        about = self._about
        begun = footing.footing(self.base, observation, now)
        state = features(observation, about["day"], begun.wish, begun.foreseen)
        action = files.answer(self._arrays, state)
        self.signal = observation.rate
        self.predicted = begun.foreseen
        self.outlook = getattr(self.base, "outlook", NO_OUTLOOK)
        self.recommended = change(action, about["actions"], begun.replicas(observation), about["step"])
        self.reason = ""
        least = -int(-observation.rate // observation.capacity)
        if self.guard and self.recommended < least:
            self.reason = "guard-rail"
            return least
        return self.recommended
