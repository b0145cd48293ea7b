import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.kernel.lines import FifoLine, PriorityLine

# ("push", key), ("pop",), ("peek",), or ("cancel", which of all entries ever made).
actions = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 3)),
        st.tuples(st.just("pop")),
        st.tuples(st.just("peek")),
        st.tuples(st.just("cancel"), st.integers(0, 300)),
    ),
    max_size=300,
)


def against_a_list(line, push, key_of, actions):
    """Play actions on a line and on a sorted list; they must agree at every step."""
    model, entries, made = [], [], 0
    for action in actions:
        if action[0] == "push":
            item = (key_of(action[1]), made)
            entries.append((push(item, action[1]), item))
            model.append(item)
            model.sort()
            made += 1
        elif action[0] == "cancel":
            if entries:
                entry, item = entries[action[1] % len(entries)]
                assert line.cancel(entry) == (item in model)
                if item in model:
                    model.remove(item)
        elif model:
            assert line.peek() == model[0]
            if action[0] == "pop":
                assert line.pop() == model.pop(0)
        else:
            with pytest.raises(IndexError):
                line.pop() if action[0] == "pop" else line.peek()
        assert len(line) == len(model)
        assert list(line) == model
        assert bool(line) == bool(model)


@given(actions)
def test_fifo_is_a_list_with_cancellation(actions):
    line = FifoLine()
    against_a_list(line, lambda item, key: line.push(item), lambda key: 0, actions)


@given(actions)
def test_priority_is_a_sorted_list_with_cancellation(actions):
    line = PriorityLine()
    against_a_list(line, lambda item, key: line.push(item, key), lambda key: key, actions)


def test_priority_never_compares_items():
    line = PriorityLine()
    first, second = object(), object()
    line.push(first, (1, "a"))
    line.push(second, (1, "a"))
    assert (line.pop(), line.pop()) == (first, second)


def test_priority_order_survives_the_cleaning_away_of_many():
    rng = np.random.default_rng(4)
    keys = rng.permutation(1000).tolist()
    line = PriorityLine()
    entries = [line.push(key, key) for key in keys]
    gone = set(rng.choice(1000, 800, replace=False).tolist())
    for i in sorted(gone):
        line.cancel(entries[i])
    assert len(line._entries) < 1000
    assert [line.pop() for _ in range(200)] == sorted(key for i, key in enumerate(keys) if i not in gone)


@pytest.mark.parametrize("kind", [FifoLine, PriorityLine])
def test_cancelled_entries_do_not_pile_up(kind):
    line = kind()
    key = () if kind is FifoLine else (1.0,)
    kept = line.push("kept", *key)
    most = 0
    for i in range(10_000):
        assert line.cancel(line.push(i, *key))
        most = max(most, len(line._entries))
    assert most <= 70
    assert (len(line), line.peek()) == (1, "kept")
    assert line.cancel(kept)
    assert not line
