"""Traces of requests: columns kept, coarse clocks, formats in a run, the command, lengths by preset."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import catalog
from sim.cli.main import main
from sim.errors import ScenarioError
from sim.kernel.streams import RandomStreams
from sim.saas import requestsummary, retiming, traces
from sim.saas.blocks import Block
from sim.saas.policies.lengths import PresetLengths
from sim.saas.policies.recorded import Trace
from sim.scenario.build import build
from sim.scenario.load import loads

BURST = """Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5,7,1.5,ChatGPT,472,18,490,Conversation log
45,7,2.5,GPT-4,1087,230,1317,Conversation log
46,8,0.5,ChatGPT,10,0,10,API log
"""
FILES = {
    "azure-2023.csv": (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109",
        [0.0, 4.314579],
    ),
    "azure-2024.csv": (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 00:00:00.017335+00:00,2399,6\n",
        [0.0, 0.007405],
    ),
    "burst-1.csv": (
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,230,1317,Conversation log\n",
        [5.0, 45.0],
    ),
    "burst-2.csv": (BURST, [5.0, 45.0, 46.0]),
    "vidur.csv": (
        "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n4.314579,396,109\n",
        [0.0, 4.314579],
    ),
    "mooncake.jsonl": (
        '{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}\n'
        '{"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46, 48]}\n',
        [27.482, 30.535],
    ),
    "llmservingsim.jsonl": (
        '{"input_toks": 10, "output_toks": 70, "arrival_time_ns": 46926808}\n'
        '{"input_toks": 22, "output_toks": 104, "arrival_time_ns": 347938952}\n',
        [0.046926808, 0.347938952],
    ),
}
SCENARIO = """
name: replay
duration: 2min
infrastructure:
  sites: {hall: {kind: cloud, pools: {boxes: {instance: g4dn.xlarge, nodes: 1}}}}
platform:
  services:
    chat:
      site: hall
      time: {policy: constant, value: 1s}
      engine: {policy: continuous-batch, blocks: 10000, steps: {policy: linear, base: 10ms}}
applications:
  users:
    users: {hall: 1}
    arrivals: {process: trace, file: FILE}
    calls: {ask: {to: chat}}
"""


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", [False, True])
def test_each_format_is_replayed_in_a_run(tmp_path, name, packed):
    text, times = FILES[name]
    path = tmp_path / (name + ".gz" if packed else name)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    tables = build(loads(SCENARIO.replace("FILE", str(path)))).run().tables
    assert sorted(tables["requests"]["arrival"].tolist()) == pytest.approx(times)
    (block,) = traces.read(path)
    assert sorted(tables["sequences"]["prompt"].tolist()) == sorted(block.columns["tokens_in"].tolist())
    assert sorted(tables["sequences"]["output"].tolist()) == sorted(
        np.maximum(1, block.columns["tokens_out"]).tolist()
    )


def test_lengths_alone_need_a_rate(tmp_path):
    path = tmp_path / "sharegpt.csv"
    path.write_text("num_prefill_tokens,num_decode_tokens\n" + "374,44\n396,109\n" * 30)
    with pytest.raises(ScenarioError, match="rate: is missing"):
        loads(SCENARIO.replace("FILE", str(path)))
    tables = build(loads(SCENARIO.replace("FILE}", f"{path}, rate: 1/s}}"))).run().tables
    assert set(tables["sequences"]["prompt"].tolist()) == {374, 396}


def test_rows_are_kept_by_the_text_of_a_column(tmp_path):
    path = tmp_path / "burst.csv"
    path.write_text(BURST)
    kept = list(traces.read(path, keep={"Log Type": "Conversation log", "Model": "ChatGPT"}))
    assert [block.times.tolist() for block in kept] == [[5.0]]
    with pytest.raises(ScenarioError, match="no row is to be kept"):
        traces.scan(path, keep={"Model": "GPT-5"})
    with pytest.raises(ScenarioError, match=r'keep: no column "model" \(did you mean "Model"\?\)'):
        traces.scan(path, keep={"model": "GPT-4"})
    lines = tmp_path / "lines.jsonl"
    lines.write_text(FILES["mooncake.jsonl"][0])
    with pytest.raises(ScenarioError, match="`keep` is for files with columns"):
        traces.scan(lines, keep={"Model": "GPT-4"})


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.integers(1, 6)), min_size=1, max_size=20, unique_by=lambda p: p[0]
    ),
    st.sampled_from([0.5, 3.0, 100.0]),
    st.integers(1, 7),
)
def test_spreading_keeps_rows_in_order_and_in_their_step(raw, grain, size):
    times = np.repeat([3.0 * at for at, _ in sorted(raw)], [count for _, count in sorted(raw)])
    rows = np.arange(len(times))
    cut = [Block(times[k : k + size], {"row": rows[k : k + size]}) for k in range(0, len(times), size)]
    found = list(retiming.spread(iter(cut), np.random.default_rng(1), grain))
    moved = np.concatenate([block.times for block in found])
    assert np.concatenate([block.columns["row"] for block in found]).tolist() == rows.tolist()
    assert (np.diff(moved) >= 0).all()
    # A step ends at the next moment of the trace, if that comes before.
    distinct = np.unique(times)
    next_moment = np.append(distinct[1:], np.inf)[np.searchsorted(distinct, times)]
    assert ((moved >= times) & (moved <= np.minimum(times + grain, next_moment))).all()


def test_spreading_is_uniform_in_the_step():
    block = Block(np.repeat(np.arange(0.0, 3000.0, 3.0), 20), {})
    (first, last) = retiming.spread(iter([block]), np.random.default_rng(1), 3.0)
    phases = np.sort(np.concatenate([first.times, last.times]) % 3.0 / 3.0)
    assert np.abs(phases - np.linspace(0, 1, len(phases))).max() < 1.63 / len(phases) ** 0.5


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="`keep` and `spread`"):
        Trace(preset="azure-llm-conv", spread=3.0)
    with pytest.raises(ValueError, match="give one of them"):
        Trace(file="x.csv", spread=3.0, rate=1.0)


# ---------------------------------------------------------------- the command


def test_the_command_tells_what_is_in_a_trace_of_requests(tmp_path, capsys):
    path = tmp_path / "burst.csv"
    path.write_text(BURST)
    assert main(["trace", "inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["requests"], found["span_s"]) == ("burstgpt", 3, 41.0)
    assert found["columns"]["tokens_in"]["mean"] == pytest.approx((472 + 1087 + 10) / 3)
    assert main(["trace", "inspect", str(path)]) == 0
    assert "prompt tokens" in capsys.readouterr().out


def test_only_so_many_requests_are_looked_at(tmp_path, monkeypatch):
    path = tmp_path / "many.csv"
    path.write_text("time_s\n" + "".join(f"{second}\n" for second in range(40_000)))
    monkeypatch.setattr(requestsummary, "MOST", 20_000)
    found = requestsummary.inspect(path, "csv")
    assert (found["whole"], found["requests"]) == (False, 2 * traces.CHUNK)
    lengths = tmp_path / "lengths.csv"
    lengths.write_text("num_prefill_tokens,num_decode_tokens\n1,2\n3,4\n")
    assert requestsummary.inspect(lengths, "vidur")["timed"] is False


@pytest.mark.parametrize("name", FILES)
def test_what_is_converted_reads_the_same(tmp_path, name, capsys):
    text, _ = FILES[name]
    path, plain = tmp_path / name, tmp_path / "plain.csv"
    path.write_text(text)
    assert main(["trace", "convert", str(path), "-o", str(plain)]) == 0
    (before,), (after,) = traces.read(path), traces.read(plain)
    assert after.times == pytest.approx(before.times)
    for column in ("tokens_in", "tokens_out"):
        assert after.columns[column].tolist() == before.columns[column].tolist()


def test_requests_are_generated_from_a_preset(tmp_path, capsys):
    path = tmp_path / "plain.csv"
    command = ["trace", "generate", "mooncake-conversation", "--requests", "5000", "-o", str(path)]
    assert main(command) == 0
    summary = traces.scan(path)
    assert (summary.format, summary.rows) == ("csv", 5000)
    assert 4999 / (summary.last - summary.first) == pytest.approx(3.4, rel=0.2)
    first = path.read_bytes()
    assert main(command) == 0
    assert path.read_bytes() == first
    assert main(["trace", "generate", "arxiv-summarization", "-o", str(path)]) == 2
    assert "needs a rate" in capsys.readouterr().err


def test_faults_of_a_trace_of_requests_end_the_command(tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text("time_s,tokens_in\n1,x\n")
    assert main(["trace", "convert", str(path), "-o", str(tmp_path / "out.csv")]) == 3
    assert "2:1: tokens_in: expected a whole number" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()
    assert main(["trace", "convert", str(path), "--rate", "fast"]) == 2


# ---------------------------------------------------------------- lengths by preset


def test_moments_of_preset_lengths_are_those_of_what_is_drawn():
    for of in ("tokens_in", "tokens_out"):
        lengths = PresetLengths("azure-llm-conv", of)
        values = lengths.sample(np.random.default_rng(1), 200_000)
        assert lengths.mean == pytest.approx(values.mean(), rel=0.01)
        assert lengths.cv == pytest.approx(values.std() / values.mean(), rel=0.02)
        assert lengths.quantile(0.5) == pytest.approx(catalog.preset("azure-llm-conv").quantiles[of]["p50"])
        assert PresetLengths("azure-llm-conv", of, 0.5).mean == pytest.approx(lengths.mean / 2)


def test_an_unknown_preset_of_lengths_is_named():
    with pytest.raises(ValueError, match=r"azure-llm-con'; there are .*azure-llm-conv"):
        PresetLengths("azure-llm-con", "tokens_in")
    settings = "applications.users.tokens_in={dist: preset, name: philly, of: tokens_in}"
    with pytest.raises(ScenarioError, match="no preset with lengths"):
        loads(SCENARIO.replace("{process: trace, file: FILE}", "{process: poisson, rate: 1/s}"), [settings])


DATA = Path(os.environ.get("STRATUS_DATA", "")) / "azure_llm_2023"

#: Preset -> file of its trace, and the largest Kolmogorov-Smirnov distances of prompts and answers; the page
#: on traces of requests states them.
DISTANCES = {
    "azure-llm-conv": ("azure_llm_2023/AzureLLMInferenceTrace_conv.csv", 0.032, 0.028),
    "azure-llm-code": ("azure_llm_2023/AzureLLMInferenceTrace_code.csv", 0.007, 0.023),
    "mooncake-conversation": ("mooncake/conversation_trace.jsonl", 0.041, 0.054),
    "mooncake-synthetic": ("mooncake/synthetic_trace.jsonl", 0.068, 0.026),
    "sharegpt": ("sharegpt_lengths/sharegpt-llama-3.1-8b-300-sps10.lengths.jsonl", 0.032, 0.046),
    "arxiv-summarization": (
        "vidur_traces/arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv",
        0.025,
        0.021,
    ),
}


def distance(values, lengths):
    """Largest difference of the two distribution functions, of whole numbers of tokens."""
    shares, logs = lengths._table()
    points = np.unique(values)
    ours = np.interp(np.log(points + 0.5), logs + 1e-12 * np.arange(len(logs)), shares)
    theirs = np.searchsorted(np.sort(values), points, side="right") / len(values)
    return float(np.abs(ours - theirs).max())


@pytest.mark.skipif(not DATA.is_dir(), reason="the published files are not here (STRATUS_DATA)")
@pytest.mark.parametrize("name", DISTANCES)
def test_presets_are_near_their_traces(name):
    file, *most = DISTANCES[name]
    for of, bound in zip(("tokens_in", "tokens_out"), most, strict=True):
        values = np.concatenate([block.columns[of] for block in traces.read(DATA.parent / file)])
        found = distance(values, PresetLengths(name, of))
        assert found <= bound


@pytest.mark.skipif(not DATA.is_dir(), reason="the published files are not here (STRATUS_DATA)")
def test_mooncake_spread_over_its_steps_is_no_longer_an_artefact():
    file = str(DATA.parent / "mooncake" / "conversation_trace.jsonl")
    variations = {}
    for spread in (0.0, 3.0):
        blocks = Trace(file=file, spread=spread).blocks(RandomStreams(1).stream("x"), 1, 1e9)
        gaps = np.diff(np.concatenate([block.times for block in blocks]))
        variations[spread] = gaps.std() / gaps.mean()
    assert variations[0.0] == pytest.approx(3.03, abs=0.01)
    assert 0.9 < variations[3.0] < 1.3
