"""Step times of language models: the policies, the roofline against arithmetic, profile files."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import catalog
from sim.errors import ScenarioError, StratusError
from sim.paas.llm import Engine, LinearSteps, PrefillFirst, RooflineSteps, Sequence, read_profile, simulate
from sim.paas.policies.steps import FromProfile, Linear, Roofline, Table, choose

LLAMA = catalog.model("llama-3.1-8b")
H100 = catalog.device("h100-sxm")


def test_a_linear_policy_is_its_five_coefficients():
    steps = Linear(1.0, 2.0, 3.0, 4.0, 5.0).build(None, "bf16", None, 1)
    assert steps.seconds(10, 7.0, 2, 100) == 1 + 2 * 10 + 5 * 7 + 3 * 2 + 4 * 100
    with pytest.raises(ValueError, match="no time"):
        Linear(per_prompt_token=1.0)


def test_a_table_is_read_between_its_points():
    steps = Table({100: 1.0, 200: 3.0}, {1: {100: 1.0, 300: 2.0}, 3: {300: 4.0}}).build(None, "bf16", None, 1)
    assert steps.seconds(150, 0.0, 0, 0) == 2.0
    assert steps.ramp(1, 200) == (1.5, 0.005, 101)
    assert steps.seconds(0, 0.0, 2, 300) == 3.0


def test_the_roofline_by_hand():
    """One sequence of 1000 tokens on one H100 reads 16 GB of weights and 131 MB of cache."""
    steps = RooflineSteps(
        LLAMA, H100, compute_efficiency=1.0, memory_efficiency=1.0, overhead=0.0, layer_overhead=0.0
    )
    assert steps.seconds(0, 0.0, 1, 1000) == pytest.approx(
        (8030261248 * 2 + 131072 * 1000) / 3350e9, rel=1e-12
    )
    attention = 4 * 32 * 4096 * 4096 * 2048
    assert steps.seconds(4096, 4096 * 2048.0, 0, 0) == pytest.approx(
        (15.0093e9 * 4096 + attention) / 989e12, rel=1e-12
    )


def test_two_accelerators_halve_the_work_and_add_the_all_reduce():
    given = {"compute_efficiency": 1.0, "memory_efficiency": 1.0, "overhead": 0.0, "layer_overhead": 0.0}
    one, two = (RooflineSteps(LLAMA, H100, accelerators=n, **given) for n in (1, 2))
    latency, bandwidth = H100.all_reduce[2]
    joined = 2 * 32 * (latency + 1000 * 4096 * 2 / bandwidth)
    assert two.seconds(1000, 0.0, 0, 0) == pytest.approx(one.seconds(1000, 0.0, 0, 0) / 2 + joined, rel=1e-12)


def test_a_mixture_of_experts_reads_the_experts_its_tokens_choose():
    """Two of eight experts for one token, all but (3/4)^n of the expert weights for n tokens."""
    model = catalog.model("mixtral-8x7b")
    given = {"memory_efficiency": 1.0, "overhead": 0.0, "layer_overhead": 0.0}
    steps = RooflineSteps(model, H100, **given)
    assert steps.seconds(0, 0.0, 1, 0) * 3350e9 / 2 == pytest.approx(model.active_parameters, rel=1e-9)
    experts = (model.parameters - model.active_parameters) / 0.75
    assert steps.seconds(0, 0.0, 4, 0) * 3350e9 / 2 == pytest.approx(
        model.parameters - experts * 0.75**4, rel=1e-9
    )


@pytest.mark.parametrize("tokens", [1, 2, 3])
def test_experts_read_are_those_of_every_possible_choice(tokens):
    """The mean over all ways in which so many tokens each choose two of eight, one after the other."""
    model = catalog.model("mixtral-8x7b")
    ways = list(combinations(range(model.experts), model.experts_per_token))
    chosen = [len(set().union(*choice)) for choice in product(ways, repeat=tokens)]
    distinct = sum(chosen) / len(chosen)
    expert = (model.parameters - model.active_parameters) / (model.experts - model.experts_per_token)
    read = model.parameters - expert * (model.experts - distinct)
    steps = RooflineSteps(model, H100, memory_efficiency=1.0, overhead=0.0, layer_overhead=0.0)
    for found in (steps.seconds(0, 0.0, tokens, 0), steps.seconds(tokens, 0.0, 0, 0)):
        assert found * 3350e9 / 2 == pytest.approx(read, rel=1e-9)


@given(st.integers(1, 300), st.integers(1, 300_000), st.integers(1, 500))
def test_a_ramp_of_the_roofline_is_its_steps(sequences, context, later):
    steps = RooflineSteps(LLAMA, H100)
    first, slope, room = steps.ramp(sequences, context)
    assert room > later
    exact = steps.seconds(0, 0.0, sequences, context + later * sequences)
    assert first + slope * later == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    ("model", "device", "precision", "number", "message"),
    [
        ("yolo11n", "h100-sxm", "bf16", 1, "no layers of yolo11n"),
        ("llama-3.1-8b", "a100-sxm-80", "fp8", 1, "no figure for fp8; it has fp32"),
        ("llama-3.1-8b", "h100-sxm", "bf16", 3, "all-reduce of 3 x h100-sxm; known are 1, 2, 4, 8"),
    ],
)
def test_what_the_catalog_lacks_is_said(model, device, precision, number, message):
    with pytest.raises(StratusError, match=message):
        Roofline().build(catalog.model(model), precision, catalog.device(device), number)


@pytest.mark.parametrize("name", catalog.names("profile"))
def test_every_profile_can_be_used(name):
    """Its name says what it is, its coefficients give a positive time, and its devices are known."""
    row = catalog.profile(name)
    assert name == f"{row.model}/{row.device}/tp{row.accelerators}/{row.precision}/{row.engine}"
    steps = FromProfile(name).build(None, "", None, 1)
    assert 1e-3 < steps.seconds(0, 0.0, 1, 500) < 0.2
    assert catalog.has_device(row.device) or row.device == "rtx-pro-6000"
    assert 0 < row.error <= row.worst


def test_a_measured_profile_goes_before_one_of_kernels():
    assert choose("llama-3.1-8b", "bf16", "h100-sxm", 1).endswith("/trtllm")
    with pytest.raises(StratusError, match="on 1 x t4; it has llama"):
        choose("llama-3.1-8b", "bf16", "t4", 1)
    found = FromProfile().build(LLAMA, "bf16", H100, 1)
    assert found == FromProfile("llama-3.1-8b/h100-sxm/tp1/bf16/trtllm").build(None, "", None, 1)


def test_an_engine_runs_on_the_roofline():
    """1000 prompt tokens and ten iterations, taken one by one and in one stretch."""
    steps = RooflineSteps(LLAMA, H100)
    (done,) = simulate(Engine(PrefillFirst(), steps, 1000), [Sequence(0, 0.0, 1000, 11)])
    stepped = steps.seconds(1000, 1000 * 500.0, 0, 0) + sum(
        steps.seconds(0, 0.0, 1, 1001 + i) for i in range(10)
    )
    assert done.finish == pytest.approx(stepped, rel=1e-9)


def test_a_profile_file_is_read(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("base: 5ms\nper_prompt_token: 15us\nper_context_token: 40ns\nerror: 2%\npoints: 9\n")
    assert read_profile(file) == LinearSteps(5e-3, 15e-6, 0.0, 40e-9)
    assert FromProfile(file=str(file)).build(None, "", None, 1) == read_profile(file)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("- 1\n", ["expected a mapping"]),
        ("base: [5ms\n", ["not a readable YAML"]),
        ("per_sequence: 5 apples\nbas: 5ms\n", ['did you mean "base"', "per_sequence"]),
        ("base: 0s\n", ["missing or zero"]),
        ("base: -1ms\n", ["base"]),
        ("base: !!python/object:os.system {}\n", ["not a readable YAML"]),
    ],
)
def test_a_wrong_profile_file_is_told(tmp_path, text, messages):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_profile(file)
    said = " ".join(map(str, caught.value.faults))
    assert all(message in said for message in messages), said
