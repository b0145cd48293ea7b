from xml.etree import ElementTree

from sim.report.charts import Line
from sim.report.charts_scaling import story
from sim.report.words import prices

X = [0.0, 60.0, 120.0]
CALLS = Line("calls", X, [1.0, 2.0, 3.0])
READY = [Line("wanted", X, [2.0, 2.0, 2.0]), Line("ready", X, [1.0, 2.0, 2.0])]


def test_a_story_has_all_its_curves_on_one_axis():
    forecast = Line("forecast", X, [1.0, 1.5, 2.0], [0.5, 1.0, 1.5], [2.0, 2.5, 3.0])
    chart = story(
        "k", "t", "r", CALLS, READY, forecast=forecast, violations=Line("late or lost", X, [0.0, 4.0, 0.0]),
        window=60.0,
    )  # fmt: skip
    ElementTree.fromstring(chart.file)
    rows = [line.split(",") for line in chart.data.splitlines()[1:]]
    names = list(dict.fromkeys(row[0] for row in rows))
    assert names == ["calls", "forecast", "forecast low", "forecast high", "wanted", "ready", "late or lost"]
    assert all(len([row for row in rows if row[0] == name]) == 3 for name in names)
    assert all(f">{name}</text>" in chart.page for name in ("forecast", "wanted", "ready", "late or lost"))
    # Tick labels stand once, below the last panel.
    assert chart.page.count(">simulated time</text>") == 1


def test_without_forecast_and_violations_two_panels_remain():
    chart = story("k", "t", "r", CALLS, READY)
    assert len(chart.data.splitlines()) == 1 + 9
    assert "late or lost" not in chart.page


def test_prices_in_words():
    hull = [
        {"arm": "lean", "from": 0.0, "to": 0.05},
        {"arm": "wise", "from": 0.05, "to": 2.0},
        {"arm": "rich", "from": 2.0, "to": None},
    ]
    entry = {"metrics": ["total.accelerator_hours", "total.slo_violations"], "point": {}, "prices": hull}
    (text,) = prices({"axes": {}, "tradeoff": [entry]})
    assert text == (
        "When one more of the SLO violations is worth so many accelerator hours: "
        "lean up to 0.05, wise 0.05 to 2, rich from 2 up."
    )
    there = entry | {"point": {"workload": "day"}}
    (text,) = prices({"axes": {}, "axis_names": {"workload": "workload"}, "tradeoff": [there]})
    assert text.startswith("workload day, when one more")
    assert prices({"axes": {}, "tradeoff": [entry | {"prices": hull[:1]}]}) == []
