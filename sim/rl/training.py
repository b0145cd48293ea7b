"""Training an autoscaler and writing its weights: Q-learning, or PPO and DQN with stable-baselines3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sim import __version__
from sim.errors import MissingExtra
from sim.kernel.streams import RandomStreams
from sim.paas.autoscaling import weights
from sim.paas.autoscaling.rewards import Reward
from sim.paas.policies.autoscalers.learner import Learner, described
from sim.paas.policies.autoscalers.linear_q import LinearQAutoscaler
from sim.paas.policies.autoscalers.q_learning import QLearning
from sim.rl.episode import FIRST, Episode
from sim.rl.fluid import FluidEpisode
from sim.scenario.spec import Scenario

Algorithm = Literal["q-learning", "linear-q", "ppo", "dqn"]

#: The learners that need no extra.
LEARNERS: dict[str, type[Learner]] = {"q-learning": QLearning, "linear-q": LinearQAutoscaler}

#: Told how many looks are done.
Progress = Callable[[int], None]

#: Runs that PPO learns from at the same time.
ENVIRONMENTS = 8

#: Width of the two inner layers of a network.
HIDDEN = 32


class Plan(NamedTuple):
    """How an agent is trained.

    Attributes:
        service: whose replicas it decides.
        algorithm: how it learns.
        looks: decisions it makes while it learns.
        residual: steps correct what the service's own autoscaler wants.
        fluid: learn on the service in closed form instead of the simulator.
        actions: 2k + 1 actions are -k .. +k steps.
        step: a step as a share of the replicas.
        day: seconds after which the load tends to repeat.
        period: seconds between two looks.
        discount: worth of a reward one look later.
        reward: what is paid.
    """

    service: str
    algorithm: Algorithm
    looks: int
    residual: bool = False
    fluid: bool = False
    actions: int = 5
    step: float = 0.05
    day: float = 86400.0
    period: float = 15.0
    discount: float = 0.95
    reward: Reward = Reward()

    def settings(self) -> dict[str, Any]:
        """What an episode needs to know of it."""
        names = ("residual", "actions", "step", "day", "period", "reward")
        return {name: getattr(self, name) for name in names}


def train(
    scenario: Scenario, plan: Plan, target: Path, sets: Sequence[str] = (), progress: Progress | None = None
) -> dict[str, Any]:
    """Train an agent on a scenario and write its weights.

    Training takes replications of its own (from `FIRST` on), which no study reaches, and should be given
    a seed and days of its own as well: all of that is written into the file, for the reports.

    Args:
        scenario: what it is trained on; its study does not count.
        plan: how.
        target: the file that is written.
        sets: settings by which the scenario was changed, for the record.
        progress: told now and then.

    Returns:
        What is said of the agent in the file.

    Raises:
        MissingExtra: PPO or DQN without stable-baselines3.
        UsageError: the scenario has no such service.
    """
    told = progress or (lambda done: None)
    learn = _table if plan.algorithm in LEARNERS else _network
    arrays = learn(scenario, plan, told)
    base = scenario.platform.services[plan.service].autoscaler if plan.residual else None
    about = {
        "kind": plan.algorithm if plan.algorithm in LEARNERS else "network",
        "base": described(base),
        **{name: getattr(plan, name) for name in ("actions", "step", "day", "period")},
        "trained": {
            "scenario": scenario.name,
            "sets": list(sets),
            "service": plan.service,
            "seed": scenario.seed,
            "algorithm": plan.algorithm,
            "fluid": plan.fluid,
            "looks": plan.looks,
            "discount": plan.discount,
            "reward": vars(plan.reward),
            "version": __version__,
        },
    }
    weights.save(target, about, arrays)
    return about


def _table(scenario: Scenario, plan: Plan, told: Progress) -> dict[str, npt.NDArray[Any]]:
    """Runs one after the other; exploring falls in a straight line to 5 % at two thirds of the looks."""
    learner = LEARNERS[plan.algorithm]
    known = learner.memory(plan.actions, plan.discount)
    begin = FluidEpisode if plan.fluid else Episode
    draw = RandomStreams(scenario.seed, FIRST).uniforms("rl/explore")
    looks, run = 0, FIRST
    while looks < plan.looks:
        episode = begin(scenario, plan.service, run, **plan.settings())
        run += 1
        state = learner.state(episode.state)
        while not episode.over and looks < plan.looks:
            explore = max(0.05, 1.0 - 1.5 * looks / plan.looks)
            action = known.chosen(state, plan.actions // 2, explore, draw())
            reward = episode.act(action)
            looks += 1
            if looks % 1000 == 0:
                told(looks)
            if not episode.over:
                after = learner.state(episode.state)
                known.learn(state, action, reward, after)
                state = after
    return {"values": known.values, "visits": known.visits}


def _network(scenario: Scenario, plan: Plan, told: Progress) -> dict[str, npt.NDArray[Any]]:
    """PPO or DQN of stable-baselines3, on one thread so that the same seed gives the same network."""
    try:
        import stable_baselines3 as sb3
        import torch
        from stable_baselines3.common.callbacks import BaseCallback
        from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
    except ImportError:
        raise MissingExtra("stable-baselines3", "rl") from None
    from sim.rl.environment import ScalingEnv

    class Telling(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps % 1000 == 0:
                told(self.num_timesteps)
            return True

    torch.set_num_threads(1)
    count = ENVIRONMENTS if plan.algorithm == "ppo" else 1
    settings: dict[str, Any] = {"fluid": plan.fluid, "stride": count, **plan.settings()}
    environments: list[Any] = [partial(ScalingEnv, scenario, plan.service, **settings) for _ in range(count)]
    # Costs of a crowd are a hundred times those of a quiet look: networks learn from rewards of one size.
    environment = VecNormalize(DummyVecEnv(environments), norm_obs=False, gamma=plan.discount)
    inner: dict[str, Any] = {"net_arch": [HIDDEN, HIDDEN], "activation_fn": torch.nn.Tanh}
    common: dict[str, Any] = {"gamma": plan.discount, "seed": scenario.seed, "policy_kwargs": inner}
    model: Any
    if plan.algorithm == "ppo":
        # Short stretches and a faster pace than usual: looks are dear, a run has some hundreds.
        stretch = max(8, min(256, plan.looks // count))
        pace: dict[str, Any] = {
            "n_steps": stretch,
            "batch_size": stretch,
            "learning_rate": 1e-3,
            "ent_coef": 0.003,
        }
        model = sb3.PPO("MlpPolicy", environment, device="cpu", **pace, **common)
    else:
        model = sb3.DQN(
            "MlpPolicy", environment, device="cpu", learning_starts=1000, exploration_fraction=0.5, **common
        )
    model.learn(plan.looks, callback=Telling())
    policy: Any = model.policy
    parts = (
        [*policy.mlp_extractor.policy_net, policy.action_net]
        if plan.algorithm == "ppo"
        else policy.q_net.q_net
    )
    arrays: dict[str, npt.NDArray[Any]] = {}
    for index, layer in enumerate(part for part in parts if isinstance(part, torch.nn.Linear)):
        arrays[f"w{index}"] = layer.weight.detach().numpy().T.astype(np.float32)
        arrays[f"b{index}"] = layer.bias.detach().numpy().astype(np.float32)
    return arrays
