"""Clients of ServeGen: files as published, closed forms of what is drawn, and faults."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.kernel.streams import RandomStreams
from sim.saas import servegen
from sim.saas.policies.servegen import ServeGen
from sim.scenario.build import build
from sim.scenario.load import loads

TRACE = """0,2.0,0.5,Gamma,4.0,0.125
600,0,0,,0,0
1200,5.0,2.0,Weibull,0.55,0.1
1800,1.0,1.0,,0,0
"""
DATASET = {
    "0": {"input_tokens": "{10: 0.25, 30: 0.75}", "output_tokens": "{7: 1.0}", "reason_ratio": "{}"},
    "1200": {"input_tokens": "{}", "output_tokens": "{5: 0.5, 9: 0.5}"},
}


def client(folder, name="chunk-1", trace=TRACE, dataset=DATASET, packed=False):
    path = folder / f"{name}-trace.csv"
    path.write_text(trace)
    text = dataset if isinstance(dataset, str) else json.dumps(dataset)
    beside = folder / f"{name}-dataset.json"
    if packed:
        beside.with_name(beside.name + ".gz").write_bytes(gzip.compress(text.encode()))
    else:
        beside.write_text(text)
    return path


def drawn(arrivals, until=1e9, seed=1):
    blocks = list(arrivals.blocks(RandomStreams(seed).stream("x"), 1, until))
    joined = {name: np.concatenate([block.columns[name] for block in blocks]) for name in blocks[0].columns}
    return np.concatenate([block.times for block in blocks]), joined


@pytest.mark.parametrize("packed", [False, True])
def test_windows_have_their_rates_and_lengths(tmp_path, packed):
    path = client(tmp_path, packed=packed)
    counts = np.array(
        [
            np.histogram(drawn(ServeGen(str(path)), seed=seed)[0], [0, 600, 1200, 1800, 2400])[0]
            for seed in range(40)
        ]
    )
    # Of a renewal process the variance of counts over their mean is the squared variation of the gaps.
    mean, spread = counts.mean(axis=0), counts.var(axis=0)
    assert mean == pytest.approx([1200, 0, 3000, 600], rel=0.03)
    assert spread[0] / mean[0] == pytest.approx(0.25, rel=0.5)
    assert spread[3] / mean[3] == pytest.approx(1.0, rel=0.5)
    assert spread[2] / mean[2] > 2
    times, columns = drawn(ServeGen(str(path)))
    assert (np.diff(times) >= 0).all()
    early, late = times < 1200, times >= 1200
    assert set(columns["tokens_out"][early].tolist()) == {7}
    assert set(columns["tokens_out"][late].tolist()) == {5, 9}
    # What is not known of a window is as in the one before.
    for mine in (early, late):
        assert np.mean(columns["tokens_in"][mine] == 30) == pytest.approx(0.75, abs=0.05)


def test_gaps_within_a_window_are_of_its_family(tmp_path):
    trace = "".join(f"{600 * k},2.0,0.5,Gamma,4.0,0.125\n" for k in range(100))
    times, _ = drawn(ServeGen(str(client(tmp_path, trace=trace))))
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(0.5, rel=0.01)
    assert gaps.std() / gaps.mean() == pytest.approx(0.5, rel=0.01)


def test_expected_is_the_rate_of_all_clients(tmp_path):
    path = client(tmp_path)
    client(tmp_path, "chunk-2", "600,3.0,1,,0,0\n1200,1.0,1,,0,0\n")
    both = ServeGen(str(path), folder=True)
    times = np.array([0.0, 599.0, 600.0, 1300.0, 1900.0, 2400.0])
    assert both.expected(times, 1).tolist() == [2.0, 2.0, 3.0, 6.0, 1.0, 0.0]
    assert both.expected(times, 0).tolist() == [0.0] * 6
    scaled = ServeGen(str(path), folder=True, start=900.0, length=600.0, mean=10.0, repeat=True)
    rates = scaled.expected(np.array([0.0, 299.0, 300.0, 600.0, 950.0]), 1)
    assert rates == pytest.approx(10 / 4.5 * np.array([3.0, 3.0, 6.0, 3.0, 6.0]))
    found, _ = drawn(scaled, until=60_000.0)
    assert len(found) == pytest.approx(600_000, rel=0.01)


def test_another_client_changes_nothing_for_the_first(tmp_path):
    path = client(tmp_path)
    alone, _ = drawn(ServeGen(str(path)))
    client(tmp_path, "chunk-0")
    together, _ = drawn(ServeGen(str(path), folder=True))
    assert np.isin(alone, together).all()
    assert len(together) > len(alone)


def test_a_window_with_very_many_requests_is_drawn_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(servegen, "AT_ONCE", 100)
    path = client(tmp_path)
    blocks = list(ServeGen(str(path)).blocks(RandomStreams(1).stream("x"), 1, 1e9))
    assert max(len(block.times) for block in blocks) < 400
    times = np.concatenate([block.times for block in blocks])
    assert (np.diff(times) >= 0).all()
    counts = np.histogram(times, [0, 600, 1200, 1800, 2400])[0]
    assert counts == pytest.approx([1200, 0, 3000, 600], rel=0.15)
    assert times[-1] < 2400


def test_prompts_of_multimodal_clients_are_the_sum_of_their_parts(tmp_path):
    one = {
        "text_tokens": "{10: 1.0}",
        "image_tokens": "{500: 1.0}",
        "audio_tokens": "{0: 1.0}",
        "video_tokens": "{0: 1.0}",
        "image_count": "{1: 1.0}",
        "output_tokens": "{3: 1.0}",
    }
    _, columns = drawn(ServeGen(str(client(tmp_path, dataset={"0": one}))))
    assert set(columns["tokens_in"].tolist()) == {510}


@pytest.mark.parametrize(
    ("trace", "dataset", "words"),
    [
        ("0,1,1,Gama,1,1\n", DATASET, "1:1: family: expected Gamma, Weibull or nothing, got 'Gama'"),
        ("0,1,1\n", DATASET, "1:1: expected start,rate,cv,family,shape,scale, got 3 columns"),
        ("0,-1,1,,0,0\n", DATASET, "1:1: rate: expected a number, 0 or more, got '-1'"),
        ("0,nan,1,,0,0\n", DATASET, "rate: expected a number"),
        ("0,1,1,Gamma,0,0\n", DATASET, "shape: expected 0.01 or more"),
        ("0,1,1,,0,0\n600,1,1,,0,0\n900,1,1,,0,0\n", DATASET, "3:1: a window begins at 900 s, not one step"),
        ("", DATASET, "the file has no windows"),
        (TRACE, "[]", "expected a mapping by start of the window"),
        (TRACE, "{", "is not JSON"),
        (TRACE, {"0": {"input_tokens": "__import__('os')", "output_tokens": "{}"}}, "expected text such as"),
        (TRACE, {"zero": {}}, "'zero': expected seconds"),
        (TRACE, {"0": {"input_tokens": "{}", "output_tokens": "{}"}}, "no window knows the lengths"),
        (TRACE, "[" * 100_000, "is not JSON"),
    ],
)
def test_faults_name_file_and_line(tmp_path, trace, dataset, words):
    path = client(tmp_path, trace=trace, dataset=dataset)
    with pytest.raises(ScenarioError) as caught:
        servegen.clients(path)
    assert any(words in str(fault) for fault in caught.value.faults), caught.value.faults


def test_a_client_without_its_lengths_is_a_fault(tmp_path):
    path = client(tmp_path)
    (tmp_path / "chunk-1-dataset.json").unlink()
    with pytest.raises(ScenarioError, match=r"chunk-1-dataset\.json: cannot be read"):
        servegen.clients(path)
    with pytest.raises(ScenarioError, match=r"NAME-trace\.csv"):
        servegen.clients(tmp_path / "chunk-1.csv")


SCENARIO = """
name: clients
duration: 20min
infrastructure:
  sites: {hall: {kind: cloud, pools: {boxes: {instance: g4dn.xlarge, nodes: 1}}}}
platform:
  services:
    chat: {site: hall, time: {policy: tokens, per_output: 10us}}
applications:
  users:
    users: {hall: 1}
    arrivals: {process: servegen, file: FILE, factor: 0.5}
    calls: {ask: {to: chat}}
"""


def test_clients_in_a_run(tmp_path):
    path = client(tmp_path)
    tables = build(loads(SCENARIO.replace("FILE", str(path)))).run().tables
    assert len(tables["requests"]["id"]) == pytest.approx(600, rel=0.1)
    with pytest.raises(ScenarioError, match="family"):
        loads(SCENARIO.replace("FILE", str(client(tmp_path, "bad", "0,1,1,Gama,1,1\n"))))


DATA = Path(os.environ.get("STRATUS_DATA", "")) / "servegen"


@pytest.mark.skipif(not DATA.is_dir(), reason="the published files are not here (STRATUS_DATA)")
@pytest.mark.parametrize(
    ("file", "length"),
    [
        ("language/m-small/chunk-13-trace.csv", 6000.0),
        ("language/m-large/chunk-50-trace.csv", 60_000.0),
        ("reason/deepseek-r1/chunk-48-trace.csv", 86_400.0),
        ("multimodal/mm-image/chunk-0-trace.csv", 86_400.0),
    ],
)
def test_published_clients(file, length):
    """As many requests as the published rates say, within five deviations at the largest variation."""
    (one,) = servegen.clients(DATA / file)
    start = float(one.starts[one.rates > 0][0])
    arrivals = ServeGen(str(DATA / file), start=start, length=length)
    inside = (one.starts >= start) & (one.starts < start + length)
    expected = float(one.rates[inside].sum() * one.step)
    assert expected > 100
    times, columns = drawn(arrivals)
    rows = np.genfromtxt(DATA / file, delimiter=",", usecols=(0, 1, 2))
    most = rows[(rows[:, 0] >= start) & (rows[:, 0] < start + length), 2].max()
    assert abs(len(times) - expected) < 5 * most * expected**0.5
    assert columns["tokens_in"].min() >= 1
    assert columns["tokens_out"].mean() > 1


@pytest.mark.skipif(not DATA.is_dir(), reason="the published files are not here (STRATUS_DATA)")
def test_all_published_clients_are_read():
    for model in ("language/m-small", "language/m-large", "reason/deepseek-r1", "multimodal/mm-image"):
        first = sorted((DATA / model).glob("*-trace.csv"))[0]
        assert len(servegen.clients(first, folder=True)) == 8
