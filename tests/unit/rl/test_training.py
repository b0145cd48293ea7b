"""Episodes, the Gymnasium environment, and training, on a small platform."""

import json

import numpy as np
import pytest

from sim.cli.main import main
from sim.errors import UsageError
from sim.paas.autoscaling import weights
from sim.paas.autoscaling.features import features
from sim.paas.autoscaling.rewards import Reward
from sim.rl.episode import FIRST, Episode
from sim.rl.training import Plan, train
from sim.scenario.build import build
from sim.scenario.load import load, loads

SCENARIO = """
name: small
seed: 5
duration: 20min
infrastructure:
  instances: {box: {cpu: 64, memory: 64GB, source: made up}}
  sites: {dc: {kind: cloud, pools: {cpus: {instance: box, nodes: 1}}}}
platform:
  services:
    api:
      site: dc
      time: {policy: constant, value: 4s}
      resources: {cpu: 1}
      replicas: {initial: 4, min: 1, max: 20}
      warmup: 30s
      autoscaler: AUTOSCALER
applications:
  shop:
    users: {dc: 1}
    arrivals: {process: diurnal, rate: 0.8/s, period: 10min}
    work: {dist: exponential, mean: 1}
    calls: {ask: {to: api}}
    slo: {latency: 5s, quantile: 95%}
"""


def small(autoscaler="fixed"):
    return loads(SCENARIO.replace("AUTOSCALER", autoscaler))


def test_an_episode_is_the_loop_itself():
    # What an episode shows while nobody touches anything is what the loop of a run at rest sees.
    caught = []

    class Looking:
        policy, period, bin = "looking", 15.0, 60.0

        def __deepcopy__(self, memo):
            return self

        def want(self, observation, now):
            caught.append(features(observation, 600.0))
            return observation.wanted

    scenario = small()
    service = scenario.platform.services["api"].model_copy(update={"autoscaler": Looking()})
    platform = scenario.platform.model_copy(update={"services": {"api": service}})
    build(scenario.model_copy(update={"platform": platform}), 3).run()
    episode = Episode(scenario, "api", 3, day=600.0)
    shown = []
    while not episode.over:
        shown.append(episode.state)
        episode.act(2)
    assert len(shown) == 79  # the last look would be at the very end
    assert np.array_equal(shown, caught)


def test_actions_change_the_replicas_and_are_paid_for():
    reward = Reward(late=0.0, churn=1000.0)
    episode = Episode(small(), "api", 0, step=0.25, reward=reward)
    assert episode.act(4) == pytest.approx(-2000.0, abs=1.0)
    assert episode._service.replica_set.wanted == 6
    for _ in range(30):
        episode.act(0)
    assert episode._service.replica_set.wanted == 1
    for _ in range(40):
        episode.act(4)
    assert episode._service.replica_set.wanted == 20


def test_too_few_replicas_and_too_many_cost():
    def paid(action, late):
        episode = Episode(small(), "api", 0, reward=Reward(late=late))
        total = 0.0
        while not episode.over:
            total += episode.act(action)
        return total

    replicas = [paid(action, 0.0) for action in (4, 2, 0)]
    assert replicas == sorted(replicas)
    late = [paid(action, 1.0) - alone for action, alone in zip((0, 2, 4), replicas[::-1], strict=True)]
    assert late == sorted(late)
    assert late[0] < late[-1] <= 0.0


def test_an_episode_that_corrects_and_does_nothing_is_the_run_itself():
    base = "{policy: predictive, target: 80%, forecaster: {policy: seasonal-naive, season: 10min}}"
    episode = Episode(small(base), "api", 3, residual=True, day=600.0)
    held = []
    while not episode.over:
        held.append(episode._service.replica_set.wanted)
        episode.act(2)
    rows = build(small(base), 3).run().tables["scaling"]
    assert held == rows["current"].tolist()
    assert len(set(held)) > 3


def test_an_episode_that_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match='did you mean "api"'):
        Episode(small(), "apu", 0)
    with pytest.raises(UsageError, match="ends before the first look"):
        Episode(small(), "api", 0, period=3600.0)


@pytest.mark.parametrize("algorithm", ["q-learning", "linear-q"])
def test_what_was_learned_is_used_in_scenarios(tmp_path, algorithm):
    plan = Plan("api", algorithm, 400, day=600.0, step=0.2)
    about = train(small(), plan, tmp_path / "q.npz")
    again = train(small(), plan, tmp_path / "again.npz")
    assert about == again
    assert (tmp_path / "q.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    found = weights.load(str(tmp_path / "q.npz"), algorithm)
    # The last look of each of the runs leads nowhere; a state is one cell, or a tile in each of eight grids.
    each = 1 if algorithm == "q-learning" else 8
    assert found.arrays["visits"].sum() == each * (400 - 400 // 79)
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.replace("AUTOSCALER", f"{{policy: {algorithm}, weights: q.npz, learn: false}}"))
    from sim.scenario.facts import caveats

    scenario = load(path)
    assert len(build(scenario).run().tables["scaling"]["time"]) == 79
    (said,) = [text for text in caveats(scenario) if "trained" in text]
    assert "trained on small with seed 5 for 400 looks" in said
    assert "no fair test" in said


def test_training_replications_are_out_of_the_reach_of_studies():
    assert FIRST >= 1_000_000


def test_the_command_trains_and_refuses(tmp_path, capsys):
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.replace("AUTOSCALER", "fixed"))
    words = [
        "train",
        str(path),
        "--algorithm",
        "q-learning",
        "--looks",
        "100",
        "--out",
        str(tmp_path / "w.npz"),
    ]
    given = ["--reward", "late=0.5", "--set", "duration=10min", "--day", "10min", "--json"]
    assert main([*words, *given]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["trained"]["seed"] == 6
    assert about["trained"]["sets"] == ["duration=10min"]
    assert about["trained"]["reward"]["late"] == 0.5
    assert about["base"] is None
    assert about["day"] == 600.0
    for more, message in (
        (["--service", "apo"], 'did you mean "api"'),
        (["--actions", "4"], "an odd number"),
        (["--step", "none"], "--step"),
        (["--discount", "1.5"], "less than 1"),
        (["--reward", "lat=1"], 'did you mean "late"'),
    ):
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err


def test_an_agent_that_corrects_says_what(tmp_path, capsys):
    path = tmp_path / "s.yaml"
    base = "{policy: hpa, utilisation: 60%}"
    path.write_text(SCENARIO.replace("AUTOSCALER", base))
    words = ["train", str(path), "--algorithm", "linear-q", "--looks", "60", "--residual"]
    assert main([*words, "--out", str(tmp_path / "w.npz"), "--day", "10min", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["base"] == {"policy": "hpa", "utilisation": 0.6}
    agent = "{policy: linear-q, weights: w.npz, base: BASE}"
    path.write_text(SCENARIO.replace("AUTOSCALER", agent.replace("BASE", base)))
    assert len(build(load(path)).run().tables["scaling"]["time"]) == 79
    path.write_text(SCENARIO.replace("AUTOSCALER", agent.replace("BASE", "hpa")))
    assert main(["validate", str(path)]) == 3
    assert "corrects the base" in capsys.readouterr().err


def test_weights_that_an_arm_names_begin_at_the_folder_of_the_scenario(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    train(small(), Plan("api", "q-learning", 40, day=600.0), tmp_path / "w.npz")
    path = tmp_path / "s.yaml"
    arm = (
        "study: {arms: {a: {platform.services.api.autoscaler: {policy: q-learning, weights: w.npz}}, b: {}}}"
    )
    path.write_text(SCENARIO.replace("AUTOSCALER", "fixed") + arm + "\n")
    from sim.study.cells import expand

    scenario = load(path)
    assert scenario == load(path, ["seed=5"])
    cells = expand(scenario)
    assert cells[0].scenario.platform.services["api"].autoscaler.weights == str(tmp_path / "w.npz")
    # What is kept of the study names no folder of this machine.
    assert scenario.study.arms["a"]["platform.services.api.autoscaler"]["weights"] == "w.npz"


# ---------------------------------------------------------------- with the extra

gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed (extra rl)")


def environment(**more):
    from sim.rl.environment import ScalingEnv

    return ScalingEnv(small(), "api", day=600.0, step=0.2, **more)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fluid", [False, True])
def test_it_passes_the_check_of_gymnasium(fluid):
    from gymnasium.utils.env_checker import check_env

    check_env(environment(fluid=fluid), skip_render_check=True)


def test_environments_that_share_take_turns():
    first, second = environment(stride=2), environment(stride=2)
    for made, seed in ((first, 0), (second, 1)):
        made.reset(seed=seed)
        made.reset()
    assert (first._replication, second._replication) == (FIRST + 2, FIRST + 3)


def test_an_episode_of_the_environment_is_truncated_at_the_end_of_the_run():
    made = environment()
    first, _ = made.reset()
    steps, truncated = 0, False
    while not truncated:
        state, _, terminated, truncated, _ = made.step(2)
        steps += 1
        assert not terminated
        assert made.observation_space.contains(state)
    assert steps == 79
    second, _ = made.reset()
    assert not np.array_equal(first, second)
    seeded = [made.reset(seed=9)[0] for _ in range(2)]
    assert np.array_equal(*seeded)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_a_trained_network_answers_in_numpy_as_in_torch(tmp_path, algorithm, monkeypatch):
    sb3 = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed (extra rl)")
    kept = []
    kind = {"ppo": sb3.PPO, "dqn": sb3.DQN}[algorithm]
    learn = kind.learn
    monkeypatch.setattr(
        kind, "learn", lambda self, *args, **more: kept.append(self) or learn(self, *args, **more)
    )
    train(small(), Plan("api", algorithm, 64, day=600.0, step=0.2), tmp_path / "n.npz")
    found = weights.load(str(tmp_path / "n.npz"), "network")
    rng = np.random.default_rng(2)
    for scaled in rng.uniform(-1, 1, (200, 9)).astype(np.float32):
        due, _ = kept[0].predict(scaled, deterministic=True)
        from sim.paas.autoscaling.features import HIGH, LOW

        assert weights.answer(found.arrays, (scaled + 1.0) / 2 * (HIGH - LOW) + LOW) == int(due)
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.replace("AUTOSCALER", "{policy: learned, weights: n.npz}"))
    assert len(build(load(path)).run().tables["scaling"]["time"]) == 79
