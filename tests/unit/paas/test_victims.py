"""Preemption cases worked out by hand from the rules of Kubernetes' DefaultPreemption."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.paas.victims import Plan, Runner, candidates_wanted, pick, plan, select

SIZES: dict[int, int] = {}


def runner(number, priority, size, started=0.0, budgets=()):
    SIZES[number] = size
    return Runner(number, priority, started, budgets)


def room(capacity, asked):
    """Whether `asked` fits beside those that stay, by one number a unit."""
    return lambda stay: sum(SIZES[each.id] for each in stay) + asked <= capacity


def ids(found):
    return None if found is None else [each.id for each in found.victims]


class TestOnOneNode:
    def test_equal_priority_is_safe(self):
        there = [runner(1, 10, 4), runner(2, 5, 4)]
        assert ids(plan(5, there, room(8, 1))) is None
        assert ids(plan(10, there, room(8, 1))) == [2]
        assert ids(plan(11, there, room(8, 1))) == [2]

    def test_nobody_has_to_go_where_there_is_room(self):
        assert plan(5, [runner(1, 0, 4)], room(8, 4)) == Plan(())

    def test_a_unit_that_does_not_fit_an_empty_node_evicts_nobody(self):
        assert plan(5, [runner(1, 0, 4)], room(8, 9)) is None

    def test_the_most_important_are_reprieved_first(self):
        """Capacity 8, 4 asked: of 3 + 3 + 2 the two most important that leave 4 are kept: only one 3."""
        there = [runner(1, 1, 3), runner(2, 2, 3), runner(3, 0, 2)]
        assert ids(plan(9, there, room(8, 4))) == [1, 3]

    def test_a_reprieve_that_fails_does_not_end_the_reprieves(self):
        """3 asked of 8: 6 cannot come back, but the smaller and less important 2 and 3 can."""
        there = [runner(1, 3, 6), runner(2, 2, 2), runner(3, 1, 3)]
        assert ids(plan(9, there, room(8, 3))) == [1]

    def test_the_earlier_start_is_the_more_important_of_equals(self):
        there = [runner(1, 0, 4, started=20.0), runner(2, 0, 4, started=10.0)]
        assert ids(plan(1, there, room(8, 4))) == [1]

    def test_those_under_a_budget_are_reprieved_before_more_important_ones(self):
        there = [runner(1, 5, 4), runner(2, 0, 4, budgets=("b",))]
        assert ids(plan(9, there, room(8, 4), {"b": 0})) == [1]
        assert ids(plan(9, there, room(8, 4), {"b": 1})) == [2]

    def test_a_budget_covers_the_most_important_first_and_counts_what_breaks_it(self):
        there = [runner(k, 5 - k, 2, budgets=("b",)) for k in range(4)]
        # One eviction is allowed: it is used up by 0, so 1 to 3 count as violating, all four must go.
        found = plan(9, there, room(8, 8), {"b": 1})
        assert (ids(found), found.violations) == ([0, 1, 2, 3], 3)


def plans(*each):
    return dict(enumerate(each))


def victims(*about, violations=0):
    made = tuple(Runner(k, priority, started) for k, (priority, started) in enumerate(about))
    return Plan(made, violations)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        pytest.param([victims((0, 0), violations=1), victims((9, 0), (9, 0))], 1, id="budgets first"),
        pytest.param([victims((5, 0)), victims((4, 0), (4, 0), (4, 0))], 1, id="highest priority"),
        pytest.param([victims((5, 0), (2, 0)), victims((5, 0), (1, 0))], 1, id="sum of priorities"),
        pytest.param([victims((5, 0), (-9, 0)), victims((5, 0))], 1, id="two cost more than one, always"),
        pytest.param([victims((5, 10), (5, 90)), victims((5, 20), (5, 30))], 1, id="latest of the earliest"),
        pytest.param([victims((5, 9), (1, 1)), victims((5, 8), (1, 7))], 0, id="of the highest only"),
        pytest.param([victims((5, 9)), victims((5, 9))], 0, id="first in the list"),
        pytest.param([victims((0, 0)), Plan(())], 1, id="no victims at all"),
    ],
)
def test_the_node_with_the_least_harm(there, expected):
    assert pick(plans(*there)) == expected


def test_select_over_nodes():
    nodes = {
        7: [runner(1, 3, 4), runner(2, 1, 4)],
        8: [runner(3, 2, 8)],
        9: [runner(4, 10, 8)],
    }
    node, found = select(5, nodes, lambda node, stay: room(8, 4)(stay))
    assert (node, ids(found)) == (7, [2])
    node, found = select(5, nodes, lambda node, stay: room(8, 8)(stay))
    assert (node, ids(found)) == (8, [3])
    assert select(2, {9: nodes[9]}, lambda node, stay: room(8, 1)(stay)) is None


def test_the_search_may_start_anywhere_and_stop_early():
    nodes = {k: [runner(k, 9 - k, 8)] for k in range(5)}
    fits = lambda node, stay: room(8, 8)(stay)  # noqa: E731
    assert select(99, nodes, fits)[0] == 4
    assert select(99, nodes, fits, candidates=2)[0] == 1
    assert select(99, nodes, fits, candidates=2, offset=4)[0] == 4
    assert select(99, nodes, fits, candidates=2, offset=3)[0] == 4


def test_the_search_goes_on_while_every_candidate_breaks_a_budget():
    nodes = {k: [runner(k, k, 8, budgets=("b",) if k < 3 else ())] for k in range(5)}
    assert select(99, nodes, lambda node, stay: room(8, 8)(stay), {"b": 0}, candidates=1)[0] == 3


@pytest.mark.parametrize(("nodes", "wanted"), [(5, 5), (100, 100), (500, 100), (5000, 500)])
def test_number_of_candidates(nodes, wanted):
    assert candidates_wanted(nodes) == wanted


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(0, 3)), max_size=7),
    st.integers(1, 10),
    st.integers(0, 5),
)
def test_victims_against_all_subsets(there, asked, priority):
    """By trying all sets: the kept set is the first in order of importance, and no victim could stay."""
    running = [runner(k, p, size, started) for k, (p, size, started) in enumerate(there)]
    capacity = 12
    fits = room(capacity, asked)
    found = plan(priority, running, fits)
    untouchable = [each for each in running if each.priority >= priority]
    lower = sorted((e for e in running if e.priority < priority), key=lambda e: (-e.priority, e.started))
    sets = chain.from_iterable(combinations(range(len(lower)), n) for n in range(len(lower) + 1))
    possible = [set(each) for each in sets if fits(untouchable + [lower[k] for k in each])]
    if found is None:
        assert not possible
        return
    # The lexicographically first of all possible sets: whoever is more important stays if he can.
    best = max(possible, key=lambda kept: [k in kept for k in range(len(lower))])
    assert {each.id for each in found.victims} == {e.id for k, e in enumerate(lower) if k not in best}
