"""Q-learning, by table and by tiles, against value iteration, and the autoscalers that use it."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import ScenarioError
from sim.kernel.streams import RandomStreams
from sim.paas.autoscaling import weights
from sim.paas.autoscaling.features import HIGH, LOW, NAMES, change, features
from sim.paas.autoscaling.qtable import QTable, cell
from sim.paas.autoscaling.rewards import Reward
from sim.paas.autoscaling.tiles import LinearQ, Tiles
from sim.paas.policies.autoscalers.base import History, Observation, Surroundings
from sim.paas.policies.autoscalers.kubernetes import Hpa
from sim.paas.policies.autoscalers.learned import Learned
from sim.paas.policies.autoscalers.learner import described
from sim.paas.policies.autoscalers.linear_q import TILES, LinearQAutoscaler
from sim.paas.policies.autoscalers.predictive import Predictive
from sim.paas.policies.autoscalers.q_learning import EDGES, STATES, QLearning
from sim.paas.policies.forecasters.seasonal_naive import SeasonalNaive

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


#: One tiling has a tile for each state; the others share some between neighbours.
GRID = Tiles((0, 0), (SIZES, 2), (SIZES, 2), 4)


@pytest.mark.parametrize("kind", ["table", "tiles"])
def test_it_finds_the_optimal_policy_of_a_small_decision_process(kind):
    due = optimum()
    rng = np.random.default_rng(3)
    if kind == "table":
        memory, state = QTable(SIZES * 2, 3, DISCOUNT), [*range(SIZES * 2)]
    else:
        memory = LinearQ(GRID.count, 3, DISCOUNT)
        state = [GRID.of(np.array([each // 2 + 0.5, each % 2 + 0.5])) for each in range(SIZES * 2)]
    size, load = 0, 0
    for _ in range(30_000):
        action = memory.chosen(state[size * 2 + load], 1, 0.5, rng.random())
        after = min(max(size + action - 1, 0), SIZES - 1)
        then = load if rng.random() < STAY else 1 - load
        memory.learn(state[size * 2 + load], action, pay(after + 1, then), state[after * 2 + then])
        size, load = after, then
    found = np.array([np.sum(memory.values[np.atleast_1d(each)], axis=0) for each in state])
    assert np.abs(found - due).max() < 0.06 * np.abs(due).max()
    # Where two actions are worth the same to 1 %, either is optimal.
    for each, action in enumerate(found.argmax(axis=1)):
        assert due[each, action] >= due[each].max() - 0.01 * abs(due[each].max())
    assert memory.best(state[0], otherwise=1) == due[0].argmax()


def test_with_one_tiling_it_is_the_table():
    rng = np.random.default_rng(5)
    grid = Tiles((0, 0), (SIZES, 2), (SIZES, 2), 1)
    table, tiles = QTable(SIZES * 2, 3, 0.9), LinearQ(grid.count, 3, 0.9)
    assert grid.count == SIZES * 2
    for _ in range(500):
        before, after = rng.integers(SIZES * 2, size=2)
        action, reward = int(rng.integers(3)), float(rng.normal())
        table.learn(int(before), action, reward, int(after))
        there = [grid.of(np.array([each // 2, each % 2])) for each in (before, after)]
        tiles.learn(there[0], action, reward, there[1])
    assert np.array_equal(table.values, tiles.values)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 5)), min_size=1, max_size=4),
    st.integers(1, 8),
)
def test_a_point_lies_in_one_tile_of_each_grid(axes, tilings):
    tiles = Tiles([-3.0] * len(axes), [4.0] * len(axes), [parts for _, parts in axes], tilings)
    point = np.array([value for value, _ in axes])
    found = tiles.of(point)
    assert (found // (tiles.count // tilings)).tolist() == [*range(tilings)]
    # What lies outside counts as the nearest edge.
    assert np.array_equal(found, tiles.of(np.clip(point, -3.0, 4.0)))


def test_near_points_share_tiles_and_far_ones_do_not():
    tiles = Tiles((0.0, 0.0), (1.0, 1.0), (4, 4), 8)
    here = set(tiles.of(np.array([0.5, 0.5])).tolist())
    assert len(here & set(tiles.of(np.array([0.54, 0.5])).tolist())) == 7
    assert not here & set(tiles.of(np.array([0.9, 0.1])).tolist())


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


@pytest.mark.parametrize("memory", [QTable(8, 3, 0.9), LinearQ(8, 3, 0.9)])
def test_caution_keeps_what_needs_no_reason(memory):
    state = 5 if isinstance(memory, QTable) else np.array([5])
    memory.values[5] = [1.0, 1.5, 0.0]
    memory.visits[5] = [1, 1, 0]
    memory.caution = 0.6
    assert [memory.best(state, otherwise) for otherwise in (0, 1, 2)] == [0, 1, 1]
    memory.caution = 0.4
    assert memory.best(state, 0) == 1
    memory.caution, memory.values[5], memory.visits[5] = 0.0, 0.0, 1
    assert [memory.best(state, otherwise) for otherwise in (0, 1, 2)] == [0, 1, 2]


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
        "day_sin": 1.0, "day_cos": 0.0, "held": 1.0,
    }, abs=1e-12)  # fmt: skip
    found = dict(zip(NAMES, features(seen(), 480.0, wish=6, foreseen=9.0), strict=True))
    assert found == pytest.approx({
        "load": 6 / 12, "ahead": 9 / 12, "trend": (6 - 8) / 12, "wait": 12 / 6 / 60, "starting": 1 / 4,
        "size": 6 / 8, "day_sin": 1.0, "day_cos": 0.0, "held": 4 / 6,
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
    reward = Reward(late=0.5, churn=0.1, patience=2.5)
    # 12 calls wait for 3 replicas of 2 calls/s: 2 s, of which 1.25 s do no harm and 2.5 s all. One replica
    # of four is not needed for a quarter of an hour; 6 calls/s came, of which 60 % will be late.
    late = 0.5 * 0.6 * 6.0 * 900
    assert reward.of(seen(), steps=-2, span=900.0) == pytest.approx(-(0.25 + late + 0.2))
    assert reward.of(seen(queued=3), 0, 900.0) == -0.25
    # Waiting has no ceiling below the calls that come, replicas have none at all.
    assert reward.of(seen(queued=10**6), 0, 900.0) == -(0.25 + 0.5 * 6.0 * 900)
    assert reward.of(seen(queued=0, wanted=4003), 0, 900.0) == -1000.0


# ---------------------------------------------------------------- the policy


def begun(policy, seed=1):
    policy.start(Surroundings(RandomStreams(seed), "paas/s/autoscaler"))
    return policy


def test_it_learns_from_what_its_action_led_to():
    policy = begun(QLearning(explore=0.0, reward=Reward(late=0.0)))
    assert policy.want(seen(), 0.0) == 4
    assert not policy.known.visits.any()
    policy.want(seen(), 900.0)
    state = cell(features(seen(), 86400.0)[[0, 1, 3, 4]], EDGES)
    assert policy.known.visits[state].tolist() == [0, 0, 1, 0, 0]
    assert policy.known.values[state, 2] == pytest.approx(-0.25)


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
    assert not policy.known.visits.any()
    _, policy = answers(1, explore=1.0, fade=5)
    assert policy.reason == ""


def agent(tmp_path, **more):
    policy = begun(QLearning())
    policy.known.values[:, 3] = 1.0
    policy.known.visits[:] = 1
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
        policy.known.values[:] = -9.0


def forecast():
    return Predictive(SeasonalNaive(season=480.0), target=1.0)


@pytest.mark.parametrize("kind", [QLearning, LinearQAutoscaler])
def test_it_corrects_another_autoscaler(tmp_path, kind):
    # A season ago there came 3 calls/s, and the season before that 8 less: 11 calls/s at 2 a replica.
    due = begun(forecast()).want(seen(), 0.0)
    assert due == 6
    untaught = begun(kind(base=forecast(), learn=False))
    assert untaught.want(seen(), 0.0) == due
    untaught.known.values[:, 0] = 1.0
    untaught.known.visits[:] = 1
    about, arrays = untaught.trained()
    assert about["base"] == {
        "policy": "predictive", "target": 1.0, "forecaster": {"policy": "seasonal-naive", "season": 480.0},
    }  # fmt: skip
    path = tmp_path / "agent.npz"
    weights.save(path, about, arrays)
    taught = begun(kind(weights=str(path), base=forecast(), learn=False))
    # Two steps down from what the base wants, not from the replicas there are.
    assert taught.want(seen(), 0.0) == due - 2
    assert taught.outlook == taught.base.outlook
    for other in (None, Hpa(), Predictive(SeasonalNaive(season=480.0))):
        with pytest.raises(ScenarioError, match=r"corrects the base .*here it is given"):
            kind(weights=str(path), base=other).load()


def test_settings_of_a_policy_are_those_that_differ():
    assert described(None) is None
    assert described(Hpa(utilisation=0.5)) == {"policy": "hpa", "utilisation": 0.5}


def test_a_base_stays_within_the_bounds():
    class Greedy:
        def want(self, observation, now):
            return 1000

    policy = begun(QLearning(base=Greedy(), learn=False))
    assert policy.want(seen(), 0.0) == 8


def network(tmp_path, **more):
    rng = np.random.default_rng(1)
    arrays = {
        "w0": rng.normal(size=(9, 4)),
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
        ({"actions": 5}, "do not lead from 9 features to the actions"),
        ({"day": -1}, "day is missing"),
    ):
        weights.save(wrong, about | changed, arrays)
        assert message in refused()
    for name, array, message in (
        ("w0", np.full((9, 4), np.nan), "w0 is not an array of finite numbers"),
        ("w1", np.zeros((5, 3)), "do not lead"),
        ("b1", np.zeros(4), "layer 1 is not a matrix and an offset that fit"),
        ("w0", np.array(["text"]), "w0 is not an array of finite numbers"),
    ):
        weights.save(wrong, about, arrays | {name: array})
        assert message in refused()
    weights.save(wrong, about | {"kind": "q-learning"}, arrays)
    with pytest.raises(ScenarioError, match=f"expected tables of {STATES} x 3"):
        QLearning(weights=str(wrong)).load()
    weights.save(wrong, about | {"kind": "linear-q"}, arrays)
    with pytest.raises(ScenarioError, match=f"expected tables of {TILES.count} x 3"):
        LinearQAutoscaler(weights=str(wrong)).load()


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
