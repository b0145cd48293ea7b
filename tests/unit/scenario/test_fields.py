"""Field types of the scenario models, one by one."""

import pytest

from sim import registry
from sim.scenario.faults import Problems
from sim.scenario.fields import DistributionOf, InputFile, PolicyField, WholeNumber
from sim.scenario.infrastructure import Bounds, PowerCurve
from sim.scenario.platform import Scores

registry.load_builtin()


def problems(marker, value):
    with pytest.raises(Problems) as caught:
        marker.check(value, {})
    return [(item.path, item.message) for item in caught.value.found]


def test_a_policy_by_its_name_or_with_parameters():
    router = PolicyField("router")
    assert router.check("power-of-two", {}) == router.check({"policy": "power-of-two", "choices": 2}, {})
    assert router.check({"policy": "power-of-two", "choices": 3}, {}).choices == 3
    assert problems(router, {"policy": "power-of-two", "choices": 0}) == [
        (("choices",), "must be at least 1, got 0")
    ]
    assert problems(router, "roundrobin") == [
        ((), "unknown router 'roundrobin' (did you mean \"round-robin\"?)")
    ]
    with pytest.raises(ValueError, match="got a list"):
        router.check(["random"], {})


def test_a_policy_inside_a_policy():
    made = PolicyField("autoscaler").check(
        {"policy": "predictive", "forecaster": {"policy": "holt-winters", "season": "10min"}}, {}
    )
    assert made.forecaster.season == 600
    assert (
        PolicyField("autoscaler").check({"policy": "predictive", "forecaster": "ewma"}, {}).forecaster.alpha
        == 0.3
    )


def test_lists_and_mappings_of_quantities_in_policies():
    assert PolicyField("time").check({"policy": "table", "points": {"1": "2ms", "4": "5ms"}}, {}).points == {
        1: 0.002,
        4: 0.005,
    }
    found = problems(PolicyField("time"), {"policy": "table", "points": {"1": "2ms", "many": "5 apples"}})
    assert {path for path, _ in found} == {("points", "many")}


@pytest.mark.parametrize(
    ("dimension", "value", "mean"), [("duration", "250ms", 0.25), ("bytes", "60kB", 60_000), ("count", 3, 3)]
)
def test_values_of_a_distribution_have_the_dimension_of_their_place(dimension, value, mean):
    field = DistributionOf(dimension)
    assert field.check(value, {}).dist == "constant"
    assert field.check({"dist": "exponential", "mean": value}, {}).mean == mean
    assert field.check({"dist": "choice", "values": [value, value], "weights": [1, 2]}, {}).mean == mean
    assert field.check({"dist": "empirical", "quantiles": {"p0": value, "p100": value}}, {}).mean == mean
    with pytest.raises(ValueError, match=r"."):
        field.check({"dist": "exponential", "mean": "1 parsec"}, {})


def test_what_a_single_value_means_can_differ():
    assert DistributionOf("duration", bare="exponential").check("1h", {}).mean == 3600
    with pytest.raises(ValueError, match="more than 0"):
        DistributionOf("duration", bare="exponential").check(0, {})
    with pytest.raises(ValueError, match="at least 0"):
        DistributionOf("duration").check("-1s", {})


def test_what_the_distribution_itself_refuses():
    with pytest.raises(ValueError, match=r"low|high"):
        DistributionOf("duration").check({"dist": "uniform", "low": "2s", "high": "1s"}, {})


def test_whole_numbers():
    assert WholeNumber().check("50M", {}) == 50_000_000
    for wrong in (1.5, "0.5", True, -1, "many"):
        with pytest.raises(ValueError, match=r"."):
            WholeNumber().check(wrong, {})


def test_power_curves_are_sorted_points():
    assert PowerCurve().check({"100%": "250W", "0%": "70W"}, {}) == ((0.0, 70.0), (1.0, 250.0))
    assert [path for path, _ in problems(PowerCurve(), {"150%": "1W", "50%": "1W", "0.5": "2W"})] == [
        ("150%",),
        ("0.5",),
    ]
    with pytest.raises(ValueError, match="expected watts"):
        PowerCurve().check({}, {})


def test_bounds():
    def read(text):
        made = Bounds.model_validate_json(text)
        return made.initial, made.min, made.max

    assert read("3") == (3, 3, 3)
    assert read('{"initial": 2, "max": 8}') == (2, 2, 8)
    assert read('{"min": 1, "max": 4}') == (1, 1, 4)
    assert read('{"initial": 2, "min": 0}') == (2, 0, 2)
    for wrong in ("{}", "true", "-1", '{"initial": 1, "max": 0}', '{"initial": null}', "1000001"):
        with pytest.raises(ValueError, match=r"."):
            read(wrong)


def test_scorers_and_their_weights():
    made = Scores().check({"spread": 2, "most-allocated": {"weight": 0.5, "cpu": 0}}, {})
    assert [(scorer.policy, weight) for scorer, weight in made] == [("spread", 2.0), ("most-allocated", 0.5)]
    assert made[1][0].cpu == 0
    assert Scores().check(Scores().plain(made), {}) == made
    assert [path for path, _ in problems(Scores(), {"spred": 1, "spread": -1, "random": {"x": 1}})] == [
        ("spred",),
        ("spread",),
        ("random", "x"),
    ]


def test_files_begin_at_the_folder_of_the_scenario(tmp_path):
    (tmp_path / "trace.csv").write_text("")
    assert InputFile().check("trace.csv", {"folder": str(tmp_path)}) == str(
        (tmp_path / "trace.csv").resolve()
    )
    for wrong in ("", "nothing.csv", ".", "a\0b", 3, None, "/dev/null", "x" * 10_000):
        with pytest.raises(ValueError, match=r"."):
            InputFile().check(wrong, {"folder": str(tmp_path)})


def test_a_file_that_is_not_there_is_looked_for_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "trace.csv").write_text("")
    monkeypatch.chdir(tmp_path)
    folder = {"folder": str(tmp_path / "scenarios")}
    assert InputFile().check("trace.csv", folder) == str(tmp_path / "trace.csv")
    (tmp_path / "scenarios" / "trace.csv").write_text("")
    assert InputFile().check("trace.csv", folder) == str(tmp_path / "scenarios" / "trace.csv")
