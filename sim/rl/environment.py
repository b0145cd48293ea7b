"""A Gymnasium environment over the scaling loop of a service."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sim.errors import MissingExtra
from sim.paas.autoscaling.features import NAMES, Vector, scaled
from sim.rl.episode import FIRST, Episode
from sim.rl.fluid import FluidEpisode
from sim.scenario.spec import Scenario

try:
    import gymnasium
except ImportError:
    raise MissingExtra("gymnasium", "rl") from None


class ScalingEnv(gymnasium.Env[npt.NDArray[np.float32], np.int64]):
    """Decide the replicas of one service; one step is one look of the loop.

    Observations are the features of `sim.paas.autoscaling.features`, brought to -1 .. 1; actions change
    the replicas by -k .. +k steps; the reward is minus the costs of `sim.paas.autoscaling.rewards`. An
    episode is one run of the scenario and is truncated at its end, since the service would go on. Each
    reset without a seed takes the next replication; a seed decides which.

    Args:
        scenario: what is run.
        service: whose replicas are decided.
        fluid: the service in closed form, many times as fast, instead of the simulator.
        stride: replications from one run to the next, when several environments share them.
        settings: those of `Episode`: residual, actions, step, day, period, reward.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self, scenario: Scenario, service: str, *, fluid: bool = False, stride: int = 1, **settings: Any
    ) -> None:
        self._scenario = scenario
        self._service = service
        self._begin: type[Episode | FluidEpisode] = FluidEpisode if fluid else Episode
        self._settings = settings
        self._stride = stride
        self._replication = FIRST - stride
        self._episode: Episode | FluidEpisode | None = None
        shape = (len(NAMES),)
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, shape, dtype=np.float32)
        self.action_space = gymnasium.spaces.Discrete(settings.get("actions", 5))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Begin another run."""
        super().reset(seed=seed)
        self._replication = self._replication + self._stride if seed is None else FIRST + seed % FIRST
        self._episode = self._begin(self._scenario, self._service, self._replication, **self._settings)
        return _told(self._episode.state), {}

    def step(
        self, action: np.int64 | int
    ) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Change the replicas and go on to the next look."""
        if self._episode is None:
            raise RuntimeError("reset the environment first")
        reward = self._episode.act(int(action))
        return _told(self._episode.state), reward, False, self._episode.over, {}


def _told(state: Vector) -> npt.NDArray[np.float32]:
    return scaled(state).astype(np.float32)
