import pytest

from sim.errors import ScenarioError
from sim.study.cells import baseline, expand, short_names


def with_study(scenario, **changes):
    changes = {"baseline": None} | changes
    return scenario.model_copy(update={"study": scenario.study.model_copy(update=changes)})


def test_every_arm_at_every_point(scenario):
    cells = expand(scenario)
    assert [(cell.index, cell.arm, dict(cell.point)) for cell in cells] == [
        (0, "slow", {"warmup": "10s"}), (1, "slow", {"warmup": "20s"}),
        (2, "fast", {"warmup": "10s"}), (3, "fast", {"warmup": "20s"}),
    ]  # fmt: skip
    assert [cell.scenario.warmup for cell in cells] == [10, 20, 10, 20]
    assert [cell.scenario.limits.events for cell in cells] == [50_000_000] * 2 + [1000] * 2
    assert cells[3].label == "fast, warmup 20s"
    assert cells[3].folder == "arm=fast/warmup=20s"


def test_a_study_without_arms_has_one(scenario):
    cells = expand(with_study(scenario, arms={}, axes={}))
    assert [(cell.arm, cell.label, cell.folder) for cell in cells] == [("base", "base", "arm=base")]
    assert cells[0].scenario.warmup == 10
    assert baseline(with_study(scenario, arms={})) is None


def test_an_axis_alone_names_its_points(scenario):
    cells = expand(with_study(scenario, arms={}, axes={"warmup": ["1s", "2s"]}))
    assert [cell.label for cell in cells] == ["warmup 1s", "warmup 2s"]


def test_the_last_axis_changes_fastest(scenario):
    cells = expand(with_study(scenario, arms={}, axes={"seed": [1, 2], "warmup": ["1s", "2s"]}))
    assert [list(cell.point.values()) for cell in cells] == [[1, "1s"], [1, "2s"], [2, "1s"], [2, "2s"]]


def test_an_axis_overrides_its_arm(scenario):
    cells = expand(with_study(scenario, arms={"a": {"warmup": "5s"}}, axes={"warmup": ["1s"]}))
    assert cells[0].scenario.warmup == 1


def test_the_first_arm_is_the_baseline_unless_one_is_named(scenario):
    assert baseline(scenario) == "slow"
    assert baseline(with_study(scenario, baseline="fast")) == "fast"
    assert baseline(with_study(scenario, baseline=None)) == "slow"


def test_odd_values_are_safe_in_paths(scenario):
    values = ["../../etc", "a b=c/ü", "A", "a", "", "x" * 300, "%2e"]
    cells = expand(with_study(scenario, arms={}, axes={"question": values}))
    folders = [cell.folder.removeprefix("arm=base/question=") for cell in cells]
    assert folders == [
        "..%2F..%2Fetc",
        "a%20b%3Dc%2F%C3%BC",
        "value-2",
        "value-3",
        "value-4",
        "value-5",
        "%252e",
    ]


def test_mappings_as_values(scenario):
    axis = "applications.cams.arrivals"
    values = [{"process": "poisson", "rate": "1/s"}, {"process": "poisson", "rate": "2/s"}]
    cells = expand(with_study(scenario, arms={}, axes={axis: values}))
    assert cells[1].label == 'arrivals {"process":"poisson","rate":"2/s"}'


def test_short_names_tell_paths_apart():
    axes = ["apps.a.users", "apps.b.users", "x.rate", "rate"]
    assert list(short_names(axes).values()) == ["a.users", "b.users", "x.rate", "rate"]


def test_a_wrong_path_is_a_fault_of_the_scenario(scenario):
    with pytest.raises(ScenarioError, match="warmup"):
        expand(with_study(scenario, arms={"a": {"warmpu": "5s"}}, axes={}))


def test_a_case_sets_several_paths_under_one_name(scenario):
    cases = {"load": {"light": {"warmup": "1s", "seed": 3}, "heavy": {"warmup": "2s"}}}
    cells = expand(with_study(scenario, arms={"a b": {}}, axes={"duration": ["50s"]}, cases=cases))
    assert [dict(cell.point) for cell in cells] == [
        {"duration": "50s", "load": "light"},
        {"duration": "50s", "load": "heavy"},
    ]
    assert [(cell.scenario.warmup, cell.scenario.seed) for cell in cells] == [(1, 3), (2, scenario.seed)]
    assert cells[1].label == "a b, duration 50s, load heavy"
    assert cells[1].folder == "arm=a%20b/duration=50s/load=heavy"
