import numpy as np
import pytest

from sim.saas.callgraph import CallGraph, CallSpec


@pytest.fixture
def at(world):
    return world.service("at-plant", "plant")


def graph(at, **after):
    return CallGraph([CallSpec(name, [at], after=before) for name, before in after.items()])


def names(made):
    return [stage.spec.name for stage in made.stages]


def test_calls_follow_each_other_unless_told_otherwise(at):
    made = graph(at, a=None, b=None, c=None)
    assert names(made) == ["a", "b", "c"]
    assert [stage.after for stage in made.stages] == [[], [0], [1]]
    assert [stage.then for stage in made.stages] == [[1], [2], []]
    assert made.chain


def test_a_fork_and_a_join(at):
    made = graph(at, a=None, b=["a"], c=["a"], d=["b", "c"])
    assert [stage.after for stage in made.stages] == [[], [0], [0], [1, 2]]
    assert made.roots == [0]
    assert not made.chain


def test_calls_may_be_written_before_those_they_wait_for(at):
    made = graph(at, last=["first"], first=[])
    assert names(made) == ["first", "last"]
    assert made.chain


def test_two_calls_that_start_at_once_are_no_chain(at):
    made = graph(at, a=[], b=[])
    assert made.roots == [0, 1]
    assert not made.chain


def test_what_is_made_and_what_it_waits_for(at):
    calls = [
        CallSpec("look", [at]),
        CallSpec("alert", [at], after=["look"], probability=0.5),
        CallSpec("notify", [at], after=["alert"]),
        CallSpec("store", [at], after=["look", "alert"]),
    ]
    made = CallGraph(calls)
    rolls = [np.zeros(2), np.array([0.4, 0.6]), np.zeros(2), np.zeros(2)]
    chosen = made.made(rolls)
    assert [mask.tolist() for mask in chosen] == [[True, True], [True, False], [True, False], [True, True]]
    # One result each, two for `store` if there was an alert; nothing is awaited by what is left out.
    assert made.needs(chosen) == [[1, 1, 1, 2], [1, 0, 0, 1]]


def test_probabilities_are_shares(at):
    made = CallGraph([CallSpec("a", [at]), CallSpec("b", [at], probability=0.3)])
    rng = np.random.default_rng(1)
    share = made.made([rng.random(40_000) for _ in range(2)])[1].mean()
    # Binomial sd 0.0023; five of them are a false alarm in 6e-7 of seeds.
    assert share == pytest.approx(0.3, abs=0.0115)
    assert not made.chain


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ({}, "at least one call"),
        ({"a": ["b"], "b": ["a"]}, "in a circle: a, b"),
        ({"a": ["a"]}, "in a circle: a"),
        ({"detect": [], "b": ["detekt"]}, r'after unknown call .detekt. \(did you mean "detect"\?\)'),
    ],
)
def test_graphs_that_make_no_sense(at, calls, message):
    with pytest.raises(ValueError, match=message):
        graph(at, **calls)


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ([{"name": "a"}, {"name": "a"}], "stands twice"),
        ([{"name": "a", "probability": 1.5}], "between 0 and 1"),
        ([{"name": "a", "probability": 0.5}, {"name": "b"}], "needs probability 1"),
    ],
)
def test_calls_that_make_no_sense(at, calls, message):
    with pytest.raises(ValueError, match=message):
        CallGraph([CallSpec(services=[at], **call) for call in calls])


def test_a_call_needs_a_service(at):
    with pytest.raises(ValueError, match="at least one service"):
        CallGraph([CallSpec("a", [])])


def test_residency_removes_candidates(world, at):
    away = world.service("away", "region")
    calls = [CallSpec("a", [at, away]), CallSpec("b", [at])]
    assert CallGraph(calls).stages[0].services == [at, away]
    assert CallGraph(calls, ["plant"]).stages[0].services == [at]
    with pytest.raises(ValueError, match="'b' has no service at an allowed site"):
        CallGraph(calls, ["region"])
