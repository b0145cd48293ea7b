import pytest

from sim.paas.autoscaling.hpa_behaviour import (
    RatePolicy,
    Rules,
    default_down,
    default_up,
    down_limit,
    limit,
    limit_plain,
    stabilise,
    stabilise_plain,
    up_limit,
)
from sim.paas.autoscaling.hpa_metrics import (
    Tolerance,
    average_value,
    by_utilisation,
    by_value,
    resource_utilisation,
    total_average,
    total_value,
)
from sim.paas.autoscaling.hpa_pods import Container, MetricError, Pod, Sample, group_pods, requested


@pytest.mark.parametrize(
    ("current", "usage", "requests", "target", "expected"),
    [
        (3, 1500, [1000] * 3, 50, 3),  # at the target
        (3, 1800, [1000] * 3, 30, 6),  # twice the target
        (3, 1650, [1000] * 3, 50, 3),  # ratio 1.1: the edge of the tolerance belongs to it
        (3, 1680, [1000] * 3, 50, 4),  # 1.12
        (3, 1679, [1000] * 3, 50, 3),  # 55.97 % is cut to 55 %: still the edge
        (10, 4500, [1000] * 10, 50, 10),  # 0.9: the lower edge
        (10, 4490, [1000] * 10, 50, 9),  # 44.9 % is cut to 44 %: 0.88
        (5, 600, [1000] * 5, 50, 2),  # 12 % of 50 %: ceil(1.2)
        (4, 0, [1000] * 4, 50, 0),  # nothing used
        (10, 5500, [1000] * 10, 50, 10),
        (4, 1500, [500, 500, 1000, 1000], 50, 4),  # requests weigh
        (8, 1600, [1000] * 2, 50, 4),  # the ratio counts on measured pods, not on `current`
    ],
)
def test_utilisation(current, usage, requests, target, expected):
    assert by_utilisation(current, usage, requests, target) == expected


@pytest.mark.parametrize(
    ("current", "usage", "ready", "target", "unready", "missing", "expected"),
    [
        # Up: unready pods count as using nothing.
        (4, 2400, 3, 50, 1, 0, 5),  # 80 % -> 1.6; over four 60 % -> 1.2 x 4 = 4.8
        (4, 1800, 3, 50, 1, 0, 4),  # 1.2; over four 45 % -> within tolerance: stay
        (4, 1500, 2, 30, 2, 0, 5),  # 75 % -> 2.5; over four 37 % -> 1.23 x 4 = 4.9
        (4, 1200, 2, 50, 2, 0, 4),  # 1.2; over four 30 % -> would shrink: stay
        # Down: unready pods are not looked at.
        (4, 600, 3, 50, 1, 0, 2),  # 20 % -> 0.4 x 3 = 1.2
        # Missing pods: on the way down they use all they request, on the way up nothing.
        (4, 600, 3, 50, 0, 1, 4),  # over four 40 % -> 0.8 x 4 = 3.2 -> 4: stays
        (4, 300, 3, 50, 0, 1, 3),  # over four 32 % -> 0.64 x 4 = 2.56
        (4, 2400, 3, 50, 0, 1, 5),  # over four 60 % -> 4.8
        (4, 1800, 3, 50, 0, 1, 4),  # over four 45 %: stay
        (4, 1500, 3, 50, 0, 1, 4),  # at the target exactly
        (3, 240, 2, 120, 0, 1, 2),  # 12 %; the missing one counts 120 %: 48 % -> 0.4 x 3 = 1.2
        # Both.
        (5, 2700, 3, 30, 1, 1, 9),  # 90 % -> 3; over five 54 % -> 1.8 x 5 = 9
    ],
)
def test_unready_and_missing_pods(current, usage, ready, target, unready, missing, expected):
    got = by_utilisation(
        current, usage, [1000] * ready, target, unready=[1000] * unready, missing=[1000] * missing
    )
    assert got == expected


@pytest.mark.parametrize(
    ("current", "total", "pods", "target", "unready", "missing", "expected"),
    [
        (3, 60_000, 3, 20_000, 0, 0, 3),
        (3, 90_000, 3, 20_000, 0, 0, 5),
        (3, 66_000, 3, 20_000, 0, 0, 3),  # 1.1 inclusive
        (3, 66_003, 3, 20_000, 0, 0, 4),  # one thousandth more a pod
        (3, 66_002, 3, 20_000, 0, 0, 3),  # the mean is cut to a whole thousandth
        (4, 90_000, 3, 20_000, 1, 0, 5),  # over four 22.5 -> 1.125 x 4 = 4.5
        (4, 30_000, 3, 20_000, 0, 1, 3),  # the missing one counts as the target: 12.5 -> 0.625 x 4 = 2.5
    ],
)
def test_value_per_pod(current, total, pods, target, unready, missing, expected):
    assert by_value(current, total, pods, target, unready=unready, missing=missing) == expected


def test_tolerance_is_inclusive_and_by_direction():
    assert Tolerance(0.1, 0.2).holds(1.2)
    assert not Tolerance(0.1, 0.2).holds(1.2000001)
    assert Tolerance(0.1, 0.2).holds(0.9)
    assert not Tolerance(0.1, 0.2).holds(0.8999)


@pytest.mark.parametrize(
    ("desired", "current", "log", "up", "down", "expected"),
    [
        (3, 5, [], 0, 0, 3),
        (3, 5, [(0.0, 5)], 0, 300, 5),  # the number there was holds it up
        (3, 5, [(0.0, 4), (50.0, 2)], 0, 300, 4),  # the highest of the window
        (3, 5, [(-200.0, 9), (0.0, 4)], 0, 300, 4),  # exactly as old as the window: out
        (3, 5, [(-199.9, 9), (0.0, 4)], 0, 300, 5),
        (8, 5, [(90.0, 6)], 60, 300, 6),  # the lowest of the up window
        (8, 5, [(90.0, 4)], 60, 300, 5),  # a lower one holds it down, not below current
        (8, 5, [(90.0, 4)], 0, 300, 8),
        (5, 5, [(90.0, 9)], 0, 300, 5),  # an older, higher wish does not push up
        (5, 5, [(90.0, 2)], 60, 0, 5),
    ],
)
def test_stabilise(desired, current, log, up, down, expected):
    assert stabilise(desired, current, log, 100.0, up, down) == expected


PODS4, DOUBLE = RatePolicy("pods", 4, 15.0), RatePolicy("percent", 100, 15.0)


@pytest.mark.parametrize(
    ("current", "rules", "added", "removed", "expected"),
    [
        (5, default_up(), [], [], 10),
        (3, default_up(), [], [], 7),
        (5, default_up(), [(90.0, 3)], [], 6),  # two 15 s ago: max(2 + 4, 2 x 2)
        (5, default_up(), [(85.0, 3)], [], 10),  # exactly one period old: forgotten
        (5, default_up(), [], [(95.0, 2)], 14),  # seven 15 s ago: those removed count too
        (10, default_up(), [(95.0, 9)], [], 10),  # never below current
        (5, Rules(0.0, [PODS4, DOUBLE], "min"), [], [], 9),
        (5, Rules(0.0, [PODS4, DOUBLE], "disabled"), [], [], 5),
        (10, Rules(0.0, [RatePolicy("percent", 10, 60.0)]), [], [], 11),
        (3, Rules(0.0, [RatePolicy("percent", 10, 60.0)]), [], [], 4),
    ],
)
def test_up_limit(current, rules, added, removed, expected):
    assert up_limit(current, rules, added, removed, 100.0) == expected


@pytest.mark.parametrize(
    ("current", "rules", "added", "removed", "expected"),
    [
        (10, default_down(), [], [], 0),
        (10, Rules(300.0, [RatePolicy("pods", 2, 60.0)]), [], [], 8),
        (10, Rules(300.0, [RatePolicy("percent", 10, 60.0)]), [], [], 9),
        (9, Rules(300.0, [RatePolicy("percent", 10, 60.0)]), [], [], 8),  # 8.1 is cut
        (8, Rules(300.0, [RatePolicy("pods", 2, 60.0)]), [], [(50.0, 2)], 8),  # ten a minute ago
        (8, Rules(300.0, [RatePolicy("pods", 2, 60.0)]), [(50.0, 3)], [], 3),
        (
            10,
            Rules(300.0, [RatePolicy("pods", 2, 60.0), RatePolicy("percent", 50, 60.0)]),
            [],
            [],
            5,
        ),  # the larger drop
        (10, Rules(300.0, [RatePolicy("pods", 2, 60.0), RatePolicy("percent", 50, 60.0)], "min"), [], [], 8),
        (10, Rules(300.0, [RatePolicy("pods", 2, 60.0)], "disabled"), [], [], 10),
    ],
)
def test_down_limit(current, rules, added, removed, expected):
    assert down_limit(current, rules, added, removed, 100.0) == expected


@pytest.mark.parametrize(
    ("desired", "current", "expected"),
    [
        (30, 5, (10, "ScaleUpLimit")),
        (30, 12, (20, "TooManyReplicas")),
        (8, 5, (8, "DesiredWithinRange")),
        (0, 5, (2, "TooFewReplicas")),
        (3, 5, (3, "DesiredWithinRange")),
        (5, 5, (5, "DesiredWithinRange")),
    ],
)
def test_limit(desired, current, expected):
    got = limit(desired, current, 2, 20, default_up(), default_down(), [], [], 100.0)
    assert got == expected


def test_a_slow_way_down_is_said():
    slow = Rules(300.0, [RatePolicy("pods", 1, 60.0)])
    assert limit(0, 5, 0, 9, default_up(), slow, [], [], 0.0) == (4, "ScaleDownLimit")


@pytest.mark.parametrize(
    ("desired", "log", "expected"),
    [
        (3, [], 3),
        (3, [(-200.0, 9)], 9),  # exactly 300 s old: still in, other than with behavior
        (3, [(-200.1, 9)], 3),
        (3, [(0.0, 5), (50.0, 7)], 7),
        (8, [(0.0, 5)], 8),
    ],
)
def test_stabilise_without_behavior(desired, log, expected):
    assert stabilise_plain(desired, log, 100.0) == expected


@pytest.mark.parametrize(
    ("desired", "current", "expected"),
    [
        (30, 1, (4, "ScaleUpLimit")),  # 4 is more than twice 1
        (30, 3, (6, "ScaleUpLimit")),
        (30, 10, (20, "TooManyReplicas")),
        (30, 12, (20, "TooManyReplicas")),
        (6, 3, (6, "DesiredWithinRange")),
        (0, 50, (2, "TooFewReplicas")),  # no rate limits the way down
        (3, 50, (3, "DesiredWithinRange")),
        (1, 0, (2, "TooFewReplicas")),
    ],
)
def test_limit_without_behavior(desired, current, expected):
    assert limit_plain(desired, current, 2, 20) == expected


# ---------------------------------------------------------------- pods


def pods(*ready, requests=1000, containers=1):
    held = tuple(Container(f"c{i}", {"cpu": requests}) for i in range(containers))
    return [Pod(f"p{i}", ready=each, containers=held) for i, each in enumerate(ready)]


def measured(*values, time=1000.0):
    return {f"p{i}": Sample(v, time) for i, v in enumerate(values) if v is not None}


@pytest.mark.parametrize(
    ("pod", "sample", "resource", "group"),
    [
        (Pod("p", deleted=True), Sample(1), "cpu", "ignored"),
        (Pod("p", phase="Failed"), Sample(1), "cpu", "ignored"),
        (Pod("p", phase="Succeeded"), Sample(1), "", "ignored"),
        (Pod("p", phase="Pending"), Sample(1), "", "unready"),
        (Pod("p", phase="Pending", deleted=True), None, "", "ignored"),
        (Pod("p", ready=False), None, "cpu", "missing"),
        (Pod("p", ready=None), Sample(1), "cpu", "unready"),
        (Pod("p", started=None), Sample(1), "cpu", "unready"),
        (Pod("p", ready=None), Sample(1), "memory", "ready"),  # only CPU looks at readiness
        (Pod("p", ready=False), Sample(1), "", "ready"),
        # Started 299 s ago: within the initialisation.
        (Pod("p", started=701.0, changed=800.0), Sample(1, 859.9, 60.0), "cpu", "unready"),
        (Pod("p", started=701.0, changed=800.0), Sample(1, 860.0, 60.0), "cpu", "ready"),
        (Pod("p", started=701.0, ready=False, changed=800.0), Sample(1, 990.0), "cpu", "unready"),
        # Exactly 300 s ago: out of it.
        (Pod("p", started=700.0, changed=990.0), Sample(1, 0.0), "cpu", "ready"),
        (Pod("p", started=700.0, ready=False, changed=729.9), Sample(1), "cpu", "unready"),
        (Pod("p", started=700.0, ready=False, changed=730.0), Sample(1), "cpu", "ready"),  # was ready once
    ],
)
def test_groups_of_pods(pod, sample, resource, group):
    samples = {} if sample is None else {"p": sample}
    groups = group_pods([pod], samples, resource, 1000.0)
    assert {name: getattr(groups, name) for name in ("ready", "unready", "missing", "ignored")} == {
        name: ["p"] if name == group else [] for name in ("ready", "unready", "missing", "ignored")
    }


def test_requests_of_a_pod():
    both = Pod("p", containers=(Container("a", {"cpu": 100}), Container("b", {"cpu": 300})))
    assert requested(both, "cpu") == 400
    assert requested(both, "cpu", "b") == 300
    with pytest.raises(MetricError, match="container none not found in p"):
        requested(both, "cpu", "none")
    whole = Pod("p", containers=both.containers, requests={"cpu": 250})
    assert requested(whole, "cpu") == 250
    assert requested(whole, "cpu", "a") == 100  # a container keeps its own
    with pytest.raises(MetricError, match="memory in container a of p"):
        requested(both, "memory")


def test_utilisation_of_pods():
    # 0.3 + 0.5 + 0.7 of three cores: 50 %.
    got = resource_utilisation(3, 30, "cpu", measured(300, 500, 700), pods(*[True] * 3), 1000.0)
    assert got == (5, 500, 50)
    # Hot pods that are not ready yet: 0.5 of one core is 50 %, less than the target of 60 %.
    three = pods(True, False, False)
    got = resource_utilisation(3, 60, "cpu", measured(500, 900, 900), three, 100.0)
    assert got == (1, 500, 50)


def test_utilisation_of_a_container_only():
    both = [
        Pod(f"p{i}", containers=(Container("a", {"cpu": 1000}), Container("b", {"cpu": 500})))
        for i in range(2)
    ]
    got = resource_utilisation(2, 50, "cpu", measured(400, 400), both, 1000.0, container="b")
    assert got == (4, 400, 80)


@pytest.mark.parametrize(
    ("samples", "workload", "message"),
    [
        ({}, pods(True, True), "did not receive metrics"),
        (measured(100), [], "no pods returned"),
        (measured(100), [Pod("p0", containers=(Container("a"),))], "missing request for cpu"),
        (measured(100, 100), pods(False, None), "did not receive metrics"),
        (measured(100), pods(True, requests=0), "no metrics returned matched"),
    ],
)
def test_no_utilisation(samples, workload, message):
    with pytest.raises(MetricError, match=message):
        resource_utilisation(2, 50, "cpu", samples, workload, 100.0)


def test_average_value_ignores_deleted_and_terminal_pods():
    four = [*pods(True, True, True), Pod("p3", deleted=True)]
    assert average_value(4, 10_000, measured(20_000, 20_000, 20_000, 99_000), four) == (6, 20_000, -1)
    # A pending one counts as zero on the way up: 60/4 = 15.
    four[3] = Pod("p3", phase="Pending")
    assert average_value(4, 10_000, measured(20_000, 20_000, 20_000), four) == (6, 20_000, -1)


def test_nobody_measured_is_no_proposal():
    with pytest.raises(MetricError):
        by_utilisation(7, 0, [], 50)
    with pytest.raises(MetricError):
        by_value(4, 0, 0, 20_000, unready=4)


# ---------------------------------------------------------------- object and external metrics


@pytest.mark.parametrize(
    ("current", "usage", "target", "ready", "expected"),
    [
        (3, 20_000, 15_000, 3, 4),
        (3, 20_000, 15_000, 2, 3),  # ready pods count, not those asked for
        (3, 16_500, 15_000, 2, 3),  # within tolerance: those asked for
        (3, 0, 15_000, 3, 0),
        (0, 16_000, 15_000, 0, 2),  # from zero without tolerance: ceil(1.07)
        (0, 100, 15_000, 0, 1),
        (0, 0, 15_000, 0, 0),
        (5, 2**62, 1, 5, 2**31 - 1),
    ],
)
def test_object_value(current, usage, target, ready, expected):
    assert total_value(current, usage, target, ready).replicas == expected


@pytest.mark.parametrize(
    ("replicas", "usage", "target", "expected"),
    [
        (3, 120_000, 30_000, (4, 40_000, -1)),
        (3, 98_000, 30_000, (3, 32_667, -1)),  # 1.089: within tolerance
        (3, 60_000, 30_000, (2, 20_000, -1)),
        (4, 0, 30_000, (0, 0, -1)),
        (0, 60_001, 30_000, (3, 0, -1)),
        (0, 0, 30_000, (0, 0, -1)),
        (2, 2**64, 1, (2**31 - 1, 2**63 - 1, -1)),
    ],
)
def test_external_average(replicas, usage, target, expected):
    assert total_average(replicas, usage, target) == expected
