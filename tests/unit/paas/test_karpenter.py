import pytest

from sim.paas.autoscaling.karpenter import (
    Command,
    Fleet,
    Node,
    allowed_disruptions,
    candidates,
    consolidate,
    disruption_cost,
    eviction_cost,
    provision,
    replace,
)
from sim.paas.autoscaling.packing import Pod, Template

SMALL = Template("small", {"cpu": 2.0, "memory": 8e9}, 1.0)
MIDDLE = Template("middle", {"cpu": 4.0, "memory": 16e9}, 1.8)
LARGE = Template("large", {"cpu": 16.0, "memory": 64e9}, 6.0)
TYPES = [LARGE, SMALL, MIDDLE]


def pod(name, cpu=1.0, **more):
    return Pod(name, {"cpu": cpu, "memory": 1e9}, **more)


@pytest.mark.parametrize(
    ("more", "cost"),
    [
        ({}, 1.0),
        ({"deletion_cost": 2**27}, 2.0),
        ({"priority": 2**26}, 3.0),
        ({"deletion_cost": 2**31}, 10.0),
        ({"priority": -(2**30)}, -10.0),
    ],
)
def test_eviction_cost(more, cost):
    assert eviction_cost(pod("p", **more)) == cost


def test_disruption_cost_counts_positive_costs_of_moving_pods():
    held = [pod("a"), pod("b", priority=-(2**30)), pod("c", daemon=True)]
    assert disruption_cost(Node("n", SMALL, held)) == 2.0


@pytest.mark.parametrize(
    ("nodes", "disrupting", "percent", "allowed"),
    [(20, 0, 10.0, 2), (11, 0, 10.0, 2), (5, 0, 10.0, 1), (5, 1, 10.0, 0), (30, 0, 0.0, 0), (0, 0, 10.0, 0)],
)
def test_budget_is_rounded_up(nodes, disrupting, percent, allowed):
    assert allowed_disruptions(nodes, disrupting, percent) == allowed


@pytest.mark.parametrize(
    ("cpus", "bought"),
    [
        ([1.0], ["small"]),
        ([3.0], ["middle"]),
        ([1.0, 1.0, 1.0], ["middle"]),  # one node that takes all, the cheapest of those
        ([4.0, 4.0, 4.0], ["large"]),
        ([16.0, 1.0], ["large", "small"]),
        ([20.0, 1.0], ["small"]),  # what nothing takes stays
    ],
)
def test_provisioning(cpus, bought):
    got = provision([pod(f"p{i}", cpu) for i, cpu in enumerate(cpus)], TYPES)
    assert [each.name for each, _ in got] == bought


def test_empty_nodes_go_first_within_the_budget():
    nodes = [Node(f"n{i}", SMALL) for i in range(15)] + [Node("busy", SMALL, [pod("p")])]
    assert consolidate(nodes, TYPES) == Command(["n0", "n1"])
    assert consolidate(nodes, TYPES, percent=100.0).remove == [f"n{i}" for i in range(15)]
    assert consolidate(nodes, TYPES, disrupting=2) is None


def test_a_node_whose_pods_fit_elsewhere_goes():
    nodes = [Node("a", SMALL, [pod("p")]), Node("b", MIDDLE, [pod("q", 3.0)])]
    assert consolidate(nodes, TYPES) == Command(["a"])
    assert consolidate(nodes, TYPES, policy="WhenEmpty") is None


def test_a_node_is_replaced_by_one_cheaper():
    assert consolidate([Node("a", LARGE, [pod("p")])], TYPES) == Command(["a"], SMALL)
    assert consolidate([Node("a", SMALL, [pod("p")])], TYPES) is None  # nothing is cheaper
    assert consolidate([Node("a", LARGE, [pod("p", movable=False)])], TYPES) is None


def test_several_nodes_by_one_cheaper():
    # Three large ones with one core each need one middle node together: a single one is not enough.
    nodes = [Node(f"n{i}", LARGE, [pod(f"p{i}")]) for i in range(3)]
    command = consolidate(nodes, TYPES, percent=100.0)
    assert command == Command(["n0", "n1", "n2"], MIDDLE)


def test_bisection_can_miss_what_a_longer_prefix_allows():
    nodes = [Node(f"n{i}", MIDDLE, [pod(f"p{i}", 4.0)]) for i in range(4)]
    # One large node for all four saves 1.2, but the search stops at three, for which it saves nothing.
    assert replace(nodes, Fleet(nodes), TYPES) == Command(["n0", "n1", "n2", "n3"], LARGE)
    assert consolidate(nodes, TYPES, percent=100.0) is None


def test_several_nodes_are_never_replaced_by_two():
    full = [Node(f"n{i}", LARGE, [pod(f"p{i}", 12.0)]) for i in range(2)]
    assert replace(full, Fleet(full), [Template("half", {"cpu": 12.0, "memory": 48e9}, 2.0)]) is None


def test_candidates_save_most_per_disruption_first():
    nodes = [
        Node("cheap", SMALL, [pod("a")]),
        Node("crowded", LARGE, [pod(f"p{i}") for i in range(9)]),
        Node("dear", LARGE, [pod("b")]),
    ]
    assert [node.name for node in candidates(nodes)] == ["dear", "crowded", "cheap"]


def test_nodes_on_their_way_out_take_no_pods():
    nodes = [Node("a", SMALL, [pod("p")]), Node("b", LARGE, [pod("q", 3.0)], able=False, open=False)]
    assert consolidate(nodes, [], disrupting=0) is None
    assert consolidate([nodes[0], Node("b", LARGE, able=False)], []) == Command(["a"])


def test_pools_keep_their_minimum():
    nodes = [Node(f"n{i}", SMALL) for i in range(4)] + [Node("m", MIDDLE), Node("fixed", LARGE)]
    command = consolidate(nodes, TYPES, percent=100.0, spare={"small": 2, "middle": 0})
    assert command == Command(["n0", "n1"])


def test_the_planned_node_with_the_fewest_pods_is_tried_first():
    types = [Template("four", {"cpu": 4.0, "memory": 1e12}, 1.0)]
    planned = provision([pod(f"p{i}", cpu) for i, cpu in enumerate([3.0, 2.0, 1.0, 1.0])], types)
    assert [[each.requests["cpu"] for each in held] for _, held in planned] == [[3.0, 1.0], [2.0, 1.0]]


def test_a_disruption_budget_that_allows_nothing_holds_a_node():
    held = [Node("a", SMALL, [pod("p", budgets={"web": 0})]), Node("b", MIDDLE, [pod("q", 3.0)])]
    assert consolidate(held, TYPES) is None
    free = [Node("a", SMALL, [pod("p", budgets={"web": 1})]), held[1]]
    assert consolidate(free, TYPES) == Command(["a"])


def test_a_thousand_nodes_of_which_none_can_go():
    # Each pod is tied to its node, so every candidate is tried.
    nodes = [
        Node(f"n{i}", LARGE, [pod(f"{i}-{j}", labels={"x": str(i)}) for j in range(3)], {"x": str(i)})
        for i in range(1000)
    ]
    assert consolidate(nodes, []) is None


def test_several_nodes_are_not_replaced_by_one_of_their_own_type():
    nodes = [Node(f"n{i}", MIDDLE, [pod(f"p{i}", 1.5)]) for i in range(2)]
    # One middle node would do and cost half; that is to remove one of the two.
    assert replace(nodes, Fleet(nodes), [MIDDLE]) is None
    cheap = Template("cheap", {"cpu": 4.0, "memory": 16e9}, 1.7)
    assert replace(nodes, Fleet(nodes), [MIDDLE, cheap]) == Command(["n0", "n1"], cheap)
