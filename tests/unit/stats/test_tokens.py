"""Metrics of language models, by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from sim.paas.llm import Engine, LinearSteps, PrefillFirst, Sequence, StepwiseEngine, simulate
from sim.scenario.build import build
from sim.scenario.load import loads
from sim.stats.metrics.measure import measure
from sim.stats.metrics.tokens import generating_seconds
from sim.stats.series import binned
from sim.tables import columns

#: A prompt of 4 tokens takes 2 s, each further token 1 s: an answer of 3 tokens is there after 4 s.
FILE = """
name: by-hand
duration: 40s
drain: true
infrastructure:
  instances:
    box:
      {cpu: 16, memory: 64GB, device: h100-sxm, accelerators: 1, price: 3600 USD/h,
       power: {0%: 100W, 100%: 100W}}
  sites:
    dc: {kind: cloud, pools: {gpu: {instance: box, nodes: 1}}}
    user: {kind: device}
  network:
    links: {way: {between: [user, dc], latency: 500ms, bandwidth: 1Gbps}}
platform:
  services:
    llm:
      site: dc
      model: llama-3.1-8b
      precision: bf16
      time: {policy: constant, value: 1s}
      engine:
        policy: continuous-batch
        blocks: 100
        steps: {policy: linear, base: 1s, per_prompt_token: 250ms}
      resources: {cpu: 8, memory: 32GB, accelerators: 1}
applications:
  chat:
    users: {user: 1}
    arrivals: {process: periodic, period: 10s, phase: aligned}
    tokens_in: 4
    tokens_out: TOKENS
    calls: {answer: {to: llm}}
    slo: SLO
"""


def run(tokens, slo):
    outcome = build(loads(FILE.replace("TOKENS", tokens).replace("SLO", slo))).run()
    return measure(outcome), outcome


def test_every_metric_of_a_periodic_chat():
    """TTFT 2 s at the service, 3 s at the user, TPOT 1 s, E2E 4 s."""
    found, outcome = run("3", "{ttft: 3s, tpot: 1s, latency: 5s}")
    count = found["apps.chat.completed"]
    assert count >= 3
    expected = {
        "apps.chat.ttft.mean": 3.0,
        "apps.chat.ttft.p99": 3.0,
        "apps.chat.tpot.p50": 1.0,
        "apps.chat.latency.mean": 5.0,
        "apps.chat.slo_met": 1.0,
        "apps.chat.goodput": count / 40,
        "services.llm.ttft.p50": 2.0,
        "services.llm.tpot.mean": 1.0,
        "services.llm.e2e.p90": 4.0,
        "services.llm.ntpot.mean": 4 / 3,
        "services.llm.itl.mean": 1.0,
        "services.llm.itl.p99": 1.0,
        "services.llm.itl.max": 1.0,
        "services.llm.preemptions": 0.0,
        "services.llm.kv_blocks": 1.0,
        "services.llm.tokens_in": 4 * count / 40,
        "services.llm.tokens_out": 3 * count / 40,
        "total.tokens_out": 3 * count,
        "total.tokens_in": 4 * count,
    }
    length = outcome.facts["window"][1]
    scale = {
        name: 40 / length
        for name in expected
        if name.endswith(("goodput", "llm.tokens_in", "llm.tokens_out"))
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value * scale.get(name, 1.0), rel=1e-6), name
    for name, tokens in (("", 3), ("_in", 4), ("_all", 7)):
        cost = found[f"total.cost_per_million_tokens{name}"]
        assert cost == pytest.approx(length / (tokens * count) * 1e6, rel=1e-6), name
    assert found["total.energy_per_token"] == pytest.approx(100 * length / (3 * count), rel=1e-6)
    facts = outcome.facts["engines"]["llm"]
    assert found["services.llm.mfu"] == pytest.approx(
        facts["flop"] * 7 * count / facts["peak"] / length, rel=1e-6
    )
    # A block of 16 tokens for 4 s a call; 2 s from the first token to the last.
    assert found["services.llm.kv_use"] == pytest.approx(4 * count / (facts["blocks"] * length), rel=1e-6)
    assert found["services.llm.batch_use"] == pytest.approx(2 * count / (facts["places"] * length), rel=1e-6)
    assert found["apps.chat.goodput_per_accelerator"] == pytest.approx(found["apps.chat.goodput"], rel=1e-6)
    curves = binned(outcome)
    assert set(curves["services"]["llm"]["itl"]) == {1.0}
    assert set(curves["apps"]["chat"]["ttft"]) == {3.0}


@pytest.mark.parametrize(
    ("slo", "met"),
    [
        ("{ttft: 2.9s}", 0.0),
        ("{ttft: 3s}", 1.0),
        ("{tpot: 0.9s}", 0.0),
        ("{ttft: 3s, latency: 4.9s}", 0.0),
        ("{tpot: 1s, latency: 5s}", 1.0),
    ],
)
def test_one_bound_missed_is_all_missed(slo, met):
    assert run("3", slo)[0]["apps.chat.slo_met"] == met


def test_an_answer_of_one_token_has_no_further_ones():
    """Left out of TPOT, and no reason to miss an objective on it."""
    found, _ = run("1", "{tpot: 1ms}")
    assert math.isnan(found["apps.chat.tpot.mean"])
    assert math.isnan(found["services.llm.itl.mean"])
    assert found["apps.chat.slo_met"] == 1.0


def test_adapters_that_were_brought_in():
    """Of two in one slot each request needs the other at times: half a second to load, 4.4 s to serve."""
    text = FILE.replace("TOKENS", "3").replace("SLO", "{ttft: 3s}")
    lora = "adapters: {slots: 1, count: 2, popularity: 0, load: 500ms, bandwidth: 1e30 B/s, overhead: 10%}"
    outcome = build(loads(text.replace("        blocks: 100", f"        blocks: 100\n        {lora}"))).run()
    found, loads_of = measure(outcome), outcome.tables["adapters"]
    inside = [at for at in loads_of["time"].tolist() if at < 40.0]
    assert 0 < len(inside) <= 4
    assert set(loads_of["adapter"].tolist()) <= {0, 1}
    assert found["services.llm.adapter_loads"] == pytest.approx(len(inside) / 40)
    assert found["services.llm.adapter_loading"] == pytest.approx(len(inside) * 0.5 / 40)
    spans = outcome.tables["sequences"]["finish"] - outcome.tables["sequences"]["enter"]
    assert spans[0] == pytest.approx(4.9)
    assert {round(span, 6) for span in spans.tolist()} <= {4.4, 4.9}


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_who_is_in_a_pipeline_generates_all_the_time(stages):
    """Six sequences on stages of 1 s: n groups, each of which is in an iteration of n s after the other."""
    engine = StepwiseEngine(PrefillFirst(6, 1000), [LinearSteps(base=1.0)] * stages, 1000)
    ended = simulate(engine, [Sequence(number, 0.0, 4, 21) for number in range(6)])
    table = dict(zip(columns("iterations"), zip(*engine.log, strict=True), strict=True))
    view = SimpleNamespace(numbers=lambda _, name: np.array(table[name], float))
    gaps = engine.log.gaps()
    took = gaps.first * gaps.iterations + gaps.slope * (gaps.iterations * (gaps.iterations - 1) / 2)
    spans = sum(sequence.finish - sequence.first for sequence in ended)
    assert generating_seconds(view, np.arange(len(engine.log)), took) == pytest.approx(spans)
    assert spans == pytest.approx(6 * 20 * stages)
    assert (gaps.count, gaps.mean()) == (6 * 20, pytest.approx(stages))
    assert gaps.quantile(0.01) == gaps.quantile(1.0) == pytest.approx(stages)
    # The blocks are told of once for every moment.
    own = np.array(table["blocks"]) > 0
    assert np.sum(took[own]) == pytest.approx(max(sequence.finish for sequence in ended))


def test_who_waits_for_others_prompts_does_not_generate():
    """Prompts first, of 2 s: A generates from 2 to 3 and, behind B's prompt, from 5 to 8; B from 5 to 7."""
    engine = Engine(PrefillFirst(), LinearSteps(base=1.0, per_prompt_token=0.25), 100)
    ended = simulate(engine, [Sequence(0, 0.0, 4, 5), Sequence(1, 2.5, 4, 3)])
    assert sorted(sequence.finish for sequence in ended) == [7.0, 8.0]
    table = dict(zip(columns("iterations"), zip(*engine.log, strict=True), strict=True))
    view = SimpleNamespace(numbers=lambda _, name: np.array(table[name], float))
    gaps = engine.log.gaps()
    took = gaps.first * gaps.iterations + gaps.slope * (gaps.iterations * (gaps.iterations - 1) / 2)
    assert generating_seconds(view, np.arange(len(engine.log)), took) == pytest.approx(1 + 3 + 2)
    # From the first token to the last it was 6 s and 2 s.
    assert gaps.mean() * gaps.count == pytest.approx(8.0)


@pytest.mark.parametrize(("cached", "share"), [("true", 16 / 75), ("false", 0.0)])
def test_tokens_found_in_the_prefix_cache(cached, share):
    """Turns of 24 and 24 + 3 + 24 tokens: the second finds one block of 16 of the 26 computed before."""
    sets = (
        "applications.chat.arrivals.period=100s",
        "applications.chat.tokens_in=24",
        "applications.chat.sessions={turns: 2}",
        f"platform.services.llm.engine.prefix_cache={cached}",
    )
    text = FILE.replace("TOKENS", "3").replace("SLO", "{latency: 9s}")
    found = measure(build(loads(text, sets)).run())
    saved, computed = (found[f"services.llm.{name}"] for name in ("tokens_saved", "tokens_in"))
    assert found["services.llm.hit_rate"] == pytest.approx(share)
    assert saved / (saved + computed) == pytest.approx(share)
    assert found["services.llm.host_hit_rate"] == found["services.llm.evictions"] == 0.0
