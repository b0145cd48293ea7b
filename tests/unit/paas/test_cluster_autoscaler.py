import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.paas.autoscaling.cluster_autoscaler import Backoff, NodeGroup, options, scale_up
from sim.paas.autoscaling.expanders import (
    STABILISER,
    Expander,
    Option,
    Pricing,
    preferred_cores,
    price_score,
    unfitness,
    waste,
)
from sim.paas.autoscaling.packing import Pod, Template, equivalence_groups, pack, total
from sim.paas.autoscaling.scale_down import (
    Node,
    ScaleDown,
    ScaleDownRules,
    unneeded,
    utilisation,
    verdicts,
)

GB = 1e9


def pod(name, cpu=1.0, memory=1 * GB, gpu=0.0, **more):
    return Pod(name, {"cpu": cpu, "memory": memory, "gpu": gpu}, **more)


def pods(count, **requests):
    return [pod(f"p{i}", owner="o", **requests) for i in range(count)]


def template(name, cpu=4.0, memory=16 * GB, gpu=0.0, price=1.0, **more):
    return Template(name, {"cpu": cpu, "memory": memory, "gpu": gpu}, price, **more)


def first(n):
    return 0


# ---------------------------------------------------------------- packing


@pytest.mark.parametrize(
    ("cpus", "most", "nodes", "placed"),
    [
        ([1, 1, 1, 1], 9, 1, 4),
        ([1, 1, 1, 1, 1], 9, 2, 5),
        ([3, 3, 1, 1], 9, 2, 4),  # decreasing: each three takes a one along
        ([1, 3, 1, 3], 9, 2, 4),
        ([2, 2, 2], 1, 1, 2),  # as many as there may be
        ([5], 9, 0, 0),
        ([5, 1], 9, 1, 1),  # one that never fits does not stop the others
        ([], 9, 0, 0),
    ],
)
def test_first_fit_decreasing(cpus, most, nodes, placed):
    groups = [[pod(f"p{i}", cpu)] for i, cpu in enumerate(cpus)]
    packed = pack(groups, template("t"), most)
    assert (packed.nodes, len(packed.pods)) == (nodes, placed)


def test_decreasing_by_cpu_and_memory_together():
    # By share of a node: 0.25 + 0.75 before 0.5 + 0.0625.
    packed = pack([[pod("cpu", 2.0, 1 * GB)], [pod("memory", 1.0, 12 * GB)]], template("t"), 9)
    assert [each.name for each in packed.pods] == ["memory", "cpu"]


def test_equivalence():
    same = [pod("a", owner="x"), pod("b", owner="x")]
    others = [
        pod("c", 2.0, owner="x"),
        pod("d", owner="y"),
        pod("e"),
        pod("f"),
        pod("g", owner="x", labels={"z": "1"}),
    ]
    assert [len(group) for group in equivalence_groups(same + others)] == [2, 1, 1, 1, 1, 1]


# ---------------------------------------------------------------- options and expanders


def test_options_respect_labels_room_backoff_and_priority():
    groups = [
        NodeGroup(template("plain"), size=0),
        NodeGroup(template("gpu", gpu=1.0), size=0),
        NodeGroup(template("full"), size=5, maximum=5),
        NodeGroup(template("bad", gpu=1.0), size=0),
    ]
    found = options(pods(3, gpu=1.0), groups, blocked=lambda name: name == "bad")
    assert [(option.group.name, option.nodes) for option in found] == [("gpu", 3)]
    assert options([pod("p", priority=-11)], groups) == []
    assert len(options([pod("p", priority=-10)], groups)) == 3
    zone = [pod("p", labels={"zone": "b"})]
    assert options(zone, groups) == []
    assert options(zone, [NodeGroup(template("b", labels={"zone": "b"}), size=0)])[0].nodes == 1


def test_growth_is_cut_at_the_maximum():
    (option,) = options(pods(40), [NodeGroup(template("t"), size=7, maximum=10)])
    assert (option.nodes, len(option.pods)) == (3, 12)


def option(name, nodes, count, cpu=4.0, memory=16 * GB, price=1.0, exists=True, gpu=0.0):
    return Option(template(name, cpu, memory, gpu, price), nodes, pods(count), exists)


def test_waste_is_the_sum_of_both_shares():
    # Four of eight cores and four of 32 GB: 0.5 + 0.875.
    assert waste(option("t", 2, 4)) == pytest.approx(1.375)


@pytest.mark.parametrize(
    ("chain", "chosen"),
    [
        (("least-waste",), "tight"),
        (("most-pods",), "large"),
        (("least-nodes",), "large"),
        (("most-pods", "least-nodes"), "large"),
        ((), "wide"),  # drawn
    ],
)
def test_expanders(chain, chosen):
    choices = [
        option("wide", 3, 4),
        option("tight", 2, 4, cpu=2.0, memory=2 * GB),
        option("large", 1, 8, cpu=16.0),
    ]
    assert Expander(chain).best(choices, first).group.name == chosen


def test_a_chain_passes_ties_on():
    choices = [option("a", 3, 4), option("b", 2, 4), option("c", 2, 3)]
    assert Expander(("most-pods", "least-nodes")).best(choices, first).group.name == "b"
    assert Expander(("most-pods",)).best(choices, lambda n: n - 1).group.name == "b"  # drawn from a and b
    assert Expander().best([], first) is None


@pytest.mark.parametrize(
    ("priorities", "chosen"),
    [
        ({10: [".*spot.*"], 50: ["ondemand"]}, "ondemand-1"),
        ({10: ["spot"], 50: ["nothing"]}, "spot-1"),
        ({10: ["nothing"]}, "spot-1"),  # none matches: all are left
        ({1: ["ond"], 2: ["spot-2", "spot-9"]}, "spot-2"),
    ],
)
def test_priorities(priorities, chosen):
    choices = [option("spot-1", 1, 1), option("spot-2", 1, 1), option("ondemand-1", 1, 1)]
    assert Expander(("priority",), priorities).best(choices, first).group.name == chosen


@pytest.mark.parametrize(
    ("cluster", "cores"), [(1, 1), (2, 1), (3, 2), (6, 2), (7, 4), (20, 4), (60, 8), (200, 16), (201, 32)]
)
def test_preferred_size(cluster, cores):
    assert preferred_cores(cluster) == cores


def per_core(each):
    return each.requests["cpu"]


def test_price_score():
    assert per_core(STABILISER) == 0.5
    # (2 x 1 + 0.5) / (4 + 0.5) x unfitness of 4 cores where 4 are preferred.
    assert price_score(option("t", 2, 4), Pricing(per_core, cluster=10)) == pytest.approx(2.5 / 4.5)
    assert price_score(option("t", 2, 4, exists=False), Pricing(per_core, 10)) == pytest.approx(2 * 2.5 / 4.5)
    assert unfitness(option("t", 1, 4), 1) == 4.0
    # tanh(1) of the surplus is forgiven for 16 nodes.
    assert unfitness(option("t", 16, 4), 1) == pytest.approx(1 + 3 * (1 - 0.7615941559557649))
    assert unfitness(option("t", 16, 4, gpu=8.0), 1) == 1000.0
    cheap, dear = option("cheap", 1, 4, price=1.0), option("dear", 1, 4, price=3.0)
    assert Expander(("price",), pricing=Pricing(per_core)).best([dear, cheap], first) is cheap


def test_scale_up_takes_one_group():
    groups = [NodeGroup(template("small", 2.0, 8 * GB), 0), NodeGroup(template("large", 16.0, 64 * GB), 0)]
    got = scale_up(pods(3), groups, Expander(), first)
    assert (got.group.name, got.nodes) == ("small", 2)
    assert scale_up(pods(3, gpu=1.0), groups, Expander(), first) is None


# ---------------------------------------------------------------- backoff


def test_backoff_doubles_and_is_capped():
    backoff, now, waits = Backoff(), 0.0, []
    for _ in range(5):
        until = backoff.failed("g", now)
        waits.append(until - now)
        assert backoff.blocks("g", until - 0.1)
        assert not backoff.blocks("g", until)
        now = until + 1.0
    assert waits == [300.0, 600.0, 1200.0, 1800.0, 1800.0]
    assert not backoff.blocks("other", 0.0)


def test_backoff_is_forgotten():
    backoff = Backoff()
    backoff.failed("g", 0.0)
    assert backoff.failed("g", 10_801.0) == 11_101.0
    assert backoff.failed("g", 12_000.0) == 12_600.0
    backoff.worked("g")
    assert backoff.failed("g", 14_000.0) == 14_300.0


def test_failures_at_the_same_time_are_one():
    backoff = Backoff()
    backoff.failed("g", 0.0)
    assert backoff.failed("g", 100.0) == 400.0


# ---------------------------------------------------------------- scale down


def node(name, *held, group="g", cpu=4.0, memory=16 * GB, gpu=0.0, **more):
    return Node(name, group, {"cpu": cpu, "memory": memory, "gpu": gpu}, held, **more)


@pytest.mark.parametrize(
    ("held", "gpu", "expected"),
    [
        ([pod("a", 1.0, 4 * GB)], 0.0, 0.25),
        ([pod("a", 1.0, 12 * GB)], 0.0, 0.75),  # the larger of both
        ([pod("a", 4.0, 12 * GB, gpu=2.0)], 8.0, 0.25),  # on a GPU node only the GPU
        ([pod("a", 4.0, 12 * GB)], 8.0, 0.0),
        ([], 0.0, 0.0),
    ],
)
def test_utilisation(held, gpu, expected):
    assert utilisation(node("n", *held, gpu=gpu)) == expected


def test_daemons_can_be_left_out():
    both = node("n", pod("a"), pod("d", daemon=True))
    assert utilisation(both) == 0.5
    assert utilisation(both, ignore_daemons=True) == pytest.approx(1 / 3)  # of what daemons leave


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("a", pod("1")), node("b", pod("2", 2.0))], ["a"]),  # b is at the threshold
        ([node("a", pod("1")), node("b", pod("2"))], ["a"]),  # each would fit on the other, not both
        ([node("a", pod("1")), node("b", pod("2", 4.0))], []),  # no room
        ([node("a", pod("1")), node("b"), node("c", pod("2", 3.0))], ["b", "a"]),  # empty first
        ([node("a", pod("1", movable=False)), node("b", pod("2", 3.0))], []),
        ([node("a", protected=True)], []),
        ([node("a", pod("1", daemon=True))], ["a"]),  # daemons need no other place
        ([node("a", pod("1", 4.0, priority=-11), ready=False)], ["a"]),
        ([node("a", pod("1", 3.0), ready=False), node("b")], ["b"]),  # and so a has no place to go
        ([node("a", pod("1", labels={"z": "1"}), labels={"z": "1"}), node("b", pod("2", 3.0))], []),
    ],
)
def test_unneeded(nodes, expected):
    assert unneeded(nodes, ScaleDownRules()) == expected


def groups(size, minimum=0):
    return {"g": NodeGroup(template("g"), size, minimum)}


def test_a_node_must_be_unneeded_for_long():
    down = ScaleDown()
    there = [node("a", pod("1", 4.0)), node("b")]
    assert [down.removable(there, groups(2), t) for t in (0.0, 600.0, 600.1)] == [[], [], ["b"]]


def test_being_needed_meanwhile_begins_anew():
    down = ScaleDown()
    busy, idle = [node("b", pod("1", 3.0))], [node("b")]
    down.removable(idle, groups(1), 0.0)
    down.removable(busy, groups(1), 300.0)
    assert down.removable(idle, groups(1), 700.0) == []
    assert down.removable(idle, groups(1), 1301.0) == ["b"]


def test_unready_nodes_wait_longer():
    down = ScaleDown()
    there = [node("a", ready=False)]
    assert [down.removable(there, groups(1), t) for t in (0.0, 1200.0, 1201.0)] == [[], [], ["a"]]


@pytest.mark.parametrize(
    ("moments", "at", "cooling"),
    [
        ({"last_add": 0.0}, 599.9, True),
        ({"last_add": 0.0}, 600.0, False),
        ({"last_failure": 0.0}, 179.9, True),
        ({"last_failure": 0.0}, 180.0, False),
        ({"last_delete": 0.0}, 0.0, False),
    ],
)
def test_delays(moments, at, cooling):
    assert ScaleDown(**moments).cooling(at) is cooling


def test_never_below_the_minimum_and_few_at_once():
    down = ScaleDown()
    there = [node(f"n{i:02}") for i in range(20)]
    down.removable(there, groups(20, 15), 0.0)
    assert len(down.removable(there, groups(20, 15), 601.0)) == 5
    assert len(down.removable(there, groups(20, 0), 601.0)) == 10
    drained = ScaleDown()
    held = [node(f"n{i}", pod(f"p{i}")) for i in range(4)] + [
        node("big", pod("b"), cpu=64.0, memory=256 * GB)
    ]
    drained.removable(held, groups(5), 0.0)
    assert len(drained.removable(held, groups(5), 601.0)) == 1


def test_verdicts_name_the_reason():
    there = [
        node("used", pod("1", 2.0)),
        node("fixed", pod("2", movable=False)),
        node("kept", protected=True),
        node("empty"),
        node("goes", pod("3")),
        node("other", pod("4")),
    ]
    assert verdicts(there, ScaleDownRules()) == {
        "kept": "protected",
        "empty": "unneeded",
        "used": "well used",
        "fixed": "holds what cannot move",
        "goes": "unneeded",
        "other": "unneeded",
    }
    assert verdicts([node("a", pod("1")), node("b", pod("2", 3.5))], ScaleDownRules())["a"] == (
        "its pods fit nowhere else"
    )
    assert verdicts(there, ScaleDownRules(), limit=2)["other"] == "enough candidates"


@given(
    st.lists(st.lists(st.floats(0.25, 4.0), max_size=4), min_size=1, max_size=8),
    st.floats(0.0, 1.0),
)
def test_all_that_moves_fits_on_what_stays(held, threshold):
    there = [
        node(f"n{i}", *(pod(f"{i}-{j}", c) for j, c in enumerate(cpus)), cpu=16.0)
        for i, cpus in enumerate(held)
    ]
    rules = ScaleDownRules(threshold=threshold)
    gone = set(unneeded(there, rules))
    assert all(utilisation(each) < threshold for each in there if each.name in gone)
    free = {each.name: 16.0 - total(each.pods, "cpu") for each in there if each.name not in gone}
    moving = sum(total(each.pods, "cpu") for each in there if each.name in gone)
    assert moving <= sum(free.values()) + 1e-6
    if gone:
        assert free or not moving
