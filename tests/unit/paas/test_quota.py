"""Quotas, borrowing and reclaiming, against cases worked out by hand after Kueue's rules."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.paas.quota.reclaim import Held, Rules, classic, fair
from sim.paas.quota.tree import Quota, Tree

GPU = "accelerators"


def quota(nominal, borrowing=None, lending=None, weight=1.0):
    limits = [{} if value is None else {GPU: value} for value in (nominal, borrowing, lending)]
    return Quota(*limits, weight)


def pair(a=None, b=None):
    """Two queues of 4 in one cohort."""
    return Tree({"a": (a or quota(4), "all"), "b": (b or quota(4), "all")}, {"all": (Quota(), None)})


def available(tree, queue):
    return tree.queues[queue].available(0)


def test_what_others_do_not_use_can_be_borrowed():
    tree = pair()
    assert available(tree, "a") == 8
    tree.add("a", (6.0,))
    assert (available(tree, "a"), available(tree, "b")) == (2, 2)
    assert tree.fits("b", (2.0,)) and not tree.fits("b", (3.0,))
    assert tree.fits("b", (2.0,), borrowing=False)
    assert not tree.fits("a", (1.0,), borrowing=False)
    tree.add("a", (6.0,), -1)
    assert (available(tree, "a"), available(tree, "b")) == (8, 8)


def test_a_borrowing_limit_bounds_what_is_beyond_the_own():
    tree = pair(quota(4, borrowing=1))
    assert available(tree, "a") == 5
    tree.add("a", (5.0,))
    assert (available(tree, "a"), available(tree, "b")) == (0, 3)


def test_a_lending_limit_keeps_the_rest():
    tree = pair(b=quota(4, lending=1))
    assert available(tree, "a") == 5
    tree.add("a", (5.0,))
    # The three that b keeps were never a's to take.
    assert available(tree, "b") == 3
    tree.add("b", (3.0,))
    assert available(tree, "b") == 0
    tree.add("a", (5.0,), -1)
    assert (available(tree, "b"), available(tree, "a")) == (5, 5)


def test_without_a_cohort_there_is_only_the_own():
    tree = Tree({"a": (quota(4), None)})
    assert available(tree, "a") == 4 and tree.queues["a"].share() == 0
    assert tree.possible("a", (4.0,)) and not tree.possible("a", (5.0,))


def test_cohorts_own_quota_and_lie_in_each_other():
    tree = Tree(
        {"a": (quota(2), "left"), "b": (quota(2), "left"), "c": (quota(3), "right")},
        {
            "root": (quota(1), None),
            "left": (quota(0, borrowing=2), "root"),
            "right": (quota(0, lending=2), "root"),
        },
    )
    # Of left's 4, and 2 borrowed from the 1 of the root and the 2 that right lends.
    assert available(tree, "a") == 6
    assert available(tree, "c") == 3 + 1 + 4
    assert tree.possible("a", (6.0,)) and not tree.possible("a", (7.0,))
    tree.add("a", (6.0,))
    assert (available(tree, "b"), available(tree, "c")) == (0, 2)


@pytest.mark.parametrize(
    ("used", "weight", "share"),
    [(4, 1.0, 0.0), (6, 1.0, 250.0), (6, 2.0, 125.0), (8, 0.5, 1000.0), (5, 0.0, inf), (3, 0.0, 0.0)],
)
def test_the_dominant_share_is_what_is_borrowed_of_what_could_be_lent(used, weight, share):
    tree = pair(quota(4, weight=weight))
    tree.add("a", (float(used),))
    assert tree.queues["a"].share() == pytest.approx(share)


def test_the_resource_borrowed_most_dominates():
    both = Quota({"cpu": 8.0, GPU: 4.0})
    tree = Tree({"a": (both, "all"), "b": (both, "all")}, {"all": (Quota(), None)})
    tree.add("a", (10.0, 6.0))
    assert tree.queues["a"].share() == pytest.approx(1000 * max(2 / 16, 2 / 8))


def test_a_cohort_within_itself_is_refused():
    with pytest.raises(ValueError, match="its own ancestor"):
        Tree({"a": (quota(1), "x")}, {"x": (Quota(), "y"), "y": (Quota(), "x")})
    with pytest.raises(ValueError, match="no cohort z"):
        Tree({"a": (quota(1), "z")})


ANY = Rules("never", "any")
LOWER = Rules("lower-priority", "never")


def scene(tree, *held):
    """Workloads (queue, amount, priority) in use, numbered in the order they started."""
    made = [Held(i, q, (float(n),), p, queued=i, started=i) for i, (q, n, p) in enumerate(held)]
    for each in made:
        tree.add(each.queue, each.amounts)
    return made


def ids(victims):
    return sorted(each.id for each in victims)


def asks(queue, amount, priority=0.0, queued=99.0):
    return Held(99, queue, (float(amount),), priority, queued, 0.0)


def test_a_queue_gets_back_what_is_its_own():
    tree = pair()
    held = scene(tree, ("a", 2, 0), ("a", 2, 0), ("a", 2, 0), ("a", 2, 0))
    # The latest go first.
    assert ids(classic(tree, asks("b", 4), held, ANY)) == [2, 3]
    assert available(tree, "b") == 0, "the tree is as it was"
    # Six would be borrowing, which gives no right to others' places.
    assert classic(tree, asks("b", 6), held, ANY) == []
    assert classic(tree, asks("b", 4), held, Rules()) == []


def test_nobody_who_does_not_borrow_has_to_go():
    tree = pair()
    held = scene(tree, ("a", 4, 0), ("b", 3, 0))
    assert classic(tree, asks("b", 2), held, ANY) == []


def test_the_least_important_goes_first_and_who_is_not_needed_stays():
    tree = pair()
    held = scene(tree, ("a", 1, 5), ("a", 4, 3), ("a", 1, 1), ("a", 2, 1))
    # In turn 3, 2 and 1 are tried; with 1 off the small ones can stay, but for the borrowing of a.
    assert ids(classic(tree, asks("b", 4), held, ANY)) == [1]
    assert ids(classic(tree, asks("b", 2), held, ANY)) == [3]


def test_only_lower_priorities_if_the_rule_says_so():
    tree = pair()
    held = scene(tree, ("a", 4, 0), ("a", 4, 7))
    rules = Rules("never", "lower-priority")
    assert ids(classic(tree, asks("b", 4, 7), held, rules)) == [0]
    assert classic(tree, asks("b", 4, 0), held, rules) == []


def test_within_the_queue_by_priority_and_by_age():
    tree = Tree({"a": (quota(4), None)})
    held = scene(tree, ("a", 2, 1), ("a", 2, 1))
    assert classic(tree, asks("a", 2, 1, queued=0.5), held, LOWER) == []
    assert ids(classic(tree, asks("a", 2, 2), held, LOWER)) == [1]
    newer = Rules("lower-or-newer-equal", "never")
    assert ids(classic(tree, asks("a", 2, 1, queued=0.5), held, newer)) == [1]
    assert classic(tree, asks("a", 2, 1, queued=5), held, newer) == []


def test_while_borrowing_only_below_the_threshold():
    tree = pair()
    held = scene(tree, ("a", 4, 0), ("a", 2, 2), ("b", 2, 9))
    # b has 2 of its 4 in use; 4 more would borrow 2.
    rules = Rules("never", "lower-priority", borrow=True)
    assert ids(classic(tree, asks("b", 4, 5), held, rules)) == [0]
    limited = Rules("never", "lower-priority", borrow=True, threshold=1)
    assert ids(classic(tree, asks("b", 4, 5), held, limited)) == [0]
    assert classic(tree, asks("b", 4, 5), held, Rules("never", "lower-priority")) == []


def test_the_better_claim_in_the_tree_goes_before_priority():
    # left owns 4 as a cohort; c of right borrows from it, as does b within left.
    tree = Tree(
        {"a": (quota(2), "left"), "b": (quota(2), "left"), "c": (quota(0), "right")},
        {"root": (Quota(), None), "left": (Quota(), "root"), "right": (Quota(), "root")},
    )
    held = scene(tree, ("c", 2, 9), ("b", 2, 0))
    # b is within its own; c borrows, whatever its priority.
    assert ids(classic(tree, asks("a", 2, 0), held, ANY)) == [0]


def test_nodes_count_too():
    tree = pair()
    held = scene(tree, *[("a", 2, 0)] * 4)
    # Without nodes to look at the latest would go; the one before it is the one on the right node.
    assert ids(classic(tree, asks("b", 2), held, ANY)) == [3]
    assert ids(classic(tree, asks("b", 2), held, ANY, lambda gone: any(one.id == 2 for one in gone))) == [2]
    assert classic(tree, asks("b", 2), held, ANY, lambda gone: False) == []


def three():
    """Three queues of 4 in one cohort."""
    return Tree({name: (quota(4), "all") for name in "abc"}, {"all": (Quota(), None)})


def test_the_queue_with_the_largest_share_gives_first():
    tree = three()
    held = scene(tree, *[("a", 1, 0)] * 7, *[("b", 1, 0)] * 5)
    # c asks for 2 of its own: a holds the larger share both times.
    assert ids(fair(tree, asks("c", 2), held, ANY)) == [5, 6]
    # For all 4 of its own it needs all that both borrow.
    assert ids(fair(tree, asks("c", 4), held, ANY)) == [4, 5, 6, 11]


def test_shares_may_not_be_turned_round():
    tree = three()
    held = scene(tree, *[("a", 1, 0)] * 4, *[("b", 1, 0)] * 6, *[("c", 1, 0)] * 2)
    # b borrows 2. c asks for 3, and would borrow 1 where b is left with none: that is not more even.
    assert fair(tree, asks("c", 3), held, ANY) == []
    assert ids(fair(tree, asks("c", 2), held, ANY)) == [8, 9]
    # a has all it owns; one more would put it where b comes down to.
    assert ids(fair(tree, asks("a", 1), held, ANY)) == [9]
    # Two more would make a borrow as much as b does now: not less than before.
    assert fair(tree, asks("a", 2), held, ANY) == []


@st.composite
def scenes(draw):
    numbers = st.integers(0, 4)
    cohorts = {"root": (quota(draw(numbers)), None), "sub": (quota(draw(numbers)), "root")}
    limit = st.one_of(st.none(), numbers)
    queues = {
        name: (
            quota(draw(numbers), draw(limit), draw(limit), draw(st.sampled_from([0.5, 1.0, 2.0]))),
            draw(st.sampled_from(["root", "sub"])),
        )
        for name in "abcd"
    }
    tree, held = Tree(queues, cohorts), []
    for number in range(draw(st.integers(0, 12))):
        one = Held(
            number,
            draw(st.sampled_from("abcd")),
            (float(draw(st.integers(1, 3))),) * len(tree.resources),
            float(draw(st.integers(0, 2))),
            float(number),
            float(number),
        )
        if tree.fits(one.queue, one.amounts):
            tree.add(one.queue, one.amounts)
            held.append(one)
    rules = Rules(
        draw(st.sampled_from(["never", "lower-priority", "lower-or-newer-equal"])),
        draw(st.sampled_from(["never", "lower-priority", "any"])),
        draw(st.booleans()),
    )
    wants = Held(99, draw(st.sampled_from("abcd")), (float(draw(st.integers(1, 4))),) * len(tree.resources),
                 float(draw(st.integers(0, 2))), float(draw(st.integers(0, 12))), 0.0)  # fmt: skip
    return tree, held, rules, wants


def state(tree):
    return [list(m.used) for m in (*tree.queues.values(), *tree.cohorts.values())]


@given(scene=scenes())
def test_nobody_uses_more_than_there_is_and_all_of_it_is_given_back(scene):
    tree, held, _, _ = scene
    owned = sum(sum(m.owns) for m in tree.cohorts.values() if m.parent is None)
    kept = sum(sum(m.keeps) for m in tree.queues.values()) + sum(tree.cohorts["sub"].keeps)
    assert sum(sum(each.amounts) for each in held) <= owned + kept + 1e-9
    for each in held:
        tree.add(each.queue, each.amounts, -1)
    assert all(not any(used) for used in state(tree))


@pytest.mark.parametrize("choose", [classic, fair])
@given(scene=scenes())
def test_victims_are_enough_needed_and_allowed(choose, scene):
    tree, held, rules, wants = scene
    before = state(tree)
    victims = choose(tree, wants, held, rules)
    assert state(tree) == before
    if tree.resources and victims:
        for each in victims:
            same = each.queue == wants.queue
            policy = rules.within_queue if same else rules.reclaim
            assert policy != "never"
            if policy == "lower-priority":
                assert each.priority < wants.priority
            tree.add(each.queue, each.amounts, -1)
        assert tree.fits(wants.queue, wants.amounts)
        assert not any(
            tree.fits(wants.queue, wants.amounts) and len(victims) > 1
            for each in victims[:-1]
            if not _without(tree, each, wants)
        )
        for each in victims:
            tree.add(each.queue, each.amounts)


def _without(tree, each, wants):
    """Whether it had to go: with it back, the workload does not fit, or would have to borrow."""
    tree.add(each.queue, each.amounts)
    needed = not tree.fits(wants.queue, wants.amounts) or not tree.fits(
        wants.queue, wants.amounts, borrowing=False
    )
    tree.add(each.queue, each.amounts, -1)
    return needed
