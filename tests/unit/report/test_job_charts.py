import math
from xml.etree import ElementTree

from sim.metrics import lookup
from sim.report.charts import Line
from sim.report.charts_compare import Pair, Place, matrix, plane
from sim.report.charts_jobs import Stretch, Track, gantt, queues


def rows(chart):
    ElementTree.fromstring(chart.file)
    return chart.data.splitlines()


def test_a_schedule_lists_every_stretch():
    tracks = [
        Track("8 · a", 0.0, 90.0, [Stretch(10.0, 20.0, 1.0), Stretch(50.0, 90.0, 0.5)]),
        Track("1 · <b>", 5.0, math.nan, []),
    ]
    chart = gantt("gantt", "t", "r", tracks, 100.0)
    assert rows(chart)[1:] == ["8 · a,0.0,10.0,20.0,1.0", "8 · a,0.0,50.0,90.0,0.5"]
    assert "<b>" not in chart.page


def test_a_schedule_of_thousands_of_rounds_stays_small():
    stretches = [Stretch(float(i), i + 0.99, 1.0) for i in range(5000)]
    chart = gantt("gantt", "t", "r", [Track("8 · a", 0.0, 5000.0, stretches)], 5000.0)
    assert len(chart.page) < 20_000


def test_every_arm_has_a_queue_panel():
    arms = [Line(f"arm {i}", [0.0, 1.0, 2.0], [0.0, float(i), 1.0]) for i in range(4)]
    chart = queues("q", "t", "r", arms, "jobs waiting")
    assert chart.wide
    assert len(rows(chart)) == 1 + 12
    assert all(f">arm {i}</text>" in chart.page for i in range(4))


def test_only_differences_beyond_chance_get_a_number():
    pairs = {("a", "b"): Pair(-0.5, 0.1, differs=True), ("b", "a"): Pair(1.0, 0.2, differs=False)}
    chart = matrix("m", "t", "r", ["a", "b"], pairs, lookup("jobs.jct.mean"), "first\n")
    assert ">−50</text>" in chart.page
    assert ">≈</text>" in chart.page
    assert "+100" not in chart.page


def test_the_plane_names_every_arm():
    places = [Place("a", 1.0, 9.0, True, 0), Place("b", 50.0, 1.0, True, 1), Place("c", 60.0, 9.5, False, 2)]
    chart = plane("p", "t", "r", places, (lookup("jobs.jct.mean"), lookup("jobs.makespan")))
    assert rows(chart)[1:] == ["a,1.0,9.0,1", "b,50.0,1.0,1", "c,60.0,9.5,0"]
    assert all(f">{name}</text>" in chart.page for name in "abc")
