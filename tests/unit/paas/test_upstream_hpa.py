"""Inputs and outcomes of Kubernetes' own tests of the HorizontalPodAutoscaler, as a table.

Source of the cases: kubernetes/pkg/controller/podautoscaler/{replica_calculator,horizontal}_test.go and
metrics/utilization_test.go. Their settings: two containers a pod, 120 s of CPU initialisation, 10 s of
readiness delay, tolerance 0.1.
"""

import pytest

from sim.paas.autoscaling.hpa import Behaviour, Controller, largest
from sim.paas.autoscaling.hpa_behaviour import (
    RatePolicy,
    Rules,
    changed,
    default_down,
    default_up,
    down_limit,
    limit,
    limit_plain,
    stabilise,
    stabilise_plain,
    up_limit,
)
from sim.paas.autoscaling.hpa_metrics import average_value, resource_utilisation, total_average, total_value
from sim.paas.autoscaling.hpa_pods import Container, MetricError, Pod, Sample, group_pods, requested

NOW = 1e6
PHASES = {"R": "Running", "P": "Pending", "F": "Failed"}


def workload(count, *, ready="", phase="", deleted="", start="", requests=1000):
    """Pods by letters: ready T or F, phase R, P or F, deleted x, started h (just now) or c (3 min ago)."""
    asked = requests if isinstance(requests, list) else [requests] * count
    return [
        Pod(
            f"p{i}",
            phase=PHASES[(phase or "R" * count)[i]],
            ready=(ready + "T" * count)[i] == "T",
            started={"h": NOW, "c": NOW - 180.0}.get((start + "-" * count)[i], 0.0),
            deleted=(deleted + "-" * count)[i] == "x",
            containers=(Container("one", {"cpu": asked[i]}), Container("two", {"cpu": asked[i]})),
        )
        for i in range(count)
    ]


def both(*levels):
    """Both containers of a pod use the same."""
    return {f"p{i}": Sample(2 * level, 0.0) for i, level in enumerate(levels)}


def one(*levels):
    """What one container of each pod uses."""
    return {f"p{i}": Sample(level, 0.0) for i, level in enumerate(levels)}


SCALE = [
    ("up", 3, workload(3), both(300, 500, 700), 30, (5, 1000, 50)),
    ("unready less", 3, workload(3, ready="FTT"), both(300, 500, 700), 30, (4, 1200, 60)),
    ("hot less", 3, workload(3, start="hcc"), both(300, 500, 700), 30, (4, 1200, 60)),
    ("unready no scale", 3, workload(3, ready="TFF"), both(400, 500, 700), 30, (3, 800, 40)),
    ("hot no scale", 3, workload(3, ready="TFF", start="chh"), both(400, 500, 700), 30, (3, 800, 40)),
    ("up, failed", 2, workload(4, ready="TTFF", phase="RRFF"), both(500, 700), 30, (4, 1200, 60)),
    ("up, deleted", 2, workload(4, ready="TTFF", deleted="--xx"), both(500, 700), 30, (4, 1200, 60)),
    ("down", 5, workload(5), both(100, 300, 500, 250, 250), 50, (3, 560, 28)),
    ("down, unready", 5, workload(5, ready="TTTFF"), both(100, 300, 500, 250, 250), 50, (2, 600, 30)),
    ("down, pending", 5, workload(5, ready="TFFFF", phase="RPPPP"), both(100), 50, (1, 200, 10)),
    ("down, hot", 5, workload(5, start="ccchh"), both(100, 300, 500, 250, 250), 50, (2, 600, 30)),
    (
        "down, failed",
        5,
        workload(7, ready="TTTTTFF", phase="RRRRRFF"),
        both(100, 300, 500, 250, 250),
        50,
        (3, 560, 28),
    ),
    (
        "down, deleted",
        5,
        workload(7, ready="TTTTTFF", deleted="-----xx"),
        both(100, 300, 500, 250, 250),
        50,
        (3, 560, 28),
    ),
    ("tolerance", 3, workload(3, requests=[900, 1000, 1100]), both(1010, 1030, 1020), 100, (3, 2040, 102)),
    ("too many samples", 4, workload(4), both(4000, 9500, 3000, 7000, 3200, 2000), 100, (24, 11750, 587)),
    ("missing", 4, workload(4), both(400, 95), 100, (3, 495, 24)),
    ("missing, equal", 2, workload(2), both(1000), 100, (2, 2000, 100)),
    ("missing, above", 2, workload(2), both(1900), 100, (2, 3800, 190)),
    ("missing, below", 2, workload(2), both(600), 100, (2, 1200, 60)),
    ("missing, unready", 3, workload(3, ready="FTT"), both(100, 450), 50, (3, 900, 45)),
    ("missing, hot", 3, workload(3, start="hcc"), both(100, 450), 50, (3, 900, 45)),
    ("missing, unready, up", 3, workload(3, ready="FTT"), both(100, 2000), 50, (4, 4000, 200)),
    ("missing, hot, up", 3, workload(3, ready="FTT", start="hcc"), both(100, 2000), 50, (4, 4000, 200)),
    ("missing, unready, down", 4, workload(4, ready="FTTT"), both(100, 100, 100), 50, (3, 200, 10)),
    (
        "computed tolerance, scales",
        10,
        workload(10, requests=[400, 200, 310, 290, 302, 298, 301, 299, 300, 300]),
        both(*[150] * 10),
        56,
        (9, 300, 50),
    ),
    (
        "computed tolerance, holds",
        10,
        workload(10, requests=[400, 200, 310, 290, 302, 298, 301, 299, 300, 300]),
        both(*[150] * 10),
        55,
        (10, 300, 50),
    ),
]

CONTAINER = [
    (3, workload(3), one(300, 500, 700), 30, (5, 500, 50)),
    (3, workload(3, start="hcc"), one(300, 500, 700), 30, (4, 600, 60)),
    (2, workload(4, ready="TTFF", phase="RRFF"), one(500, 700), 30, (4, 600, 60)),
    (2, workload(4, ready="TTFF", deleted="--xx"), one(500, 700), 30, (4, 600, 60)),
    (5, workload(5), one(100, 300, 500, 250, 250), 50, (3, 280, 28)),
    (5, workload(5, ready="TTTFF"), one(100, 300, 500, 250, 250), 50, (2, 300, 30)),
    (5, workload(5, ready="TFFFF", phase="RPPPP"), one(100, 300, 500, 250, 250), 50, (1, 100, 10)),
    (5, workload(5, start="ccchh"), one(100, 300, 500, 1000, 1000), 50, (2, 300, 30)),
    (5, workload(7, ready="TTTTTFF", phase="RRRRRFF"), one(100, 300, 500, 250, 250), 50, (3, 280, 28)),
    (5, workload(7, ready="TTTTTFF", deleted="-----xx"), one(100, 300, 500, 250, 250), 50, (3, 280, 28)),
]

PERIODS = {"cpu_initialization": 120.0, "readiness_delay": 10.0}


@pytest.mark.parametrize(
    ("current", "pods", "samples", "target", "expected"), [c[1:] for c in SCALE], ids=[c[0] for c in SCALE]
)
def test_resource(current, pods, samples, target, expected):
    assert resource_utilisation(current, target, "cpu", samples, pods, NOW, **PERIODS) == expected


@pytest.mark.parametrize(("current", "pods", "samples", "target", "expected"), CONTAINER)
def test_container_resource(current, pods, samples, target, expected):
    got = resource_utilisation(current, target, "cpu", samples, pods, NOW, container="two", **PERIODS)
    assert got == expected


@pytest.mark.parametrize(
    ("samples", "pods", "message"),
    [
        ({"older": Sample(200)}, workload(1), "no metrics returned matched known pods"),
        ({}, workload(3), "did not receive metrics"),
        (both(200), [Pod("p0", containers=(Container("one"), Container("two")))], "missing request for"),
    ],
)
def test_no_resource(samples, pods, message):
    with pytest.raises(MetricError, match=message):
        resource_utilisation(1, 100, "cpu", samples, pods, NOW, **PERIODS)


@pytest.mark.parametrize(
    ("current", "pods", "levels", "target", "expected"),
    [
        (3, workload(3), (20000, 10000, 30000), 15000, (4, 20000)),
        (3, workload(3, ready="TTF", start="cch"), (50000, 10000, 30000), 15000, (6, 30000)),
        (3, workload(3, ready="FTF", start="hch"), (50000, 15000, 30000), 15000, (7, 31666)),
        (1, workload(1), (8600,), 4400, (2, 8600)),
        (5, workload(5), (12000,) * 5, 20000, (3, 12000)),
        (3, workload(3), (20000, 21000, 21000), 20000, (3, 20666)),
    ],
)
def test_pods_metric(current, pods, levels, target, expected):
    assert average_value(current, target, one(*levels), pods)[:2] == expected


@pytest.mark.parametrize(
    ("current", "usage", "target", "ready", "expected"),
    [
        (3, 20000, 15000, 3, (4, 20000)),
        (3, 50000, 10000, 1, (5, 50000)),  # two of three are not ready
        (3, 8600, 4400, 1, (2, 8600)),
        (5, 12000, 20000, 5, (3, 12000)),
        (5, 8600, 14334, 5, (3, 8600)),
        (3, 20666, 20000, 3, (3, 20666)),
        (3, 8600, 8888, 3, (3, 8600)),
    ],
)
def test_value_of_an_object_or_external_metric(current, usage, target, ready, expected):
    assert total_value(current, usage, target, ready)[:2] == expected


@pytest.mark.parametrize(
    ("replicas", "usage", "target", "expected"),
    [
        (3, 20000, 5000, (4, 6667)),
        (3, 8600, 2150, (4, 2867)),
        (5, 6000, 2000, (3, 1200)),
        (5, 8600, 2867, (3, 1720)),
        (4, 20166, 5000, (4, 5042)),
        (3, 8600, 2900, (3, 2867)),
    ],
)
def test_average_of_an_object_or_external_metric(replicas, usage, target, expected):
    assert total_average(replicas, usage, target)[:2] == expected


def test_utilisation_over_known_pods_only():
    pods = [Pod(f"p{i}", containers=(Container("c", {"cpu": 100}),)) for i in range(2)]
    samples = {"p0": Sample(50), "p1": Sample(76), "stranger": Sample(100)}
    assert resource_utilisation(2, 50, "cpu", samples, pods, NOW)[1:] == (63, 63)
    assert average_value(2, 10000, {"p0": Sample(5000), "p1": Sample(10000)}, pods)[:2] == (2, 7500)


MINUTE = 60.0


@pytest.mark.parametrize(
    ("pod", "sample", "resource", "group"),
    [
        (Pod("p", "Running", None, None), Sample(1, NOW), "memory", "ready"),
        (Pod("p", "Running", None, NOW), Sample(1), "cpu", "unready"),
        (Pod("p", "Running", True, NOW - MINUTE, NOW - 30), Sample(1, NOW, 30.0), "cpu", "ready"),
        (Pod("p", "Running", True, NOW - MINUTE, NOW - 30), Sample(1, NOW, 60.0), "cpu", "unready"),
        (Pod("p", "Running", False, NOW - 600, NOW - 594), Sample(1), "cpu", "unready"),
        (Pod("p", "Running", True, NOW - 180, NOW - 180), Sample(1, NOW - 120, 60.0), "cpu", "ready"),
        (Pod("p", "Running", False, NOW - 600, NOW - 540), Sample(1), "cpu", "ready"),
        (Pod("p", "Running", True, NOW - 600, NOW - 540), None, "cpu", "missing"),
        (Pod("p", "Pending", True, NOW - 600), None, "cpu", "unready"),
        (Pod("p", "Failed", True, NOW - 600), None, "cpu", "ignored"),
        (Pod("p", "Running", True, NOW - 600, deleted=True), None, "cpu", "ignored"),
    ],
)
def test_groups(pod, sample, resource, group):
    groups = group_pods([pod], {} if sample is None else {"p": sample}, resource, NOW, **PERIODS)
    assert getattr(groups, group) == ["p"]
    assert sum(map(len, (groups.ready, groups.unready, groups.missing, groups.ignored))) == 1


PAIR = (Container("container1", {"cpu": 100}), Container("container2", {"cpu": 50}))
BARE = (Container("container1"), PAIR[1])


@pytest.mark.parametrize(
    ("containers", "whole", "container", "expected"),
    [
        (PAIR, {}, "", 150),
        (PAIR, {"cpu": 800}, "", 800),
        (BARE, {"cpu": 800}, "", 800),
        (PAIR, {}, "container1", 100),
        (PAIR, {"cpu": 800}, "container1", 100),
        (BARE, {}, "", "missing request for cpu in container container1"),
        (PAIR[:1], {}, "other", "container other not found"),
    ],
)
def test_requests(containers, whole, container, expected):
    pod = Pod("test-pod", containers=containers, requests=whole)
    if isinstance(expected, int):
        assert requested(pod, "cpu", container) == expected
    else:
        with pytest.raises(MetricError, match=expected):
            requested(pod, "cpu", container)


# ---------------------------------------------------------------- horizontal_test.go


def rules(pods, pods_period, percent, percent_period, window, select="max"):
    policies = []
    if pods:
        policies.append(RatePolicy("pods", pods, float(pods_period)))
    if percent:
        policies.append(RatePolicy("percent", percent, float(percent_period)))
    return Rules(float(window), policies, select)


def spread(changes, period):
    """Events in the middles of equal parts of the last seconds."""
    part = period / len(changes)
    return [(NOW - period + part * (i + 0.5), change) for i, change in enumerate(changes)]


@pytest.mark.parametrize(
    ("current", "desired", "minimum", "maximum", "expected"),
    [
        (5, 7, 3, 8, (7, "DesiredWithinRange")),
        (3, 1, 2, 8, (2, "TooFewReplicas")),
        (1, 0, 0, 10, (0, "DesiredWithinRange")),
        (20, 1000, 1, 10, (10, "TooManyReplicas")),
        (3, 1000, 1, 2000, (6, "ScaleUpLimit")),
    ],
)
def test_without_behaviour(current, desired, minimum, maximum, expected):
    assert limit_plain(desired, current, minimum, maximum) == expected


UP, DOWN = default_up(), default_down()
NONE, FOUR = (), (8, 12, 9, 11)


@pytest.mark.parametrize(
    ("minimum", "maximum", "current", "desired", "up", "down", "added", "removed", "expected"),
    [
        (3, 8, 5, 7, UP, DOWN, NONE, NONE, (7, "DesiredWithinRange")),
        (2, 8, 3, 1, UP, DOWN, NONE, NONE, (2, "TooFewReplicas")),
        (0, 10, 1, 0, UP, DOWN, NONE, NONE, (0, "DesiredWithinRange")),
        (1, 10, 20, 1000, UP, DOWN, NONE, NONE, (10, "TooManyReplicas")),
        (100, 150, 100, 1000, UP, DOWN, NONE, NONE, (150, "TooManyReplicas")),
        (1, 2000, 3, 1000, rules(0, 0, 1, 60, 0), DOWN, NONE, NONE, (4, "ScaleUpLimit")),
        (3, 2000, 1000, 3, UP, rules(20, 60, 0, 0, 0), NONE, NONE, (980, "ScaleDownLimit")),
        (1, 1000, 10, 50, UP, DOWN, NONE, NONE, (20, "ScaleUpLimit")),
        (1, 1000, 10, 500, rules(100, 60, 100, 60, 0), DOWN, NONE, NONE, (110, "ScaleUpLimit")),
        (1, 1000, 10, 500, rules(2, 60, 100, 60, 0), DOWN, NONE, NONE, (20, "ScaleUpLimit")),
        (1, 1000, 10, 50, rules(100, 60, 0, 0, 0), DOWN, NONE, NONE, (50, "DesiredWithinRange")),
        (1, 1000, 10, 50, rules(10000, 60, 0, 0, 0), DOWN, NONE, NONE, (50, "DesiredWithinRange")),
        (1, 1000, 10, 50, rules(30, 60, 0, 0, 0), DOWN, NONE, NONE, (40, "ScaleUpLimit")),
        (1, 1000, 10, 50, rules(0, 0, 200, 60, 0), DOWN, NONE, NONE, (30, "ScaleUpLimit")),
        (1, 1000, 100, 2, UP, rules(20, 60, 1, 60, 300), NONE, NONE, (80, "ScaleDownLimit")),
        (1, 1000, 100, 2, UP, rules(2, 60, 1, 60, 300), NONE, NONE, (98, "ScaleDownLimit")),
        (1, 1000, 10, 0, UP, rules(100, 60, 0, 0, 300), NONE, NONE, (1, "TooFewReplicas")),
        (5, 1000, 10, 2, UP, rules(0, 0, 100, 60, 300), NONE, NONE, (5, "TooFewReplicas")),
        (1, 1000, 10, 2, UP, rules(5, 60, 0, 0, 300), NONE, NONE, (5, "ScaleDownLimit")),
        (1, 1000, 10, 5, UP, rules(0, 0, 50, 60, 300), NONE, NONE, (5, "DesiredWithinRange")),
        (1, 200, 100, 500, rules(300, 60, 0, 0, 0), DOWN, (1, 5, 9), NONE, (200, "TooManyReplicas")),
        (1, 200, 100, 500, rules(0, 0, 10000, 60, 0), DOWN, (1, 5, 9), NONE, (200, "TooManyReplicas")),
        (1, 1000, 100, 500, rules(5, 120, 0, 0, 0), DOWN, (1, 5, 9), NONE, (100, "ScaleUpLimit")),
        (1, 1000, 100, 500, rules(150, 120, 0, 0, 0), DOWN, (1, 5, 9), NONE, (235, "ScaleUpLimit")),
        (1, 1000, 100, 500, rules(0, 0, 200, 120, 0), DOWN, (1, 5, 9), NONE, (255, "ScaleUpLimit")),
        (1, 1000, 10, 5, UP, DOWN, NONE, (1, 5, 9), (5, "DesiredWithinRange")),
        (1, 1000, 100, 0, UP, rules(115, 120, 0, 0, 300), NONE, (1, 5, 9), (1, "TooFewReplicas")),
        (5, 1000, 100, 0, UP, rules(130, 120, 0, 0, 300), NONE, (1, 5, 9), (5, "TooFewReplicas")),
        (5, 1000, 100, 2, UP, rules(0, 0, 100, 120, 300), NONE, (1, 5, 9), (5, "TooFewReplicas")),
        (1, 1000, 100, 2, UP, rules(5, 120, 0, 0, 300), NONE, (1, 5, 9), (100, "ScaleDownLimit")),
        (1, 1000, 100, 0, UP, rules(0, 0, 50, 120, 300), NONE, (2, 4, 6), (56, "ScaleDownLimit")),
        (1, 1000, 100, 0, UP, rules(0, 0, 10, 120, 300), NONE, (10, 10, 10), (100, "ScaleDownLimit")),
        (1, 1000, 10, 5, UP, rules(0, 0, 1000, 120, 300), NONE, (10, 10, 10), (5, "DesiredWithinRange")),
        (
            1,
            1000,
            100,
            200,
            rules(1000, 60, 0, 0, 0),
            DOWN,
            FOUR,
            NONE,
            (200, "DesiredWithinRange"),
        ),
        (
            1,
            1000,
            100,
            5,
            UP,
            rules(1000, 120, 100, 60, 300),
            NONE,
            FOUR,
            (5, "DesiredWithinRange"),
        ),
        (1, 1000, 100, 5, UP, rules(1000, 30, 100, 60, 300), NONE, FOUR, (5, "DesiredWithinRange")),
    ],
)
def test_with_behaviour(minimum, maximum, current, desired, up, down, added, removed, expected):
    events = [spread(changes, 120) if changes else [] for changes in (added, removed)]
    assert limit(desired, current, minimum, maximum, up, down, *events, NOW) == expected


def test_limits_by_the_smallest_change():
    smallest = rules(2, 60, 50, 60, 300, "min")
    assert up_limit(1, smallest, [], [], NOW) == 2
    assert down_limit(5, smallest, [], [], NOW) == 3


@pytest.mark.parametrize(
    ("log", "desired", "expected"),
    [
        ([], 5, 5),
        ([(120, 4), (60, 5)], 3, 5),
        ([(120, 1), (60, 2)], 3, 3),
        ([(600, 10), (540, 9)], 3, 3),
        ([(600, 10), (60, 4), (120, 5), (540, 9)], 3, 5),
    ],
)
def test_stabilisation_without_behaviour(log, desired, expected):
    assert stabilise_plain(desired, [(NOW - age, value) for age, value in log], NOW) == expected


@pytest.mark.parametrize(
    ("log", "current", "desired", "up", "down", "expected"),
    [
        ([], 100, 5, 0, 0, 5),
        ([(120, 4), (60, 5)], 100, 3, 0, 180, 5),
        ([(120, 4), (60, 5)], 1, 7, 300, 0, 4),
        ([(120, 1), (60, 2)], 100, 3, 300, 0, 3),
        ([(120, 4), (60, 5)], 1, 3, 0, 300, 3),
        ([(600, 10), (540, 9)], 100, 3, 0, 0, 3),
        ([(600, 10), (540, 9)], 1, 100, 0, 0, 100),
        ([(600, 10), (60, 4), (120, 5), (540, 9)], 100, 3, 0, 180, 5),
        ([(6000, 10), (60, 6), (120, 5), (180, 9)], 1, 100, 300, 0, 5),
    ],
)
def test_stabilisation_with_behaviour(log, current, desired, up, down, expected):
    past = [(NOW - age, value) for age, value in log]
    assert stabilise(desired, current, past, NOW, float(up), float(down)) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], 0),
        ([(61, 7)], 0),
        ([(58, 7)], 7),
        ([(61, 7), (59, 6)], 6),
        ([(29, 8), (59, 6), (61, 7), (61, 9)], 14),
        ([(58, 7), (59, 6)], 13),
    ],
)
def test_changes_of_a_period(events, expected):
    assert changed([(NOW - age, value) for age, value in events], NOW, 60.0) == expected


def test_events_are_kept_with_behaviour_only():
    plain, ruled = Controller(1, 100), Controller(1, 100, Behaviour(default_up(), default_down()))
    plain.reconcile(10, [15], 0.0)
    ruled.reconcile(10, [15], 0.0)
    assert (plain.added, ruled.added) == ([], [(0.0, 5)])


def test_one_metric_of_several_fails():
    """ScaleUpOneMetricEmpty and NoScaleDownOneMetricInvalid."""
    up = resource_utilisation(3, 30, "cpu", one(300, 400, 500), workload(3, requests=500), NOW, **PERIODS)
    assert largest([up.replicas, None], 3) == 4
    assert largest([3, None], 5) is None
