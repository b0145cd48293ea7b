"""Inputs and outcomes of the tests of the cluster autoscaler and the VPA, as tables.

Source of the cases: kubernetes/autoscaler cluster-autoscaler/{estimator,expander,utils/backoff} and
core/scaledown/{eligibility,budgets,pdb,unneeded}, vertical-pod-autoscaler/pkg/recommender/{logic,model,util}
and pkg/updater/priority.
"""

from math import inf

import pytest

from sim.paas.autoscaling.cluster_autoscaler import Backoff, NodeGroup
from sim.paas.autoscaling.disruption import DisruptionBudget, Remaining
from sim.paas.autoscaling.expanders import Expander, Option, Pricing, by_priority, preferred_cores, unfitness
from sim.paas.autoscaling.packing import Pod, Template, equivalence_groups, pack, share
from sim.paas.autoscaling.scale_down import (
    Node,
    ScaleDown,
    ScaleDownRules,
    candidates_limit,
    crop,
    unneeded,
    utilisation,
    verdicts,
)
from sim.paas.autoscaling.vpa import PEAK_WINDOW, Range, Usage, doubt, recommend, should_evict
from sim.paas.autoscaling.vpa_histogram import CPU_BUCKETS, MEMORY_BUCKETS, Buckets, DecayingHistogram

# ---------------------------------------------------------------- estimator


def group(count, cpu, memory=1000.0, **more):
    return [Pod(f"{cpu}-{i}", {"cpu": cpu, "memory": memory, "pods": 1.0, **more}) for i in range(count)]


def template(cpu, memory, pods=10.0, **more):
    return Template("t", {"cpu": cpu, "memory": memory * 2**20, "pods": pods, **more})


@pytest.mark.parametrize(
    ("groups", "node", "most", "nodes", "placed"),
    [
        ([group(10, 350.0)], template(1000.0, 2000), 1000, 5, 10),
        ([group(20, 10.0, 100.0)], template(10000.0, 20000), 1000, 2, 20),  # ten pods a node
        ([group(8, 200.0, port=1.0)], template(1000.0, 5000, port=1.0), 1000, 8, 8),  # one holds the port
        ([group(20, 500.0)], template(1000.0, 5000), 5, 5, 10),
        ([group(10, 50.0), group(10, 500.0)], template(1000.0, 5000), 5, 5, 10),
        (
            [group(50000, 50.0, 100 * 2**20), group(1000, 95.0, 190 * 2**20)],
            template(1000.0, 5000, 100.0),
            3000,
            2595,
            51000,
        ),
    ],
)
def test_binpacking(groups, node, most, nodes, placed):
    got = pack(groups, node, most)
    assert (got.nodes, len(got.pods)) == (nodes, placed)


def test_larger_pods_first():
    got = pack([group(10, 50.0, 1000 * 2**20), group(10, 500.0, 1000.0)], template(1000.0, 5000), 5)
    assert [pod.requests["cpu"] for pod in got.pods][:10] == [500.0] * 10
    ones = [Pod("p1", {"cpu": 1, "memory": 1}), Pod("p3", {"cpu": 2, "memory": 100})]
    ones.append(Pod("p2", {"cpu": 2, "memory": 1}))
    small = Template("n", {"cpu": 4, "memory": 600 * 2**20})
    order = sorted(equivalence_groups(ones), key=lambda each: -share(each[0], small))
    assert [each[0].name for each in order] == ["p3", "p2", "p1"]


def test_least_waste():
    pod = Pod("p", {"cpu": 500.0, "memory": 1000.0})
    sizes = {"balanced": (16, 16), "highmem": (16, 32), "lowcpu": (8, 16)}
    options = [
        Option(Template(name, {"cpu": cpu * 500.0, "memory": memory * 1000.0}), 1, [pod])
        for name, (cpu, memory) in sizes.items()
    ]

    def best(count):
        return Expander().best(options[:count], lambda n: 0).group.name

    assert [best(1), best(2), best(3)] == ["balanced", "balanced", "lowcpu"]


def test_backoff():
    two = Backoff(600.0, 3600.0)
    two.failed("id1", 60.0)
    assert [two.blocks("id1", 120.0), two.blocks("id2", 0.0), two.blocks("id1", 660.0)] == [
        True,
        False,
        False,
    ]
    three = Backoff(60.0, 180.0)
    for begin, end in ((0.0, 60.0), (60.0, 180.0), (180.0, 360.0)):
        three.failed("id1", begin)
        assert three.blocks("id1", begin)
        assert not three.blocks("id1", end)
    three.worked("id1")
    assert not three.blocks("id1", 180.0)


SIZES = {5: [r".*t2\.micro.*"], 10: [r".*t2\.large.*", r".*t3\.large.*"], 50: [r".*m4\.4xlarge.*"]}
ANY = {5: [".*"], 10: [r".t2\.large.*"]}


@pytest.mark.parametrize(
    ("priorities", "offered", "expected"),
    [
        (SIZES, "t2.large", "t2.large"),
        (SIZES, "t2.large m4.4xlarge", "m4.4xlarge"),
        (ANY, "t2.large t2.micro", "t2.large"),
        (SIZES, "t2.large t3.large t2.micro", "t2.large t3.large"),
        ({5: [r".*t\.micro.*"], 10: [r".*t\.large.*"]}, "t2.large t3.large", "t2.large t3.large"),
        ({10: [r".*t2\.large.*"]}, "t2.large t3.large m4.4xlarge", "t2.large"),
        (SIZES, "t2.large t3.large m4.4xlarge", "m4.4xlarge"),
        ({}, "t2.large t3.large m4.4xlarge", "t2.large t3.large m4.4xlarge"),
    ],
)
def test_priority_expander(priorities, offered, expected):
    options = [Option(Template(f"my-asg.{name}", {}), 1, []) for name in offered.split()]
    left = by_priority(options, priorities)
    assert [each.group.name.removeprefix("my-asg.") for each in left] == expected.split()


@pytest.mark.parametrize(
    ("prices", "cluster", "nodes", "pods", "expected"),
    [
        ((20, 200), 3, (2, 1), (2, 2), "ng1"),  # two cores preferred: both unfit alike
        ((50, 200), 7, (2, 1), (2, 2), "ng2"),  # dearer, but of the preferred size
        ((20, 200), 7, (80, 40), (2, 2), "ng1"),  # many nodes: the size counts little
        ((200, 100), 3, (2, 1), (2, 2), "ng2"),
        ((200, 200), 3, (2, 1), (1, 2), "ng2"),  # takes both pods
        ((200, 200, 200), 3, (2, 1, 1), (1, 2, 2), "ng2"),  # the third does not exist yet
        ((200, 200, 90), 3, (2, 1, 1), (1, 2, 2), "ng3"),
    ],
)
def test_price_expander(prices, cluster, nodes, pods, expected):
    price = {"p1": 20.0, "p2": 10.0, "stabiliser": 10.0}
    wished = [Pod("p1", {"cpu": 1.0}), Pod("p2", {"cpu": 0.5})]
    options = [
        Option(
            Template(f"ng{at + 1}", {"cpu": cores}, float(prices[at])), nodes[at], wished[: pods[at]], at < 2
        )
        for at, cores in zip(range(len(prices)), (1.0, 4.0, 4.0), strict=False)
    ]
    chosen = Expander(("price",), pricing=Pricing(lambda pod: price[pod.name], cluster))
    assert chosen.best(options, lambda _: 0).group.name == expected


@pytest.mark.parametrize(("cores", "factor"), [(1.0, 2.0), (2.0, 1.0), (4.0, 2.0)])
def test_preferred_size(cores, factor):
    assert preferred_cores(3) == 2.0
    assert unfitness(Option(Template("n", {"cpu": cores}), 1, []), 3) == factor


# ---------------------------------------------------------------- scale down

LIMITS = ScaleDownRules(most_at_once=10, most_drained=5)


@pytest.mark.parametrize(
    ("empty", "drained", "going", "wanted"),
    [
        (0, 0, (0, 0), (0, 0)),
        (10, 0, (0, 0), (10, 0)),
        (11, 0, (0, 0), (10, 0)),
        (8, 0, (1, 1), (8, 0)),
        (10, 0, (1, 1), (8, 0)),
        (10, 0, (5, 5), (0, 0)),
        (10, 0, (50, 50), (0, 0)),
        (0, 5, (0, 0), (0, 5)),
        (0, 6, (0, 0), (0, 5)),
        (0, 3, (1, 2), (0, 3)),
        (0, 5, (1, 2), (0, 3)),
        (0, 5, (1, 5), (0, 0)),
        (0, 5, (1, 50), (0, 0)),
        (0, 4, (7, 1), (0, 2)),
        (0, 4, (10, 0), (0, 0)),
        (0, 4, (50, 0), (0, 0)),
        (5, 5, (0, 0), (5, 5)),
        (8, 8, (0, 0), (8, 2)),
        (2, 8, (0, 0), (2, 5)),
        (5, 5, (10, 0), (0, 0)),
        (5, 5, (50, 0), (0, 0)),
        (5, 5, (0, 5), (5, 0)),
    ],
)
def test_budgets_of_removals(empty, drained, going, wanted):
    names = [f"e{i}" for i in range(empty)], [f"d{i}" for i in range(drained)]
    first, then = crop(*names, LIMITS, empty_going=going[0], drained_going=going[1])
    assert (first, then) == (names[0][: wanted[0]], names[1][: wanted[1]])


def node(name, *pods, **more):
    return Node(name, "ng1", {"cpu": 1000.0, "memory": 10.0}, pods, **more)


BIG, SMALL = Pod("big", {"cpu": 600.0}), Pod("small", {"cpu": 100.0}, daemon=True)
DAEMON = Pod("daemon", {"cpu": 500.0}, daemon=True)


@pytest.mark.parametrize(
    ("nodes", "ignore", "wanted"),
    [
        ([node("regular")], False, ["regular"]),
        ([node("regular"), node("justDeleted", going=True)], False, ["regular"]),
        ([node("noScaleDown", protected=True), node("regular")], False, ["regular"]),
        ([node("regular", BIG)], False, []),
        ([node("regular", SMALL)], False, ["regular"]),
        ([node("unready", ready=False)], False, ["unready"]),
        ([node("regular", SMALL, DAEMON)], False, []),
        ([node("regular", SMALL, DAEMON)], True, ["regular"]),
    ],
)
def test_eligible(nodes, ignore, wanted):
    assert unneeded(nodes, ScaleDownRules(ignore_daemons=ignore)) == wanted


def test_utilisation_without_daemons_is_of_what_they_leave():
    both = node("n", Pod("p", {"cpu": 100.0}), DAEMON)
    assert utilisation(both) == 0.6
    assert utilisation(both, ignore_daemons=True) == 0.2


@pytest.mark.parametrize(
    ("first", "second", "both", "allowed", "expected"),
    [
        (2, 1, 0, {}, (True, True)),
        (2, 1, 0, {"foo": 1, "bar": 0}, (False, False)),
        (2, 1, 0, {"foo": 1, "bar": 2}, (True, False)),
        (2, 3, 0, {"foo": 2, "bar": 4}, (True, True)),
        (1, 1, 1, {"foo": 1, "bar": 1}, (True, True)),
        (2, 2, 1, {"foo": 2, "bar": 1}, (True, False)),
    ],
)
def test_disruption_budgets_of_a_node(first, second, both, allowed, expected):
    kinds = [{"foo", "bar"}] * both + [{"foo"}] * (first - both) + [{"bar"}] * (second - both)
    pods = [
        Pod(f"p{i}", {}, budgets={name: count for name, count in allowed.items() if name in kind})
        for i, kind in enumerate(kinds)
    ]
    assert Remaining().can_remove(pods) == expected


def test_what_is_planned_to_go_is_taken_off_both_budgets():
    remaining, one = Remaining(), [Pod("p", {}, budgets={"foo": 1, "bar": 1})]
    assert remaining.can_remove(one).any
    remaining.remove(one)
    assert not remaining.can_remove([Pod("q", {}, budgets={"foo": 1})]).any
    assert not remaining.can_remove([Pod("q", {}, budgets={"bar": 1})]).any
    assert remaining.can_remove([Pod("q", {})]).any


@pytest.mark.parametrize(
    ("budget", "expected", "desired"),
    [
        ({"min_available": 3}, 5, 3),
        ({"min_available": 0.5}, 5, 3),  # rounded up
        ({"min_available": 1.0}, 5, 5),
        ({"max_unavailable": 1}, 5, 4),
        ({"max_unavailable": 0.25}, 5, 3),  # ceil(1.25) may be missing
        ({"max_unavailable": 9}, 5, 0),
        ({}, 5, 0),
    ],
)
def test_disruption_budget(budget, expected, desired):
    made = DisruptionBudget(**budget)
    assert made.desired(expected) == desired
    assert made.allowed(expected, expected) == expected - desired
    assert made.allowed(desired, expected) == 0
    assert made.allowed(3, 0) == 0


def test_nodes_on_their_way_out_count_against_the_minimum():
    down = ScaleDown(ScaleDownRules(unneeded=0.0, most_at_once=10))
    size = {"ng1": NodeGroup(Template("ng1", {}), 4, 2)}
    there = [node("a"), node("b"), node("c"), node("d", going=True)]
    down.removable(there, size, 0.0)
    assert down.removable(there, size, 1.0) == ["a"]


@pytest.mark.parametrize(
    ("known", "parallel", "unneeded_for", "interval", "limit"),
    [
        (0, 10, 60.0, 10.0, 20),
        (3, 10, 60.0, 10.0, 23),
        (70, 10, 60.0, 10.0, 70),
        (5, 10, 600.0, 10.0, 25),
        (1000, 10, 600.0, 10.0, 610),  # what can go in ten minutes, and a round more
        (50, 10, 60.0, 30.0, 30),
        (50, 10, 1.0, 30.0, 20),  # a look is longer than that
        (0, 1, 600.0, 10.0, 2),
    ],
)
def test_how_many_unneeded_nodes_are_looked_for(known, parallel, unneeded_for, interval, limit):
    flags = ScaleDownRules(unneeded=unneeded_for, most_at_once=parallel)
    assert candidates_limit(known, flags, interval) == limit


def planned(name, cpu, *cpus, eligible=True, **more):
    pods = [Pod(f"{name}-{i}", {"cpu": float(each)}) for i, each in enumerate(cpus)]
    return Node(name, "ng1", {"cpu": float(cpu), "memory": 10.0}, pods, protected=not eligible, **more)


def leaving(cpu, *cpus, replaced=0, daemon=False):
    """A node on its way out with pods, of which the first are replaced already."""
    pods = [
        Pod(f"out-{i}", {"cpu": float(each)}, daemon=daemon, replaced=i < replaced)
        for i, each in enumerate(cpus)
    ]
    return Node("out", "ng1", {"cpu": float(cpu), "memory": 10.0}, pods, going=True)


@pytest.mark.parametrize(
    ("nodes", "wanted"),
    [
        ([planned("n1", 1000), planned("n2", 1000), planned("n3", 1000)], ["n1", "n2", "n3"]),
        ([planned("n1", 1000), planned("n2", 1000), planned("n3", 1000, eligible=False)], ["n1", "n2"]),
        ([planned("n1", 1000, 500)], []),
        ([planned("n1", 1000, 500, 500), leaving(1000)], []),
        ([planned("n1", 1000, 500, 500), planned("n2", 1000, eligible=False)], ["n1"]),
        (
            [
                planned("n1", 2000, 1000, 1000),
                planned("n2", 1000, 1000),
                planned("n3", 500, eligible=False),
            ],
            [],
        ),
        (
            [
                planned("n1", 1000, 500, 500),
                planned("n2", 1000, 500, 500),
                planned("n3", 2000, eligible=False),
            ],
            ["n1", "n2"],
        ),
        (
            [
                planned("n1", 2000, 1000, 1000),
                planned("n2", 1000, 500, 500),
                planned("n3", 1000, eligible=False),
            ],
            ["n2"],
        ),
        (
            [
                planned("n1", 1000, 500, 500),
                planned("n2", 1000, 500, 500),
                planned("n3", 500, eligible=False),
            ],
            [],
        ),
        # Pods evicted from a node on its way out, not seen again yet.
        ([planned("n1", 1000), leaving(2000, 500)], []),
        ([planned("n1", 1000), leaving(1000, 1000)], []),
        ([planned("n1", 1000), leaving(2000, 500, daemon=True)], ["n1"]),
        ([planned("n1", 1000), planned("n2", 1000, eligible=False), leaving(1000, 500)], ["n1"]),
        ([planned("n1", 1000), planned("n2", 1000), leaving(1000, 500)], ["n1"]),
        ([planned("n1", 1000), planned("n2", 1000), leaving(2000, 2000)], ["n1", "n2"]),
        ([planned("n1", 1000), planned("n2", 1000), leaving(2000, 1000, 1000, replaced=2)], ["n1", "n2"]),
        ([planned("n1", 1000), planned("n2", 1000), leaving(2000, 1000, 1000, replaced=1)], ["n1"]),
        ([planned("n1", 1000), planned("n2", 1000), leaving(2000, 1000, 1000)], []),
        (
            [
                planned("n1", 1000, 250),
                planned("n2", 1000),
                planned("n3", 1000, eligible=False),
                leaving(2000, 250, 250),
            ],
            ["n1", "n2"],
        ),
        (
            [
                planned("n1", 1000, 1000),
                planned("n2", 1000),
                planned("n3", 1000, eligible=False),
                leaving(2000, 1000, 1000),
            ],
            [],
        ),
    ],
)
def test_planner(nodes, wanted):
    assert sorted(unneeded(nodes, ScaleDownRules(threshold=2.0))) == wanted


def pods_of(name, count, cpu=100.0):
    return [Pod(f"{name}-{i}", {"cpu": cpu}) for i in range(count)]


def test_a_node_that_takes_pods_in_can_go_with_them():
    three = [node(name, *pods_of(name, 2)) for name in "abc"]
    # a's go to b, and b's four to c; c's six find nothing.
    assert unneeded(three, ScaleDownRules()) == ["a", "b"]
    full = [node("a", *pods_of("a", 2)), node("b", *pods_of("b", 2)), node("c", *pods_of("c", 1, 700.0))]
    assert unneeded(full, ScaleDownRules()) == ["a"]


def test_nodes_unneeded_before_are_looked_at_first_and_failures_rest():
    there = [node(name, *pods_of(name, 3)) for name in "abcd"]
    assert next(iter(verdicts(there, ScaleDownRules(), known=("c",)))) == "c"
    down = ScaleDown()
    alone = [node("a", *pods_of("a", 3)), node("b", *pods_of("b", 9))]
    full = "its pods fit nowhere else"
    assert down.look(alone, 0.0, 10.0) == {"a": full, "b": "well used"}
    roomy = [alone[0], node("b", *pods_of("b", 1))]
    assert [down.look(roomy, now, 10.0)["a"] for now in (10.0, 299.0, 300.0)] == [full, full, "unneeded"]


def test_nodes_whose_pods_go_one_by_one_come_last():
    down = ScaleDown(ScaleDownRules(unneeded=0.0, most_drained=2))
    held = [Pod(f"h{i}", {"cpu": 50.0}, budgets={"web": 1}) for i in range(2)]
    there = [node("risky", *held), *(node(name, *pods_of(name, 1)) for name in "xyz"), node("big")]
    size = {"ng1": NodeGroup(Template("ng1", {}), 9)}
    names = ["risky", "x", "y"]
    down.removable(there, size, 0.0, names)
    assert down.removable(there, size, 1.0, names) == ["x", "y"]


# ---------------------------------------------------------------- VPA

LINEAR = Buckets(10.0, 1.0, 1.0, 1e-15)
HOUR = 3600.0
START = 1234567890.0


def test_percentiles_of_equal_buckets():
    plain, still = DecayingHistogram(LINEAR), DecayingHistogram(LINEAR, HOUR)
    assert [plain.percentile(p) for p in (-0.5, 0.0, 0.5, 1.0, 1.5)] == [0.0] * 5
    for i in range(1, 5):
        plain.add(float(i), float(i), START)
        still.add(float(i), float(i), START)
    shares = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert [plain.percentile(p) for p in shares] == [2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5]
    assert [still.percentile(p) for p in shares] == [2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5]


def test_percentiles_out_of_bounds():
    tenths = DecayingHistogram(Buckets(1.0, 0.1, 1.0, 1e-15))
    tenths.add(0.1, 0.1, 0.0)
    tenths.add(0.2, 0.2, 0.0)
    assert (tenths.percentile(-0.1), tenths.percentile(1.1)) == pytest.approx((0.2, 0.3))
    tenths.add(0.0, 0.1, 0.0)
    tenths.add(1.0, 0.2, 0.0)
    assert (tenths.percentile(-0.1), tenths.percentile(1.1)) == pytest.approx((0.1, 1.0))


def test_nearly_nothing_is_empty():
    tiny = DecayingHistogram(Buckets(1.0, 0.1, 1.0, 1e-15))
    tiny.add(0.1, 2.5e-15, 0.0)
    seen = [tiny.empty]
    for _ in range(2):
        tiny.subtract(0.1, 1e-15, 0.0)
        seen.append(tiny.empty)
    assert seen == [False, False, True]


def test_decay():
    simple, long = DecayingHistogram(LINEAR, HOUR), DecayingHistogram(LINEAR, HOUR)
    simple.add(2.0, 1000.0, START)
    simple.add(1.0, 1.0, START + 20 * HOUR)
    assert (simple.percentile(0.999), simple.percentile(1.0)) == (2.0, 3.0)
    long.add(2.0, 1.0, START)
    long.add(1.0, 1.0, START + 101 * HOUR)
    assert long.percentile(1.0) == 2.0
    four = DecayingHistogram(LINEAR, HOUR)
    for i in range(1, 5):
        four.add(float(i), float(i), START + (i - 1) * HOUR)
    shares = [0.0, 0.02, 0.03, 0.10, 0.11, 0.34, 0.35, 1.0]
    assert [four.percentile(p) for p in shares] == [2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("half_life", [None, HOUR])
def test_merge(half_life):
    one, two, whole = (DecayingHistogram(LINEAR, half_life) for _ in range(3))
    first, second = [(1.0, 0), (2.0, 1)], [(2.0, 2), (3.0, 1)]
    for value, hour in first:
        one.add(value, 1.0, START + hour * HOUR)
    for value, hour in second:
        two.add(value, 1.0, START + hour * HOUR)
    for value, hour in second + first:
        whole.add(value, 1.0, START + hour * HOUR)
    one.merge(two)
    assert one.weights == pytest.approx(whole.weights)
    assert one.total == pytest.approx(whole.total)


def test_percentile_estimator():
    cpu, memory = DecayingHistogram(CPU_BUCKETS), DecayingHistogram(MEMORY_BUCKETS)
    for i in (1.0, 2.0, 3.0):
        cpu.add(i, 1.0, 0.0)
        memory.add(i * 1e9, 1.0, 0.0)
    assert cpu.percentile(0.2) == pytest.approx(1.0, rel=0.05)
    assert memory.percentile(0.5) == pytest.approx(2e9, rel=0.05)


def test_confidence_multiplier():
    assert (doubt(0.0, 1.0, 1.0), doubt(0.0, 1.0, -1.0)) == (inf, 0.0)
    usage = Usage()
    for i in range(9):
        usage.add_cpu(1.0, 0.0, 120.0 * i)
    assert usage.confidence == 0.00625
    assert 3.14 * doubt(usage.confidence, 0.1, 2.0) == pytest.approx(907.46)
    assert 3.14 * doubt(0.5, 0.1, 2.0) == pytest.approx(4.5216)


MB = 2.0**20


def peaks(usage):
    """Starts of the buckets that have weight."""
    return [usage.memory.buckets.start(b) for b, w in sorted(usage.memory.weights.items()) if w > 1e-6]


def bucket(*values):
    return [MEMORY_BUCKETS.start(MEMORY_BUCKETS.find(value)) for value in values]


def test_samples_that_are_dropped():
    usage = Usage()
    for used, at in ((3.14, 0.0), (6.28, PEAK_WINDOW / 2), (1.57, PEAK_WINDOW)):
        usage.add_cpu(used, 0.1, at)
    usage.add_cpu(1.0, 0.1, PEAK_WINDOW - 1.0)
    assert usage.samples == 3


@pytest.mark.parametrize(
    ("before", "kills", "expected"),
    [
        ([], [1000], [1200]),
        ([], [1], [101]),
        ([], [1000, 999, 999], [1200]),  # it does not run away
        ([], [1000, 2000], [2400]),
        ([3000], [1000], [3600]),  # what was seen counts where it is more than the request
    ],
)
def test_out_of_memory(before, kills, expected):
    usage = Usage()
    for used in before:
        usage.add_memory(used * MB, 0.0)
    for request in kills:
        assert usage.add_oom(request * MB, 0.0)
    assert peaks(usage) == bucket(*(value * MB for value in expected))


def test_out_of_memory_too_late_in_a_new_window_and_capped():
    usage = Usage()
    usage.add_memory(1000 * MB, 100 * HOUR)
    assert not usage.add_oom(1000 * MB, 70 * HOUR)
    assert peaks(usage) == bucket(1000 * MB)
    later = Usage()
    later.add_memory(2000 * MB, 0.0)
    later.add_oom(1000 * MB, 2 * PEAK_WINDOW)
    assert peaks(later) == bucket(2000 * MB, 2400 * MB)
    capped = Usage()
    capped.add_oom(1000 * MB, 0.0, most=1000 * MB)
    assert peaks(capped) == bucket(1000 * MB)


@pytest.mark.parametrize("containers", [1, 2])
def test_least_request_of_a_pod(containers):
    usage = Usage()
    usage.add_cpu(0.001, 0.1, 0.0)
    usage.add_memory(1e6, 0.0)
    # Ten megabytes, the first bucket of the histogram, are below the least request.
    cpu, memory = recommend(usage, containers)
    assert cpu.target == pytest.approx(0.025 / containers)
    assert memory.target == 262144000 / containers  # MiB, though the option is called "mb"


@pytest.mark.parametrize(
    ("request_", "hours", "least_change", "oom", "evicted"),
    [
        (4.0, 24, 0.1, False, True),
        (5.0, 24, 0.1, False, False),  # as it should be
        (4.0, 13, 0.5, False, False),  # a quarter off
        (1.0, 13, 0.5, False, True),
        (8.0, 13, 0.5, False, True),  # out of range
        (4.0, 11, 0.5, False, False),
        (1.0, 11, 0.5, False, False),  # within the range, but young
        (10.0, 11, 0.5, False, True),
        (4.0, 11, 0.5, True, True),
        (5.0, 11, 0.1, True, False),  # nothing would change
    ],
)
def test_vpa_evictions(request_, hours, least_change, oom, evicted):
    wished = Range(1.0, 5.0, 6.0)
    got = should_evict(request_, wished, hours * 3600.0, quick_oom=oom, least_change=least_change)
    assert got is evicted
