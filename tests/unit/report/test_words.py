import pytest

from sim.metrics import lookup
from sim.report import words

LATENCY = lookup("apps.a.latency.p99")
SHARE = lookup("apps.a.slo_met")


def versus(mean, low, high, relative):
    return {"mean": mean, "low": low, "high": high, "n": 5, "relative": relative, "p": None}


@pytest.mark.parametrize(
    ("found", "metric", "expected"),
    [
        (versus(-0.1, -0.12, -0.08, -0.5), LATENCY, ("−50 %", "good")),
        (versus(0.1, 0.08, 0.12, 0.5), LATENCY, ("+50 %", "bad")),
        (versus(0.1, -0.05, 0.25, 0.5), LATENCY, ("≈ +50 %", "")),
        (versus(0.02, 0.01, 0.03, 0.03), SHARE, ("+2 points", "good")),
        (versus(0.0, 0.0, 0.0, 0.0), LATENCY, ("same", "")),
        (versus(None, None, None, None), LATENCY, ("", "")),
        (versus(0.1, None, None, 0.5), LATENCY, ("+50 %", "")),
    ],
)
def test_differences_say_size_direction_and_whether_it_could_be_chance(found, metric, expected):
    assert words.difference(found, metric) == expected


@pytest.mark.parametrize(
    ("low", "high", "metric", "text"),
    [
        (0.010, 0.014, LATENCY, "± 2 ms"),
        (0.0100, 0.01001, LATENCY, "± <0.1 %"),
        (0.90, 0.94, SHARE, "± 2 points"),
        (None, None, LATENCY, ""),
    ],
)
def test_spreads_are_half_the_interval(low, high, metric, text):
    assert words.spread(low, high, metric) == text


def test_an_interval_names_its_unit_once():
    assert words.interval(0.010, 0.014, LATENCY) == "10 to 14 ms"
    assert words.interval(0.9, 1.4, LATENCY) == "900 ms to 1.4 s"


def decision(point, winner, verdict="clear", reasons=()):
    candidates = [
        {"arm": arm, "point": point, "label": arm, "mean": mean, "low": None, "high": None, "n": 5,
         "qualifies": not (arm == "a" and reasons), "reasons": list(reasons) if arm == "a" else []}
        for arm, mean in (("a", 0.01), ("b", 0.02))
    ]  # fmt: skip
    chosen = next((each for each in candidates if each["arm"] == winner), None)
    return {
        "point": point, "candidates": candidates, "winner": chosen, "runner_up": None, "difference": None,
        "verdict": verdict,
    }  # fmt: skip


def along(*winners, reasons=()):
    points = [{"x.n": 10 * (i + 1)} for i in range(len(winners))]
    return {
        "axes": {"x.n": [10 * (i + 1) for i in range(len(winners))]},
        "axis_names": {"x.n": "n"},
        "answer": {
            "metric": "apps.a.latency.p99", "goal": "min", "subject_to": ["apps.a.slo_met >= 99 %"],
            "decisions": [decision(p, w, reasons=reasons) for p, w in zip(points, winners, strict=True)],
        },
    }  # fmt: skip


def test_along_an_axis_neighbours_with_one_winner_become_one_sentence():
    figure, sentences = words.answer(along("a", "a", "b"))
    assert figure == "a up to 20 n, b from 30"
    assert sentences[0] == "n 10 to 20: a, 10 ms p99 latency."
    assert sentences[1] == "n 30: b, 20 ms p99 latency."
    assert "within the SLO ≥ 99 %" in sentences[-1]


def test_points_where_no_arm_qualifies_are_said():
    figure, sentences = words.answer(along("b", None))
    assert figure == "b up to 10 n, none from 20"
    assert "no arm meets the conditions" in sentences[1]


def test_without_a_deciding_metric_nothing_is_claimed():
    figure, sentences = words.answer({"answer": None})
    assert figure == ""
    assert "no deciding metric" in sentences[0]


def test_a_reason_is_told_in_the_metrics_words():
    assert words.reason("apps.a.slo_met >= 99 % not met: 40 %") == "within the SLO 40 %, not ≥ 99 %"
    assert (
        words.reason("overloaded: the backlog of x kept growing")
        == "overloaded: the backlog of x kept growing"
    )
