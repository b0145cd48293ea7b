"""However a scenario is damaged, it loads or is refused with faults: nothing else ever escapes."""

import copy
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sim.errors import ScenarioError
from sim.scenario import document
from sim.scenario.canonical import dump
from sim.scenario.load import loads, resolved

GOOD = Path(__file__).parents[1] / "unit" / "scenario" / "good"
SCENARIOS = [document.parse(path.read_text(encoding="utf-8")).data for path in sorted(GOOD.glob("*.yaml"))]

words = st.sampled_from(
    [
        "hpa",
        "least-load",
        "exponential",
        "trace",
        "250ms",
        "16Gi",
        "0",
        "-1s",
        "1e400",
        "50%",
        "plant",
        "a/b",
        "x.y",
        "",
    ]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=12),
    words,
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(words, inner, max_size=3),
        st.fixed_dictionaries({"policy": words, "dist": words}),
    ),
    max_leaves=5,
)


def places(data, path=()):
    """Every path in plain data."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def damaged(draw, data):
    path = draw(st.sampled_from(list(places(data))))
    around = data
    for part in path[:-1]:
        around = around[part]
    action = draw(st.sampled_from(["drop", "replace", "add", "rename"]))
    if action == "drop" or (action == "rename" and isinstance(around, list)):
        del around[path[-1]]
    elif action == "replace":
        around[path[-1]] = draw(values)
    elif action == "rename":
        around[draw(words)] = around.pop(path[-1])
    elif isinstance(around, list):
        around.append(draw(values))
    else:
        around[draw(words)] = draw(values)


def outcome(text):
    """The scenario, or None where it is refused with faults that say something."""
    try:
        return loads(text, file="f.yaml", folder=GOOD)
    except ScenarioError as error:
        assert error.faults
        assert all(fault.message and fault.file == "f.yaml" for fault in error.faults)
        return None


@given(st.data())
def test_a_damaged_scenario_loads_or_is_refused(data):
    scenario = copy.deepcopy(data.draw(st.sampled_from(SCENARIOS)))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged(data.draw, scenario)
    found = outcome(json.dumps(scenario))
    if found is not None:
        assert loads(resolved(found), folder=GOOD) == found


@given(st.text(max_size=200))
def test_any_text_is_a_scenario_or_refused(text):
    assert outcome(text) is None


@given(st.data())
def test_damaged_text_is_refused_with_faults(data):
    text = dump(data.draw(st.sampled_from(SCENARIOS)))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    outcome(text[:start] + data.draw(st.text("{}[]:,-#&*!|>'\"%@`\t\n ab1", max_size=6)) + text[end:])


@given(values)
def test_plain_values_are_written_and_read_unchanged(value):
    assert document.parse(dump({"key": value})).data == {"key": value}
