"""Q-learning against value iteration, and the autoscaler that uses it."""

import json
from pathlib import Path

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.kernel.streams import RandomStreams
from sim.paas.autoscaling import weights
from sim.paas.autoscaling.features import HIGH, LOW, NAMES, change, features
from sim.paas.autoscaling.qtable import QTable, cell
from sim.paas.autoscaling.rewards import Reward
from sim.paas.policies.autoscalers.base import History, Observation, Surroundings
from sim.paas.policies.autoscalers.learned import Learned
from sim.paas.policies.autoscalers.q_learning import EDGES, STATES, QLearning

# ---------------------------------------------------------------- a decision process with a known optimum

#: Replicas 1 to 4, load low or high (it stays with 0.8): the least service in closed form.
SIZES, STAY, DISCOUNT = 4, 0.8, 0.9
NEED = (1, 3)


def pay(size, load):
    """Reward of having `size` replicas under a load: 4 for each that lacks, 1 for each there is."""
    return -4.0 * max(0, NEED[load] - size) - 1.0 * size


def optimum():
    """Q by value iteration to machine precision; rows size x load, columns down, stay, up."""
    q = np.zeros((SIZES * 2, 3))
    for _ in range(2000):
        best = q.max(axis=1)
        for size in range(SIZES):
            for load in range(2):
                for action in range(3):
                    after = min(max(size + action - 1, 0), SIZES - 1)
                    q[size * 2 + load, action] = sum(
                        chance * (pay(after + 1, then) + DISCOUNT * best[after * 2 + then])
                        for then, chance in ((load, STAY), (1 - load, 1 - STAY))
                    )
    return q


def test_it_finds_the_optimal_policy_of_a_small_decision_process():
    due = optimum()
    rng = np.random.default_rng(3)
    table = QTable(SIZES * 2, 3, DISCOUNT)
    size, load = 0, 0
    for _ in range(50_000):
        action = table.chosen(size * 2 + load, 1, 0.5, rng.random())
        after = min(max(size + action - 1, 0), SIZES - 1)
        then = load if rng.random() < STAY else 1 - load
        table.learn(size * 2 + load, action, pay(after + 1, then), after * 2 + then)
        size, load = after, then
    assert np.abs(table.values - due).max() < 0.05 * np.abs(due).max()
    learned = table.values.argmax(axis=1)
    # Where two actions are worth the same to 1 %, either is optimal.
    for state, action in enumerate(learned):
        assert due[state, action] >= due[state].max() - 0.01 * abs(due[state].max())
    assert table.best(0, otherwise=1) == due[0].argmax()


def test_an_update_is_the_rule():
    table = QTable(2, 3, 0.5)
    table.values[1] = [1.0, 4.0, 2.0]
    table.learn(0, 2, reward=3.0, after=1)
    assert table.values[0].tolist() == [0, 0, 5.0]
    table.learn(0, 2, reward=0.0, after=1)
    # The second visit moves by 2^-0.7 of the way to 0 + 0.5 x 4.
    assert table.values[0, 2] == pytest.approx(5 + 2**-0.7 * (2 - 5))


def test_choices():
    table = QTable(1, 4, 0.9)
    assert table.best(0, otherwise=3) == 3
    table.learn(0, 1, -5.0, 0)
    # Never tried is not better than bad: only what is known counts.
    assert table.best(0, otherwise=3) == 1
    assert [table.chosen(0, 3, 0.4, draw) for draw in (0.0, 0.1, 0.25, 0.39, 0.4, 0.99)] == [0, 1, 2, 3, 1, 1]


def test_cells_number_the_whole_grid_once():
    edges = ((1.0, 2.0), (0.0,))
    points = [(a, b) for a in (0.5, 1.0, 9.0) for b in (-1.0, 0.0)]
    assert [cell(np.array(point), edges) for point in points] == [0, 1, 2, 3, 4, 5]


# ---------------------------------------------------------------- features, rewards, actions


def seen(**more):
    history = History(np.arange(60.0, 660.0, 60.0), np.arange(1.0, 11.0), 60.0)
    usual = {
        "time": 600.0, "wanted": 4, "ready": 3, "starting": 1, "minimum": 1, "maximum": 8, "rate": 6.0,
        "in_system": 5.0, "queued": 12, "utilisation": 0.8, "history": history, "lead_time": 120.0,
        "servers_per_replica": 1, "capacity": 2.0,
    }  # fmt: skip
    return Observation(**(usual | more))


def test_features_by_hand():
    found = dict(zip(NAMES, features(seen(), day=480.0), strict=True))
    assert found == pytest.approx({
        "load": 6 / 8,
        "ahead": 4 / 8,  # two bins after the last, eight bins before: the rate of the fourth
        "trend": (6 - 8) / 8,  # the load two bins ago was 8
        "wait": 12 / 6 / 60,
        "starting": 1 / 4,
        "size": 4 / 8,
        "day_sin": 1.0, "day_cos": 0.0,
    }, abs=1e-12)  # fmt: skip
    short = seen(history=History(np.empty(0), np.empty(0), 60.0))
    assert features(short, 480.0)[:3].tolist() == [6 / 8, 6 / 8, 0.0]


@pytest.mark.parametrize("odd", [{"wanted": 0, "ready": 0, "starting": 0}, {"rate": 1e9, "queued": 10**9}])
def test_features_stay_within_their_bounds(odd):
    found = features(seen(**odd), 480.0)
    assert (found >= LOW).all()
    assert (found <= HIGH).all()


@pytest.mark.parametrize(
    ("action", "wanted", "due"), [(0, 40, 36), (2, 40, 40), (4, 40, 44), (0, 1, 0), (0, 3, 1), (4, 0, 2)]
)
def test_actions_are_steps_of_a_share(action, wanted, due):
    assert change(action, 5, wanted, 0.05) == due


def test_rewards_by_hand():
    reward = Reward(slow=2.0, idle=0.5, churn=0.1, patience=4.0)
    # 12 calls wait for 3 replicas of 2 calls/s: 2 s, half of what is bearable. 3 busy of 4.
    assert reward.of(seen(), steps=-2) == pytest.approx(-(2 * 0.5 + 0.5 * (4 / 3 - 1) + 0.2))
    assert reward.of(seen(queued=10**6, wanted=1), 0) == -2.0
    assert reward.of(seen(queued=0, wanted=1000), 0) == -1.0


# ---------------------------------------------------------------- the policy


def begun(policy, seed=1):
    policy.start(Surroundings(RandomStreams(seed), "paas/s/autoscaler"))
    return policy


def test_it_learns_from_what_its_action_led_to():
    policy = begun(QLearning(explore=0.0, reward=Reward(slow=1.0, idle=0.0, churn=0.0, patience=4.0)))
    assert policy.want(seen(), 0.0) == 4
    assert not policy.table.visits.any()
    policy.want(seen(), 15.0)
    state = cell(features(seen(), 86400.0)[[0, 1, 3, 4]], EDGES)
    assert policy.table.visits[state].tolist() == [0, 0, 1, 0, 0]
    assert policy.table.values[state, 2] == pytest.approx(-0.5)


def test_chance_comes_from_its_stream_and_fades():
    def answers(seed, **more):
        policy = begun(QLearning(**more), seed)
        return [policy.want(seen(), 15.0 * look) for look in range(300)], policy

    (first, _), (again, _), (other, _) = (
        answers(1, explore=0.5),
        answers(1, explore=0.5),
        answers(2, explore=0.5),
    )
    assert first == again != other
    steady, policy = answers(1, explore=1.0, learn=False)
    assert set(steady) == {4}
    assert not policy.table.visits.any()
    _, policy = answers(1, explore=1.0, fade=5)
    assert policy.reason == ""


def agent(tmp_path, **more):
    policy = begun(QLearning())
    policy.table.values[:, 3] = 1.0
    policy.table.visits[:] = 1
    about, arrays = policy.trained()
    path = tmp_path / "table.npz"
    weights.save(path, about | more, arrays)
    return str(path)


def test_a_table_is_applied_and_stays_as_it_was(tmp_path):
    path = agent(tmp_path, step=0.5)
    for _ in range(2):
        policy = begun(QLearning(weights=path, learn=True, explore=0.0))
        # One step up of half of four, as the file says; learning must not reach the next run.
        assert policy.want(seen(), 0.0) == 6
        policy.table.values[:] = -9.0


def network(tmp_path, **more):
    rng = np.random.default_rng(1)
    arrays = {
        "w0": rng.normal(size=(8, 4)),
        "b0": np.zeros(4),
        "w1": rng.normal(size=(4, 3)),
        "b1": np.zeros(3),
    }
    about = {"kind": "network", "actions": 3, "step": 0.25, "day": 480.0, "period": 15.0}
    path = tmp_path / "network.npz"
    weights.save(path, about | more, arrays)
    return str(path), arrays


def test_a_network_is_the_product_of_its_layers(tmp_path):
    path, arrays = network(tmp_path)
    state = 2 * (features(seen(), 480.0) - LOW) / (HIGH - LOW) - 1
    out = np.tanh(state @ arrays["w0"]) @ arrays["w1"]
    policy = begun(Learned(path, guard=False))
    assert policy.want(seen(), 0.0) == 4 + (int(np.argmax(out)) - 1)
    # Six calls a second need three replicas of two.
    assert begun(Learned(path)).want(seen(wanted=1), 0.0) >= 3


def test_the_same_agent_gives_the_same_bytes(tmp_path):
    first, _ = network(tmp_path)
    (tmp_path / "more").mkdir()
    second, _ = network(tmp_path / "more")
    assert Path(first).read_bytes() == Path(second).read_bytes()


def test_files_that_are_no_agent_say_why(tmp_path):
    path, arrays = network(tmp_path)
    wrong = tmp_path / "wrong.npz"

    def refused(kind="network"):
        with pytest.raises(ScenarioError) as caught:
            weights.load(str(wrong), kind)
        return str(caught.value)

    wrong.write_text("no archive")
    assert "is not the weights file of an agent" in refused()
    about = weights.load(path, "network").about
    for changed, message in (
        ({"kind": "q-learning"}, "of the kind 'q-learning', not 'network'"),
        ({"actions": 4}, "does not say what it is"),
        ({"actions": 5}, "do not lead from 8 features to the actions"),
        ({"day": -1}, "day is missing"),
    ):
        weights.save(wrong, about | changed, arrays)
        assert message in refused()
    for name, array, message in (
        ("w0", np.full((8, 4), np.nan), "w0 is not an array of finite numbers"),
        ("w1", np.zeros((5, 3)), "do not lead"),
        ("b1", np.zeros(4), "layer 1 is not a matrix and an offset that fit"),
        ("w0", np.array(["text"]), "w0 is not an array of finite numbers"),
    ):
        weights.save(wrong, about, arrays | {name: array})
        assert message in refused()
    weights.save(wrong, about | {"kind": "q-learning"}, arrays)
    with pytest.raises(ScenarioError, match=f"expected tables of {STATES} x 3"):
        QLearning(weights=str(wrong)).load()


def test_pickled_objects_are_never_opened(tmp_path):
    wrong = tmp_path / "wrong.npz"
    about = np.array(json.dumps({"kind": "network", "actions": 3, "step": 1, "day": 1, "period": 1}))
    np.savez(wrong, about=about, w0=np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    with pytest.raises(ScenarioError, match="is not the weights file of an agent"):
        weights.load(str(wrong), "network")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path, _ = network(tmp_path)
    monkeypatch.setattr(weights, "MOST", 10)
    with pytest.raises(ScenarioError, match="more than 10 bytes"):
        weights._load.__wrapped__(path, "network", (0, 0))


def test_actions_are_odd():
    with pytest.raises(ValueError, match="odd"):
        QLearning(actions=4)
