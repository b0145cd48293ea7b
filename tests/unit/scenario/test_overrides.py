"""Settings by path: on the command line, and as arms and axes."""

from pathlib import Path

import pytest

from sim.errors import ScenarioError
from sim.scenario.load import load
from sim.scenario.overrides import alternatives, apply, assignment, split

FULL = Path(__file__).parent / "good" / "full.yaml"


@pytest.fixture(scope="module")
def full():
    return load(FULL)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ("a",)),
        ("a.b-c.0", ("a", "b-c", "0")),
        ("a.'x/y'.c", ("a", "x/y", "c")),
        ("a.x/y", ("a", "x/y")),
        ('"a.b".c', ("a.b", "c")),
    ],
)
def test_paths(text, parts):
    assert split(text) == parts


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a.'b", "'a'b"])
def test_what_is_no_path(text):
    with pytest.raises(ValueError, match="not a path"):
        split(text)


def test_assignments():
    assert assignment("a.b=3") == (("a", "b"), 3)
    assert assignment("a.'b=c'={d: 1}") == (("a", "b=c"), {"d": 1})
    assert assignment("a= x=y ") == (("a",), "x=y")
    assert alternatives("a.b=1,250ms,{policy: hpa}") == (("a", "b"), [1, "250ms", {"policy": "hpa"}])
    for wrong in ("a", "a.b", "=1", "a=[1"):
        with pytest.raises(ValueError, match=r"path|YAML"):
            assignment(wrong)
    with pytest.raises(ValueError, match="no value"):
        alternatives("a=")


@pytest.mark.parametrize(
    ("setting", "look", "value"),
    [
        ("seed=99", lambda s: s.seed, 99),
        ("try=[more]", lambda s: s.attempts, ["more"]),
        ("limits.events=2M", lambda s: s.limits.events, 2_000_000),
        ("platform.services.edge.replicas.max=3", lambda s: s.platform.services["edge"].replicas.max, 3),
        (
            "platform.services.edge.router=random",
            lambda s: s.platform.services["edge"].router.policy,
            "random",
        ),
        (
            "platform.services.cloud.engine.servers=4",
            lambda s: s.platform.services["cloud"].engine.servers,
            4,
        ),
        (
            "platform.services.cloud.resources.memory=1Gi",
            lambda s: s.platform.services["cloud"].resources.memory,
            2**30,
        ),
        ("applications.cameras.send.value=1kB", lambda s: s.applications["cameras"].send.value, 1000),
        ("applications.cameras.calls.detect.to.0=cloud2", None, "no service is called 'cloud2'"),
        (
            "infrastructure.faults.crashes.plant/gpus.mttr=2h",
            lambda s: s.infrastructure.faults.crashes["plant/gpus"].mttr.mean,
            7200,
        ),
        ("infrastructure.faults.script.0.for=1min", lambda s: s.infrastructure.faults.script[0].duration, 60),
        (
            "platform.services.edge.replcas.max=3",
            None,
            "no such setting: 'replcas' (did you mean \"replicas\"?)",
        ),
        ("platform.services.egde.replicas=3", None, "no such setting: 'egde' (did you mean \"edge\"?)"),
        ("seed.more=3", None, "no such setting: seed is a single value"),
        ("infrastructure.faults.script.7.for=1s", None, "is a list of 1, counted from 0"),
        ("platform.services.edge.replicas=many", None, "expected a whole number or a mapping"),
        ("duration=10", None, "10 has no unit"),
    ],
)
def test_set(setting, look, value):
    if look is not None:
        assert look(load(FULL, [setting])) == value
        return
    with pytest.raises(ScenarioError) as caught:
        load(FULL, [setting])
    assert value in str(caught.value)
    assert str(caught.value).startswith("<--set>: " + setting.partition("=")[0].split(".")[0])


def test_a_key_that_the_file_leaves_out_starts_from_its_default():
    changed = load(
        FULL, ["platform.scheduler.scores.spread=2", "platform.services.cloud.autoscaler.period=5s"]
    )
    assert [(scorer.policy, weight) for scorer, weight in changed.platform.scheduler.scores] == [
        ("least-allocated", 1.0),
        ("spread", 2.0),
    ]


def test_every_wrong_setting_is_reported():
    with pytest.raises(ScenarioError) as caught:
        load(FULL, ["nothing=1", "bad", "seed=3"])
    assert len(caught.value.faults) == 2


def test_apply_gives_another_scenario_and_leaves_the_first(full):
    changed = apply(full, {"applications.cameras.users.yard": 7, "applications.cameras.offload": "edge"})
    assert changed.applications["cameras"].users == {"yard": 7}
    assert full.applications["cameras"].users == {"yard": 40}
    assert apply(full, {}) == full


def test_apply_refuses_what_is_not_a_scenario(full):
    for settings in (
        {"applications.camera.users.yard": 7},
        {"platform.services.edge.site": "moon"},
        {"seed": "x"},
    ):
        with pytest.raises(ScenarioError):
            apply(full, settings)
